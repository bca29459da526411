# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""The losses against Eqs. 11 and 12 written out, and their gradients."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.image import structural_similarity_index_measure

from torchgeo_tdpcr.losses import JointLoss, ReconstructionLoss

CLASSES = 4


@pytest.fixture
def images() -> tuple[Tensor, Tensor]:
    """A target and a noisy copy."""
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(2, 3, 16, 12, generator=generator)
    noise = torch.randn(2, 3, 16, 12, generator=generator)
    return target + 0.1 * noise, target


@pytest.fixture
def labels() -> tuple[Tensor, Tensor]:
    """Logits and a mask with some pixels ignored."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, CLASSES, 16, 12, generator=generator)
    mask = torch.randint(0, CLASSES, (2, 16, 12), generator=generator)
    mask[torch.rand(mask.shape, generator=generator) < 0.2] = 255
    return logits, mask


@pytest.mark.parametrize('lambda_ssim', [0.0, 0.1, 1.0])
def test_equation_11(images: tuple[Tensor, Tensor], lambda_ssim: float) -> None:
    prediction, target = images
    ssim = structural_similarity_index_measure(prediction, target, data_range=1.0)
    assert isinstance(ssim, Tensor)
    expected = (prediction - target).abs().mean() + lambda_ssim * (1 - ssim)
    loss = ReconstructionLoss(lambda_ssim)(prediction, target)
    torch.testing.assert_close(loss, expected)


def test_data_range(images: tuple[Tensor, Tensor]) -> None:
    prediction, target = images
    ssim = structural_similarity_index_measure(prediction, target, data_range=2.0)
    assert isinstance(ssim, Tensor)
    expected = (prediction - target).abs().mean() + 0.1 * (1 - ssim)
    loss = ReconstructionLoss(data_range=2.0)(prediction, target)
    torch.testing.assert_close(loss, expected)


def test_identity_is_zero(images: tuple[Tensor, Tensor]) -> None:
    target = images[1]
    for image in (target, torch.zeros_like(target)):
        assert ReconstructionLoss()(image, image).item() == pytest.approx(0, abs=1e-7)


def test_gradient_of_reconstruction() -> None:
    generator = torch.Generator().manual_seed(2)
    target = torch.rand(1, 2, 6, 7, dtype=torch.double, generator=generator)
    # far enough from the target for finite differences of the absolute error
    step = 0.1 * torch.randint(0, 2, target.shape, generator=generator) - 0.05
    prediction = (target + step).requires_grad_()
    loss = ReconstructionLoss(lambda_ssim=0.5)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), prediction)


def test_gradient_at_identity_is_finite(images: tuple[Tensor, Tensor]) -> None:
    for image in (images[1], torch.zeros_like(images[1])):
        prediction = image.clone().requires_grad_()
        ReconstructionLoss()(prediction, image).backward()
        assert prediction.grad is not None
        assert prediction.grad.isfinite().all()


def test_descent_reaches_the_target(images: tuple[Tensor, Tensor]) -> None:
    prediction, target = images[0].clone().requires_grad_(), images[1]
    loss, optimizer = ReconstructionLoss(), torch.optim.Adam([prediction], lr=0.01)
    before = loss(prediction, target).item()
    for _ in range(30):
        optimizer.zero_grad()
        loss(prediction, target).backward()
        optimizer.step()
    assert loss(prediction, target).item() < 0.1 * before


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision(images: tuple[Tensor, Tensor], dtype: torch.dtype) -> None:
    prediction, target = images[0].to(dtype), images[1]
    expected = ReconstructionLoss()(prediction.float(), target)
    with torch.autocast('cpu', dtype):
        loss = ReconstructionLoss()(prediction, target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected)


def test_channels_last(images: tuple[Tensor, Tensor]) -> None:
    gradients = []
    for layout in (torch.contiguous_format, torch.channels_last):
        prediction, target = (x.clone(memory_format=layout) for x in images)
        prediction.requires_grad_()
        ReconstructionLoss()(prediction, target).backward()
        gradients.append(prediction.grad)
    torch.testing.assert_close(*gradients)


def test_small_images() -> None:
    image = torch.rand(1, 3, 5, 8)
    with pytest.raises(ValueError, match='5×8 pixels are too small for SSIM'):
        ReconstructionLoss()(image, image)
    assert ReconstructionLoss(lambda_ssim=0)(image, image).item() == 0
    one_more = torch.rand(1, 3, 6, 8)
    assert ReconstructionLoss()(one_more, one_more).item() == pytest.approx(0, abs=1e-7)


def test_equation_12(
    images: tuple[Tensor, Tensor], labels: tuple[Tensor, Tensor]
) -> None:
    (prediction, target), (logits, mask) = images, labels
    outputs = {'reconstruction': prediction, 'logits': logits}
    result = JointLoss(2.0, 3.0, 0.5)(outputs, target, mask)
    rec = ReconstructionLoss(0.5)(prediction, target)
    seg = F.cross_entropy(logits, mask, ignore_index=255, label_smoothing=0.1)
    torch.testing.assert_close(result['loss_rec'], rec)
    torch.testing.assert_close(result['loss_seg'], seg)
    torch.testing.assert_close(result['loss'], 2 * rec + 3 * seg)


@pytest.mark.parametrize('smoothing', [0.0, 0.1])
@pytest.mark.parametrize('weights', [None, (0.5, 1.0, 0.0, 3.0)])
def test_cross_entropy(
    labels: tuple[Tensor, Tensor], smoothing: float, weights: tuple[float, ...] | None
) -> None:
    logits, mask = labels
    loss = JointLoss(label_smoothing=smoothing, class_weights=weights)
    weight = None if weights is None else torch.tensor(weights)
    expected = F.cross_entropy(
        logits, mask, weight=weight, ignore_index=255, label_smoothing=smoothing
    )
    torch.testing.assert_close(loss.segmentation(logits, mask), expected)
    half = loss.segmentation(logits.bfloat16(), mask.to(torch.uint8))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, expected, rtol=0.01, atol=0)


@pytest.mark.parametrize('weights', [None, (1.0, 2.0, 3.0, 4.0)])
def test_all_ignored(
    images: tuple[Tensor, Tensor],
    labels: tuple[Tensor, Tensor],
    weights: tuple[float, ...] | None,
) -> None:
    logits = labels[0].clone().requires_grad_()
    prediction = images[0].clone().requires_grad_()
    outputs = {'reconstruction': prediction, 'logits': logits}
    mask = torch.full_like(labels[1], 255)
    result = JointLoss(class_weights=weights)(outputs, images[1], mask)
    assert result['loss_seg'].item() == 0
    torch.testing.assert_close(result['loss'], result['loss_rec'])
    result['loss'].backward()
    assert logits.grad is not None
    assert not logits.grad.any()
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()


def test_gradient_of_segmentation() -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(1, CLASSES, 2, 3, dtype=torch.double, generator=generator)
    mask = torch.tensor([[[0, 1, 255], [3, 2, 1]]])
    loss = JointLoss(class_weights=(0.5, 1.0, 2.0, 3.0))
    assert torch.autograd.gradcheck(
        lambda x: loss.segmentation(x, mask), logits.requires_grad_()
    )


def test_without_mask(
    images: tuple[Tensor, Tensor], labels: tuple[Tensor, Tensor]
) -> None:
    prediction, target = images
    rec = ReconstructionLoss()(prediction, target)
    for outputs in (
        {'reconstruction': prediction},
        {'reconstruction': prediction, 'logits': labels[0]},
    ):
        result = JointLoss()(outputs, target)
        torch.testing.assert_close(result['loss'], rec)
        assert result['loss_seg'].item() == 0


def test_class_weights_move_but_are_not_saved() -> None:
    loss = JointLoss(class_weights=torch.tensor([1.0, 2.0]))
    assert 'class_weights' in dict(loss.named_buffers())
    assert loss.double().class_weights.dtype == torch.double  # type: ignore[union-attr]
    assert not loss.state_dict()


def test_no_graph_breaks(
    images: tuple[Tensor, Tensor], labels: tuple[Tensor, Tensor]
) -> None:
    outputs = {'reconstruction': images[0], 'logits': labels[0]}
    loss = JointLoss(class_weights=(1.0, 2.0, 3.0, 4.0))
    expected = loss(outputs, images[1], labels[1])
    compiled = torch.compile(loss, backend='aot_eager', fullgraph=True)
    torch.testing.assert_close(compiled(outputs, images[1], labels[1]), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_cuda(images: tuple[Tensor, Tensor], labels: tuple[Tensor, Tensor]) -> None:
    loss = JointLoss(class_weights=(1.0, 2.0, 3.0, 4.0))
    outputs = {'reconstruction': images[0], 'logits': labels[0]}
    expected = loss(outputs, images[1], labels[1])
    on_device = {key: value.cuda() for key, value in outputs.items()}
    result = loss.cuda()(on_device, images[1].cuda(), labels[1].cuda())
    for key, value in result.items():
        torch.testing.assert_close(value.cpu(), expected[key], rtol=1e-4, atol=1e-5)


IMAGE = torch.rand(2, 3, 8, 8)
LOGITS = torch.zeros(2, CLASSES, 8, 8)
MASK = torch.zeros(2, 8, 8, dtype=torch.long)
BOTH = {'reconstruction': IMAGE, 'logits': LOGITS}


@pytest.mark.parametrize(
    ('outputs', 'target', 'mask', 'error', 'message'),
    [
        ({'logits': LOGITS}, IMAGE, MASK, KeyError, 'no `reconstruction`, only'),
        ({'reconstruction': IMAGE}, IMAGE, MASK, KeyError, 'no `logits`, only'),
        (BOTH, IMAGE[:1], MASK, ValueError, '`prediction` has shape'),
        (BOTH, IMAGE.long(), MASK, TypeError, '`target` is .*, not floating point'),
        (BOTH, IMAGE, MASK[:, :4], ValueError, '`mask` of shape'),
        (BOTH, IMAGE, MASK[:, None], ValueError, '`mask` of shape'),
        (BOTH, IMAGE, MASK.float(), TypeError, '`mask` is .*, not integer'),
        (BOTH, IMAGE, MASK + 9, ValueError, '`mask` holds the label 9'),
        (
            BOTH | {'logits': LOGITS.long()},
            IMAGE,
            MASK,
            TypeError,
            '`logits` are .*, not floating point',
        ),
    ],
)
def test_bad_input(
    outputs: dict[str, Tensor],
    target: Tensor,
    mask: Tensor,
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        JointLoss()(outputs, target, mask)


def test_wrong_number_of_class_weights() -> None:
    with pytest.raises(ValueError, match='`class_weights` are 2, but `logits` have 4'):
        JointLoss(class_weights=(1.0, 2.0))(BOTH, IMAGE, MASK)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'lambda_rec': -1.0}, '`lambda_rec=.*` must be'),
        ({'lambda_seg': float('nan')}, '`lambda_seg=.*` must be'),
        ({'lambda_ssim': -0.1}, '`lambda_ssim=.*` must be'),
        ({'label_smoothing': 1.1}, '`label_smoothing=.*` must be'),
        ({'class_weights': (1.0, -1.0)}, '`class_weights=.*` must be'),
        ({'class_weights': (0.0, 0.0)}, '`class_weights=.*` must be'),
        ({'class_weights': ((1.0, 1.0),)}, '`class_weights=.*` must be'),
        ({'class_weights': (1.0, float('inf'))}, '`class_weights=.*` must be'),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        JointLoss(**arguments)


def test_bad_data_range() -> None:
    with pytest.raises(ValueError, match=r'`data_range=.*` must be a positive number'):
        ReconstructionLoss(data_range=0.0)
