"""The StyleGAN2 decoder against its formulas written out: one weight per face, zero insertion, filters tap by tap."""

from __future__ import annotations

import io
import math
import warnings
from argparse import Namespace
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.generator.networks import Decoder, Mapping, seeded_z
from training.generator.vet import PSI
from training.networks.decoders import PaintingDecoder, load_decoder
from training.networks.encoder import Encoder, preset
from training.networks.stylegan2_checkpoint import expected

KERNEL = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64
Weights = dict[str, Tensor]


def drawn(side: int, channels: list[int], layers: int = 8, seed: int = 0) -> Weights:
    """Random weights in rosinality's layout; `channels` of the sides 4, 8, ..."""
    rng = torch.Generator().manual_seed(seed)
    weights: Weights = {}

    def put(name: str, *shape: int, scale: float = 1.0, mean: float = 0.0) -> None:
        weights[name] = torch.randn(*shape, generator=rng) * scale + mean

    def conv(name: str, i: int, o: int, kernel: int) -> None:
        put(f"{name}.conv.weight", 1, o, i, kernel, kernel)
        put(f"{name}.conv.modulation.weight", i, 512)
        put(f"{name}.conv.modulation.bias", i, scale=0.1, mean=1)

    def styled(name: str, i: int, o: int) -> None:
        conv(name, i, o, 3)
        put(f"{name}.noise.weight", 1, scale=0.1)
        put(f"{name}.activate.bias", o, scale=0.3)

    def to_rgb(name: str, i: int) -> None:
        conv(name, i, 3, 1)
        put(f"{name}.bias", 1, 3, 1, 1, scale=0.3)

    for k in range(1, layers + 1):
        put(f"style.{k}.weight", 512, 512, scale=100)
        put(f"style.{k}.bias", 512, scale=20)
    put("input.input", 1, channels[0], 4, 4)
    styled("conv1", channels[0], channels[0])
    to_rgb("to_rgb1", channels[0])
    put("noises.noise_0", 1, 1, 4, 4)
    for k, (i, o) in enumerate(pairwise(channels)):
        styled(f"convs.{2 * k}", i, o)
        styled(f"convs.{2 * k + 1}", o, o)
        to_rgb(f"to_rgbs.{k}", o)
        weights[f"convs.{2 * k}.conv.blur.kernel"] = KERNEL * 4
        weights[f"to_rgbs.{k}.upsample.kernel"] = KERNEL * 4
        put(f"noises.noise_{2 * k + 1}", 1, 1, 2 ** (k + 3), 2 ** (k + 3))
        put(f"noises.noise_{2 * k + 2}", 1, 1, 2 ** (k + 3), 2 ** (k + 3))
    assert 2 ** (len(channels) + 1) == side
    return weights


def saved(path: Path, state: dict) -> Path:
    torch.save(state, path)
    return path


# The reference, as the formulas stand in the papers and in rosinality's model; slow and plain on purpose.


def reference_upfirdn(x: Tensor, kernel: Tensor, up: int, pad: tuple[int, int]) -> Tensor:
    """Zeros in between, zeros around, then the flipped kernel tap by tap."""
    n, c, h, w = x.shape
    spread = x.new_zeros(n, c, h * up, w * up)
    spread[:, :, ::up, ::up] = x
    spread = F.pad(spread, [*pad, *pad])
    rows, columns = spread.shape[2] - 3, spread.shape[3] - 3
    flipped = kernel.flip(0, 1)
    return sum(flipped[i, j] * spread[:, :, i : i + rows, j : j + columns] for i in range(4) for j in range(4))


def reference_linear(x: Tensor, weight: Tensor, bias: Tensor, rate: float = 1.0) -> Tensor:
    return x @ (weight * (rate / math.sqrt(weight.shape[1]))).T + bias * rate


def reference_act(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x) * math.sqrt(2)


def reference_modulated(
    p: Weights, name: str, x: Tensor, style: Tensor, *, up: bool = False, demodulate: bool = True
) -> Tensor:
    """Each face has weights of its own: a convolution with one group per face."""
    scale = reference_linear(style, p[f"{name}.modulation.weight"], p[f"{name}.modulation.bias"])
    weight = p[f"{name}.weight"] / math.sqrt(p[f"{name}.weight"][0, 0].numel()) * scale[:, None, :, None, None]
    if demodulate:
        weight = weight / (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    n, o, i, k, _ = weight.shape
    x = x.reshape(1, n * i, *x.shape[2:])
    if not up:
        x = F.conv2d(x, weight.reshape(n * o, i, k, k), padding=k // 2, groups=n)
        return x.reshape(n, o, *x.shape[2:])
    x = F.conv_transpose2d(x, weight.transpose(1, 2).reshape(n * i, o, k, k), stride=2, groups=n)
    return reference_upfirdn(x.reshape(n, o, *x.shape[2:]), KERNEL * 4, 1, (1, 1))


def reference_styled(p: Weights, name: str, x: Tensor, style: Tensor, noise: Tensor | None, *, up: bool) -> Tensor:
    x = reference_modulated(p, f"{name}.conv", x, style, up=up)
    if noise is not None:
        x = x + p[f"{name}.noise.weight"] * noise
    return reference_act(x + p[f"{name}.activate.bias"].reshape(1, -1, 1, 1))


def reference_paint(p: Weights, latent: Tensor, noise: bool = False) -> Tensor:
    def fixed(index: int) -> Tensor | None:
        return p[f"noises.noise_{index}"] if noise else None

    def colours(name: str, x: Tensor, style: Tensor) -> Tensor:
        return reference_modulated(p, f"{name}.conv", x, style, demodulate=False) + p[f"{name}.bias"]

    x = p["input.input"].repeat(len(latent), 1, 1, 1)
    x = reference_styled(p, "conv1", x, latent[:, 0], fixed(0), up=False)
    picture, slot = colours("to_rgb1", x, latent[:, 1]), 1
    for k in range(latent.shape[1] // 2 - 1):
        x = reference_styled(p, f"convs.{2 * k}", x, latent[:, slot], fixed(2 * k + 1), up=True)
        x = reference_styled(p, f"convs.{2 * k + 1}", x, latent[:, slot + 1], fixed(2 * k + 2), up=False)
        picture = reference_upfirdn(picture, KERNEL * 4, 2, (2, 1)) + colours(f"to_rgbs.{k}", x, latent[:, slot + 2])
        slot += 2
    return picture


def reference_map(p: Weights, z: Tensor, layers: int = 8) -> Tensor:
    w = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for k in range(1, layers + 1):
        w = reference_act(reference_linear(w, p[f"style.{k}.weight"], p[f"style.{k}.bias"], 0.01))
    return w


CHANNELS = [12, 12, 10, 8, 8, 6, 4]


@pytest.fixture(scope="module")
def weights() -> Weights:
    return drawn(256, CHANNELS)


@pytest.fixture(scope="module")
def path(weights, tmp_path_factory) -> Path:
    average = torch.randn(512, generator=torch.Generator().manual_seed(3))
    state = {"g_ema": weights, "latent_avg": average, "args": Namespace(size=256)}
    return saved(tmp_path_factory.mktemp("stylegan2") / "g.pt", state)


@pytest.fixture(scope="module")
def decoder(path) -> PaintingDecoder:
    return load_decoder(path)


def latents(count: int, n_styles: int, seed: int = 4) -> Tensor:
    return torch.randn(count, n_styles, 512, generator=torch.Generator().manual_seed(seed))


def test_it_paints_what_the_formulas_say(decoder, weights):
    latent = latents(3, 14)
    assert (decoder.n_styles, decoder.sides) == (14, (64, 128, 256))
    torch.testing.assert_close(decoder.paint(latent, 256), reference_paint(weights, latent), atol=1e-4, rtol=1e-5)


def test_its_fixed_noise_is_the_checkpoints(path, weights):
    latent = latents(1, 14)
    painted = load_decoder(path, noise=True).paint(latent, 256)
    torch.testing.assert_close(painted, reference_paint(weights, latent, noise=True), atol=1e-4, rtol=1e-5)
    assert (painted - reference_paint(weights, latent)).abs().max() > 1e-2


def test_every_slot_counts_and_only_for_its_own_face(decoder):
    latent = latents(2, 14)
    before = decoder.paint(latent, 64)
    for slot in range(14):
        moved = latent.clone()
        moved[1, slot] += 1
        difference = (decoder.paint(moved, 64) - before).abs().amax((1, 2, 3))
        assert difference[1] > 1e-3
        assert difference[0] < 1e-5


def test_smaller_sides_are_the_picture_averaged(decoder):
    latent = latents(1, 14)
    whole = decoder.paint(latent, 256).reshape(1, 3, 64, 4, 64, 4).mean((3, 5))
    torch.testing.assert_close(decoder.paint(latent, 64), whole)
    with pytest.raises(ValueError, match="64, 128, 256 px, asked was 512"):
        decoder.paint(latent, 512)


def test_identities_are_its_own_mapping_drawn_to_the_average(decoder, weights):
    z = seeded_z(4, 1)
    average = decoder.latent_avg
    want = average + PSI * (reference_map(weights, z) - average)
    got = decoder.identities()(z)
    assert got.shape == (4, 14, 512)
    torch.testing.assert_close(got, want[:, None].expand(-1, 14, -1), atol=1e-4, rtol=1e-4)


def test_frozen_but_the_gradient_passes_through(decoder):
    latent = latents(2, 14).requires_grad_()
    decoder.paint(latent, 128).square().mean().backward()
    assert latent.grad.abs().amax(2).min() > 0
    assert not any(parameter.requires_grad for parameter in decoder.parameters())


def test_psp_checkpoints_hold_the_same_generator(decoder, weights, tmp_path):
    inner = {f"decoder.{name}": value for name, value in weights.items()} | {
        "encoder.input_layer.0.weight": torch.ones(3)
    }
    state = {"state_dict": inner, "latent_avg": decoder.latent_avg.repeat(14, 1), "opts": {"output_size": 256}}
    psp = load_decoder(saved(tmp_path / "psp.pt", state))
    latent = latents(1, 14)
    assert torch.equal(psp.paint(latent, 256), decoder.paint(latent, 256))
    torch.testing.assert_close(psp.latent_avg, decoder.latent_avg)


def test_half_precision_checkpoints_and_fewer_mapping_layers_load(tmp_path):
    weights = {name: value.half() for name, value in drawn(256, [4] * 7, layers=2).items()}
    decoder = load_decoder(saved(tmp_path / "half.pt", {"g_ema": weights, "latent_avg": torch.zeros(512).half()}))
    latent = latents(1, 14)
    want = reference_paint({name: value.float() for name, value in weights.items()}, latent)
    torch.testing.assert_close(decoder.paint(latent, 256), want, atol=1e-4, rtol=1e-5)
    assert decoder.mapping.depth == 2


def test_without_an_average_it_is_measured(weights, tmp_path):
    decoder = load_decoder(saved(tmp_path / "g.pt", {"g_ema": drawn(256, [4] * 7, layers=1)}))
    w = decoder.mapping(seeded_z(2000, 5))
    assert (decoder.latent_avg - w.mean(0)).abs().max() < 0.2 * w.std()


def test_1024_px_has_18_slots(tmp_path):
    weights = drawn(1024, [6, 6, 6, 4, 4, 4, 2, 2, 2], layers=1)
    decoder = load_decoder(saved(tmp_path / "g.pt", {"g_ema": weights, "latent_avg": torch.zeros(512)}))
    assert (decoder.n_styles, decoder.sides) == (18, (64, 128, 256, 512, 1024))
    assert decoder.paint(latents(1, 18), 1024).shape == (1, 3, 1024, 1024)
    assert decoder.paint(latents(1, 18), 128).shape == (1, 3, 128, 128)


class Painter(nn.Module):
    """Encoder and decoder in one graph."""

    def __init__(self, encoder: Encoder, decoder: PaintingDecoder, side: int) -> None:
        super().__init__()
        self.encoder, self.decoder, self.side = encoder, decoder, side

    def forward(self, surroundings: Tensor, pose: Tensor, landmarks: Tensor, identity: Tensor) -> Tensor:
        return self.decoder.paint(self.encoder(surroundings, pose, landmarks, identity), self.side)


def inputs(count: int, side: int, n_styles: int) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(count)
    return {
        "surroundings": torch.rand(count, 3, side, side, generator=rng) * 2 - 1,
        "pose": (torch.rand(count, 1, side, side, generator=rng) > 0.95).float(),
        "landmarks": torch.rand(count, 68, 2, generator=rng),
        "identity": latents(count, n_styles, seed=count),
    }


def exported(module: nn.Module, values: dict[str, Tensor]) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecation notes
        torch.onnx.export(
            module.eval(), tuple(values.values()), file, opset_version=17, dynamo=False, input_names=list(values),
            output_names=["face"], dynamic_axes={name: {0: "n"} for name in (*values, "face")},
        )  # fmt: skip
    return file.getvalue()


@pytest.fixture(scope="module")
def mobile(tmp_path_factory) -> Path:
    """A checkpoint of our own decoder with random weights."""
    torch.manual_seed(0)
    decoder = Decoder(blocks=5).drop_noise()
    decoder.const.data = torch.randn_like(decoder.const)
    state = {
        "decoder": decoder.state_dict(),
        "mapping": Mapping().state_dict(),
        "latent_avg": torch.randn(512),
        "slim": {},
    }
    return saved(tmp_path_factory.mktemp("mobile") / "decoder.pt", state)


@pytest.mark.parametrize(("kind", "side"), [("stylegan2", 64), ("stylegan2", 256), ("mobile", 128)])
def test_encoder_and_decoder_export_as_one_graph_of_standard_operators(kind, side, path, mobile):
    decoder = load_decoder(path if kind == "stylegan2" else mobile)
    torch.manual_seed(0)
    encoder = Encoder(preset("compact", decoder.n_styles))
    for styles in encoder.map2style:
        nn.init.normal_(styles.linear.weight, std=0.05)
    painter = Painter(encoder, decoder, side)
    model = exported(painter, inputs(2, side, decoder.n_styles))
    assert {node.domain for node in onnx.load_from_string(model).graph.node} == {""}
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    for count in (1, 3):
        values = inputs(count, side, decoder.n_styles)
        with torch.no_grad():
            want = painter(*values.values()).numpy()
        got = session.run(None, {name: value.numpy() for name, value in values.items()})[0]
        assert got.shape == (count, 3, side, side)
        assert np.abs(got - want).max() < 1e-3 * (want.max() - want.min())


def test_our_own_decoder_paints_its_window_on_every_rung(mobile):
    decoder = load_decoder(mobile)
    assert (decoder.n_styles, decoder.sides) == (23, (64, 128, 256))
    latent = latents(1, 23)
    for side in decoder.sides:
        assert torch.equal(decoder.paint(latent, side), decoder.decoder.face_only(latent, side))
    with pytest.raises(ValueError, match="asked was 1024"):
        decoder.paint(latent, 1024)
    assert not any(parameter.requires_grad for parameter in decoder.parameters())


@pytest.mark.slow
def test_our_own_identities_are_the_vetted_ones(mobile):
    identities = load_decoder(mobile).identities()
    assert identities(seeded_z(3, 1)).shape == (3, 23, 512)
    assert hasattr(identities, "scores")


@pytest.mark.parametrize(
    ("lost", "says"),
    [
        ("convs.3.conv.weight", "missing convs.3.conv.weight"), ("input.input", "missing input.input"),
        ("style.4.bias", "missing style.4.bias"), ("to_rgbs.5.bias", "missing to_rgbs.5.bias"),
        ("convs.11.activate.bias", "missing convs.11.activate.bias"),
    ],
)  # fmt: skip
def test_missing_keys_are_named(weights, tmp_path, lost, says):
    rest = {name: value for name, value in weights.items() if name != lost}
    with pytest.raises(click.ClickException, match=says):
        load_decoder(saved(tmp_path / "g.pt", {"g_ema": rest}))


def test_other_files_are_refused(weights, tmp_path):
    def refuses(state: object, says: str) -> None:
        torch.save(state, tmp_path / "g.pt")
        with pytest.raises(click.ClickException, match=says):
            load_decoder(tmp_path / "g.pt")

    refuses({"g_ema": {"synthesis.b4.const": torch.ones(1)}}, "missing style.1.weight.* more$")
    refuses({"model": {}, "step": 3}, "missing is g_ema .*; found model, step")
    refuses([1, 2], "holds a list")
    refuses({"g_ema": drawn(128, [4] * 6, layers=1)}, "a StyleGAN2 of 128 px; usable are 256")
    other = weights | {"convs.0.conv.blur.kernel": torch.ones(4, 4) / 4}
    refuses({"g_ema": other}, "resamples otherwise")
    refuses({"g_ema": Path("x")}, "no checkpoint of plain weights")
    (tmp_path / "g.pt").write_bytes(b"nothing of the kind")
    with pytest.raises(click.ClickException, match="no checkpoint of plain weights"):
        load_decoder(tmp_path / "g.pt")
    silent = {name: value for name, value in weights.items() if not name.startswith("noises")}
    torch.save({"g_ema": silent}, tmp_path / "g.pt")
    with pytest.raises(click.ClickException, match=r"noises.noise_0 is missing"):
        load_decoder(tmp_path / "g.pt", noise=True)


def test_the_keys_of_the_layout_are_all_there_is(weights):
    fixed = {name for name in weights if name.startswith("noises") or name.endswith("kernel")}
    assert set(expected(6, 8)) == set(weights) - fixed
