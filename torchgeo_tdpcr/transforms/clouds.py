# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Clouds, their shadows and haze, simulated over a clear Sentinel-2 image.

A sky is one or two cloud layers (cumulus, stratus, cirrus, veil) with an optical
thickness per pixel. Light reaches the sensor through the layer or from it:
``image = t * ground + (1 - t) * cloud`` with ``t = exp(-thickness)``; what the cloud
itself looks like is in :mod:`.cloud_light`. The spectra of shadow, ice and haze follow
measurements but were adjusted by hand.
"""

from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

from .bands import SENTINEL2_BANDS, check_bands
from .cloud_light import draw_light
from .noise import FloatArray, block_mean, fractal_noise, smooth
from .sky import KINDS, THICKNESS_LIMIT, Kind, Sky, draw_kinds, draw_layer
from .soft_clouds import draw_lumps, draw_soft_layer, draw_soft_light

_NAMES = tuple(SENTINEL2_BANDS)
# What is left of the ground's radiance in a full shadow.
_SHADOW = (0.93, 0.88, 0.78, 0.64, 0.58, 0.52, 0.50, 0.48, 0.46, 0.45, 0.9, 0.37, 0.36)
# Colour of haze: bright in the blue, nothing in the short-wave infrared.
_HAZE = (4300, 4000, 3500, 3050, 2850, 2650, 2450, 2300, 2200, 700, 15, 900, 500)
_HAZE_K = (1.15, 1.0, 0.82, 0.64, 0.58, 0.53, 0.48, 0.43, 0.40, 0.35, 0.1, 0.13, 0.08)


class CloudyImage(NamedTuple):
    """What `simulate_clouds` returns.

    Attributes:
        image: Cloudy image, C×H×W float32 digital numbers.
        mask: Cloud or shadow, H×W bool.
        thickness: Optical thickness of cloud, H×W float32, 0 where there is none.
    """

    image: FloatArray
    mask: np.ndarray
    thickness: FloatArray


def simulate_clouds(
    clear: FloatArray,
    rng: np.random.Generator,
    cover: float,
    bands: Sequence[str] | None = None,
    kinds: Sequence[Kind] | None = None,
    sun: tuple[float, float] | None = None,
    height: float | None = None,
    origin: tuple[int, int] = (0, 0),
    soft: bool = False,
) -> CloudyImage:
    """Put a random sky over a clear image.

    Args:
        clear: Clear image, C×H×W, in digital numbers (reflectance × 10⁴, offset
            removed).
        rng: Source of randomness; the same state gives the same sky.
        cover: Part of the image under cloud or shadow, 0 to 1, met to about 0.01.
        bands: Names of the bands of `clear`; all 13 if None.
        kinds: Cloud layers, drawn if None.
        sun: Azimuth (clockwise from north) and zenith angle in degrees, drawn if
            None. The rows of the image run from north to south.
        height: Height of the clouds above the ground in km, drawn if None. Shadows
            move by at most 96 pixels.
        origin: Row and column of the first pixel on the grids of the 20 m and 60 m
            bands.
        soft: Whether cumulus and stratus are soft, see :mod:`.soft_clouds`.

    Returns:
        Cloudy image, cloud-or-shadow mask and optical thickness.

    Raises:
        ValueError: If `clear` does not have one plane a band, `cover` is not within
            0 to 1, or `kinds` is empty or unknown.

    Example:
        >>> clear = np.full((13, 64, 64), 1000, np.float32)
        >>> sky = simulate_clouds(clear, np.random.default_rng(0), cover=0.5)
        >>> sky.image.shape, sky.mask.shape, sky.thickness.dtype
        ((13, 64, 64), (64, 64), dtype('float32'))
    """
    names = check_bands(bands)
    if clear.ndim != 3 or clear.shape[0] != len(names):
        raise ValueError(
            f'`clear` has shape {tuple(clear.shape)}; expected ({len(names)}, height, '
            f'width) for the bands {list(names)}. Name its bands with `bands`.'
        )
    if not 0 <= cover <= 1:
        raise ValueError(f'`cover={cover}` is not within 0 to 1.')
    shape = (int(clear.shape[1]), int(clear.shape[2]))
    if sun is None:
        sun = (float(rng.uniform(20, 340)), float(rng.uniform(18, 62)))
    kinds = draw_kinds(rng, cover) if kinds is None else list(kinds)
    if not kinds or not set(kinds) <= set(KINDS):
        raise ValueError(f'`kinds={kinds}`: give one or more of {list(KINDS)}.')
    sky = Sky(
        rng, shape, cover, kinds, sun, height, draw_soft_layer if soft else draw_layer
    )
    threshold, taus = sky.solve(cover)
    mask, shadow = sky.covered(threshold, taus)
    thickness = np.sum([sky.crop(tau) for tau in taus], axis=0, dtype=np.float32)
    thickness[thickness < THICKNESS_LIMIT] = 0

    lit = draw_soft_light if soft else draw_light
    lights = [lit(rng, layer) for layer in sky.layers]
    bright = float(np.exp(rng.normal(0.1 + 0.12 * cover**2, 0.33)))
    grain = fractal_noise(rng, taus[0].shape, 2.6, 120) * np.float32(0.06)
    relief = _relief(sky, taus[0])
    if soft:
        grain = grain + draw_lumps(rng, grain.shape)
    texture = np.float32(bright) * np.clip(1 + grain + relief, 0.45, 1.8)
    shadow = smooth(shadow, 2)
    haze = _draw_haze(rng, shape, sky.crop(block_mean(np.minimum(taus[0], 3), 24)))

    # one thickness a layer and a resolution; slices of it give every band
    sizes = {SENTINEL2_BANDS[name].resolution // 10 for name in names}
    coarse = {n: [block_mean(tau, n, origin) for tau in taus] for n in sizes}
    tops = {n: block_mean(texture, n, origin) for n in sizes}
    darks = {n: block_mean(shadow, n, origin) for n in sizes}
    image = np.empty(clear.shape, np.float32)
    for i, name in enumerate(names):
        band = _NAMES.index(name)
        size = SENTINEL2_BANDS[name].resolution // 10
        plane = clear[i] * (1 - np.float32(1 - _SHADOW[band]) * darks[size])
        through = np.exp(-np.float32(_HAZE_K[band]) * haze)
        plane = plane * through + np.float32(_HAZE[band]) * (1 - through)
        for light, tau in zip(lights, coarse[size], strict=True):
            shift = sky.parallax(light.layer.height, band)
            tau, top = sky.crop(tau, shift), sky.crop(tops[size], shift)
            plane = light.over(plane, band, tau, top)
        image[i] = plane
    return CloudyImage(image, mask, thickness)


def _relief(sky: Sky, tau: FloatArray) -> FloatArray:
    """Brighter towards the sun, darker away from it, as tops of clouds are."""
    body = smooth(np.log1p(tau), 3)
    down, right = np.gradient(body)
    slope = down * np.float32(sky.away[0]) + right * np.float32(sky.away[1])
    relief: FloatArray = np.clip(slope * np.float32(1.1 * sky.tan), -0.2, 0.2)
    return relief


def _draw_haze(
    rng: np.random.Generator, shape: tuple[int, int], nearby: FloatArray
) -> FloatArray:
    """Aerosol thickness: a gradient, patches, and the humid air around clouds."""
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None]
    angle = rng.uniform(0, 2 * np.pi)
    tilt = np.float32(np.sin(angle)) * y + np.float32(np.cos(angle)) * x
    patches = fractal_noise(rng, shape, 3.5)
    level = np.float32(rng.gamma(1.3, 0.045))
    haze = level * (1 + np.float32(0.4) * tilt + np.float32(0.25) * patches)
    haze += np.float32(rng.uniform(0.01, 0.05)) * smooth(nearby, 4)
    return np.maximum(haze, 0).astype(np.float32)


class SimulateClouds(nn.Module):
    """Cloud simulation as a transform of one sample.

    Reads `image_clear` (C×H×W digital numbers, offset removed) and sets `image`
    (cloudy), `mask_cloud` (H×W int64, 1 = cloud or shadow) and `image_thickness`
    (1×H×W float32). With a seed, a chip gets the same sky each time it is read;
    without one, a new sky from torch's generator, which differs between the workers
    of a data loader.

    Args:
        bands: Names of the bands of `image_clear`; all 13 if None.
        cover: Range that the cloud cover is drawn from, each within 0 to 1.
        seed: Makes the sky a function of seed and chip.
        soft: Whether cumulus and stratus are soft, see :func:`simulate_clouds`.

    Raises:
        ValueError: If `bands` or `cover` is not valid.

    Example:
        >>> sample = {'image_clear': torch.full((13, 64, 64), 1000.0)}
        >>> sample = SimulateClouds(seed=0)(sample)
        >>> sorted(sample)
        ['image', 'image_clear', 'image_thickness', 'mask_cloud']
    """

    def __init__(
        self,
        bands: Sequence[str] | None = None,
        cover: tuple[float, float] = (0.0, 1.0),
        seed: int | None = None,
        soft: bool = False,
    ) -> None:
        super().__init__()
        self.bands = check_bands(bands)
        if not 0 <= cover[0] <= cover[1] <= 1:
            raise ValueError(
                f'`cover={cover}`: give the lowest and the highest cover, both '
                'within 0 to 1.'
            )
        self.cover = cover
        self.seed = seed
        self.soft = soft

    def forward(self, sample: dict[str, Tensor]) -> dict[str, Tensor]:
        """Set the cloudy image, its mask and the thickness.

        Args:
            sample: Sample with the key `image_clear`.

        Returns:
            The same dictionary with `image`, `mask_cloud` and `image_thickness`.

        Raises:
            KeyError: If `image_clear` is missing.
            ValueError: If `image_clear` is a batch or has other bands.
        """
        if 'image_clear' not in sample:
            raise KeyError(
                '`image_clear` is missing from the sample: SimulateClouds needs a '
                f'clear image, and the sample has only {sorted(sample)}.'
            )
        clear = sample['image_clear']
        array = clear.detach().cpu().numpy().astype(np.float32)
        if self.seed is None:
            entropy = torch.randint(2**31, (2,)).tolist()
        else:
            entropy = [self.seed, crc32(np.ascontiguousarray(array).tobytes())]
        rng = np.random.default_rng(entropy)
        cover = float(rng.uniform(*self.cover))
        sky = simulate_clouds(array, rng, cover, self.bands, soft=self.soft)
        sample['image'] = torch.from_numpy(sky.image).to(clear.device)
        mask = torch.from_numpy(sky.mask.astype(np.int64))
        sample['mask_cloud'] = mask.to(clear.device)
        sample['image_thickness'] = torch.from_numpy(sky.thickness[None]).to(
            clear.device
        )
        return sample
