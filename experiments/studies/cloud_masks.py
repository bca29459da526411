# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""How clouds are best found where a scene has no mask: which detector, at which pixels.

    python -m experiments.studies.cloud_masks --samples DIR

It compares ukis-csmask, in pixels of 10, 20 and 30 m, and s2cloudless, which takes `pip
install s2cloudless`, with the masks of synthetic scenes, which know every cloud and shadow,
and with those of real pairs of SEN12MS-CR, in *DIR*, as `{id}_s2_cloudy.tif` and
`{id}_cloud_mask.tif`. It prints a table and writes it to `docs/results/cloud-masks.md`. It
takes three minutes on two cores.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from torchgeo_tdpcr.datasets.scenes.formats.products import find_optical
from torchgeo_tdpcr.datasets.scenes.windows.detection import DetectedClouds
from torchgeo_tdpcr.datasets.scenes.windows.optical.reader import OpticalReader
from torchgeo_tdpcr.datasets.synthetic.scene_pair import write_scene_pair
from torchgeo_tdpcr.files import write_text

from ..markdown import table

#: Seed and cover of the synthetic scenes: small clouds, large ones, hardly a gap.
SCENES = ((1, 0.3), (2, 0.5), (3, 0.7))

type Mask = NDArray[np.bool_]
type Detect = Callable[[Path], Mask]


def csmask(metres: float) -> Detect:
    """ukis-csmask in pixels of a size."""

    def detect(path: Path) -> Mask:
        product = find_optical(path)
        reader = OpticalReader(product)
        clouds = DetectedClouds(product, reader.grid, reader.offset, cell=metres)
        return clouds.read(reader.grid.all)

    return detect


def s2cloudless(threshold: float = 0.4, dilation: int = 2) -> Detect:
    """s2cloudless, by default as its documentation proposes it, in pixels of 10 m."""

    def detect(path: Path) -> Mask:
        from s2cloudless import S2PixelCloudDetector

        reader = OpticalReader(find_optical(path))
        image, _ = reader.read(reader.grid.all)
        reflectance = (image.astype(np.float32) - reader.offset) / 1e4
        detector = S2PixelCloudDetector(
            threshold=threshold,
            average_over=4,
            dilation_size=dilation,
            all_bands=True,
        )
        batch = reflectance.transpose(1, 2, 0)[None]
        found: Mask = detector.get_cloud_masks(batch)[0] > 0
        return found

    return detect


def synthetic(folder: Path, size: int) -> Iterator[tuple[Path, Mask]]:
    """Synthetic scenes and where they are cloud or shadow."""
    for seed, cover in SCENES:
        pair = write_scene_pair(folder / str(seed), size=size, seed=seed, cover=cover)
        yield pair.s2, _read(pair.clouds)


def real(samples: Path, folder: Path) -> Iterator[tuple[Path, Mask]]:
    """Real chips, put somewhere on the Earth, and where they are cloud by their masks."""
    for path in sorted(samples.glob('*_s2_cloudy.tif')):
        with rasterio.open(path) as file:
            image, profile = file.read(), file.profile
        profile |= {'crs': 'EPSG:32632', 'transform': from_origin(6e5, 5e6, 10, 10)}
        with rasterio.open(folder / path.name, 'w', **profile) as file:
            file.write(image)
        mask = path.with_name(path.name.replace('s2_cloudy', 'cloud_mask'))
        yield folder / path.name, _read(mask)


def compare(detect: Detect, pairs: list[tuple[Path, Mask]]) -> list[str]:
    """Recall, precision and IoU over all pixels, in percent."""
    both = found = true = 0
    for path, mask in pairs:
        unclear = detect(path)
        both += int((unclear & mask).sum())
        found += int(unclear.sum())
        true += int(mask.sum())
    shares = both / true, both / max(found, 1), both / (found + true - both)
    return [f'{100 * share:.1f}' for share in shares]


def _read(path: Path) -> Mask:
    with rasterio.open(path) as file:
        mask: Mask = file.read(1) > 0
    return mask


def main(argv: list[str] | None = None) -> None:
    """Compare, print and write."""
    parser = argparse.ArgumentParser(
        prog='python -m experiments.studies.cloud_masks',
        description='Compare detectors of clouds with known masks.',
    )
    parser.add_argument('--samples', type=Path, help='folder of real pairs')
    parser.add_argument('--size', type=int, default=900, help='side of the scenes')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('docs/results/cloud-masks.md'),
        help='where to write',
    )
    args = parser.parse_args(argv)
    detectors: dict[str, Detect] = {
        f'ukis-csmask, {metres} m': csmask(metres) for metres in (10, 20, 30)
    }
    if find_spec('s2cloudless') is not None:
        detectors['s2cloudless, 10 m'] = s2cloudless()
        # By which the masks of the real pairs seem to have been made
        detectors['s2cloudless, 0.6, not grown'] = s2cloudless(0.6, 0)
    with tempfile.TemporaryDirectory() as folder:
        sets = {'synthetic': list(synthetic(Path(folder), args.size))}
        if args.samples:
            sets['real'] = list(real(args.samples, Path(folder)))
        rows = []
        for name, detect in detectors.items():
            for kind, pairs in sets.items():
                rows.append([name, kind, *compare(detect, pairs)])
                print(rows[-1], flush=True)
    header = ['', 'scenes', 'recall (%)', 'precision (%)', 'IoU (%)']
    text = f'{table(header, rows)}\n'
    write_text(args.out, text)
    print(text)


if __name__ == '__main__':
    main()
