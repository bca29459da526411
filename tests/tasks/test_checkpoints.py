# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What checkpoints carry, and that both ways to train meet both ways to use."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader
from torchgeo.main import main as torchgeo

from torchgeo_tdpcr import OSFCRDataModule, SceneDataModule, SceneWriter, TDPCRTask
from torchgeo_tdpcr.cli import main
from torchgeo_tdpcr.datasets.synthetic.scene_pair import ScenePaths
from torchgeo_tdpcr.models import register_model

BANDS = ['B4', 'B3', 'B2', 'B8']
NAMES = ['water', 'trees', 'built', 'bare', 'crops', 'grass', 'shrub']
SMALL = {'dims': (4, 8), 'depths': (1, 1)}


def make_task(**kwargs: Any) -> TDPCRTask:
    given = {'training': 'joint', 'in_channels': 4, 'model_kwargs': SMALL, **kwargs}
    return TDPCRTask(**given)


def make_data(root: Path, **kwargs: Any) -> OSFCRDataModule:
    given = {'split_by': 'roi', 'batch_size': 4, 'patch_size': 32, **kwargs}
    return OSFCRDataModule(str(root), **given)


def make_trainer(**kwargs: Any) -> Trainer:
    return Trainer(
        accelerator='cpu',
        devices=1,
        max_epochs=1,
        num_sanity_val_steps=0,
        limit_train_batches=1,
        limit_val_batches=1,
        limit_predict_batches=None if 'callbacks' in kwargs else 1,
        limit_test_batches=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **kwargs,
    )


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the command leaves its configuration
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope='module')
def trained(synthetic_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that a Python program wrote."""
    trainer = make_trainer()
    data = make_data(synthetic_root, bands=BANDS, sar_clip='shared', class_names=NAMES)
    trainer.fit(make_task(), datamodule=data)
    path = tmp_path_factory.mktemp('python') / 'python.ckpt'
    trainer.save_checkpoint(path)
    return path


@pytest.fixture(scope='module')
def old(trained: Path) -> Path:
    """The same as an earlier version wrote it."""
    content = torch.load(trained, weights_only=True)
    for key in ('input_record', '_class_path'):
        del content['hyper_parameters'][key]
    path = trained.with_name('old.ckpt')
    torch.save(content, path)
    return path


def scene_options(scene: ScenePaths, out: Path, *arguments: str) -> list[str]:
    given = ['--s2', str(scene.s2), '--s1', str(scene.s1), '--output', str(out)]
    window = [
        '--patch-size',
        '96',
        '--overlap',
        '32',
        '--accelerator',
        'cpu',
        '--no-progress',
    ]
    return ['map', '--no-progress', *given, *window, *arguments]


def predict_options(scene: ScenePaths, out: Path, *arguments: str) -> list[str]:
    return [
        'predict', '--model=TDPCRTask', '--data=SceneDataModule',
        f'--data.s2={scene.s2}', f'--data.s1={scene.s1}', '--data.patch_size=96',
        '--data.overlap=32',
        '--trainer.logger=false', '--trainer.accelerator=cpu', '--trainer.devices=1',
        '--trainer.callbacks=SceneWriter', f'--trainer.callbacks.output_dir={out}',
        *arguments,
    ]  # fmt: skip


def image(out: Path) -> Any:
    with rasterio.open(out / 'scene_s2' / 'scene_s2_image.tif') as file:
        return file.read(), file.descriptions


def test_what_a_checkpoint_holds(trained: Path) -> None:
    content = torch.load(trained, weights_only=True)
    assert content['hyper_parameters']['input_record'] == {
        'bands': BANDS,
        'clips': [[0.0, 10000.0]] * 4,
        'sar_bands': ['VV', 'VH'],
        'sar_clips': [[-25.0, 0.0]] * 2,
        'class_names': NAMES,
        'offset': 'auto',
        'data': 'OSFCRDataModule',
    }
    assert content['hyper_parameters']['_class_path'] == 'torchgeo_tdpcr.TDPCRTask'
    task = TDPCRTask.load_from_checkpoint(trained)
    assert task.trained
    assert task.input_record is not None
    assert task.input_record.bands == tuple(BANDS)
    assert task.class_names == tuple(NAMES)


def test_every_reader_takes_the_input_from_it(
    trained: Path, old: Path, scene: ScenePaths, tmp_path: Path
) -> None:
    options = scene_options(scene, tmp_path / 'map')
    assert main([*options, '--checkpoint', str(trained)]) == 0
    mapped, bands = image(tmp_path / 'map')
    assert list(bands) == BANDS
    names = (tmp_path / 'map/scene_s2/scene_s2_classes.tif.aux.xml').read_text()
    assert [names.index(name) for name in NAMES] == sorted(map(names.index, NAMES))

    # An older one has to be told, and then makes the same
    said = ['--model-bands', *BANDS, '--sar-clip', 'shared', '--checkpoint', str(old)]
    assert main([*scene_options(scene, tmp_path / 'said'), *said]) == 0
    assert np.array_equal(image(tmp_path / 'said')[0], mapped)
    with pytest.warns(UserWarning, match=r"does not say .*`sar_clip='joint'`"):
        assert (
            main([*scene_options(scene, tmp_path / 'unsaid'), *said[:5], *said[7:]])
            == 0
        )
    assert not np.array_equal(image(tmp_path / 'unsaid')[0], mapped)

    # The `torchgeo` command, with the model's arguments and without
    for name, arguments in {
        'plain': (),
        'named': ('--model.in_channels=4', '--model.training=joint'),
    }.items():
        out = tmp_path / name
        torchgeo(predict_options(scene, out, f'--ckpt_path={trained}', *arguments))
        assert np.array_equal(image(out)[0], mapped)

    # Python, where the checkpoint is known last
    data = SceneDataModule(str(scene.s2), str(scene.s1), patch_size=96, overlap=32)
    writer = SceneWriter(tmp_path / 'python', progress=False)
    trainer = make_trainer(callbacks=[writer])
    trainer.predict(make_task(), data, ckpt_path=str(trained))
    assert np.array_equal(image(tmp_path / 'python')[0], mapped)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--model-bands', 'B2', 'B3', 'B4', 'B8'], r"bands: \['B4'.*here \['B2'"),
        (['--model-bands', 'B4', 'B3', 'B2'], 'bands'),
        (['--sar-clip', 'joint'], r'SAR clip.*-25\.0.*here.*-32\.5'),
        (['--class-names', *reversed(NAMES)], '--class-names'),
    ],
)
def test_map_refuses_what_contradicts_it(
    trained: Path,
    scene: ScenePaths,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    options = scene_options(scene, tmp_path, '--checkpoint', str(trained))
    assert main([*options, *arguments]) == 2
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(capfd.readouterr().err.replace('\n', ' '))
    assert not (tmp_path / 'scene_s2').exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'bands': BANDS[::-1]}, 'bands'),
        ({'sar_clip': 'joint'}, 'sar_clip'),
        ({'class_names': NAMES[::-1]}, 'class names'),
    ],
)
def test_testing_refuses_what_contradicts_it(
    trained: Path, synthetic_root: Path, arguments: dict[str, Any], message: str
) -> None:
    task = TDPCRTask.load_from_checkpoint(trained)
    data = make_data(synthetic_root, **arguments)
    with pytest.raises(ValueError, match=message):
        make_trainer().test(task, data, verbose=False)
    with pytest.raises(ValueError, match=message):
        make_trainer().test(make_task(), data, ckpt_path=str(trained), verbose=False)


def test_testing_takes_the_input_from_it(trained: Path, synthetic_root: Path) -> None:
    task = TDPCRTask.load_from_checkpoint(trained)
    said = {'bands': BANDS, 'sar_clip': 'shared', 'class_names': NAMES}
    results = [
        make_trainer().test(task, make_data(synthetic_root, **said), verbose=False),
        make_trainer().test(task, make_data(synthetic_root), verbose=False),
        make_trainer().test(
            make_task(), make_data(synthetic_root), str(trained), verbose=False
        ),
    ]
    assert results[0] == results[1] == results[2]
    torchgeo(
        [
            'test', '--model=TDPCRTask', '--data=OSFCRDataModule',
            f'--data.paths={synthetic_root}', '--data.split_by=roi',
            '--trainer.logger=false', '--trainer.accelerator=cpu',
            '--trainer.limit_test_batches=1', f'--ckpt_path={trained}',
        ]
    )  # fmt: skip


def test_fits_from_it(trained: Path, synthetic_root: Path) -> None:
    # Resumed, or as Phase 2, the input must be the same
    other = make_data(synthetic_root, bands=BANDS, sar_clip='joint')
    with pytest.raises(ValueError, match='sar_clip'):
        make_trainer().fit(make_task(), other, ckpt_path=str(trained))
    second = make_task(training='peft', weights=trained)
    with pytest.raises(ValueError, match='sar_clip'):
        make_trainer().fit(second, other)
    # Left out, it is taken from there
    data = make_data(synthetic_root)
    make_trainer().fit(second, data)
    assert data.sar_clip == 'shared'
    assert second.input_record is not None
    assert second.input_record.bands == tuple(BANDS)
    # All of a model may learn another
    tuned = make_task(weights=trained)
    with pytest.warns(UserWarning, match='learn it anew'):
        make_trainer().fit(tuned, other)
    assert tuned.input_record is not None
    assert tuned.input_record.sar_clips == ((-25.0, 0.0), (-32.5, 0.0))


def test_labels_in_another_order_than_the_data(synthetic_root: Path) -> None:
    data = make_data(synthetic_root, bands=BANDS, class_names=NAMES)
    with pytest.raises(ValueError, match='another order'):
        make_trainer().fit(make_task(labels=NAMES[::-1]), data)


def test_other_number_of_bands(synthetic_root: Path) -> None:
    with pytest.raises(ValueError, match=r'`in_channels=4`.* 13: B1 B2'):
        make_trainer().fit(make_task(), make_data(synthetic_root))


def test_a_data_module_that_says_nothing(
    trained: Path, synthetic_root: Path, tmp_path: Path
) -> None:
    source = make_data(synthetic_root, bands=BANDS, sar_clip='shared')
    source.setup('fit')

    class Own(LightningDataModule):
        def train_dataloader(self) -> Any:
            samples = [source.val_dataset[i] for i in range(2)]  # type: ignore[index]
            batches = [source.aug({k: v[None] for k, v in s.items()}) for s in samples]
            return DataLoader(batches, batch_size=None)

        val_dataloader = test_dataloader = train_dataloader

    task = make_task()
    trainer = make_trainer()
    trainer.fit(task, Own())
    trainer.save_checkpoint(tmp_path / 'own.ckpt')
    with warnings.catch_warnings():
        warnings.filterwarnings('error', '.*does not say')
        make_trainer().test(task, Own(), verbose=False)
        for path in (trained, tmp_path / 'own.ckpt'):
            loaded = TDPCRTask.load_from_checkpoint(path)
            make_trainer().test(loaded, Own(), verbose=False)


UNTRAINED = 'no trained weights. Give a checkpoint as `--ckpt_path`'


@pytest.mark.parametrize(
    'arguments', [(), ('--model.training=joint',), ('--ckpt_path=last',)]
)
def test_predict_without_weights(
    scene: ScenePaths, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    model = ['--model.model_kwargs={dims: [4, 8], depths: [1, 1]}']
    with pytest.raises(ValueError, match=UNTRAINED):
        torchgeo(predict_options(scene, tmp_path / 'maps', *model, *arguments))
    assert not list((tmp_path / 'maps').iterdir())


def test_what_counts_as_trained(trained: Path, synthetic_root: Path) -> None:
    data = make_data(synthetic_root, bands=BANDS, sar_clip='joint')

    def evaluate(task: TDPCRTask, stage: str = 'test') -> None:
        getattr(make_trainer(), stage)(task, datamodule=data)

    task = make_task()
    for stage in ('test', 'validate', 'predict'):
        with pytest.raises(ValueError, match=UNTRAINED):
            evaluate(task, stage)
    trainer = make_trainer()
    trainer.fit(task, datamodule=data)
    trainer.test(task, datamodule=data, verbose=False)

    state = torch.load(trained, weights_only=True)['state_dict']
    by_hand = make_task()
    by_hand.model.load_state_dict({k[6:]: v for k, v in state.items()})
    evaluate(by_hand)
    as_built = make_task()
    as_built.trained = True
    evaluate(as_built)
    # A model without parameters has nothing to learn
    evaluate(TDPCRTask('nothing_for_tests', in_channels=4, training='cr'))


class Nothing(torch.nn.Module):
    def __init__(self, in_channels: int, sar_channels: int, num_classes: int | None):
        super().__init__()

    def forward(self, image: Any, image_sar: Any) -> dict[str, Any]:
        return {'reconstruction': image}


register_model('nothing_for_tests')(Nothing)


def test_land_cover_that_phase_1_left_untrained(
    synthetic_root: Path, tmp_path: Path
) -> None:
    data = make_data(synthetic_root, bands=BANDS, sar_clip='joint')
    trainer = make_trainer()
    trainer.fit(make_task(training='cr'), datamodule=data)
    path = tmp_path / 'phase1.ckpt'
    trainer.save_checkpoint(path)
    for task, ckpt_path in (
        (make_task(weights=path), None),
        (make_task(), str(path)),
    ):
        with pytest.raises(ValueError, match='land cover is untrained'):
            make_trainer().test(task, data, ckpt_path=ckpt_path, verbose=False)
    restores = make_task(training='cr', weights=path)
    make_trainer().test(restores, data, verbose=False)


def test_figures_of_a_land_cover_model(
    synthetic_root: Path, tmp_path: Path, trained: Path
) -> None:
    for source in ('cloudy', 'clear'):
        trainer = make_trainer()
        task = make_task(training='lcs', lcs_input=source)
        data = make_data(synthetic_root, bands=BANDS, sar_clip='shared')
        trainer.fit(task, datamodule=data)
        trainer.save_checkpoint(tmp_path / f'{source}.ckpt')
    options = ['figures', '--data', str(synthetic_root), '--split-by', 'roi']
    options += ['--number', '1', '--dpi', '50', '--output']
    checkpoints = [f'--checkpoint={k}={tmp_path / k}.ckpt' for k in ('cloudy', 'clear')]
    assert main([*options, str(tmp_path / 'alone'), *checkpoints]) == 0
    assert {p.name for p in (tmp_path / 'alone').iterdir()} == {
        'land-cover.png', 'prompts.png',
    }  # fmt: skip
    both = [*checkpoints, f'--checkpoint=joint={trained}']
    assert main([*options, str(tmp_path / 'both'), *both]) == 0
    assert {p.name for p in (tmp_path / 'both').iterdir()} == {
        'land-cover.png', 'prompts.png', 'restoration.png',
    }  # fmt: skip
    wrong = ['--sar-clip', 'joint']
    assert main([*options, str(tmp_path / 'wrong'), *checkpoints, *wrong]) == 2
