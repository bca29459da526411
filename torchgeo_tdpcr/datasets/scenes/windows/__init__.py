# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Windows of what a scene is made of, all on its grid."""
