# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""One scene on its way to disk: begun, gone on with, finished, or given up."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ...datasets.scenes.common import SceneError, SceneInfo
from ...kinds import FINGERPRINT
from ...locks import LockedError
from .canvas import Canvas
from .folder import SavedProgress, SceneFolder, write_json
from .layers.kinds import MapLayer, Rows
from .raster import RawRaster, write_cog
from .stac import stac_item

#: Makes :class:`Rows` of the first row, the values, and where they are valid.
MakeRows = Callable[[int, dict[str, Tensor], Tensor], Rows]


class IncompleteError(SceneError):
    """Windows of a scene have not come; what was written of it is kept.

    Args:
        info: The scene.
        row: The first row that lacks windows.
    """

    def __init__(self, info: SceneInfo, row: int) -> None:
        super().__init__(
            info.name,
            f'is incomplete: of its {info.grid.height} rows, windows are lacking from '
            f'row {row} on. Predict again, without what limits the run '
            '(`trainer.fast_dev_run`, `trainer.limit_predict_batches`) and with a '
            'sampler that covers the scene.',
        )


class SceneJob:
    """Writes the files of one scene.

    Args:
        folder: The folder of the scene.
        info: The scene.
        layers: What to write.
        counts: Number of channels of each output that a layer is made from.
        make_rows: Makes rows for the layers.
        saved: How far the files are that a run before has left.
        compress: Compression of GDAL's COG driver.
        upward: Whether windows come from the bottom to the top.
        on_rows: Called with the number of rows whenever some were written.
        gap: Finds the first row, of those from one to before another, that lacks
            windows.

    Raises:
        SceneError: If another process makes the scene.
        OSError: If the folder cannot be written, or the disk lacks the space.
    """

    def __init__(
        self,
        folder: SceneFolder,
        info: SceneInfo,
        layers: Sequence[MapLayer],
        counts: Mapping[str, int],
        make_rows: MakeRows,
        saved: SavedProgress,
        compress: str = 'DEFLATE',
        upward: bool = False,
        on_rows: Callable[[int], None] = lambda _: None,
        gap: Callable[[int, int], int | None] = lambda first, last: None,
    ) -> None:
        self.folder = folder
        self.lock = folder.lock
        self.info = info
        self.layers = layers
        self.counts = counts
        self.make_rows = make_rows
        self.fingerprint = saved.fingerprint
        self.compress = compress
        self.on_rows = on_rows
        self.gap = gap
        grid = info.grid
        self.raws = [
            RawRaster(
                folder.part / f'{layer.name}.raw',
                layer.raw_count(counts[layer.key], info),
                grid.height,
                grid.width,
                layer.dtype,
            )
            for layer in layers
        ]
        try:
            self.lock.take()
        except LockedError as error:
            raise SceneError(
                folder.whole,
                f'is being made by {error.holder}. Wait for its end, or give another '
                '`output_dir`.',
            ) from None
        try:
            self._begin(saved)
        except BaseException:
            self.lock.release()
            raise
        self.canvas = Canvas(grid.height, grid.width, self._write, saved.rows, upward)

    def _begin(self, saved: SavedProgress) -> None:
        """Make the files, or go on with those that are there."""
        if saved.rows:
            if self.folder.saved(saved.fingerprint).rows < saved.rows:
                raise SceneError(
                    self.folder.part, 'has been changed by another run. Run again.'
                )
            for layer in self.layers:
                layer.load_state(saved.states[layer.name])
        else:
            # The GeoTIFFs hardly ever take more than half of the plain numbers
            self.folder.begin(sum(raw.nbytes for raw in self.raws) * 3 // 2)
            for raw in self.raws:
                raw.create()

    def _write(self, top: int, values: dict[str, Tensor], valid: Tensor) -> None:
        """Write finished rows, then note that they are."""
        row = self.gap(top, top + len(valid))
        if row is not None:
            raise IncompleteError(self.info, row)
        rows = self.make_rows(top, values, valid)
        for layer, raw in zip(self.layers, self.raws, strict=True):
            layer.write(raw, top, rows)
        # Not noted after the last rows: whoever goes on then has a window to begin with
        bottom = top + len(valid)
        if bottom < self.info.grid.height:
            states = {layer.name: layer.state() for layer in self.layers}
            self.folder.save(SavedProgress(self.fingerprint, bottom, states))
        self.on_rows(len(valid))

    def finish(
        self, properties: Mapping[str, Any], software: Mapping[str, str]
    ) -> None:
        """Write what is left, make the GeoTIFFs and the STAC item, and show them.

        Args:
            properties: Further properties of the STAC item.
            software: Names and versions of what made the files.
        """
        self.canvas.finish()
        files = []
        for layer, raw in zip(self.layers, self.raws, strict=True):
            path: Path = self.folder.part / f'{self.info.name}_{layer.name}.tif'
            count = self.counts[layer.key]
            final = layer.finish(raw, count, self.info)
            bands = layer.bands(count, self.info)
            write_cog(
                final,
                path,
                self.info.grid,
                bands,
                layer.nodata,
                layer.resampling,
                self.compress,
            )
            files.append((layer, path, bands))
        item = stac_item(
            self.info,
            files,
            {FINGERPRINT: self.fingerprint, **properties},
            software,
        )
        write_json(self.folder.part / f'{self.info.name}.json', item)
        self.folder.show()
        self.lock.release()

    def give_up(self) -> None:
        """Remove what was written."""
        self.folder.give_up()
        self.lock.release()

    def break_off(self) -> None:
        """Leave what was written to a later run."""
        self.lock.release()
