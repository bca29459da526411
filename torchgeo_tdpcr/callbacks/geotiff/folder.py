# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Where the files of a scene lie, whole and on their way, and how far those are."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any

from ...files import write_text
from ...kinds import FINGERPRINT
from ...locks import Lock

_PROGRESS = 'progress.json'


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one where there is none that can be read."""
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + '\n')


@dataclass(frozen=True, slots=True)
class SavedProgress:
    """How far an unfinished scene is, as its folder says.

    Args:
        fingerprint: What the scene is made from, and how.
        rows: Rows that need not be made again.
        states: What layers need to go on, by the name of the layer.
    """

    fingerprint: str = ''
    rows: int = 0
    states: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SceneFolder:
    """The folder of a scene.

    Everything is made in a hidden folder :attr:`part`. The last act is to give it its
    name, so that a folder with that name is complete.

    Args:
        output_dir: Folder of all scenes.
        name: Name of the scene.
    """

    output_dir: Path
    name: str

    @property
    def whole(self) -> Path:
        """Where the files lie when all are there."""
        return self.output_dir / self.name

    @property
    def part(self) -> Path:
        """Where they lie until then."""
        return self.output_dir / f'.{self.name}.part'

    @property
    def lock(self) -> Lock:
        """Keeps other processes from making the same scene; a new one each time."""
        return Lock(self.output_dir / f'.{self.name}.lock')

    def is_intact(self) -> bool:
        """Tell whether all files are there that the item of the whole scene names."""
        assets = read_json(self.whole / f'{self.name}.json').get('assets', {})
        return all((self.whole / asset['href']).is_file() for asset in assets.values())

    def properties(self) -> dict[str, Any]:
        """What the item of the whole scene says, empty where there is none."""
        item = read_json(self.whole / f'{self.name}.json')
        properties: dict[str, Any] = item.get('properties', {})
        return properties

    def fingerprint(self) -> str | None:
        """Fingerprint of the whole scene, None where there is none.

        A folder of that name that holds something else counts as another's: ''.
        """
        if not self.whole.exists():
            return None
        return str(self.properties().get(FINGERPRINT, ''))

    def begin(self, size: int) -> None:
        """Make the folder for files on their way, empty.

        Args:
            size: Bytes that will be needed.

        Raises:
            OSError: If the disk lacks the space.
        """
        shutil.rmtree(self.part, ignore_errors=True)
        free = shutil.disk_usage(self.output_dir).free
        if free < size:
            raise OSError(
                f"'{self.output_dir}': {self.name} needs about {size / 1e9:.1f} GB "
                f'there, but {free / 1e9:.1f} GB are free. Free some space, give '
                'another `output_dir`, or leave out layers.'
            )
        self.part.mkdir()

    def saved(self, fingerprint: str) -> SavedProgress:
        """Tell how far the files on their way are.

        Args:
            fingerprint: What the scene is made from, and how.

        Returns:
            How far; no rows where there are none that were made the same way.
        """
        content = read_json(self.part / _PROGRESS)
        if content.get('fingerprint') != fingerprint:
            return SavedProgress(fingerprint)
        return SavedProgress(fingerprint, content['rows'], content['states'])

    def save(self, progress: SavedProgress) -> None:
        """Note how far the files on their way are."""
        write_json(
            self.part / _PROGRESS,
            {
                'fingerprint': progress.fingerprint,
                'rows': progress.rows,
                'states': progress.states,
            },
        )

    def show(self) -> None:
        """Give the folder its name; what had it before goes only then."""
        # First what says that the plain numbers are there, then they, and what killed
        # processes left of the JSON files that they were writing
        (self.part / _PROGRESS).unlink(missing_ok=True)
        leavings = (
            '*.raw',
            '.progress*',
            f'.{escape(self.name)}-*.json',
            '*.json.part',
        )
        for pattern in leavings:
            for path in self.part.glob(pattern):
                path.unlink()
        old = self.part.with_name(f'.{self.name}.old')
        shutil.rmtree(old, ignore_errors=True)
        if self.whole.exists():
            os.replace(self.whole, old)
        os.replace(self.part, self.whole)
        if old.exists():
            # What the user put beside the old map stays
            assets = read_json(old / f'{self.name}.json').get('assets', {})
            made = {Path(asset['href']).name for asset in assets.values()}
            for path in old.iterdir():
                new = self.whole / path.name
                if not new.exists() and path.name.removesuffix('.aux.xml') not in made:
                    os.replace(path, new)
            shutil.rmtree(old, ignore_errors=True)

    def give_up(self) -> None:
        """Remove the files on their way."""
        shutil.rmtree(self.part, ignore_errors=True)
