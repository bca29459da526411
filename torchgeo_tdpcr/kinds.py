# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The words for what files of scenes are in, light enough for every command line."""

from typing import Literal, get_args

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

SAR_SCALES: tuple[str, ...] = get_args(SARScale.__value__)
CLOUD_MASK_KINDS: tuple[str, ...] = get_args(CloudMaskKind.__value__)
