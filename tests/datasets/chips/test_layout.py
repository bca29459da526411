# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Which data set a folder holds, and that a new one needs no list to be found."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from osfcr_files import arrays, write_strip, write_tif

from torchgeo_tdpcr.datasets import verify
from torchgeo_tdpcr.datasets.chips.layout import Folder, Layout, candidates, find_layout
from torchgeo_tdpcr.datasets.m3mcr import M3MCRLayout
from torchgeo_tdpcr.datasets.osfcr import OSFCRLayout
from torchgeo_tdpcr.datasets.sen12mscr import SEN12MSCRLayout


def test_known_are_those_whose_layers_lie_on_one_grid() -> None:
    kinds = [type(layout) for layout in Layout.known()]
    assert kinds == [OSFCRLayout, SEN12MSCRLayout]
    assert not M3MCRLayout.aligned


def test_folder_of_a_data_set(strip: Path) -> None:
    for path in (strip, strip.parent):
        layout, root = find_layout(path)
        assert (type(layout), root) == (OSFCRLayout, strip)


def test_nothing_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'0-20%.*; or for .*ROIs1158') as error:
        find_layout(tmp_path)
    assert f"'{tmp_path}' holds no data set" in str(error.value)


def test_the_named_folder_comes_first(tmp_path: Path) -> None:
    for name in ('a', 'z', 'set'):
        (tmp_path / name).mkdir()
    (tmp_path / 'file').touch()
    names = [path.name for path in candidates(tmp_path, 'set')]
    assert names == [tmp_path.name, 'set', 'a', 'z']
    assert not list(candidates(tmp_path / 'nowhere', 'set'))


def test_a_new_layout_is_known_to_verify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Layout, '_aligned', [*Layout._aligned])

    class Mine(OSFCRLayout):
        """As LuojiaSET-OSFCR, below a folder of its own."""

        name = 'Mine'

        def folders(self, root: Path) -> Iterator[Folder]:
            yield from super().folders(root / 'mine')

    paths = write_strip(tmp_path / 'Mine' / 'mine', 2)
    assert type(find_layout(tmp_path)[0]) is Mine
    assert verify(tmp_path) == []
    write_tif(paths[0]['s1'], arrays()['s1'][:1])
    assert [fault.kind for fault in verify(tmp_path)] == ['bands']
