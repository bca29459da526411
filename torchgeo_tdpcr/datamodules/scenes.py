# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Data module of whole scenes, for prediction."""

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from os import PathLike
from typing import Any, Literal, cast

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from torchgeo.datamodules import GeoDataModule
from torchgeo.datasets.utils import Path, Sample

from ..beside import read_ahead
from ..datasets.grids import PixelBox
from ..datasets.scenes import ScenePair, pair_scenes, read_pairs
from ..datasets.scenes.common import SceneError, SceneInfo, WindowRun
from ..datasets.scenes.dataset import SceneDataset, SceneFailure
from ..datasets.scenes.declared import declare
from ..datasets.scenes.formats.parts import OpticalProduct
from ..datasets.scenes.formats.products import find_optical
from ..datasets.scenes.pairing.pairs import OtherProduct
from ..datasets.scenes.progress import Progress
from ..datasets.scenes.windows.detection import check_detector
from ..datasets.sources import trusting
from ..files import expanded
from ..kinds import MASK_WORDS, CloudMaskKind, MaskWord, SARScale
from ..samplers.windows import WindowSampler
from ..transforms.bands import check_bands
from ..transforms.normalize import SARClip
from .normalization import NormalizationMixin


class SceneLoader:
    """Batches of windows: those without data are left out, and so are failed scenes.

    Args:
        loader: Loader of runs of windows.
        progress: How far the scenes are; learns what failed.
    """

    def __init__(self, loader: DataLoader[Any], progress: Progress) -> None:
        self.loader = loader
        self.progress = progress

    def __len__(self) -> int:
        """Most batches that there may be."""
        return sum(1 for _ in cast(WindowSampler, self.loader.sampler))

    def __iter__(self) -> Iterator[Sample]:
        """Yield the batches.

        Yields:
            Batches of windows, scene by scene.
        """
        # Processes of a loader read ahead by themselves
        alone = self.loader.num_workers == 0
        for batch in read_ahead(self.loader) if alone else self.loader:
            if isinstance(batch, SceneFailure):
                self.progress.fail(batch.scene, batch.error)
            elif isinstance(batch, WindowRun):
                self._leave_out(batch, batch.lefts)
            else:
                scene = int(batch['scene'])
                height, width = batch['image'].shape[-2:]
                run = WindowRun(scene, int(batch['top']), (), height, width)
                self._leave_out(run, batch.pop('without').tolist())
                if not self.progress.is_over(scene):
                    yield batch

    def _leave_out(self, run: WindowRun, lefts: Sequence[int]) -> None:
        """Note windows that hold no data."""
        for left in lefts:
            self.progress.cover(run.scene, run.window(left))


class SceneDataModule(NormalizationMixin, GeoDataModule):
    """Whole Sentinel-2 products with their Sentinel-1, in overlapping windows.

    For ``torchgeo predict`` together with
    :class:`~torchgeo_tdpcr.callbacks.SceneWriter`. With several processes
    (``trainer.strategy=ddp``) each scene is mapped by one of them.

    What a writer may ask of it is a :class:`~torchgeo_tdpcr.callbacks.SceneSource`.
    """

    #: With more processes than scenes, some have nothing to do.
    allow_zero_length_dataloader_with_multiple_devices = True

    def __init__(
        self,
        s2: Sequence[Path] | Path | None = None,
        s1: Sequence[Path] | Path | None = None,
        cloud_mask: Path | MaskWord | None = None,
        pairs: Path | None = None,
        max_days: float | None = None,
        bands: Sequence[str] | None = None,
        offset: float | Literal['auto'] = 'auto',
        sar_scale: SARScale | Literal['auto'] = 'auto',
        sar_clip: SARClip | None = None,
        min_sar_cover: float = 0.9,
        patch_size: int = 256,
        overlap: int = 64,
        batch_size: int = 4,
        num_workers: int = 0,
        trusted: bool = False,
        all_bands: Sequence[str] | None = None,
        scale: float | None = None,
        any_res: bool = False,
        polarisations: Sequence[str] | None = None,
        cloud_mask_kind: CloudMaskKind | Literal['auto'] = 'auto',
        composite: bool = False,
    ) -> None:
        """Initialize a new SceneDataModule instance.

        Args:
            s2: Sentinel-2 product: a GeoTIFF with all bands, a folder with a file a
                band, or a SAFE folder or its zip. Or a folder of several products, or a
                list.
            s1: Sentinel-1 raster with VV and VH in any CRS, resolution and extent. Or a
                folder of several, or a list; they are paired by place and date.
            cloud_mask: Cloud mask of a single product, see `cloud_mask_kind`. Or
                `'auto'`: clouds and shadows are found by ukis-csmask, which `pip install
                'torchgeo-tdpcr[clouds]'` brings. Or `'product'`: that of each product,
                which must have one (defaults to the product's own, if it has one).
            pairs: Table in place of `s2` and `s1`: a CSV file with the columns `s2`
                and `s1`, and optionally `cloud_mask` and `name`.
            max_days: Most days between the two of a pair; a pair with an unknown date is
                refused then. By default 15, and unknown dates are only warned of.
            bands: Names of the Sentinel-2 bands that the model takes (defaults to those
                of its checkpoint, or else to all 13).
            offset: What the digital numbers carry on top, 0 or 1000, or `'auto'` to
                find out. A number decides where a product contradicts itself.
            sar_scale: Whether Sentinel-1 is in `'db'`, `'linear'` power or
                `'amplitude'`, or `'auto'` to find out.
            sar_clip: Clip range of the SAR bands that the model was trained with, see
                `torchgeo_tdpcr.transforms.Sentinel1Normalize` (defaults to that
                of its checkpoint, or else to `'joint'`).
            min_sar_cover: Part of a scene that radar must cover at least.
            patch_size: Height and width of the windows in pixels.
            overlap: Number of pixels that neighbouring windows share at least.
            batch_size: Most windows in a batch.
            num_workers: Number of worker processes that read windows.
            trusted: Whether rasters may be of any format that GDAL knows, and lead to
                other files and addresses: VRT, `/vsicurl/`, `/vsis3/`. Only for
                files of people you trust.
            all_bands: Order of the bands of Sentinel-2 rasters (defaults to what their
                descriptions, or the usual order, tell).
            scale: Reflectance of one unit of Sentinel-2, 0.0001 for digital numbers
                (defaults to what is found out).
            any_res: Whether pixels of Sentinel-2 may be of another size than 10 m.
            polarisations: Order of the bands of Sentinel-1 rasters, such as
                `[VH, VV]` (defaults to what is found out).
            cloud_mask_kind: What the numbers of cloud masks mean: `'binary'` (nonzero is
                cloud or shadow), `'probability'`, `'scl'`, `'fmask'` or `'cloudsen12'`,
                or `'auto'` to find out. Where Fmask leaves several open: `'fmask4'`,
                `'python-fmask'` or `'hls'`.
            composite: Whether the list `s2` holds several dates of one place: where the
                first is cloudy, clear pixels of the others stand for it, those of the
                nearest date first, and the model's only where there are none. Each needs
                a cloud mask of its own, or `cloud_mask='auto'`.

        Raises:
            ModuleNotFoundError: If `cloud_mask` is `'auto'` without ukis-csmask.
            ValueError: If neither `pairs` nor both of `s2` and `s1` are given, or an
                argument is out of its range.

        Example:
            >>> SceneDataModule(s2='S2.SAFE', s1='s1.tif', overlap=32).settings['overlap']
            32
        """
        if (pairs is None) == (s2 is None and s1 is None) or (s2 is None) != (
            s1 is None
        ):
            raise ValueError(
                'Give `s2` and `s1`, or a table as `pairs`, and not both: '
                f'`s2={s2!r}`, `s1={s1!r}`, `pairs={pairs!r}`.'
            )
        dates = [] if s2 is None or isinstance(s2, str | PathLike) else list(s2)
        if composite and len(dates) < 2:
            raise ValueError(
                '`composite` takes the dates of one place as a list `s2`, the one to be '
                f'mapped first: `s2={s2!r}`. In a table, they are a column.'
            )
        self.declared = declare(
            all_bands=all_bands,
            scale=scale,
            offset=offset,
            any_res=any_res,
            polarisations=polarisations,
            sar_scale=sar_scale,
            cloud_mask_kind=cloud_mask_kind,
        )
        if cloud_mask == 'auto':
            check_detector()
        names = check_bands(bands)
        super().__init__(
            cast(Any, SceneDataset),
            batch_size=batch_size,
            patch_size=patch_size,
            num_workers=num_workers,
            bands=names,
            min_sar_cover=min_sar_cover,
            trusted=trusted,
            **asdict(self.declared),
        )
        self.s2 = s2
        self.s1 = s1
        self.cloud_mask = cloud_mask
        self.pairs = pairs
        self.max_days = max_days
        self.composite = composite
        self.overlap = overlap
        self.aug = self._set_input(bands, sar_clip)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What predictions depend on, besides the files and the model."""
        return {
            'bands': self.kwargs['bands'],
            **asdict(self.declared),
            'sar_clip': self.sar_clip,
            'patch_size': self.patch_size,
            'overlap': self.overlap,
        }

    def setup(self, stage: str) -> None:
        """Find the scenes and share them out.

        Args:
            stage: Only ``'predict'`` is of use.

        Raises:
            SceneError: If the files of the only scene cannot be used.
            ValueError: If the stage is another, or an argument contradicts what the
                model of the trainer was trained with.
        """
        if stage != 'predict':
            raise ValueError(
                f'SceneDataModule has no truth to {stage} with. Use `torchgeo predict`.'
            )
        self.meet_model(stage)
        faults: dict[str, Exception] = {}
        with trusting(self.kwargs['trusted']):
            dataset = SceneDataset(
                self._scene_pairs(faults),
                # What the task is going to look for in a batch
                with_clouds=bool(self._task_says('match_clear')),
                **self.kwargs,
            )
        dataset.rejected |= faults
        trainer = self.trainer
        self.predict_dataset = dataset
        self.predict_sampler = cast(
            Any,
            WindowSampler(
                dataset,
                cast(int, self.patch_size),
                self.overlap,
                self.batch_size or 1,
                rank=0 if trainer is None else trainer.global_rank,
                world_size=1 if trainer is None else trainer.world_size,
            ),
        )

    def _task_says(self, name: str) -> Any:
        """A hyperparameter of the task of the trainer, None where there is none."""
        task = getattr(self.trainer, 'lightning_module', None)
        return getattr(task, 'hparams', {}).get(name)

    def _scene_pairs(self, faults: dict[str, Exception]) -> list[ScenePair]:
        if self.pairs is not None:
            pairs = read_pairs(self.pairs)
        else:
            products = cast(Any, self.s2)
            pairs = pair_scenes(
                products[0] if self.composite else products,
                cast(Any, self.s1),
                self.max_days,
                faults,
                self.declared,
            )
            if self.composite:
                if len(pairs) + len(faults) > 1:
                    raise ValueError(
                        f"`composite`: '{products[0]}' holds {len(pairs) + len(faults)} "
                        'products. Give each date by itself, the one to be mapped first.'
                    )
                others = tuple(OtherProduct(expanded(path)) for path in products[1:])
                pairs = [replace(pair, others=others) for pair in pairs]
        if self.cloud_mask is None:
            return pairs
        if self.cloud_mask in MASK_WORDS:
            return [_masked(pair, cast(MaskWord, self.cloud_mask)) for pair in pairs]
        if len(pairs) + len(faults) > 1:
            raise ValueError(
                f'`cloud_mask={str(self.cloud_mask)!r}` is of one scene, but there are '
                f'{len(pairs) + len(faults)}. Give masks in a table, as `pairs`.'
            )
        (pair,) = pairs
        return [replace(pair, cloud_mask=expanded(self.cloud_mask))]

    def products(self) -> list[OpticalProduct]:
        """The Sentinel-2 products of the scenes, as far as they can be read."""
        found: list[OpticalProduct] = []
        with trusting(self.kwargs['trusted']), warnings.catch_warnings():
            # They are told when the scenes are opened
            warnings.simplefilter('ignore')
            for pair in self._scene_pairs({}):
                with contextlib.suppress(SceneError):
                    found.append(find_optical(pair.s2, self.declared.all_bands))
        return found

    @property
    def _scenes(self) -> SceneDataset:
        """The dataset, once there is one."""
        if not isinstance(self.predict_dataset, SceneDataset):
            raise AttributeError("There are no scenes before `setup('predict')`.")
        return self.predict_dataset

    @property
    def scenes(self) -> Mapping[int, SceneInfo]:
        """The scenes of this process by their row in the index of all."""
        sampler = cast(WindowSampler, self.predict_sampler)
        return {scene: self._scenes.info(scene) for scene in sampler.scenes}

    @property
    def rejected(self) -> Mapping[str, Exception]:
        """What went wrong with scenes that could not even be opened, by name."""
        return self._scenes.rejected

    @property
    def progress(self) -> Progress:
        """How far the scenes are."""
        return self._scenes.progress

    def observed(
        self, scene: int, window: PixelBox
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read a window as stored, see :meth:`.SceneDataset.observed`."""
        return self._scenes.observed(scene, window)

    def clouds(self, scene: int, window: PixelBox) -> NDArray[np.bool_]:
        """Read a window of the cloud mask, see :meth:`.SceneDataset.clouds`."""
        return self._scenes.clouds(scene, window)

    def other_dates(
        self, scene: int, window: PixelBox
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read a window of other dates, see :meth:`.SceneDataset.other_dates`."""
        return self._scenes.other_dates(scene, window)

    def teardown(self, stage: str) -> None:
        """Close the files.

        Args:
            stage: Any.
        """
        if isinstance(self.predict_dataset, SceneDataset):
            self.predict_dataset.close()

    def predict_dataloader(self) -> Any:
        """Windows of all scenes.

        Returns:
            The loader.
        """
        dataset = cast(SceneDataset, self.predict_dataset)
        loader = DataLoader(
            dataset,
            batch_size=None,
            sampler=self.predict_sampler,
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
        )
        return SceneLoader(loader, dataset.progress)

    def plot(self, *args: Any, **kwargs: Any) -> Figure | None:
        """Plot a sample as the dataset does.

        Args:
            *args: Arguments of the dataset's ``plot``: a sample in digital numbers.
            **kwargs: Keyword arguments of the dataset's ``plot``.

        Returns:
            The figure, or None before any setup.
        """
        dataset = cast(SceneDataset | None, self.predict_dataset)
        return None if dataset is None else dataset.plot(*args, **kwargs)


def _masked(pair: ScenePair, word: MaskWord) -> ScenePair:
    """Say which masks to take where none is given."""
    others = tuple(
        replace(other, cloud_mask=other.cloud_mask or word) for other in pair.others
    )
    return replace(pair, cloud_mask=pair.cloud_mask or word, others=others)
