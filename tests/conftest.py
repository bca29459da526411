# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Makes the helpers in this folder importable from all tests."""
