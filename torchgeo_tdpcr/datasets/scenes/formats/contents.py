# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Which files a folder or a zip holds; a zip is not extracted."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..common import SceneError
from .naming import RASTERS

#: What reading a zip raises: broken, encrypted, or packed in ways that Python cannot.
ZIP_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


type File = Path | PurePosixPath


@dataclass(frozen=True, slots=True)
class Contents:
    """Files of a folder or a zip.

    Args:
        root: The folder or the zip; the current folder for files that are listed.
        files: The files, below it.
    """

    root: Path
    files: tuple[File, ...]

    @property
    def rasters(self) -> list[File]:
        """The rasters among the files, by their endings."""
        return [file for file in self.files if file.suffix.lower() in RASTERS]

    def path(self, file: File) -> str:
        """What rasterio opens one of the files by."""
        if self.root.is_dir():
            return str(self.root / file)
        return f'/vsizip/{{{self.root.resolve().as_posix()}}}/{file}'


def is_zip(path: Path) -> bool:
    """Tell whether a path is a zip, by its ending."""
    return path.suffix.lower() == '.zip' and path.is_file()


def contents_of(path: Path, deep: bool = False) -> Contents:
    """List the files of a folder or a zip.

    Args:
        path: The folder or the zip.
        deep: Whether to list all subfolders of a folder. Else only those of IMG_DATA of
            level 2A are listed, which has one for each resolution; and of a zip all.

    Returns:
        The files by name.

    Raises:
        SceneError: If it cannot be read.
    """
    try:
        if not path.is_dir():
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if not name.endswith('/')]
            # What macOS puts beside each file
            kept = [name for name in names if not name.startswith('__MACOSX/')]
            return Contents(path, tuple(PurePosixPath(name) for name in sorted(kept)))
        found = path.rglob('*') if deep else [*path.iterdir(), *path.glob('R[126]0m/*')]
        files = sorted(file.relative_to(path) for file in found if file.is_file())
    except ZIP_ERRORS as error:
        raise SceneError(path, f'cannot be read ({error}).') from error
    return Contents(path, tuple(files))
