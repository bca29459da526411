# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The systems that the paper compares with, and others of its field, one a module."""
