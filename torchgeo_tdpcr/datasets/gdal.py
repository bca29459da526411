# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Settings of GDAL under which files are read: of stored chips, and of scenes.

They differ because the files do. Thousands of chips, each opened for one read, gain from
what would harm a scene, whose files may have their place in a file beside them, and lose
by the threads that a scene's millions of compressed pixels need: of 256×256 chips of six
uncompressed files, one core read 156 a second under the settings for chips, 94 under
GDAL's own, and 30 under those for scenes.
"""

#: For stored chips. The first keeps GDAL from listing folders of thousands of files at
#: every open (and so from seeing files beside a chip, of which no published set has
#: any); the second reads uncompressed files, as the published ones are, straight from
#: the page cache, in half the time. No threads: a chip is too small for them, and
#: workers are processes.
CHIP_SETTINGS = {
    'GDAL_DISABLE_READDIR_ON_OPEN': 'EMPTY_DIR',
    'GTIFF_VIRTUAL_MEM_IO': 'YES',
}

#: For scenes. GDAL's cache, 5 % of the memory by default, would grow with the machine;
#: this is enough for a row of blocks of all bands of a Sentinel-2 tile.
SCENE_SETTINGS = {'GDAL_CACHEMAX': 512 * 2**20, 'GDAL_NUM_THREADS': 'ALL_CPUS'}
