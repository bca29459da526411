# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What fidelity costs."""
