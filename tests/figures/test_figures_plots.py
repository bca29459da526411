# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Figures of the paper on any data, and the command that draws them."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import Trainer
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from osfcr_files import write_strip
from torchgeo.datasets.utils import Sample

from torchgeo_tdpcr import TDPCRTask
from torchgeo_tdpcr.commands import figures as command
from torchgeo_tdpcr.datasets.plotting import prompt_pictures, rgb_picture
from torchgeo_tdpcr.figures import plot_land_cover, plot_prompts, plot_restoration


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close('all')


def sample(seed: int, **layers: torch.Tensor) -> Sample:
    generator = torch.Generator().manual_seed(seed)
    made = {
        'image': torch.rand(13, 16, 16, generator=generator) * 3000,
        'image_sar': -20 * torch.rand(2, 16, 16, generator=generator),
        'image_clear': torch.rand(13, 16, 16, generator=generator) * 3000,
    }
    return {**made, **layers}


def titles(figure: Figure) -> list[str]:
    return [text for ax in figure.axes if (text := ax.get_title())]


class TestRestoration:
    def test_columns_and_scores(self) -> None:
        samples = [sample(0), sample(1)]
        made = {
            'perfect': [s['image_clear'] for s in samples],
            'off': [s['image_clear'] + 1000 for s in samples],
        }
        figure = plot_restoration(samples, made, row_titles=['a', 'b'])
        assert titles(figure) == ['Cloudy', 'Radar', 'perfect', 'off', 'Clear']
        first = figure.axes[:5]
        assert first[0].get_ylabel() == 'a'
        assert first[2].get_xlabel() == '100.00 dB, SSIM 1.000'
        assert first[3].get_xlabel().startswith('20.00 dB')
        assert first[1].get_xlabel() == first[4].get_xlabel() == ''
        shown = np.asarray(figure.axes[8].images[0].get_array())
        assert np.array_equal(shown, rgb_picture(made['off'][1], (3, 2, 1)))

    def test_without_truth(self) -> None:
        given = {'image': sample(0)['image']}
        figure = plot_restoration([given, sample(1)], {})
        assert titles(figure) == ['Cloudy', 'Radar', 'Clear']
        # The first row lacks what the second has, and keeps its columns.
        assert [len(ax.images) for ax in figure.axes] == [1, 0, 0, 1, 1, 1]
        assert not figure.axes[0].get_xlabel()

    def test_errors(self) -> None:
        with pytest.raises(ValueError, match='empty'):
            plot_restoration([], {})
        with pytest.raises(ValueError, match="'model' has 0 items for 1 samples"):
            plot_restoration([sample(0)], {'model': []})
        with pytest.raises(ValueError, match="'row_titles' has 1 items for 2"):
            plot_restoration([sample(0)] * 2, {}, row_titles=['a'])
        with pytest.raises(ValueError, match="'Clear' cannot be the name of a model"):
            plot_restoration([sample(0)], {'Clear': [sample(0)['image']]})


class TestPrompts:
    def test_a_colour_means_the_same_in_every_row(self) -> None:
        torch.manual_seed(0)
        prompt = torch.randn(8, 12, 12)
        # The same spectra at other places, among others that shift mean and axes.
        other = torch.cat((prompt.flip(2), 5 * torch.randn(8, 12, 20) + 3), dim=2)
        first, second = prompt_pictures([prompt, other])
        assert np.allclose(first, second[:, 11::-1], atol=1e-5)
        alone = prompt_pictures([other])[0]
        assert not np.allclose(first, prompt_pictures([prompt])[0], atol=0.1)
        assert alone.shape == (12, 32, 3)

    def test_columns(self) -> None:
        cloud = torch.ones(16, 16, dtype=torch.int64)
        thickness = torch.full((1, 16, 16), 2.0)
        samples = [
            sample(0, mask_cloud=cloud, image_thickness=thickness),
            sample(1, mask_cloud=cloud, image_thickness=2 * thickness),
        ]
        figure = plot_prompts(samples, {'P': [torch.rand(4, 16, 16)] * 2})
        assert titles(figure) == [
            'Cloudy',
            'Cloud and shadow',
            'Optical thickness (0 to 4)',
            'P',
        ]
        thin, thick = (figure.axes[i].images[0].get_array() for i in (2, 6))
        assert np.asarray(thin).mean() < np.asarray(thick).mean()

    def test_prompts_of_several_models(self) -> None:
        with pytest.raises(ValueError, match=r'\[4, 8\] channels'):
            prompt_pictures([torch.rand(4, 2, 2), torch.rand(8, 2, 2)])


class TestLandCover:
    names = ('water', 'trees', 'built')

    def test_legend_and_scores(self) -> None:
        truth = torch.full((16, 16), 255)
        truth[:8] = 1
        made = torch.ones(16, 16, dtype=torch.int64)
        figure = plot_land_cover([sample(0, mask=truth)], {'m': [made]}, self.names)
        assert titles(figure) == ['Cloudy', 'Clear', 'm', 'Truth']
        assert figure.axes[2].get_xlabel() == 'PA 1.000, mIoU 1.000'
        legend = figure.legends[0]
        assert [text.get_text() for text in legend.get_texts()] == ['trees']
        shown = np.asarray(figure.axes[3].images[0].get_array())
        assert (shown[8:] == 1).all()
        assert not (shown[:8] == 1).all()

    def test_nothing_labelled(self) -> None:
        empty = torch.full((16, 16), 255)
        made = torch.zeros(16, 16, dtype=torch.int64)
        figure = plot_land_cover([sample(0, mask=empty)], {'m': [made]}, self.names)
        assert figure.axes[2].get_xlabel() == ''

    def test_label_without_a_name(self) -> None:
        made = torch.full((16, 16), 3)
        with pytest.raises(ValueError, match=r"'m' holds the labels \[3\]"):
            plot_land_cover([sample(0)], {'m': [made]}, self.names)


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Untrained models of Phase 1 and of joint training."""
    folder = tmp_path_factory.mktemp('checkpoints')
    paths = {}
    for training in ('cr', 'joint'):
        task = TDPCRTask(
            model_kwargs={'dims': (4,), 'depths': (1,)},
            training=training,  # type: ignore[arg-type]
            num_classes=3,
            labels=['water', 'trees', 'built'],
        )
        trainer = Trainer(accelerator='cpu', logger=False, enable_checkpointing=False)
        trainer.strategy.connect(task)
        paths[training] = folder / f'phase={training}.ckpt'
        trainer.save_checkpoint(paths[training])
    return paths


@pytest.fixture(scope='module')
def chips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('chips')
    for roi in range(1, 11):
        for cover in ('0-20%', '60%-80%'):
            write_strip(root, 1, cover, roi, x=5000.0 * roi)
    return root


def run(root: Path, output: Path, *args: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    shared = ['--data', str(root), '--output', str(output), '--dpi', '20']
    return command.run(parser.parse_args([*shared, '--split-by', 'roi', *args]))


class TestCommand:
    @pytest.fixture(autouse=True)
    def _three_classes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # The files have labels up to 6, the models three classes.
        monkeypatch.setattr(
            'torchgeo_tdpcr.datasets.chips.reading.label_fault', lambda *_: ''
        )

    def test_all_figures(
        self,
        checkpoints: dict[str, Path],
        chips: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        seen = {}

        def land_cover(samples: list[Sample], maps: object, *rest: object) -> Figure:
            seen.update(samples=samples, maps=maps, rest=rest)
            return plt.figure()

        monkeypatch.setattr('torchgeo_tdpcr.figures.plot_land_cover', land_cover)
        models = [f'{name}={path}' for name, path in checkpoints.items()]
        assert run(chips, tmp_path, '--checkpoint', *models, '--number', '2') == 0
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            'land-cover.png',
            'prompts.png',
            'restoration.png',
        ]
        assert capsys.readouterr().out.count('Wrote') == 3
        # Phase 1 has a head that nobody trained.
        assert list(seen['maps']) == ['joint']
        assert seen['rest'][0] == ['water', 'trees', 'built']
        first, last = seen['rest'][2]
        assert first.startswith('0-20% ROI')
        assert last.startswith('60%-80% ROI')
        # Digital numbers and dB, not what the model sees.
        assert seen['samples'][0]['image'].max() > 500
        assert seen['samples'][0]['image_sar'].max() < -5

    def test_one_figure_as_pdf(
        self, checkpoints: dict[str, Path], chips: Path, tmp_path: Path
    ) -> None:
        model = f'm={checkpoints["cr"]}'
        options = ['--figure', 'restoration', '--suffix', 'pdf', '--split', 'all']
        options += ['--chips', '19']
        assert run(chips, tmp_path, '--checkpoint', model, *options) == 0
        (path,) = tmp_path.iterdir()
        assert path.read_bytes()[:4] == b'%PDF'

    def test_nothing_to_show(
        self,
        checkpoints: dict[str, Path],
        chips: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        model = ['--checkpoint', f'm={checkpoints["cr"]}']
        with pytest.raises(ValueError, match='none of the checkpoints was trained'):
            run(chips, tmp_path, *model, '--figure', 'land-cover')
        run(chips, tmp_path, *model, '--number', '1')
        assert 'No land-cover' in capsys.readouterr().out

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (['--chips', '99'], '`--chips 99`: `--split test` has the rows 0 to'),
            (['--number', '0'], '`--number 0`'),
            (['--bands', 'B8'], r'model is for `in_channels=13`.* give 1: B8'),
        ],
    )
    def test_wrong_options(
        self,
        checkpoints: dict[str, Path],
        chips: Path,
        tmp_path: Path,
        options: list[str],
        message: str,
    ) -> None:
        with pytest.raises(ValueError, match=message):
            run(chips, tmp_path, '--checkpoint', f'm={checkpoints["cr"]}', *options)

    def test_names_of_the_classes(
        self, checkpoints: dict[str, Path], chips: Path, tmp_path: Path
    ) -> None:
        model = f'm={checkpoints["joint"]}'
        with pytest.raises(ValueError, match='2 names for the 3 classes'):
            run(chips, tmp_path, '--checkpoint', model, '--class-names', 'a', 'b')


def test_checkpoint_arguments(tmp_path: Path) -> None:
    file = tmp_path / 'epoch=04.ckpt'
    file.touch()
    assert command.parse_checkpoints([f'A={file}']) == {'A': file}
    with pytest.raises(ValueError, match="'A' is given twice"):
        command.parse_checkpoints([f'A={file}', f'A={file}'])
    with pytest.raises(FileNotFoundError, match='no such file'):
        command.parse_checkpoints([f'A={tmp_path}/none.ckpt'])
    torch.save({'weights': torch.zeros(1)}, file)
    with pytest.raises(ValueError, match=r'04\.ckpt.* is no checkpoint of TDPCRTask'):
        command.load_task(file, 'cpu')


def test_rows_are_spread_over_the_cover() -> None:
    index = pd.DataFrame({'cover': ['80%-100%', '0-20%', '40%-60%', '0-20%']})
    assert command.spread_rows(index, 3) == [1, 2, 0]
    assert command.spread_rows(index, 99) == [1, 3, 2, 0]
    # SEN12MS-CR does not tell the cover.
    assert command.spread_rows(pd.DataFrame({'roi': range(5)}), 3) == [0, 2, 4]
