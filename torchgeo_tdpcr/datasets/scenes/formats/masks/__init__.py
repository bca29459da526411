# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Forms of cloud masks: how each is told, and what it calls cloud."""

from .forms import MASK_FORMS as MASK_FORMS
from .forms import mask_table as mask_table
