# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Mix Transformers that start from weights trained on ImageNet."""

from collections.abc import Mapping
from typing import Any

import segmentation_models_pytorch as smp
import torch
from huggingface_hub import hf_hub_download
from safetensors.torch import load_file
from torch import Tensor, nn

from ...files import expanded, load_fault
from ..inputs import OpticalSARModel
from .mix_transformer import FIRST_KERNEL, LinspaceOnCPU, MixTransformer


def read_encoder(encoder: str, weights: str) -> dict[str, Tensor]:
    """Get trained weights of a Mix Transformer.

    Args:
        encoder: ``'mit_b0'`` to ``'mit_b5'``.
        weights: ``'imagenet'`` for those of segmentation_models_pytorch, from the cache
            of the Hugging Face Hub or downloaded into it; or the path of a file with a
            state dict of that encoder: ``.safetensors``, or PyTorch's own format, which
            is read with ``weights_only=True``.

    Returns:
        The state dict of the encoder, without a classifier, on the CPU.

    Raises:
        FileNotFoundError: If the weights cannot be downloaded, or there is no such file.
        ValueError: If the file is not one of this encoder.
    """
    if weights == 'imagenet':
        return _checked(_download(encoder), encoder, weights)
    path = expanded(weights)
    if not path.is_file():
        raise FileNotFoundError(
            f"`encoder_weights={weights!r}` is not 'imagenet', and there is no such "
            f'file. {_how_to_get(encoder)}'
        )
    try:
        if path.suffix == '.safetensors':
            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:
        raise ValueError(
            f'`encoder_weights={weights!r}` cannot be read: {load_fault(error)}. '
            f'{_how_to_get(encoder)}'
        ) from error
    return _checked(state, encoder, weights)


def _download(encoder: str) -> dict[str, Tensor]:
    """The library's weights, from the cache of the hub or from its server."""
    source = _source(encoder)
    try:
        file = hf_hub_download(
            source['repo_id'], 'model.safetensors', revision=source['revision']
        )
    except Exception as error:
        # Of whichever client the hub's library has for its requests
        raise FileNotFoundError(
            f"`encoder_weights='imagenet'`: the weights of {encoder} are not in the "
            'cache of the Hugging Face Hub and could not be downloaded: '
            f'{load_fault(error)}. {_how_to_get(encoder)}'
        ) from error
    return load_file(file)


def _source(encoder: str) -> dict[str, str]:
    settings: dict[str, str] = smp.encoders.encoders[encoder]['pretrained_settings'][
        'imagenet'
    ]
    return settings


def _how_to_get(encoder: str) -> str:
    source = _source(encoder)
    return (
        f'On a machine with a network, `hf download {source["repo_id"]} '
        f'model.safetensors --revision {source["revision"]} --local-dir {encoder}` '
        f'makes {encoder}/model.safetensors. Copy it to where this machine reads it, '
        f'and give its path: `encoder_weights: /PATH/TO/{encoder}/model.safetensors`. '
        'Leave `encoder_weights` out to start at random.'
    )


def _checked(state: Any, encoder: str, weights: str) -> dict[str, Tensor]:
    """The state without its classifier, if it is one of that encoder."""
    with torch.device('meta'), LinspaceOnCPU():
        wanted = smp.encoders.get_encoder(encoder, weights=None).state_dict()
    found = {}
    if isinstance(state, Mapping):
        found = {k: v for k, v in state.items() if not str(k).startswith('head.')}
    wrong = [
        name
        for name in sorted(wanted.keys() | found.keys(), key=str)
        if name not in wanted
        or not isinstance(found.get(name), Tensor)
        or (name != FIRST_KERNEL and found[name].shape != wanted[name].shape)
    ]
    if wrong:
        raise ValueError(
            f'`encoder_weights={weights!r}` holds no {encoder}: {len(wrong)} tensors '
            f'are missing, unknown or of another shape {wrong[:3]}. Give a state dict '
            f'of that encoder alone. {_how_to_get(encoder)}'
        )
    return found


def _note_loaded(module: nn.Module, incompatible: Any) -> None:
    """Keep trained encoders out of a model that a state was loaded into; a hook."""
    module.pending_weights = None  # type: ignore[assignment]


class PretrainedModel(OpticalSARModel):
    """A model whose Mix Transformers may start from trained weights.

    The weights are read when the model is first called, or by :meth:`load_pretrained`,
    not when it is built. A state dict that is loaded before that takes their place: a
    checkpoint is used, and its fit resumed, without the file and without a network. On
    the meta device nothing is read either.

    Args:
        in_channels: Number of optical bands C.
        sar_channels: Number of SAR bands S.
        num_classes: Number of land-cover classes K.
        encoder: ``'mit_b0'`` to ``'mit_b5'``.
        encoder_weights: ``'imagenet'``, the path of a state dict of that encoder, or
            None to start at random.
    """

    def __init__(
        self,
        in_channels: int,
        sar_channels: int,
        num_classes: int,
        encoder: str,
        encoder_weights: str | None,
    ) -> None:
        super().__init__(in_channels, sar_channels, num_classes)
        self.encoder = encoder
        #: What is still to be read; None once it was, or where nothing is.
        self.pending_weights: str | None = encoder_weights
        if encoder_weights == 'None':
            # What the command line makes of null in a dictionary
            self.pending_weights = None
        hook: Any = self.register_load_state_dict_post_hook
        hook(_note_loaded)

    def load_encoders(self, state: Mapping[str, Tensor]) -> None:
        """Start every :class:`.MixTransformer` of the model from trained weights.

        Args:
            state: The state dict of one encoder of the library, for RGB images.
        """
        for module in self.modules():
            if isinstance(module, MixTransformer):
                module.load_trained(state)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def load_pretrained(self) -> None:
        """Read the weights now, unless they were, or a state dict took their place.

        Call it before anything copies the weights of an untrained model, such as an
        average of them, and before an export.

        Raises:
            FileNotFoundError: If the weights cannot be downloaded, or there is no such
                file.
            ValueError: If the file is not one of the encoder.
        """
        # Any: the library makes the first kernel in memory on the meta device as well
        if self.pending_weights is None or any(p.is_meta for p in self.parameters()):
            return
        self.load_encoders(read_encoder(self.encoder, self.pending_weights))
        self.pending_weights = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model, from trained weights on where they are asked for."""
        # Not in a hook, which `Module.compile` would compile
        if self.pending_weights is not None:
            self.load_pretrained()
        return super().__call__(*args, **kwargs)
