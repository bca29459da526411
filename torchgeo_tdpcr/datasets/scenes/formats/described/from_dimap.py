# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Products that SNAP has saved: Sentinel-2, and Sentinel-1 as backscatter."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .....kinds import SARScale
from .....transforms.bands import SENTINEL2_BANDS
from ...common import SceneError
from ..evidence import of_name
from ..naming import RASTERS, date_near, polarisation_of, product_name
from ..optical.band_files import evidence_of_tags, finest, nodata_of, ordered
from ..optical.bands import read_bands
from ..parts import BandFile, CloudMask, OpticalProduct
from ..radar.faults import OTHER_MODE, check_uncorrected, other_of
from ..radar.files import RadarBands, order_of_names
from ..radar.names import ScaleTold, other_polarisations, scale_of_label
from ..rasters import RasterFiles
from .dimap import Band, Dimap, dim_of, read_dimap
from .metadata import put_into_headers

#: What backscatter is called, the best first; '' where the name is just VV or VH. Beta0
#: depends on how far away it was.
_QUANTITIES = ('gamma0', 'sigma0', '', 'intensity', 'amplitude')

_PLAIN = re.compile(r'(?:VV|VH)(?:_?dB)?', re.IGNORECASE)

_UNITS: dict[str, SARScale] = {
    'intensity': 'linear',
    'intensity_db': 'db',
    'amplitude': 'amplitude',
}

_CODE = re.compile(r'B(?:8A|0?[1-9]|1[0-2])', re.IGNORECASE)


def _check_linear(product: Dimap, bands: Sequence[Band]) -> None:
    for band in bands:
        if band.logarithmic:
            raise SceneError(
                product.path,
                f'holds {band.name} as a logarithm (LOG10_SCALED). Save it in SNAP as a '
                'band that is converted to a number.',
            )


def read_optical_dimap(
    path: Path, all_bands: Sequence[str] | None = None
) -> OpticalProduct:
    """Read Sentinel-2 that SNAP has saved.

    Args:
        path: Its ``.dim``, or its ``.data`` folder.
        all_bands: Of no use here, for its names tell.

    Returns:
        The product.

    Raises:
        SceneError: If it is none, or has no band of Sentinel-2.
    """
    del all_bands
    product = read_dimap(path)
    found: dict[str, list[Band]] = {}
    names = read_bands([band.name for band in product.bands])
    for band, name in zip(product.bands, names, strict=True):
        found.setdefault(name or '', []).append(band)
    rasters = RasterFiles()
    by_path = {band.path: band for band in product.bands}
    chosen = {
        name: by_path[finest(name, _plain(own), rasters)]
        for name, own in found.items()
        if name in SENTINEL2_BANDS
    }
    bands = ordered({name: BandFile(band.path) for name, band in chosen.items()})
    if not bands:
        seen = (
            ', '.join(band.name for band in product.bands[:6]) or 'none with a raster'
        )
        raise SceneError(product.path, f'has no bands of Sentinel-2, but {seen}.')
    _check_linear(product, list(chosen.values()))
    for file in bands.values():
        rasters.header(file.path)
    told = {name: band.told for name, band in chosen.items()}
    put_into_headers(bands, told, rasters.headers)
    rasters.close()
    classes = [band.path for band in found.get('SCL', [])]
    headers = [rasters.headers[file.path] for file in bands.values()]
    tags = evidence_of_tags(bands, rasters.headers)
    # Of reflectance, the offset is off, whatever the baseline
    decoded = not tags and all(header.dtypes[0].startswith('f') for header in headers)
    return OpticalProduct(
        product.path,
        product_name(product.path),
        bands,
        tuple(tags if decoded else [*of_name(product.path.stem), *tags]),
        product.date or date_near(product.path),
        nodata_of(product.path, headers),
        CloudMask(classes[0], 'scl') if len(classes) == 1 else None,
        form='dimap',
        headers=rasters.headers,
    )


def _plain(bands: Sequence[Band]) -> list[str]:
    """Rasters of bands; of some that are called just by a code, of these alone."""
    plain = [band.path for band in bands if _CODE.fullmatch(band.name)]
    return plain or [band.path for band in bands]


def radar_dim_of(path: Path) -> Path | None:
    """The ``.dim`` of Sentinel-1: see :func:`dim_of`, or the only one in a folder.

    A folder that has rasters of VV or VH beside it is told by these.
    """
    if (dim := dim_of(path)) or not path.is_dir():
        return dim
    files = list(path.iterdir())
    dims = [file for file in files if file.suffix.lower() == '.dim' and file.is_file()]
    beside = any(
        file.suffix.lower() in RASTERS and polarisation_of(file.name) for file in files
    )
    return dims[0] if len(dims) == 1 and not beside else None


def with_dim(found: RadarBands, rasters: RasterFiles) -> RadarBands:
    """Add what a ``.dim`` says of rasters that were given without it.

    Args:
        found: Bands of Sentinel-1, which may lie in the ``.data`` folder of a product.
        rasters: Their headers, which are changed.

    Returns:
        The bands, with scale and date of the product if they are of one.

    Raises:
        SceneError: If the ``.dim`` is malformed.
    """
    for name, file in zip(('VV', 'VH'), found.bands, strict=True):
        path = Path(file.path)
        dim = dim_of(path.parent) if path.parent.suffix.lower() == '.data' else None
        if dim is None:
            continue
        product = read_dimap(dim)
        for band in product.bands:
            if Path(band.path).name == path.name:
                _check_linear(product, [band])
                put_into_headers({name: file}, {name: band.told}, rasters.headers)
                scale = scale_of_label(band.name) or _scale_of_unit(band)
                date = found.date or product.date
                found = replace(found, scale=found.scale or scale, date=date)
    return found


def read_radar_dimap(
    path: Path, rasters: RasterFiles, polarisations: Sequence[str] | None = None
) -> RadarBands:
    """Read Sentinel-1 that SNAP has saved.

    Args:
        path: Its ``.dim``, its ``.data`` folder, or the folder around both.
        rasters: To open the files with.
        polarisations: See :func:`~.radar.files.order_of_names`.

    Returns:
        The bands.

    Raises:
        SceneError: If it is none, or has no VV and VH as backscatter.
    """
    product = read_dimap(radar_dim_of(path) or path)
    vv, vh = _polarisations(product)
    _check_linear(product, (vv, vh))
    for band in (vv, vh):
        check_uncorrected(band.path, rasters)
    bands = {'VV': BandFile(vv.path), 'VH': BandFile(vh.path)}
    put_into_headers(bands, {'VV': vv.told, 'VH': vh.told}, rasters.headers)
    return RadarBands(
        (bands['VV'], bands['VH']),
        order_of_names(product.path, polarisations),
        scale=scale_of_label(vv.name) or _scale_of_unit(vv),
        date=product.date or date_near(product.path),
    )


def _scale_of_unit(band: Band) -> ScaleTold | None:
    scale = _UNITS.get(band.unit.lower())
    where = f'the unit {band.unit!r} of {band.name}'
    return None if scale is None else ScaleTold(scale, where)


def _polarisations(product: Dimap) -> tuple[Band, Band]:
    """VV and VH of the best quantity that there is."""
    seen = ', '.join(band.name for band in product.bands) or 'none with a raster'
    by_kind: dict[str, dict[str, list[Band]]] = {}
    for band in product.bands:
        words = re.split(r'[^a-z0-9]+', band.name.lower())
        name = polarisation_of(band.name)
        kind = next((kind for kind in _QUANTITIES if kind in words), None)
        if kind is None and _PLAIN.fullmatch(band.name):
            kind = ''
        if name and kind is not None:
            # Power and dB of one are the same; power needs no conversion
            logarithmic = 'db' in words or words[-1].endswith('db')
            kind += '_db' if logarithmic else ''
            by_kind.setdefault(kind, {}).setdefault(name, []).append(band)
    whole = {
        kind: pair
        for kind, pair in by_kind.items()
        if all(len(pair.get(name, ())) == 1 for name in ('VV', 'VH'))
    }
    calibrated = {kind[:6] for kind in whole} & set(_QUANTITIES[:2])
    if len(calibrated) > 1:
        raise SceneError(
            product.path,
            f'holds both gamma0 and sigma0: {seen}. Save one of them in SNAP.',
        )
    order = [kind + end for kind in _QUANTITIES for end in ('', '_db')]
    best = next((kind for kind in order if kind in whole), None)
    if best is None:
        _refuse_lacking(product, seen)
        raise SceneError(
            product.path,
            'must hold exactly one band of VV and one of VH as sigma0 or gamma0; it '
            f'holds {seen}.',
        )
    return whole[best]['VV'][0], whole[best]['VH'][0]


def _refuse_lacking(product: Dimap, seen: str) -> None:
    """Refuse a product that lacks VV, VH or both."""
    names = [band.name for band in product.bands]
    found = {name for name in map(polarisation_of, names) if name}
    others = other_polarisations(names)
    if others and not found:
        raise SceneError(product.path, f'holds {" and ".join(others)}, {OTHER_MODE}')
    if len(found) == 1:
        (own,) = found
        raise SceneError(
            product.path,
            f'holds {own} only: {seen}. {other_of(own)} is needed as well. Make the '
            'product anew in SNAP with both polarisations, of a product that has both '
            '(1SDV in its name).',
        )
