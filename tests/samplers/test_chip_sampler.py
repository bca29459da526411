# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""ChipSampler: order, epochs, resuming, and several processes."""

from pathlib import Path

import lightning
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy
from osfcr_files import write_strip
from torch.utils.data import DataLoader
from torchgeo.datasets import stack_samples

from torchgeo_tdpcr.datasets import OSFCR, ChipQuery
from torchgeo_tdpcr.samplers import ChipSampler


@pytest.fixture
def dataset(tmp_path: Path) -> OSFCR:
    """Seven chips."""
    write_strip(tmp_path, 7)
    return OSFCR(tmp_path)


def chips(sampler: ChipSampler) -> list[str]:
    return [query.chip for query in sampler]


def test_one_query_a_chip(dataset: OSFCR) -> None:
    sampler = ChipSampler(dataset)
    queries = list(sampler)
    assert len(sampler) == len(queries) == 7
    assert [query.chip for query in queries] == dataset.index['filepath'].tolist()
    assert all(isinstance(query, ChipQuery) and len(query) == 3 for query in queries)
    x, y, _ = queries[0]
    assert (x.start, y.start) == dataset.index.geometry.iloc[0].bounds[:2]


def test_order_is_a_function_of_seed_and_epoch(dataset: OSFCR) -> None:
    sampler, other = (ChipSampler(dataset, shuffle=True, seed=3) for _ in range(2))
    first = chips(sampler)
    assert chips(sampler) == first != dataset.index['filepath'].tolist()
    assert sorted(first) == sorted(dataset.index['filepath'])
    sampler.set_epoch(5)
    torch.manual_seed(0)
    fifth = chips(sampler)
    assert sorted(fifth) == sorted(first) != fifth != first
    other.set_epoch(5)
    assert chips(other) == fifth
    assert chips(ChipSampler(dataset, shuffle=True, seed=4)) != first


def test_start_skips_once(dataset: OSFCR) -> None:
    sampler = ChipSampler(dataset, shuffle=True)
    whole = chips(sampler)
    sampler.start = 5
    assert len(sampler) == 7
    assert chips(sampler) == whole[5:]
    assert chips(sampler) == whole


@pytest.mark.parametrize('shuffle', [False, True])
@pytest.mark.parametrize('length', [3, 7, 17])
def test_length(dataset: OSFCR, length: int, shuffle: bool) -> None:
    sampler = ChipSampler(dataset, length=length, shuffle=shuffle)
    found = chips(sampler)
    assert len(found) == len(sampler) == length
    for i in range(0, length, 7):
        assert len(set(found[i : i + 7])) == len(found[i : i + 7])


@pytest.mark.parametrize('replicas', [2, 3, 9])
@pytest.mark.parametrize('shuffle', [False, True])
def test_ranks_share_the_chips(dataset: OSFCR, replicas: int, shuffle: bool) -> None:
    samplers = [
        ChipSampler(dataset, shuffle=shuffle, rank=rank, num_replicas=replicas)
        for rank in range(replicas)
    ]
    shares = [chips(sampler) for sampler in samplers]
    assert [len(share) for share in shares] == [len(sampler) for sampler in samplers]
    assert set().union(*shares) == set(dataset.index['filepath'])
    if shuffle or replicas == 9:
        assert len({len(share) for share in shares}) == 1
    else:
        assert sum(map(len, shares)) == 7


def test_arguments(dataset: OSFCR) -> None:
    with pytest.raises(ValueError, match='`length=0`'):
        ChipSampler(dataset, length=0)
    with pytest.raises(ValueError, match='`rank=2`'):
        ChipSampler(dataset, rank=2, num_replicas=2)
    with pytest.raises(ValueError, match='no chips'):
        ChipSampler(dataset.subset([]))
    dataset._index = dataset.index.drop(columns='filepath')
    with pytest.raises(ValueError, match='filepath'):
        ChipSampler(dataset)


class Recorder(LightningModule):
    """A model that writes down which chips it gets."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.layer = torch.nn.Linear(1, 1)
        self.seen: list[list[float]] = []

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        self.seen[-1] += batch['bounds'][:, 0].tolist()
        return self.layer(batch['image'].mean().reshape(1, 1)).sum()

    def on_train_epoch_start(self) -> None:
        self.seen.append([])

    def on_train_end(self) -> None:
        torch.save(self.seen, self.folder / f'rank{self.global_rank}.pt')

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


class Data(lightning.LightningDataModule):
    """A data module that makes its sampler as late as Lightning's does."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root

    def train_dataloader(self) -> DataLoader:
        dataset = OSFCR(self.root)
        sampler = ChipSampler(dataset, shuffle=True, seed=1)
        return DataLoader(
            dataset, batch_size=2, sampler=sampler, collate_fn=stack_samples
        )


def run(root: Path, folder: Path, devices: int) -> list[list[list[float]]]:
    trainer = Trainer(
        max_epochs=2,
        accelerator='cpu',
        devices=devices,
        strategy=DDPStrategy(start_method='forkserver') if devices > 1 else 'auto',
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Recorder(folder), datamodule=Data(root))
    return [torch.load(folder / f'rank{rank}.pt') for rank in range(devices)]


def expected(dataset: OSFCR, epoch: int, rank: int, replicas: int) -> list[float]:
    sampler = ChipSampler(
        dataset, shuffle=True, seed=1, rank=rank, num_replicas=replicas
    )
    sampler.set_epoch(epoch)
    return [query[0].start for query in sampler]


@pytest.mark.filterwarnings('ignore::UserWarning')
@pytest.mark.parametrize('devices', [1, 2])
def test_lightning(dataset: OSFCR, tmp_path: Path, devices: int) -> None:
    """Lightning sets the epoch, and leaves the sharing among processes to us."""
    ranks = run(tmp_path, tmp_path, devices)
    for rank, epochs in enumerate(ranks):
        for epoch, seen in enumerate(epochs):
            assert seen == expected(dataset, epoch, rank, devices)
        assert epochs[0] != epochs[1]
