# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What made the results of the documentation: ``python -m experiments.NAME``."""
