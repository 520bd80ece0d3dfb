from __future__ import annotations

import io
import json
import warnings
from dataclasses import replace

import click
import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from streamfilter.errors import ConfigError
from training.networks.build import build, kind_of, options_of
from training.networks.encoder import COMPACT, FULL, Encoder, EncoderConfig, levels_of, preset, resized
from training.networks.light import LightConfig, LightController

TINY = EncoderConfig(
    side=64, stem=8, stem_stride=1, widths=(8, 8, 16, 16), depths=(1, 1, 2, 1), lateral=16, head_width=8, style=16
)
NAMES = ("surroundings", "pose", "landmarks", "identity")


def inputs(count: int, side: int, config: EncoderConfig, seed: int = 0) -> tuple[Tensor, ...]:
    rng = torch.Generator().manual_seed(seed)
    return (
        torch.rand(count, 3, side, side, generator=rng) * 2 - 1,
        (torch.rand(count, 1, side, side, generator=rng) > 0.95).float(),
        torch.rand(count, 68, 2, generator=rng),
        torch.randn(count, config.n_styles, config.style, generator=rng),
    )


def stirred(module: nn.Module) -> nn.Module:
    """The module as after some training: no layer is zero."""
    rng = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data += 0.02 * torch.randn(parameter.shape, generator=rng)
    return module


def made(config: EncoderConfig, start: nn.Module | None = None) -> Encoder:
    torch.manual_seed(0)
    return Encoder(config, start)


def exported(module: nn.Module, values: tuple[Tensor, ...]) -> ort.InferenceSession:
    file, names = io.BytesIO(), NAMES[: len(values)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecation notes
        torch.onnx.export(
            module, values, file, opset_version=17, dynamo=False, input_names=list(names), output_names=["out"],
            dynamic_axes={name: {0: "n"} for name in (*names, "out")},
        )  # fmt: skip
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])


class Twice(nn.Module):
    """A start that is easily told from the identity."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))

    def forward(self, surroundings: Tensor, pose: Tensor, landmarks: Tensor, identity: Tensor) -> Tensor:
        return identity * self.factor + landmarks.mean()


@pytest.mark.parametrize("config", [TINY, COMPACT])
def test_training_begins_exactly_at_the_start(config):
    values, start = inputs(2, 128, config), Twice()
    assert torch.equal(made(config)(*values), values[3])
    assert torch.equal(made(config, start)(*values), start(*values))


def test_an_encoder_blind_to_the_identity_begins_at_the_average():
    config = replace(TINY, conditioned=False)
    average = torch.randn(16)
    encoder = Encoder(config, latent_avg=average)
    first, second = inputs(2, 64, config), inputs(2, 64, config, seed=9)[3]
    assert torch.equal(encoder(*first), average.expand(2, 23, 16))
    stirred(encoder)
    assert torch.equal(encoder(*first), encoder(*first[:3], second))
    assert not torch.equal(encoder(*first), average.expand(2, 23, 16))


@pytest.mark.parametrize("config", [TINY, COMPACT, replace(TINY, conditioned=False)])
def test_a_gradient_reaches_every_parameter(config):
    encoder = stirred(made(config)).train()
    (encoder(*inputs(2, 64, config)) ** 2).mean().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in encoder.parameters())


def test_from_zero_the_last_layers_learn_first():
    encoder = made(COMPACT).train()
    encoder(*inputs(2, 128, COMPACT)).square().mean().backward()
    assert all(styles.linear.weight.grad.abs().sum() > 0 for styles in encoder.map2style)


def test_start_is_frozen_and_stays_as_it_is_used():
    encoder = stirred(made(TINY, nn.Sequential(nn.Dropout(0.5))))
    assert not encoder.train().start.training
    encoder = made(TINY, Twice())
    encoder(*inputs(1, 64, TINY)).sum().backward()
    assert encoder.start.factor.grad is None


@pytest.mark.parametrize(("n_styles", "slots"), [(23, (7, 6, 10)), (18, (3, 4, 11)), (16, (3, 4, 9)), (14, (3, 4, 7))])
def test_slots_read_the_level_of_their_kind(n_styles, slots):
    config = preset("compact", n_styles)
    encoder = stirred(made(config))
    values = inputs(1, 128, config)
    assert config.slots == slots
    before = encoder(*values)
    levels = [slice(0, slots[0]), slice(slots[0], sum(slots[:2])), slice(sum(slots[:2]), n_styles)]
    for styles, changed in zip(encoder.map2style, levels, strict=True):
        styles.linear.bias.data += 1
        moved = (encoder(*values) - before).abs().amax((0, 2)) > 0.5
        assert moved[changed].all()
        assert moved.sum() == moved[changed].sum()
        styles.linear.bias.data -= 1


def test_the_coarse_level_is_the_smallest():
    encoder, sides = made(TINY), []
    for styles in encoder.map2style:
        styles.trunk.register_forward_pre_hook(lambda _, args: sides.append(args[0].shape[-1]))
    encoder(*inputs(1, 64, TINY))
    assert sides == [4, 8, 16]


def test_every_slot_is_moved_by_its_own_identity_alone():
    encoder = stirred(made(TINY))
    values = inputs(1, 64, TINY)
    other = values[3].clone()
    other[:, 5] += torch.randn(16, generator=torch.Generator().manual_seed(3))
    shift = encoder.shift(*values), encoder.shift(*values[:3], other)
    moved = (shift[0] - shift[1]).abs().amax((0, 2)) > 1e-4
    assert moved.nonzero().flatten().tolist() == [5]


def test_the_picture_the_pose_and_the_landmarks_all_count():
    encoder = stirred(made(COMPACT)).eval()
    values, others = inputs(1, 128, COMPACT), inputs(1, 128, COMPACT, seed=5)
    for index in range(3):
        changed = [*values]
        changed[index] = others[index]
        assert (encoder(*changed) - encoder(*values)).abs().max() > 1e-3


def test_the_brightness_of_the_surroundings_is_not_normalised_away():
    encoder = stirred(made(COMPACT)).eval()
    surroundings, *rest = inputs(1, 128, COMPACT)
    dim, bright = (encoder(surroundings * 0.2 + level, *rest) for level in (-0.6, 0.6))
    assert (dim - bright).square().mean() > 0.05 * (bright - rest[2]).square().mean()


def test_one_face_does_not_depend_on_the_others_of_its_batch():
    encoder = stirred(made(COMPACT)).train()
    values = inputs(3, 128, COMPACT)
    torch.testing.assert_close(encoder(*values)[1:2], encoder(*(value[1:2] for value in values)), atol=2e-5, rtol=1e-4)


def test_pictures_are_brought_to_the_side_that_the_network_looks_at():
    assert resized(torch.ones(1, 4, 256, 256), 128).shape[-1] == 128
    assert resized(torch.ones(1, 4, 64, 64), 128).shape[-1] == 128
    checked = (torch.arange(4)[:, None] + torch.arange(4)) % 2 * 1.0
    assert torch.equal(resized(checked[None, None], 2), torch.full((1, 1, 2, 2), 0.5))
    with pytest.raises(ConfigError, match="100 px cannot be brought to the encoder's 128"):
        resized(torch.ones(1, 4, 100, 100), 128)


def test_sizes_of_the_presets():
    with torch.device("meta"):
        compact, full = Encoder(COMPACT), Encoder(FULL)
    count = {name: sum(p.numel() for p in net.parameters()) for name, net in (("compact", compact), ("full", full))}
    assert count["compact"] <= 2.5e6
    assert 200e6 < count["full"] < 400e6
    # IR-SE-50: 24 bottlenecks of 64, 128, 256 and 512 channels, 43.8 million weights less its last layer's 12.8.
    assert 30e6 < sum(p.numel() for p in full.trunk.parameters()) < 32e6
    assert sum(len(stage) for stage in full.trunk.stages) == 24


def test_the_full_encoder_runs_at_its_own_side_when_narrow():
    config = replace(FULL, stem=4, widths=(4, 8, 8, 16), lateral=16, head_width=16, style=16, n_styles=18,
                     first_medium=3, first_fine=7)  # fmt: skip
    encoder = made(config)
    depths = [len(trunk.convs) for styles in encoder.map2style for trunk in styles.trunk.slots]
    assert depths == [4] * 3 + [5] * 4 + [6] * 11
    assert encoder(*inputs(1, 256, config)).shape == (1, 18, 16)


@pytest.mark.parametrize("config", [TINY, COMPACT])
def test_half_precision_stays_finite_and_near(config):
    encoder = stirred(made(config)).train()
    values = inputs(4, 128, config)
    whole = encoder(*values)
    with torch.autocast("cpu", torch.bfloat16):
        latent = encoder(*values)
        (latent - values[3]).square().mean().backward()
    assert latent.dtype == torch.float32
    assert all(p.grad.isfinite().all() for p in encoder.parameters())
    shift = whole - values[3]
    assert (latent - whole).square().mean() < 0.01 * shift.square().mean()


def test_a_step_down_the_gradient_lowers_the_error():
    encoder = made(COMPACT).train()
    values, target = inputs(4, 128, COMPACT), torch.randn(4, 23, 512, generator=torch.Generator().manual_seed(7))
    optimizer = torch.optim.Adam((p for p in encoder.parameters() if p.requires_grad), 1e-3)
    errors = []
    for _ in range(6):
        error = (encoder(*values) - target).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("side", [64, 128, 256])
def test_the_export_agrees_for_any_batch(side):
    encoder = stirred(made(COMPACT)).eval()
    session = exported(encoder, inputs(2, side, COMPACT))
    for count in (1, 3):
        values = inputs(count, side, COMPACT, seed=count)
        feed = {name: value.numpy() for name, value in zip(NAMES, values, strict=True)}
        got = session.run(None, feed)[0]
        np.testing.assert_allclose(got, encoder(*values).detach().numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"widths": (8, 8)}, "widths"), ({"side": 100}, "side"), ({"side": 32}, "4 px or more"),
        ({"first_fine": 23}, "slots must split"), ({"heads": "none"}, "heads are gradual or shared"),
    ],
)  # fmt: skip
def test_sizes_that_cannot_work_are_refused(wrong, says):
    with pytest.raises(ConfigError, match=says):
        replace(TINY, **wrong)


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="no encoder preset 'huge'"):
        preset("huge")
    with pytest.raises(ConfigError, match="17 styles; known are 14, 16, 18, 23"):
        levels_of(17)
    with pytest.raises(click.ClickException, match="no model of kind 'diffusion'"):
        build("diffusion", {})
    with pytest.raises(click.ClickException, match="unknown option depth"):
        build("encoder", {"config": {"depth": 3}})
    with pytest.raises(click.ClickException, match="slots must split"):
        build("encoder", {"config": {"first_fine": 40}})
    with pytest.raises(click.ClickException, match="a Twice cannot be described"):
        options_of(Twice())


@pytest.mark.parametrize(
    "model",
    [
        LightController(LightConfig(hidden=16)),
        Encoder(TINY),
        Encoder(replace(COMPACT, head_width=16), LightController(LightConfig(hidden=16))),
    ],
    ids=["light", "encoder", "encoder on light"],
)
def test_a_checkpoint_can_describe_its_model(model):
    options = json.loads(json.dumps(options_of(model)))
    assert options == options_of(model)
    again = build(kind_of(model), options)
    again.load_state_dict(stirred(model).state_dict())
    config = EncoderConfig() if kind_of(model) == "light" else model.config
    values = inputs(1, 64, config)
    assert torch.equal(again.eval()(*values), model.eval()(*values))
    assert options_of(again) == options
