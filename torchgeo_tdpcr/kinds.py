# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The words for what files of scenes and of maps hold, light enough for a command line."""

from typing import Literal, get_args

#: Level of a Sentinel-2 product: reflectance at the top of the atmosphere, or at the
#: surface.
type Level = Literal['1C', '2A']

#: What backscatter is in: dB, power, or amplitude, the square root of power.
type SARScale = Literal['db', 'linear', 'amplitude']

#: What the numbers of a cloud mask mean: nonzero is cloud or shadow; the probability of
#: cloud; the classes of ESA's scene classification, of Fmask, or of CloudSEN12. Which
#: Fmask, its numbers tell, or else one of the last three: Fmask 3 and 4, python-fmask,
#: or the bits of HLS.
type CloudMaskKind = Literal[
    'binary',
    'probability',
    'scl',
    'fmask',
    'cloudsen12',
    'fmask4',
    'python-fmask',
    'hls',
]

#: A cloud mask that is no file of its own: the product's, or one that is found.
type MaskWord = Literal['product', 'auto']

#: What can be written of a prediction.
type LayerName = Literal[
    'image',
    'classes',
    'confidence',
    'prompt',
    'change',
    'uncertainty',
    'cloud_mask',
    'source',
    'prediction',
]

#: Where a pixel of an image may be from, by its number in the layer ``source``: what people
#: call it, and its red, green and blue.
SOURCES = (
    ('observed', (77, 175, 74)),
    ('other date', (255, 217, 47)),
    ('restored', (228, 26, 28)),
)

LEVELS: tuple[Level, ...] = get_args(Level.__value__)
SAR_SCALES: tuple[str, ...] = get_args(SARScale.__value__)
CLOUD_MASK_KINDS: tuple[str, ...] = get_args(CloudMaskKind.__value__)
MASK_WORDS: tuple[str, ...] = get_args(MaskWord.__value__)
LAYERS: tuple[str, ...] = get_args(LayerName.__value__)

#: What the STAC items of maps have among their properties, and no others.
FINGERPRINT = 'tdpcr:fingerprint'

#: Tag of rasters that are the truth of a synthetic scene, and no input.
TRUTH = 'TDPCR_TRUTH'
