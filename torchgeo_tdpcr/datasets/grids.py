# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Where pixels lie: the grid of a raster, and a box of its pixels."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from pyproj import Geod
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.transform import array_bounds, from_origin
from rasterio.warp import transform

#: Columns of a table that tell the grid of a chip a row: EPSG code, left and upper edge,
#: width and height of a pixel in units of the CRS, number of columns and of rows.
GRID_COLUMNS = ('epsg', 'x', 'y', 'xres', 'yres', 'width', 'height')


class PixelBox(NamedTuple):
    """A rectangle of pixels by its edges, as Pillow crops.

    Not rasterio's window, which is an offset and a size; :attr:`ranges` is what
    rasterio reads.

    Args:
        left: First column.
        top: First row.
        right: Last column, exclusive.
        bottom: Last row, exclusive.

    Example:
        >>> box = PixelBox(2, 0, 10, 4)
        >>> box.width, box.height, box.ranges
        (8, 4, ((0, 4), (2, 10)))
    """

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def ranges(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows and columns, as rasterio takes them for a window."""
        return (self.top, self.bottom), (self.left, self.right)


@lru_cache(maxsize=1024)
def crs_of(epsg: int) -> CRS:
    """Return the CRS of an EPSG code, the same object for each code."""
    return CRS.from_epsg(epsg)


@lru_cache(maxsize=1024)
def epsg_of(crs: CRS) -> int | None:
    """Return the EPSG code of a CRS, None where it equals none."""
    code: int | None = crs.to_epsg()
    return code


#: A pixel, the next to its right, and the next below.
_STEPS = ((0, 0), (1, 0), (0, 1))


class Grid(NamedTuple):
    """The pixels of a raster: of a scene or of a stored chip.

    Args:
        crs: Coordinate reference system.
        transform: From column and row to coordinates.
        width: Number of columns.
        height: Number of rows.

    Example:
        >>> grid = Grid.from_epsg(32646, 760299, 1898412, 3, 3, 300, 300)
        >>> grid.epsg, grid.x, grid.yres, grid.bounds
        (32646, 760299.0, 3.0, (760299.0, 1897512.0, 761199.0, 1898412.0))
    """

    crs: CRS
    transform: Affine
    width: int
    height: int

    @classmethod
    def from_epsg(
        cls,
        epsg: int,
        x: float,
        y: float,
        xres: float,
        yres: float,
        width: int,
        height: int,
    ) -> 'Grid':
        """Make a north-up grid of the numbers that a table of chips has.

        Args:
            epsg: EPSG code of the CRS.
            x: Left edge.
            y: Upper edge.
            xres: Width of a pixel.
            yres: Height of a pixel.
            width: Number of columns.
            height: Number of rows.
        """
        return cls(crs_of(epsg), from_origin(x, y, xres, yres), width, height)

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> 'Grid':
        """Make the grid of a row with the columns :data:`GRID_COLUMNS`."""
        return cls.from_epsg(*(row[name] for name in GRID_COLUMNS))

    @property
    def epsg(self) -> int | None:
        """EPSG code of the CRS, None where it equals none."""
        return epsg_of(self.crs)

    @property
    def x(self) -> float:
        """Left edge in the CRS."""
        return float(self.transform.c)

    @property
    def y(self) -> float:
        """Upper edge in the CRS."""
        return float(self.transform.f)

    @property
    def xres(self) -> float:
        """Width of a pixel in units of the CRS."""
        return float(self.transform.a)

    @property
    def yres(self) -> float:
        """Height of a pixel in units of the CRS, above 0 where north is up."""
        return float(-self.transform.e)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top in the CRS."""
        left, bottom, right, top = array_bounds(self.height, self.width, self.transform)
        return left, bottom, right, top

    @property
    def ground_size(self) -> tuple[float, float]:
        """Width and height of the pixel at the centre in metres, on the ground.

        Example:
            >>> grid = Grid.from_epsg(3857, 0, 8_399_738, 20, 20, 100, 100)  # at 60°
            >>> [round(size, 1) for size in grid.ground_size]
            [10.0, 10.0]
        """
        middle = self.width / 2, self.height / 2
        places = [self.transform @ (middle[0] + i, middle[1] + j) for i, j in _STEPS]
        east, north = transform(self.crs, 'EPSG:4326', *zip(*places, strict=True))
        geod = Geod(ellps='WGS84')
        _, _, sizes = geod.inv(
            [east[0]] * 2, [north[0]] * 2, east[1:], north[1:], radians=False
        )
        return float(sizes[0]), float(sizes[1])

    @property
    def all(self) -> PixelBox:
        """The box of all pixels."""
        return PixelBox(0, 0, self.width, self.height)

    def check(self, box: PixelBox) -> None:
        """Refuse boxes that are empty or reach beyond the grid.

        Args:
            box: The box.

        Raises:
            ValueError: If it does.
        """
        left, top, right, bottom = box
        if not (0 <= left < right <= self.width and 0 <= top < bottom <= self.height):
            raise ValueError(
                f'`{box}` is empty or reaches beyond the {self.width}×{self.height} '
                'pixels there are.'
            )
