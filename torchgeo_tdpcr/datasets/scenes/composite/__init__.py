# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Other dates of a scene: clear pixels of them, as bright as the scene's own."""

from .clear_dates import ClearDates as ClearDates
from .other_date import OtherDate as OtherDate
