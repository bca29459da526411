# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Rows of ``metrics.csv`` outlive a resume, and the next run in the same folder.

Lightning's logger deletes an older ``metrics.csv`` where its version is a fixed one. A
fit that is resumed goes on with that file here; for any other run it is renamed.
"""

import csv
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_info

from ..files import replacing


class KeepingWriter(ExperimentWriter):
    """Writes metrics, and loses none that are there.

    Attributes:
        kept_steps: For a fit that is resumed, the number of steps whose rows stay; None
            for a new run.
        redone: Start of the names of metrics whose last row comes again.
    """

    kept_steps: int | None = None
    redone: str | None = None

    def _check_log_dir_exists(self) -> None:
        """Leave the older file until there is something to write."""
        self.begun = False

    def save(self) -> None:
        """Write what was logged since."""
        if self.metrics and not self.begun:
            self.begun = True
            older = Path(self.metrics_file_path)
            if older.is_file():
                if self.kept_steps is None:
                    _put_aside(older)
                else:
                    self._go_on(older, self.kept_steps)
        super().save()

    def _go_on(self, path: Path, steps: int) -> None:
        """Keep the rows of the steps that are not done again."""
        with path.open(newline='') as file:
            rows = list(csv.DictReader(file))
        kept = [row for row in rows if self._stays(row, steps)]
        if not kept:
            _put_aside(path)
            return
        self.metrics_keys = sorted(kept[0])
        self._rewrite(path, kept)

    def _stays(self, row: dict[str, str], steps: int) -> bool:
        step = int(float(row.get('step') or 0))
        again = self.redone is not None and any(
            value and name.startswith(self.redone) for name, value in row.items()
        )
        return step < steps - again

    def _rewrite(self, path: Path, rows: list[dict[str, str]]) -> None:
        with replacing(path) as part, part.open('w', newline='') as file:
            writer = csv.DictWriter(file, self.metrics_keys)
            writer.writeheader()
            writer.writerows(rows)


def _put_aside(path: Path) -> None:
    """Rename a file to the next free number."""
    number = 1
    while (aside := path.with_name(f'{path.stem}-{number}{path.suffix}')).exists():
        number += 1
    path.rename(aside)
    rank_zero_info(f"'{path}' is of an earlier run, and is now '{aside.name}'.")


def keep_metrics(trainer: Trainer) -> None:
    """Let the trainer's loggers keep the metrics that are there.

    Args:
        trainer: The trainer, before its loggers have written anything.
    """
    for logger in trainer.loggers:
        if type(logger) is not CSVLogger or '://' in str(logger.save_dir):
            continue
        if trainer.is_global_zero and logger._experiment is None:
            Path(logger.log_dir).mkdir(parents=True, exist_ok=True)
            logger._experiment = KeepingWriter(logger.log_dir)


def writers(trainer: Trainer) -> list[Any]:
    """The writers that :func:`keep_metrics` has given to the loggers of a trainer."""
    made = (getattr(logger, '_experiment', None) for logger in trainer.loggers)
    return [writer for writer in made if isinstance(writer, KeepingWriter)]
