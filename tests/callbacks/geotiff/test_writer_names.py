# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""SceneWriter under its name, and under the one that it had before."""

import warnings
from pathlib import Path

import pytest
import torch
from processes import Finished, fork, interpreter
from torchgeo.main import main
from writer_models import contents, make_task

import torchgeo_tdpcr
from torchgeo_tdpcr import SceneWriter
from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths


def map_by(name: str, scene: ScenePaths, output_dir: Path) -> None:
    """Map a scene by TorchGeo's command, with a writer of some name."""
    weights = output_dir.with_suffix('.pt')
    torch.save(make_task().model.state_dict(), weights)
    main(
        [
            'predict', '--model', 'TDPCRTask', '--model.training', 'joint',
            '--model.model', 'identity_for_tests', '--model.num_classes', '3',
            '--model.weights', str(weights),
            '--data', 'SceneDataModule', '--data.s2', str(scene.s2),
            '--data.s1', str(scene.s1), '--data.patch_size', '128',
            '--trainer.accelerator', 'cpu', '--trainer.logger', 'false',
            '--trainer.default_root_dir', str(output_dir.parent),
            '--trainer.callbacks', name,
            '--trainer.callbacks.output_dir', str(output_dir),
            '--trainer.callbacks.layers', '[image]',
            '--trainer.callbacks.progress', 'false',
        ]
    )  # fmt: skip


def test_both_short_names_map_alike(tmp_path: Path, scene: ScenePaths) -> None:
    done: dict[str, Finished] = {}
    for name in ('SceneWriter', 'GeoTIFFWriter'):
        done[name] = fork(map_by, name, scene, tmp_path / name)
        assert done[name].returncode == 0, done[name].stderr
    assert contents(tmp_path / 'SceneWriter')
    assert contents(tmp_path / 'SceneWriter') == contents(tmp_path / 'GeoTIFFWriter')
    assert 'torchgeo-tdpcr is deprecated' not in done['SceneWriter'].stderr
    assert (
        'FutureWarning: `GeoTIFFWriter` of torchgeo-tdpcr is deprecated and will go '
        'with the next version; use `SceneWriter`'
    ) in done['GeoTIFFWriter'].stderr


def test_the_former_name_in_python() -> None:
    from torchgeo_tdpcr import GeoTIFFWriter
    from torchgeo_tdpcr.callbacks import GeoTIFFWriter as of_callbacks

    assert of_callbacks is GeoTIFFWriter
    with pytest.warns(FutureWarning, match='use `SceneWriter`') as caught:
        writer = GeoTIFFWriter('maps', layers=['image'], feather=3)
    # The line that names it is the one to change
    assert caught[0].filename == __file__
    assert isinstance(writer, SceneWriter)
    assert writer.options.feather == 3
    assert 'SceneWriter' in torchgeo_tdpcr.__all__
    assert 'GeoTIFFWriter' not in torchgeo_tdpcr.__all__


def test_the_name_in_use_is_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        SceneWriter('maps')


def test_torchgeos_own_writer_keeps_the_short_name() -> None:
    """As if TorchGeo had a callback of that name already."""
    result = interpreter(
        'import sys\n'
        'from types import ModuleType\n'
        'from importlib.machinery import ModuleSpec\n'
        'from lightning.pytorch.callbacks import Callback\n'
        'home = ModuleType("torchgeo.callbacks")\n'
        'home.__spec__ = ModuleSpec(home.__name__, None)\n'
        'home.GeoTIFFWriter = type("GeoTIFFWriter", (Callback,), {})\n'
        'home.GeoTIFFWriter.__module__ = home.__name__\n'
        'import torchgeo\n'
        'sys.modules[home.__name__] = torchgeo.callbacks = home\n'
        'from jsonargparse._typehints import resolve_class_path_by_name\n'
        'import torchgeo_tdpcr.callbacks\n'
        'print(resolve_class_path_by_name(Callback, "GeoTIFFWriter"))\n'
        'print(resolve_class_path_by_name(Callback, "SceneWriter"))\n'
        'from torchgeo_tdpcr import GeoTIFFWriter\n'
        'print(issubclass(GeoTIFFWriter, torchgeo_tdpcr.SceneWriter))\n'
    )
    assert result.stdout.split() == [
        'torchgeo.callbacks.GeoTIFFWriter',
        'torchgeo_tdpcr.SceneWriter',
        'True',
    ], result.stderr
