# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""One scene on its way to disk: begun, gone on with, finished, or given up."""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ...datasets.scenes.common import SceneInfo
from .canvas import Canvas
from .layers import Layer, Rows
from .raster import RawRaster, write_cog
from .stac import stac_item

_PROGRESS = 'progress.json'

#: Makes :class:`Rows` of the first row, the values, and where they are valid.
MakeRows = Callable[[int, dict[str, Tensor], Tensor], Rows]


def scene_folder(output_dir: Path, name: str) -> Path:
    """Where the finished files of a scene lie."""
    return output_dir / name


def _part_folder(output_dir: Path, name: str) -> Path:
    """Where the files of an unfinished scene lie."""
    return output_dir / f'.{name}.part'


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one where there is none that can be read."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object under a temporary name, then under its own."""
    part = path.with_name(f'.{path.name}.part')
    part.write_text(json.dumps(content, indent=2, allow_nan=False) + '\n')
    os.replace(part, path)


def finished_fingerprint(output_dir: Path, name: str) -> str | None:
    """Fingerprint of the finished scene of this name, None where there is none.

    A folder of that name that holds something else counts as another's: ''.
    """
    folder = scene_folder(output_dir, name)
    if not folder.exists():
        return None
    properties = finished_properties(output_dir, name)
    return str(properties.get('tdpcr:fingerprint', ''))


def finished_properties(output_dir: Path, name: str) -> dict[str, Any]:
    """What the item of a finished scene says, empty where there is none."""
    folder = scene_folder(output_dir, name)
    properties: dict[str, Any] = read_json(folder / f'{name}.json').get(
        'properties', {}
    )
    return properties


def rows_done(output_dir: Path, name: str, fingerprint: str) -> int:
    """Rows of an unfinished scene that need not be made again.

    Args:
        output_dir: Folder of all scenes.
        name: Name of the scene.
        fingerprint: What the scene is made from, and how.

    Returns:
        Number of rows, 0 where there are none that were made the same way.
    """
    progress = read_json(_part_folder(output_dir, name) / _PROGRESS)
    if progress.get('fingerprint') != fingerprint:
        return 0
    return int(progress.get('rows', 0))


class SceneJob:
    """Writes the files of one scene.

    Everything happens in a hidden folder ``.NAME.part``. Its last act is to rename it
    to ``NAME``, so that a folder with that name is complete.

    Args:
        output_dir: Folder of all scenes.
        info: The scene.
        layers: What to write.
        counts: Number of channels of each output that a layer is made from.
        make_rows: Makes rows for the layers.
        fingerprint: What the scene is made from, and how.
        compress: Compression of GDAL's COG driver.
        upward: Whether windows come from the bottom to the top.
        on_rows: Called with the number of rows whenever some were written.

    Raises:
        OSError: If the folder cannot be written, or the disk lacks the space.
    """

    def __init__(
        self,
        output_dir: Path,
        info: SceneInfo,
        layers: Sequence[Layer],
        counts: Mapping[str, int],
        make_rows: MakeRows,
        fingerprint: str,
        compress: str = 'DEFLATE',
        upward: bool = False,
        on_rows: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.info = info
        self.layers = layers
        self.counts = counts
        self.make_rows = make_rows
        self.fingerprint = fingerprint
        self.compress = compress
        self.on_rows = on_rows
        self.folder = scene_folder(output_dir, info.name)
        self.part = _part_folder(output_dir, info.name)
        grid = info.grid
        self.raws = [
            RawRaster(
                self.part / f'{layer.name}.raw',
                layer.raw_count(counts[layer.key], info),
                grid.height,
                grid.width,
                layer.dtype,
            )
            for layer in layers
        ]
        done = 0 if upward else rows_done(output_dir, info.name, fingerprint)
        if done:
            states = read_json(self.part / _PROGRESS)['states']
            for layer in layers:
                layer.load_state(states[layer.name])
        else:
            self._begin()
        self.canvas = Canvas(grid.height, grid.width, self._write, done, upward)

    def _begin(self) -> None:
        shutil.rmtree(self.part, ignore_errors=True)
        # The GeoTIFFs hardly ever take more than half of the plain numbers
        need = sum(raw.nbytes for raw in self.raws) * 3 // 2
        free = shutil.disk_usage(self.part.parent).free
        if free < need:
            raise OSError(
                f'{self.part.parent}: {self.info.name} needs about {need / 1e9:.1f} GB '
                f'there, but {free / 1e9:.1f} GB are free. Free some space, give '
                'another `output_dir`, or leave out layers.'
            )
        self.part.mkdir()
        for raw in self.raws:
            raw.create()

    def _write(self, top: int, values: dict[str, Tensor], valid: Tensor) -> None:
        """Write finished rows, then note that they are."""
        rows = self.make_rows(top, values, valid)
        for layer, raw in zip(self.layers, self.raws, strict=True):
            layer.write(raw, top, rows)
        # Not noted after the last rows: whoever goes on then has a window to begin with
        if top + len(valid) < self.info.grid.height:
            progress = {
                'fingerprint': self.fingerprint,
                'rows': top + len(valid),
                'states': {layer.name: layer.state() for layer in self.layers},
            }
            write_json(self.part / _PROGRESS, progress)
        self.on_rows(len(valid))

    def finish(
        self, properties: Mapping[str, Any], software: Mapping[str, str]
    ) -> Path:
        """Write what is left, make the GeoTIFFs and the STAC item, and show them.

        Args:
            properties: Further properties of the STAC item.
            software: Names and versions of what made the files.

        Returns:
            The folder of the scene.
        """
        self.canvas.finish()
        files = []
        for layer, raw in zip(self.layers, self.raws, strict=True):
            path = self.part / f'{self.info.name}_{layer.name}.tif'
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
            {'tdpcr:fingerprint': self.fingerprint, **properties},
            software,
        )
        write_json(self.part / f'{self.info.name}.json', item)
        # First what says that the plain numbers are there, then they
        (self.part / _PROGRESS).unlink(missing_ok=True)
        for path in self.part.glob('*.raw'):
            path.unlink()
        self._show()
        return self.folder

    def _show(self) -> None:
        """Give the folder its name; what had it before goes only then."""
        old = self.part.with_name(f'.{self.info.name}.old')
        shutil.rmtree(old, ignore_errors=True)
        if self.folder.exists():
            os.replace(self.folder, old)
        os.replace(self.part, self.folder)
        if old.exists():
            # What the user put beside the old map stays
            assets = read_json(old / f'{self.info.name}.json').get('assets', {})
            made = {Path(asset['href']).name for asset in assets.values()}
            for path in old.iterdir():
                new = self.folder / path.name
                if not new.exists() and path.name.removesuffix('.aux.xml') not in made:
                    os.replace(path, new)
            shutil.rmtree(old, ignore_errors=True)

    def give_up(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self.part, ignore_errors=True)
