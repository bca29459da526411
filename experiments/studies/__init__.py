# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Questions beside the tables, each a command."""
