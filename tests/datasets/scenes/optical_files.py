# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Sentinel-2 products for tests, in the forms in which people have them."""

import zipfile

import numpy as np
import rasterio
from rasterio.transform import from_origin

from torchgeo_tdpcr.transforms.bands import SENTINEL2_BANDS

BANDS = list(SENTINEL2_BANDS)
SIZE = 72
DATE = 'S2A_MSIL1C_20200604T100031_N0400_R122_T32TQM_20200604T121222'


def write(path, array, resolution=10, crs='EPSG:32632', labels=(), x=6e5, **options):
    """Write a raster whose upper-left corner is that of the scene."""
    array = array if array.ndim == 3 else array[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == '.jp2':
        options |= {'driver': 'JP2OpenJPEG', 'QUALITY': '100', 'REVERSIBLE': 'YES'}
    with rasterio.open(
        path,
        'w',
        count=len(array),
        height=array.shape[1],
        width=array.shape[2],
        dtype=array.dtype,
        crs=crs,
        transform=from_origin(x, 5e6, resolution, resolution),
        **options,
    ) as file:
        file.write(array)
        if labels:
            file.descriptions = labels
    return path


def numbers(count=13, size=SIZE, low=1000, high=9000, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(low, high, (count, size, size), dtype=np.uint16)


def full_size(array, resolution):
    """A band repeated to the fine grid, the whole image at once."""
    return np.kron(array, np.ones((resolution // 10,) * 2, array.dtype))


METADATA = """<?xml version="1.0" encoding="UTF-8"?>
<n1:Level_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/x.xsd">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>2020-06-04T10:00:31.024Z</PRODUCT_START_TIME>
      <PRODUCT_URI>{name}.SAFE</PRODUCT_URI>
    </Product_Info>
    <Product_Image_Characteristics>
      <{scale}>{quantification}</{scale}>{offsets}
    </Product_Image_Characteristics>
  </n1:General_Info>
</n1:Level_User_Product>"""


def write_safe(folder, level='1C', offset=-1000, quantification=10000, name=DATE):
    """A SAFE folder; returns it and its bands, each as stored."""
    root = folder / f'{name}.SAFE'
    kind = 'RADIO' if level == '1C' else 'BOA'
    offsets = (
        ''.join(
            f'\n<{kind}_ADD_OFFSET band_id="{i}">{offset}</{kind}_ADD_OFFSET>'
            for i in range(13)
        )
        if offset is not None
        else ''
    )
    scale = 'QUANTIFICATION_VALUE' if level == '1C' else 'BOA_QUANTIFICATION_VALUE'
    granule = root / 'GRANULE' / f'L{level}_T32TQM'
    stored = {}
    for i, band in enumerate(SENTINEL2_BANDS.values()):
        if level == '2A' and band.name == 'B10':
            continue
        array = numbers(1, SIZE * 10 // band.resolution, seed=i)[0]
        stored[band.name] = array
        padded = f'B{band.name[1:]:0>2}'
        image = granule / 'IMG_DATA'
        if level == '1C':
            file = image / f'T32TQM_20200604T100031_{padded}.jp2'
            write(file, array, band.resolution)
            continue
        for resolution in (10, 20, 60):
            if resolution >= band.resolution:
                step = resolution // band.resolution
                file = f'T32TQM_20200604T100031_{padded}_{resolution}m.jp2'
                folder = image / f'R{resolution}m'
                write(folder / file, array[::step, ::step].copy(), resolution)
    write(granule / 'IMG_DATA' / 'T32TQM_20200604T100031_TCI.jp2', numbers(1)[0])
    (root / f'MTD_MSIL{level}.xml').write_text(
        METADATA.format(
            name=name, scale=scale, quantification=quantification, offsets=offsets
        )
    )
    (granule / 'MTD_TL.xml').write_text('<x/>')
    return root, stored


def zipped(root):
    archive = root.with_suffix('.SAFE.zip')
    with zipfile.ZipFile(archive, 'w', zipfile.ZIP_DEFLATED) as file:
        for path in sorted(root.rglob('*')):
            file.write(path, path.relative_to(root.parent))
    return archive
