# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""One query a stored chip, in file order or shuffled, shared out among processes."""

from collections.abc import Iterator

import numpy as np
import torch.distributed
from torch.utils.data import DistributedSampler
from torchgeo.datasets import GeoDataset
from torchgeo.samplers import GeoSampler

from ..datasets.chips.locating import ChipQuery, chip_queries


class ChipSampler(GeoSampler, DistributedSampler[ChipQuery]):
    """Sample each stored chip once an epoch.

    The order is a function of the seed and the epoch alone, so a resumed run sees the
    chips in the order in which it would have seen them. Lightning calls
    :meth:`set_epoch`; in a loop of your own call it before each epoch.

    With several processes each takes its share (Lightning leaves the sampler as it is,
    since it is a :class:`~torch.utils.data.DistributedSampler`). A shuffled order is
    made a multiple of their number by repeating its first chips, so that all processes
    take the same number of steps; an order that is not shuffled is not, so that each
    chip is tested or predicted exactly once.

    Attributes:
        start: How many queries the next iteration leaves out at its start, once: to
            resume in the middle of an epoch.

    Example:
        >>> dataset = OSFCR('data', split='train')  # doctest: +SKIP
        >>> sampler = ChipSampler(dataset, shuffle=True)  # doctest: +SKIP
        >>> loader = DataLoader(
        ...     dataset, sampler=sampler, batch_size=4, collate_fn=stack_samples
        ... )  # doctest: +SKIP
    """

    def __init__(
        self,
        dataset: GeoDataset,
        *,
        shuffle: bool = False,
        length: int | None = None,
        seed: int = 0,
        rank: int | None = None,
        num_replicas: int | None = None,
    ) -> None:
        """Initialize a new ChipSampler instance.

        Args:
            dataset: A dataset of stored chips, or a union of such.
            shuffle: Whether to shuffle anew in each epoch.
            length: Number of chips an epoch over all processes (defaults to all). If
                there are fewer, they come again, in another order where shuffled.
            seed: Seed of the order; the same in all processes.
            rank: Which process this is (defaults to that of ``torch.distributed``, or
                0).
            num_replicas: How many processes there are (defaults to that of
                ``torch.distributed``, or 1).

        Raises:
            ValueError: If *dataset* is not of stored chips or is empty, *length* is not
                positive, or *rank* is not one of the processes.
        """
        # DistributedSampler.__init__ would demand an initialised process group
        self.queries = chip_queries(dataset.index)
        if not self.queries:
            raise ValueError('`dataset` has no chips')
        if length is not None and length < 1:
            raise ValueError(f'`length={length}` must be at least 1, or None for all')
        distributed = (
            torch.distributed.is_available() and torch.distributed.is_initialized()
        )
        if num_replicas is None:
            num_replicas = torch.distributed.get_world_size() if distributed else 1
        if rank is None:
            rank = torch.distributed.get_rank() if distributed else 0
        if not 0 <= rank < num_replicas:
            raise ValueError(f'`rank={rank}` must be in 0 to {num_replicas - 1}')
        self.shuffle = shuffle
        self.length = length or len(self.queries)
        self.seed = seed
        self.rank = rank
        self.num_replicas = num_replicas
        self.epoch = 0
        self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration follows."""
        self.epoch = epoch

    def order(self) -> list[int]:
        """Return the positions of this process's queries in the epoch's order."""
        count = len(self.queries)
        rounds = -(-self.length // count)
        if self.shuffle:
            rng = np.random.default_rng([self.seed, self.epoch])
            chosen = np.concatenate([rng.permutation(count) for _ in range(rounds)])
        else:
            chosen = np.tile(np.arange(count), rounds)
        chosen = chosen[: self.length]
        # Even unshuffled, a process without any query would wait for ever
        if self.shuffle or len(chosen) < self.num_replicas:
            chosen = np.resize(chosen, self._rounded_up())
        mine: list[int] = chosen[self.rank :: self.num_replicas].tolist()
        return mine

    def _rounded_up(self) -> int:
        return -(-self.length // self.num_replicas) * self.num_replicas

    def __iter__(self) -> Iterator[ChipQuery]:
        """Return an iterator over this process's queries of the epoch."""
        start, self.start = self.start, 0
        return (self.queries[row] for row in self.order()[start:])

    def __len__(self) -> int:
        """Return the number of this process's queries in a whole epoch."""
        if self.shuffle or self.length < self.num_replicas:
            return self._rounded_up() // self.num_replicas
        return len(range(self.rank, self.length, self.num_replicas))
