# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

import pytest
import torch
from model_checks import (
    check_autocast,
    check_compiles,
    check_gradients,
    check_memory_formats,
    check_outputs,
    check_refuses,
    check_same,
    check_sar_of_each_chip,
    exported,
    on_meta,
    pair,
)

from torchgeo_tdpcr.models import (
    TDPCR,
    ConcatFusion,
    ContextSegmentationDecoder,
    NAFBlock,
    PromptBlend,
    PromptGenerator,
    PromptGuidedFusion,
    get_model,
    list_models,
    register_model,
)

SMALL = {'dims': (8, 16, 32), 'depths': (1, 1, 1)}


def trained(**kwargs: object) -> TDPCR:
    """A model whose residual scales are not zero, so that every block matters."""
    torch.manual_seed(0)
    model = TDPCR(**{**SMALL, **kwargs}).eval()  # type: ignore[arg-type]
    for name, parameter in model.named_parameters():
        if name.endswith('_scale'):
            torch.nn.init.normal_(parameter, std=0.5)
    return model


@pytest.mark.parametrize(
    ('num_classes', 'parameters', 'gflops'),
    [(None, 5_918_741, 34.11), (7, 5_953_916, 38.00)],
)
def test_figures_of_table_1(
    num_classes: int | None, parameters: int, gflops: float
) -> None:
    _, count, counter = on_meta(lambda: TDPCR(num_classes=num_classes))
    assert count == parameters
    assert round(counter.get_total_flops() / 1e9, 2) == gflops


def test_phase_2_trains_a_small_part() -> None:
    model = TDPCR(num_classes=7)
    part = sum(p.numel() for m in model.task_modules() for p in m.parameters())
    assert part == 258_575


def test_literal_head() -> None:
    plain = sum(p.numel() for p in TDPCR().parameters())
    model = TDPCR(num_classes=7, head='literal')
    head = sum(p.numel() for p in model.parameters()) - plain
    # 3×3 convolutions from 32, 64 and 128 channels to 8, then 24 to 7
    assert head == 9 * 8 * (32 + 64 + 128) + 3 * 8 + 24 * 7 + 7
    assert model(*pair(1, 64, 64))['logits'].shape == (1, 7, 64, 64)


@pytest.mark.parametrize('stages', [1, 2, 4])
def test_context_head(stages: int) -> None:
    """It reads every map of the decoder, at the smallest image that a model takes."""
    sizes = {'dims': (4, 8, 8, 8)[:stages], 'depths': (1,) * stages}
    model = TDPCR(num_classes=3, head='context', **sizes)
    side = model.smallest
    model(*pair(1, side, side))['logits'].square().sum().backward()
    read = [model.bottleneck, *model.up_levels, model.segmentation_decoder]
    assert all(
        any(p.grad is not None and p.grad.any() for p in part.parameters())
        for part in read
    )


def test_context_head_looks_around() -> None:
    """What is far away counts, other than with one 3×3 convolution over smooth maps."""
    head = ContextSegmentationDecoder([8, 8, 8], num_classes=3).eval()
    # New blocks are the identity
    for name, value in head.named_parameters():
        if name.endswith('_scale'):
            torch.nn.init.ones_(value)
    maps = [torch.rand(1, 8, 64 // n, 64 // n, requires_grad=True) for n in (1, 2, 4)]
    head(maps)[0, :, 0, 0].sum().backward()
    assert all(m.grad is not None and m.grad[0, :, -1, -1].any() for m in maps)


@pytest.mark.parametrize('fusion', ['both', 'global', 'local', 'concat'])
@pytest.mark.parametrize('prompt', ['image', 'blind', None])
def test_ablations_learn(fusion: str, prompt: str | None) -> None:
    model = TDPCR(**SMALL, num_classes=3, fusion=fusion, prompt=prompt)  # type: ignore[arg-type]
    out = model(*pair())
    assert ('prompt' in out) == (prompt is not None and fusion in ('both', 'local'))
    (out['reconstruction'].mean() + out['logits'].mean()).backward()
    used = [p for p in model.parameters() if p.grad is not None]
    assert len(used) == len(list(model.parameters()))


def test_blind_prompt_is_the_same_for_every_image() -> None:
    model = TDPCR(**SMALL, prompt='blind').eval()
    image, sar = pair()
    prompt = model(image, sar)['prompt']
    torch.testing.assert_close(model(1 - image, sar)['prompt'], prompt)
    torch.testing.assert_close(prompt[0], prompt[1])
    assert prompt.std() > 0


@pytest.mark.parametrize(('height', 'width'), [(1, 1), (3, 50), (33, 32), (70, 9)])
def test_any_size(height: int, width: int) -> None:
    out = trained(num_classes=3)(*pair(1, height, width))
    check_outputs(out, 1, height, width, reconstruction=13, prompt=8, logits=3)


def test_what_the_last_convolution_predicts() -> None:
    image, sar = pair()
    direct = trained()
    restored = direct(image, sar)['reconstruction']
    correction = trained(output='residual')(image, sar)['reconstruction']
    torch.testing.assert_close(correction - restored, image)
    model = trained(output='blend')
    assert model.blend is not None
    # Beside the blend, which starts with half of each
    model.load_state_dict(direct.state_dict(), strict=False)
    torch.testing.assert_close(
        model(image, sar)['reconstruction'], (image + restored) / 2
    )
    for parameter in model.blend.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    out = model(image, sar)
    blend, model.blend = model.blend, None
    torch.testing.assert_close(
        blend(model(image, sar)['reconstruction'], image, out['prompt']),
        out['reconstruction'],
    )


def test_blend_is_steered_by_the_prompt_for_each_band() -> None:
    torch.manual_seed(0)
    blend = PromptBlend(3, 2).eval()
    for parameter in blend.parameters():
        torch.nn.init.normal_(parameter)
    restored, cloudy = torch.rand(2, 1, 3, 6, 5)
    prompt = torch.rand(1, 2, 6, 5)
    around = torch.nn.functional.pad(prompt, (1, 1, 1, 1), mode='reflect')

    def at(layer: torch.nn.Conv2d, band: int, row: int, column: int) -> torch.Tensor:
        seen = around[0, :, row : row + 3, column : column + 3]
        assert layer.bias is not None
        return (layer.weight[band] * seen).sum() + layer.bias[band]

    out = blend(restored, cloudy, prompt)
    for band, row, column in ((0, 0, 0), (2, 3, 4), (1, 5, 2)):
        where = (0, band, row, column)
        w = torch.sigmoid(5 * at(blend.weight, band, row, column))
        r = restored[where] + at(blend.addition, band, row, column)
        torch.testing.assert_close(out[where], w * cloudy[where] + (1 - w) * r)


def test_blend_leaves_out_the_cloudy_image_of_a_part_while_it_trains() -> None:
    torch.manual_seed(0)
    blend = PromptBlend(3, dropped=0.25).train()
    restored, cloudy = torch.zeros(400, 3, 4, 4), torch.ones(400, 3, 4, 4)
    out = blend(restored, cloudy, torch.rand(400, 8, 4, 4))
    values = out.amax((1, 2, 3))
    # Whole images, either way
    torch.testing.assert_close(values, out.amin((1, 2, 3)))
    assert set(values.tolist()) == {0.0, 0.5}
    assert 60 < (values == 0).sum() < 140


def test_blend_costs_two_convolutions_of_the_prompt() -> None:
    count = sum(p.numel() for p in TDPCR(output='blend').parameters())
    assert count - 5_918_741 == 2 * (8 * 13 * 9 + 13)


@pytest.mark.parametrize('output', ['direct', 'blend', 'residual'])
def test_every_output_learns_exports_and_compiles(output: str) -> None:
    model = trained(output=output, num_classes=3)
    sum(value.square().mean() for value in model(*pair()).values()).backward()
    check_gradients(model)
    program = export(model).module()
    check_same(program, model, pair(3, 16, 40), atol=1e-5, rtol=1e-4)
    check_compiles(model, pair(1, 30, 32), 'aot_eager')


def test_borders_are_mirrored() -> None:
    """Zeros beyond the borders of a flat image would be seen in its outermost pixels."""
    # One stage: up-sampling makes a pattern of its own, also within
    model = trained(num_classes=3, output='blend', dims=(8,), depths=(2,))
    image, sar = torch.full((1, 13, 12, 18), 0.3), torch.full((1, 2, 12, 18), 0.6)
    for name, value in model(image, sar).items():
        inner = value[..., 6:7, 9:10].expand_as(value)
        torch.testing.assert_close(value, inner, atol=1e-5, rtol=0, msg=name)
    for head in ('table1', 'literal', 'context'):
        whole = trained(num_classes=3, output='blend', head=head)
        layers = [m for m in whole.modules() if isinstance(m, torch.nn.Conv2d)]
        wide = [layer for layer in layers if layer.kernel_size == (3, 3)]
        assert {layer.padding_mode for layer in wide} == {'reflect'}, head


def test_sar_matters_everywhere_and_batch_samples_do_not_mix() -> None:
    check_sar_of_each_chip(trained(), pair())


def test_channels_last_in_and_out() -> None:
    model = trained()
    check_memory_formats(model, pair())
    out = model(*pair())['reconstruction']
    assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast(dtype: torch.dtype) -> None:
    error = 0.05 if dtype == torch.bfloat16 else 0.01
    for arguments in ({}, {'output': 'blend', 'head': 'context', 'uncertainty': True}):
        check_autocast(trained(num_classes=3, **arguments), pair(), error, dtype)


def test_what_is_handed_on_is_not_rounded_in_mixed_precision() -> None:
    model = TDPCR(output='blend')
    torch.nn.init.constant_(model.blend.weight.bias, 100)
    image, sar = pair()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = model.eval()(image, sar)['reconstruction']
    assert torch.equal(out, image)


def test_compiles_without_graph_breaks() -> None:
    check_compiles(trained(num_classes=3), pair(1, 30, 32), 'aot_eager')


def export(model: TDPCR) -> torch.export.ExportedProgram:
    batch = torch.export.Dim('batch', min=1, max=64)
    rows = torch.export.Dim('rows', min=2, max=1024)
    columns = torch.export.Dim('columns', min=2, max=1024)
    sizes = {0: batch, 2: model.stride * rows, 3: model.stride * columns}
    return exported(model, pair(2, 32, 44), sizes)


SIZES = ((2, 32, 44), (1, 64, 36), (3, 16, 40))


def test_exports_with_dynamic_batch_height_and_width() -> None:
    model = trained(num_classes=3)
    program = export(model).module()
    for size in SIZES:
        check_same(program, model, pair(*size), atol=1e-5, rtol=1e-4)


@pytest.mark.skipif(
    torch.__version__.startswith('2.6.'),
    reason='torch 2.6 cannot decompose addcmul where sizes vary',
)
def test_onnx(tmp_path) -> None:  # type: ignore[no-untyped-def]
    runtime = pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    model = trained(num_classes=3)
    path = tmp_path / 'model.onnx'
    torch.onnx.export(export(model), (), path, dynamo=True, verbose=False)
    session = runtime.InferenceSession(path, providers=['CPUExecutionProvider'])
    names = [i.name for i in session.get_inputs()]
    for size in SIZES:
        image, sar = pair(*size)
        feed = dict(zip(names, (image.numpy(), sar.numpy()), strict=True))
        out = session.run(None, feed)
        for value, expected in zip(out, model(image, sar).values(), strict=True):
            torch.testing.assert_close(
                torch.from_numpy(value), expected.detach(), atol=1e-4, rtol=1e-3
            )


@pytest.mark.parametrize(
    ('image', 'sar', 'named'),
    [
        ((1, 12, 8, 8), (1, 2, 8, 8), '`image`'),
        ((1, 13, 8, 8), (1, 1, 8, 8), '`image_sar`'),
        ((13, 8, 8), (1, 2, 8, 8), '`image`'),
        ((1, 13, 8, 8), (1, 2, 8, 9), 'one grid'),
    ],
)
def test_wrong_inputs(image: tuple, sar: tuple, named: str) -> None:
    check_refuses(TDPCR(**SMALL), image, sar, named)


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        ({'dims': (8, 16), 'depths': (1,)}, 'dims'),
        ({'fusion': 'sum'}, 'fusion'),
        ({'head': 'big'}, 'head'),
        ({'output': 'sum'}, 'output'),
        ({'output': 'blend', 'prompt': None}, '`prompt=None`'),
        ({'output': 'blend', 'fusion': 'global'}, "`fusion='global'`"),
    ],
)
def test_wrong_arguments(arguments: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        TDPCR(**arguments)


def test_weights_from_before_are_refused() -> None:
    state = TDPCR(**SMALL).state_dict()
    TDPCR(**SMALL).load_state_dict(state)
    # A file of tensors alone, which says nothing of versions
    TDPCR(**SMALL).load_state_dict(dict(state))
    state._metadata['']['version'] = 1  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match='train anew'):
        TDPCR(**SMALL).load_state_dict(state)


def test_nafblock_starts_as_the_identity() -> None:
    x = torch.rand(1, 8, 5, 7)
    torch.testing.assert_close(NAFBlock(8)(x), x)


def test_prompt_generator_is_three_convolutions() -> None:
    generator = PromptGenerator(4, prompt_channels=5)
    convolutions = [m for m in generator.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [c.kernel_size for c in convolutions] == [(3, 3)] * 3
    assert generator(torch.rand(1, 4, 6, 6)).shape == (1, 5, 6, 6)


@pytest.mark.parametrize('branches', ['both', 'global', 'local'])
def test_fusion_is_equations_2_to_8(branches: str) -> None:
    """Against the equations as the paper writes them: two logits and a softmax."""
    torch.manual_seed(0)
    fuse = PromptGuidedFusion(4, 8, branches=branches)  # type: ignore[arg-type]
    fuse.keep_attention = True
    optical, sar, prompt = (
        torch.randn(2, 4, 6, 6),
        torch.randn(2, 4, 6, 6),
        torch.randn(2, 8, 12, 12),
    )
    logits = torch.zeros(2, 8, 6, 6)
    if fuse.global_branch is not None:
        pooled = torch.nn.functional.adaptive_avg_pool2d(optical + sar, 1)
        logits = logits + fuse.global_branch(pooled)
    if fuse.local_branch is not None:
        resized = torch.nn.functional.interpolate(prompt, (6, 6), mode='bilinear')
        logits = logits + fuse.local_branch(resized)
    alpha = logits.reshape(2, 2, 4, 6, 6).softmax(1)
    fused = alpha[:, 0] * optical + alpha[:, 1] * sar
    expected = optical + fuse.align(fused)
    torch.testing.assert_close(fuse(optical, sar, prompt), expected)
    assert fuse.attention is not None
    torch.testing.assert_close(fuse.attention, alpha)
    torch.testing.assert_close(fuse.attention.sum(1), torch.ones(2, 4, 6, 6))


def test_fusion_rejects_unknown_branches() -> None:
    with pytest.raises(ValueError, match='branches'):
        PromptGuidedFusion(4, branches='neither')  # type: ignore[arg-type]


def test_concat_fusion_uses_both_streams() -> None:
    fuse = ConcatFusion(4)
    optical = torch.randn(1, 4, 5, 5)
    first, second = (fuse(optical, torch.randn(1, 4, 5, 5)) for _ in range(2))
    assert not torch.equal(first, second)


def test_registry() -> None:
    assert {'tdpcr', 'tdpcr_small'} <= set(list_models())
    assert get_model('tdpcr_small', num_classes=3).num_classes == 3
    with pytest.raises(ValueError, match='not registered'):
        get_model('unknown')
    with pytest.raises(ValueError, match='registered already'):
        register_model('tdpcr')(torch.nn.Identity)


@pytest.mark.parametrize('fusion', ['both', 'global', 'local', 'concat'])
def test_without_radar(fusion: str) -> None:
    """It sees no radar, has no encoder for it, and every parameter learns."""
    small = {'dims': (8, 16), 'depths': (1, 1), 'fusion': fusion, 'num_classes': 7}
    model = TDPCR(sar_channels=0, **small)
    assert not any(name.startswith('sar') for name, _ in model.named_parameters())
    image, sar = pair(2, 21, 30)
    with torch.no_grad():
        out, other = model(image, sar), model(image, sar[:, :0])
    torch.testing.assert_close(out, other, rtol=0, atol=0)
    outputs = model(image, sar)
    sum(value.square().mean() for value in outputs.values()).backward()
    check_gradients(model, nonzero=False)
