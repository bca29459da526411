# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Writing Sentinel-2 products in the forms in which people hold them.

A Level-1C product, as it is distributed, is a SAFE folder or a zip of one. It holds
each band as a lossless JPEG 2000 at the band's own resolution, and its metadata say
which number was added to the reflectances. The other forms are one GeoTIFF a band and
one GeoTIFF of all bands at 10 m.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Literal
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from rasterio.crs import CRS
from rasterio.transform import Affine

from ...files import replacing
from ...transforms.bands import QUANTIFICATION, SENTINEL2_BANDS
from ...transforms.clouds import CloudyImage
from ...transforms.noise import block_mean
from .rasters import write_array

Kind = Literal['geotiff', 'bands', 'safe', 'zip']

#: Side in pixels of the blocks that fit into the pixels of all bands.
BLOCK = 6

#: Tile of the military grid that the products claim to be.
TILE = 'T32UPU'

_TIME = time(10, 10, 31)
_SENSING = f'T{_TIME:%H%M%S}'
_ORBIT = 'A025869'
# Optical thickness from which on the product's own mask says opaque, not cirrus.
_OPAQUE = 0.5

_PRODUCT = """\
<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-1C_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/\
User_Product_Level-1C.xsd">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>{day}T10:10:31.024Z</PRODUCT_START_TIME>
      <PRODUCT_STOP_TIME>{day}T10:10:31.024Z</PRODUCT_STOP_TIME>
      <PRODUCT_URI>{name}</PRODUCT_URI>
      <PROCESSING_LEVEL>Level-1C</PROCESSING_LEVEL>
      <PRODUCT_TYPE>S2MSI1C</PRODUCT_TYPE>
      <PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
      <Product_Organisation>
        <Granule_List>
          <Granule imageFormat="JPEG2000">
{files}
          </Granule>
        </Granule_List>
      </Product_Organisation>
    </Product_Info>
    <Product_Image_Characteristics>
      <Special_Values>
        <SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT>
        <SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX>
      </Special_Values>
      <Special_Values>
        <SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT>
        <SPECIAL_VALUE_INDEX>65535</SPECIAL_VALUE_INDEX>
      </Special_Values>
      <QUANTIFICATION_VALUE unit="none">{quantification}</QUANTIFICATION_VALUE>
{offsets}    </Product_Image_Characteristics>
  </n1:General_Info>
</n1:Level-1C_User_Product>
"""

_GRANULE = """\
<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-1C_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/\
S2_PDI_Level-1C_Tile_Metadata.xsd">
  <n1:General_Info>
    <SENSING_TIME>{day}T10:15:59.000Z</SENSING_TIME>
  </n1:General_Info>
</n1:Level-1C_Tile_ID>
"""


def band_stem(band: str, day: date) -> str:
    """Name of a band's file, without its ending.

    Example:
        >>> band_stem('B8A', date(2020, 6, 4)), band_stem('B2', date(2020, 6, 4))
        ('T32UPU_20200604T101031_B8A', 'T32UPU_20200604T101031_B02')
    """
    return f'{TILE}_{day:%Y%m%d}{_SENSING}_B{band[1:].zfill(2)}'


def safe_name(day: date, offset: int) -> str:
    """Name of a product's folder; the baseline in it tells whether there is an offset.

    Example:
        >>> safe_name(date(2020, 6, 4), 1000)
        'S2A_MSIL1C_20200604T101031_N0500_R022_T32UPU_20200604T121212.SAFE'
    """
    baseline = 'N0500' if offset else 'N0209'
    return (
        f'S2A_MSIL1C_{day:%Y%m%d}{_SENSING}_{baseline}_R022_{TILE}_'
        f'{day:%Y%m%d}T121212.SAFE'
    )


def product_name(kind: Kind, name: str, day: date, offset: int) -> str:
    """Name of the file or folder of a product.

    Example:
        >>> product_name('bands', 'scene', date(2020, 6, 4), 1000)
        'scene_s2'
    """
    if kind == 'geotiff':
        return f'{name}_s2.tif'
    if kind == 'bands':
        return f'{name}_s2'
    safe = safe_name(day, offset)
    return safe if kind == 'safe' else f'{safe}.zip'


def write_jp2(path: Path, array: np.ndarray, transform: Affine, crs: CRS) -> None:
    """Write a lossless JPEG 2000.

    Args:
        path: Where to.
        array: C×H×W, uint8 or uint16.
        transform: Geotransform.
        crs: Coordinate reference system.
    """
    write_array(
        path,
        array,
        driver='JP2OpenJPEG',
        crs=crs,
        transform=transform,
        quality=100,
        reversible='YES',
        # three masks are not red, green and blue
        ycc='NO',
    )


def _offset_list(offset: int) -> str:
    """The metadata's list of offsets; older baselines have none."""
    if not offset:
        return ''
    item = '        <RADIO_ADD_OFFSET band_id="{}">{}</RADIO_ADD_OFFSET>\n'
    items = (item.format(number, -offset) for number in range(len(SENTINEL2_BANDS)))
    tag = 'Radiometric_Offset_List'
    return f'      <{tag}>\n{"".join(items)}      </{tag}>\n'


def write_safe(
    folder: Path,
    bands: Mapping[str, np.ndarray],
    classes: np.ndarray,
    transform: Affine,
    crs: CRS,
    day: date,
    offset: int,
) -> None:
    """Write the folder of a Level-1C product, without its previews and sun angles.

    Args:
        folder: Folder to make; its name is the product's, see `safe_name`.
        bands: Digital numbers of each band, uint16 H×W at the band's resolution, by
            name in the order of `SENTINEL2_BANDS`.
        classes: Opaque cloud, cirrus and snow, 3×H×W uint8, 0 or 1, at 60 m.
        transform: Geotransform of the bands of 10 m.
        crs: Coordinate reference system.
        day: Date of the acquisition.
        offset: What was added to the digital numbers; 0 for none.
    """
    granule = Path('GRANULE', f'L1C_{TILE}_{_ORBIT}_{day:%Y%m%d}T101559')
    images, quality = granule / 'IMG_DATA', granule / 'QI_DATA'
    for part in (images, quality):
        (folder / part).mkdir(parents=True)
    stems = {name: images / band_stem(name, day) for name in bands}
    for name, band in bands.items():
        native = transform @ Affine.scale(SENTINEL2_BANDS[name].resolution // 10)
        write_jp2(folder / f'{stems[name]}.jp2', band[None], native, crs)
    coarse = transform @ Affine.scale(6)
    write_jp2(folder / quality / 'MSK_CLASSI_B00.jp2', classes, coarse, crs)

    files = [f'<IMAGE_FILE>{s.as_posix()}</IMAGE_FILE>' for s in stems.values()]
    product = _PRODUCT.format(
        day=day.isoformat(),
        name=folder.name,
        baseline='05.00' if offset else '02.09',
        files='\n'.join(f'            {file}' for file in files),
        quantification=QUANTIFICATION,
        offsets=_offset_list(offset),
    )
    (folder / 'MTD_MSIL1C.xml').write_text(product, encoding='utf-8')
    stub = _GRANULE.format(day=day.isoformat())
    (folder / granule / 'MTD_TL.xml').write_text(stub, encoding='utf-8')


def write_product(
    path: Path,
    kind: Kind,
    image: Mapping[str, np.ndarray],
    sky: CloudyImage,
    transform: Affine,
    crs: CRS,
    day: date,
    offset: int,
) -> None:
    """Write a Sentinel-2 product in one of its forms.

    Args:
        path: Where to; its name is that of `product_name`.
        kind: Form of the product.
        image: Digital numbers by band, H×W uint16, equal within a band's own pixels; of
            all bands unless it is a GeoTIFF or one a band.
        sky: The clouds in it, for the product's own mask.
        transform: Geotransform of the pixels of 10 m.
        crs: Coordinate reference system.
        day: Date of the acquisition.
        offset: What was added to the digital numbers; 0 for none.
    """
    acquired = datetime.combine(day, _TIME)
    if kind == 'geotiff':
        write_bands(path, image, transform, crs, acquired)
        return
    bands = {}
    for name, plane in image.items():
        step = SENTINEL2_BANDS[name].resolution // 10
        bands[name] = plane[::step, ::step]
    if kind == 'bands':
        path.mkdir()
        for name, plane in bands.items():
            native = transform @ Affine.scale(SENTINEL2_BANDS[name].resolution // 10)
            file = path / f'{band_stem(name, day)}.tif'
            write_tiff(file, plane[None], native, crs, 0, (name,), acquired)
        return
    folder = path if kind == 'safe' else path.with_suffix('')
    write_safe(folder, bands, _classes(sky), transform, crs, day, offset)
    if kind == 'zip':
        _zip(folder, path)


def _classes(sky: CloudyImage) -> np.ndarray:
    """Opaque cloud, cirrus and snow at 60 m; that mask knows no shadows."""
    thickness = block_mean(sky.thickness, BLOCK)[::BLOCK, ::BLOCK]
    cloudy = block_mean(sky.mask.astype(np.float32), BLOCK)[::BLOCK, ::BLOCK] >= 0.5
    opaque = cloudy & (thickness >= _OPAQUE)
    cirrus = cloudy & (thickness > 0) & ~opaque
    return np.stack([opaque, cirrus, np.zeros_like(opaque)]).astype(np.uint8)


def _zip(folder: Path, path: Path) -> None:
    """Pack a folder; the same content gives the same bytes."""
    with replacing(path) as part, ZipFile(part, 'w', ZIP_STORED) as archive:
        for file in sorted(folder.rglob('*')):
            if file.is_file():
                entry = file.relative_to(folder.parent).as_posix()
                archive.writestr(ZipInfo(entry), file.read_bytes())


def write_bands(
    path: Path,
    image: Mapping[str, np.ndarray],
    transform: Affine,
    crs: CRS,
    acquired: datetime | None = None,
    truth: bool = False,
) -> None:
    """Write the bands of an image as one GeoTIFF, 0 being no value.

    Args:
        path: Where to.
        image: Digital numbers by band, H×W.
        transform: Geotransform.
        crs: Coordinate reference system.
        acquired: When it was acquired, in UTC.
        truth: Whether it is no input, but the truth.
    """
    planes = np.stack(list(image.values()))
    write_tiff(path, planes, transform, crs, 0, tuple(image), acquired, truth)


def write_tiff(
    path: Path,
    array: np.ndarray,
    transform: Affine,
    crs: CRS,
    nodata: float | None = None,
    descriptions: Sequence[str] = (),
    acquired: datetime | None = None,
    truth: bool = False,
) -> None:
    """Write one GeoTIFF, tiled and compressed.

    Args:
        path: Where to.
        array: C×H×W.
        transform: Geotransform.
        crs: Coordinate reference system.
        nodata: What stands for no value.
        descriptions: Names of the bands.
        acquired: When it was acquired, in UTC.
        truth: Whether it is no input, but the truth.
    """
    write_array(
        path,
        array,
        descriptions,
        acquired,
        truth,
        driver='GTiff',
        crs=crs,
        transform=transform,
        nodata=nodata,
        tiled=True,
        blockxsize=256,
        blockysize=256,
        interleave='band',
        compress='deflate',
        zlevel=1,
        predictor=3 if array.dtype.kind == 'f' else 2,
    )
