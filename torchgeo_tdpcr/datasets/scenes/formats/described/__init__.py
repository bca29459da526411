# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Forms whose metadata describe their files: STAC items, SNAP's BEAM-DIMAP, EOPF Zarr."""
