# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""A TorchGeo dataset of scenes: whole Sentinel-2 products with their Sentinel-1."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
import pandas as pd
import rasterio
from geopandas import GeoDataFrame
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.warp import transform, transform_bounds
from shapely import Polygon, box
from torchgeo.datasets import RasterDataset
from torchgeo.datasets.errors import RGBBandsMissingError
from torchgeo.datasets.utils import GeoSlice, Sample

from ...beside import Turn
from ...kinds import CloudMaskKind, SARScale
from ..grids import Grid, PixelBox
from ..plotting import plot_sample
from ..sources import trusting
from .common import SceneError, SceneInfo, WindowRun
from .declared import declare
from .opening import SceneFiles, open_scene
from .pairing.pairs import ScenePair
from .progress import Progress
from .samples import read_run, read_window


@dataclass(frozen=True, slots=True)
class SceneFailure:
    """Stands for a batch that could not be read.

    Args:
        scene: Row of the scene in the index.
        error: What went wrong.
    """

    scene: int
    error: SceneError


class SceneDataset(RasterDataset):
    """Scenes of any size, each in its own CRS and exact pixels.

    A query is one of

    * a :class:`~torchgeo_tdpcr.samplers.WindowRun`, as
      :class:`~torchgeo_tdpcr.samplers.WindowSampler` makes them: a batch of windows of
      one scene, read at once;
    * a TorchGeo query, ``dataset[xmin:xmax, ymin:ymax]`` in the CRS of the index: of the
      scene that overlaps it most, as many pixels around its centre.

    A scene whose files cannot be used does not keep the others from being used: see
    :attr:`rejected` and :attr:`failures`.
    """

    all_bands = ()
    rgb_bands = ('B4', 'B3', 'B2')

    def __init__(
        self,
        pairs: Sequence[ScenePair],
        bands: Sequence[str] | None = None,
        offset: float | Literal['auto'] = 'auto',
        sar_scale: SARScale | Literal['auto'] = 'auto',
        min_sar_cover: float = 0.9,
        trusted: bool = False,
        all_bands: Sequence[str] | None = None,
        scale: float | None = None,
        any_res: bool = False,
        polarisations: Sequence[str] | None = None,
        cloud_mask_kind: CloudMaskKind | Literal['auto'] = 'auto',
        with_clouds: bool = False,
    ) -> None:
        """Initialize a new SceneDataset instance.

        Args:
            pairs: The scenes.
            bands: Names of the Sentinel-2 bands to read, or None for all that the
                products have.
            offset: What the digital numbers carry on top, 0 or 1000, or ``'auto'`` to
                find out from the product's metadata, tags, or its numbers. A number
                decides where these contradict each other.
            sar_scale: Whether Sentinel-1 is in ``'db'``, ``'linear'`` power or
                ``'amplitude'``, or ``'auto'`` to find out.
            min_sar_cover: Part of a scene that radar must cover at least. Pixels
                without radar are missing in what is predicted.
            trusted: Whether rasters may be of any format that GDAL knows, and lead to
                other files and addresses: VRT, ``/vsicurl/``, ``/vsis3/``.
            all_bands: Order of the bands of Sentinel-2 rasters (defaults to what their
                descriptions, or the usual order, tell).
            scale: Reflectance of one unit of Sentinel-2, 0.0001 for digital numbers
                (defaults to what is found out).
            any_res: Whether pixels of Sentinel-2 may be of another size than 10 m.
            polarisations: Order of the bands of Sentinel-1 rasters, such as
                ``('VH', 'VV')`` (defaults to what is found out).
            cloud_mask_kind: What the numbers of cloud masks mean: ``'binary'``,
                ``'probability'``, ``'scl'``, ``'fmask'`` or ``'cloudsen12'``, or
                ``'auto'`` to find out. Where Fmask leaves several open:
                ``'fmask4'``, ``'python-fmask'`` or ``'hls'``.
            with_clouds: Whether samples have ``mask_cloud``, all 0 where a scene has no
                cloud mask.

        Raises:
            ValueError: If there are no pairs, *min_sar_cover* is not within 0 to 1, or
                what is said of the files cannot be.
            SceneError: If there is one scene only, and its files cannot be used.
        """
        if not pairs:
            raise ValueError('`pairs` is empty: give at least one scene.')
        if not 0 <= min_sar_cover <= 1:
            raise ValueError(f'`min_sar_cover={min_sar_cover}` is not within 0 to 1.')
        self.paths = [pair.s2 for pair in pairs]
        self.bands = bands or ()
        self.transforms = None
        self.cache = False
        self.time_series = False
        #: What went wrong with scenes that could not even be opened, by name.
        self.rejected: dict[str, Exception] = {}
        #: How far a run over the scenes is, for whoever takes part in it.
        self.progress = Progress()
        self._readers: list[SceneFiles] = []
        # Whoever writes reads, too, while windows are read ahead
        self._turn = Turn()
        self.with_clouds = with_clouds
        said = declare(
            all_bands=all_bands,
            scale=scale,
            offset=offset,
            any_res=any_res,
            polarisations=polarisations,
            sar_scale=sar_scale,
            cloud_mask_kind=cloud_mask_kind,
        )
        for pair in pairs:
            try:
                with trusting(trusted):
                    scene = open_scene(pair, bands, said, min_sar_cover)
                self._readers.append(scene)
            except SceneError as error:
                if len(pairs) == 1:
                    raise
                self.rejected[pair.name] = error
        if self._readers:
            self._make_index()

    def _make_index(self) -> None:
        infos = [readers.info for readers in self._readers]
        crs = infos[0].grid.crs
        with rasterio.Env(OSR_WKT_FORMAT='WKT2_2018'):
            self._index_crs = CRS.from_user_input(crs)
        boxes = [_box(info.grid, crs) for info in infos]
        dates = [info.date or (self.mint, self.maxt) for info in infos]
        starts, stops = (
            pd.DatetimeIndex([date[i] for date in dates]).as_unit('ns')
            for i in range(2)
        )
        times = pd.IntervalIndex.from_arrays(
            starts, stops, closed='both', name='datetime'
        )
        data = {
            'filepath': [info.inputs['s2'] for info in infos],
            'name': [info.name for info in infos],
        }
        self.index = GeoDataFrame(
            data, index=times, geometry=boxes, crs=self._index_crs
        )
        first = infos[0].grid.transform
        self._res = abs(first.a), abs(first.e)

    def __len__(self) -> int:
        """Number of scenes that could be opened."""
        return len(self._readers)

    @property
    def failures(self) -> dict[int, Exception]:
        """What went wrong with scenes in a run over them, by row of the index."""
        return self.progress.failures

    def info(self, scene: int) -> SceneInfo:
        """Tell what there is to know of a scene.

        Args:
            scene: Row of the scene in the index.

        Returns:
            Its name, grid, inputs, date, bands and offset.
        """
        return self._readers[scene].info

    def shape(self, scene: int) -> tuple[int, int]:
        """Height and width of a scene in pixels."""
        grid = self.info(scene).grid
        return grid.height, grid.width

    def observed(
        self, scene: int, window: PixelBox
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read a window of the Sentinel-2 product as stored.

        Args:
            scene: Row of the scene in the index.
            window: The window.

        Returns:
            Digital numbers with their offset, C×H×W, and where none is missing, H×W.
        """
        with self._turn:
            return self._readers[scene].optical.read(window)

    def clouds(self, scene: int, window: PixelBox) -> NDArray[np.bool_]:
        """Read a window of the cloud mask.

        Args:
            scene: Row of the scene in the index.
            window: The window.

        Returns:
            H×W, true in clouds and shadows, and where nothing is known.

        Raises:
            SceneError: If the scene has no cloud mask.
        """
        readers = self._readers[scene]
        if readers.clouds is None:
            raise SceneError(
                readers.info.inputs['s2'],
                'has no cloud mask of its own, so nothing tells what is clear. Give one '
                "as `cloud_mask`, or 'auto' to find clouds; or do without `keep_clear` "
                'and the layer of clouds.',
            )
        with self._turn:
            return readers.clouds.read(window)

    def other_dates(
        self, scene: int, window: PixelBox
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read a window of other dates of a scene, where they are clear.

        Args:
            scene: Row of the scene in the index.
            window: The window.

        Returns:
            Digital numbers without offset, as bright as the scene's own, C×H×W, and
            where there are any, H×W.

        Raises:
            SceneError: If the scene has no other dates.
        """
        readers = self._readers[scene]
        if readers.others is None:
            raise SceneError(readers.info.inputs['s2'], 'has no other dates.')
        with self._turn:
            return readers.others.read(window)

    def __getitem__(self, index: WindowRun | GeoSlice) -> Any:
        """Read a batch of windows, or a sample.

        Args:
            index: See the class.

        Returns:
            ``image`` (digital numbers without offset) and ``image_sar`` (dB), both
            float32; ``valid`` (bool), which is false where either is missing;
            ``transform`` and ``bounds`` of each window in the CRS of its scene, and its
            ``epsg`` where there is one; ``mask_cloud`` (bool) where it was asked for. A
            batch has besides ``scene``, ``top`` and
            ``left``; windows without any valid pixel are left out of it, and ``without``
            has their first columns. Its query stands for a batch without windows, and a
            :class:`SceneFailure` for one that could not be read.

        Raises:
            IndexError: If a TorchGeo query hits no scene.
            SceneError: If a file cannot be read for such a query.
        """
        if isinstance(index, WindowRun):
            try:
                with self._turn:
                    return read_run(
                        index,
                        self._readers[index.scene],
                        self._times(index.scene),
                        self.with_clouds,
                    )
            except SceneError as error:
                return SceneFailure(index.scene, error)
        return self._sample(index)

    def _times(self, scene: int) -> tuple[float, float]:
        """Begin and end of the acquisition in seconds, the longest where unknown."""
        start, stop = self.info(scene).date or (self.mint, self.maxt)
        return _timestamp(start), _timestamp(stop)

    def _sample(self, index: GeoSlice) -> Sample:
        """Read the pixels around the centre of a TorchGeo query."""
        x, y, t = self._disambiguate_slice(index)
        asked = box(x.start, y.start, x.stop, y.stop)
        # A date may be one moment
        times = pd.Interval(t.start, t.stop, closed='both')
        shared = self.index.geometry.intersection(asked).area.to_numpy()
        shared = np.where(self.index.index.overlaps(times), shared, 0)
        scene = int(shared.argmax())
        if not shared[scene]:
            raise IndexError(
                f'index: {index} not found in dataset with bounds: {self.bounds}'
            )
        grid = self.info(scene).grid
        width = min(round((x.stop - x.start) / x.step), grid.width)
        height = min(round((y.stop - y.start) / y.step), grid.height)
        (east,), (north,) = transform(
            self.index.crs.to_wkt(),
            grid.crs,
            [(x.start + x.stop) / 2],
            [(y.start + y.stop) / 2],
        )
        column, row = ~grid.transform @ (east, north)
        left = min(max(round(column - width / 2), 0), grid.width - width)
        top = min(max(round(row - height / 2), 0), grid.height - height)
        window = PixelBox(left, top, left + width, top + height)
        with self._turn:
            return read_window(
                window, self._readers[scene], self._times(scene), self.with_clouds
            )

    def close(self) -> None:
        """Close all files; the next read opens them again."""
        with self._turn:
            for readers in self._readers:
                for reader in readers[1:]:
                    if reader is not None:
                        reader.close()

    def plot(
        self, sample: Sample, show_titles: bool = True, suptitle: str | None = None
    ) -> Figure:
        """Plot a sample.

        Args:
            sample: A sample before normalisation, perhaps with ``reconstruction``,
                ``prediction`` and ``prompt``.
            show_titles: Whether to write above each panel what it shows.
            suptitle: Title of the figure.

        Returns:
            The figure.

        Raises:
            RGBBandsMissingError: If red, green and blue were not read.
        """
        bands = self.info(0).bands
        if not set(self.rgb_bands) <= set(bands):
            raise RGBBandsMissingError()
        rgb = [bands.index(band) for band in self.rgb_bands]
        classes = int(sample['prediction'].max()) + 1 if 'prediction' in sample else 1
        names = [f'class {i}' for i in range(max(classes, 2))]
        return plot_sample(
            sample, rgb, names, show_titles=show_titles, suptitle=suptitle
        )


def _box(grid: Grid, crs: Any) -> Polygon:
    """Bounds of a scene in the CRS of the index; longitudes go on beyond 180°."""
    left, bottom, right, top = transform_bounds(grid.crs, crs, *grid.bounds)
    return box(left, bottom, right + 360 if right < left else right, top)


def _timestamp(time: datetime) -> float:
    return float(pd.Timestamp(time).timestamp())
