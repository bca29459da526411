# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Tables I, II and III of the paper."""
