from __future__ import annotations

import numpy as np
import pytest
import torch

from streamfilter.align import MIRROR
from training.generator.calibrate import solve
from training.generator.ir import read_ir
from training.generator.networks import RUNGS, STYLES, WIDTH, Decoder, Mapping, inverse_haar, seeded_z
from training.generator.readouts import (
    cache_features,
    forward_haar,
    measure,
    picture_loss,
    refine,
    start_rungs,
    target_at,
)
from training.generator.sample import GROUPS, draw, spread
from training.generator.shape import fit_shape, follow_jaw
from training.generator.slim import prune
from training.generator.steer import SteerWeights, fit_steering, opening_matrix
from training.generator.vet import ATTRIBUTES, IdentityModel, fit, move_back, way_back
from training.limits import parse_duration


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    """A decoder with random weights, cut after the last block that a rung needs."""
    torch.manual_seed(0)
    net = Decoder(blocks=5).drop_noise().eval().requires_grad_(False)
    net.const.data = torch.randn_like(net.const)
    return net


def latents(count: int) -> torch.Tensor:
    return seeded_z(count * STYLES, 1).reshape(count, STYLES, WIDTH)


def test_haar_and_back():
    picture = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(inverse_haar(forward_haar(picture)), picture)


@pytest.mark.parametrize("side", RUNGS)
def test_every_rung_paints_at_its_side(decoder, side):
    assert decoder(latents(2), side).shape == (2, 3, side, side)


@pytest.mark.parametrize("side", [128, 256])
def test_the_window_shows_what_the_whole_picture_shows(decoder, side):
    latent, window = latents(1), decoder.face_only(latents(1), side)
    whole = (
        decoder.slim(decoder.half(decoder.features(latent, 2), latent), latent)
        if side == 256
        else decoder(latent, side)
    )
    rows, columns = slice(int(0.26 * side), int(0.96 * side)), slice(int(0.1 * side), int(0.9 * side))
    torch.testing.assert_close(window[..., rows, columns], whole[..., rows, columns], atol=1e-4, rtol=1e-3)


def test_a_batch_is_the_same_as_one_by_one(decoder):
    both = decoder(latents(2), 64)
    torch.testing.assert_close(both[1:], decoder(latents(2)[1:], 64), atol=1e-5, rtol=1e-4)


def test_gradients_reach_every_style_that_a_rung_uses(decoder):
    latent = latents(1).requires_grad_()
    decoder(latent, 64).square().mean().backward()
    used = latent.grad[0].abs().sum(1) > 0
    assert used.nonzero().flatten().tolist() == [0, 1, 2, 4, 5, 7, 8]


def test_training_a_rung_lowers_its_error(decoder):
    samples, rng = latents(3), np.random.default_rng(0)
    teacher = Decoder(blocks=5).drop_noise().eval().requires_grad_(False)
    teacher.load_state_dict(decoder.state_dict())
    small = rng.uniform(-1, 1, (3, 3, 8, 8)).astype(np.float32)
    pictures = torch.nn.functional.interpolate(torch.from_numpy(small), size=256, mode="bicubic").half().numpy()
    features = cache_features(teacher, samples)
    start_rungs(teacher, samples, features, pictures)
    teacher.rungs["64"].linear.bias.add_(0.5)  # least squares leaves random features little to learn
    other = measure(teacher, samples, pictures)[256]

    def loss() -> float:
        with torch.no_grad():
            return sum(
                float(picture_loss(teacher(samples[i : i + 1], 64), target_at(pictures, i, 64))) for i in range(3)
            )

    before = loss()
    refine(teacher, samples, features, pictures, seconds=1.0, seed=0, most_steps=60, sides=(64,))
    assert loss() < before
    assert measure(teacher, samples, pictures)[256] == other


def test_spread_gives_each_group_its_slots():
    groups = torch.arange(3.0).reshape(1, 3, 1).expand(1, 3, WIDTH)
    spread_out = spread(groups)[0, :, 0]
    for value, group in enumerate(GROUPS):
        assert (spread_out[group] == value).all()


def test_every_second_drawn_latent_is_the_same_in_all_groups():
    drawn = draw(Mapping(), torch.zeros(WIDTH), 4, seed=3)
    assert torch.equal(drawn[0, 0], drawn[0, 2])
    assert not torch.equal(drawn[1, 0], drawn[1, 2])
    assert torch.equal(drawn, draw(Mapping(), torch.zeros(WIDTH), 4, seed=3)) is False  # another random network


def people(count: int, photos: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Landmarks whose shape varies along one direction per person and whose pose varies along another per photo."""
    base = np.stack([np.linspace(0.2, 0.8, 68), np.linspace(0.3, 0.9, 68)], -1)
    symmetric = rng.normal(size=(68, 2))
    symmetric = symmetric + np.stack([-symmetric[MIRROR, 0], symmetric[MIRROR, 1]], -1)
    turn = rng.normal(size=(68, 2))
    turn = turn - np.stack([-turn[MIRROR, 0], turn[MIRROR, 1]], -1)
    shape = rng.normal(size=count).repeat(photos)
    pose = rng.normal(size=count * photos)
    base = (base + np.stack([1 - base[MIRROR, 0], base[MIRROR, 1]], -1)) / 2
    landmarks = base + 0.02 * (shape[:, None, None] * symmetric + pose[:, None, None] * turn)
    return landmarks, np.repeat([f"p{i}" for i in range(count)], photos), np.stack([symmetric.ravel(), turn.ravel()])


def test_the_shape_model_keeps_pose_and_lets_shape_go():
    landmarks, person, (shape, pose) = people(150, 5, np.random.default_rng(0))
    model = fit_shape(landmarks, person)
    assert np.linalg.norm(model.keep @ pose) > 0.9 * np.linalg.norm(pose)
    assert np.linalg.norm(model.keep @ shape) < 0.25 * np.linalg.norm(shape)


def test_the_jaw_follows_by_its_share():
    landmarks, person, _ = people(40, 3, np.random.default_rng(1))
    model = follow_jaw(fit_shape(landmarks, person), 1.0)
    offset = np.random.default_rng(2).normal(size=136)
    np.testing.assert_allclose((model.keep @ offset)[:34], offset[:34])


def linear_world(rng: np.random.Generator, count: int = 2500) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Samples whose observations are linear in 3 x 8 latents (of 512 each), plus a little noise."""
    groups = np.zeros((count, 3, WIDTH))
    groups[:, :, :8] = rng.normal(size=(count, 3, 8))
    to = rng.normal(size=(24, 136 + 15 + 16)) * 0.05
    y = groups[:, :, :8].reshape(count, 24) @ to + rng.normal(size=(count, to.shape[1])) * 0.002
    rows = {"groups": groups, "landmarks": y[:, :136].reshape(-1, 68, 2), "colours": y[:, 136:151]}
    return {**rows, "embedding": y[:, 151:]}, to


def test_steering_reaches_a_reachable_target_and_keeps_the_identity():
    rng = np.random.default_rng(0)
    samples, to = linear_world(rng)
    followed = fit_steering(samples, np.zeros(WIDTH), SteerWeights(embedding=1e6, ridge=1.0))
    pinned = fit_steering(samples, np.zeros(WIDTH), SteerWeights(embedding=1e-6, landmarks=10.0, ridge=1.0))
    x, wanted = rng.normal(size=24), rng.normal(size=24)
    errors, drifts = [], []
    for steering in (followed, pinned):
        own = full(x) @ steering.predict + steering.offset
        target = full(wanted) @ steering.predict + steering.offset
        moved = full(x) + steering.gain @ (target - own)
        errors.append(np.abs(moved @ steering.predict + steering.offset - target)[:136].mean())
        drifts.append(np.linalg.norm(compact(moved - full(x)) @ to[:, 151:]))
        start = np.abs(own - target)[:136].mean()
    assert errors[0] < 0.1 * start
    assert drifts[1] < 0.5 * drifts[0]


def full(x: np.ndarray) -> np.ndarray:
    out = np.zeros((3, WIDTH))
    out[:, :8] = x.reshape(3, 8)
    return out.ravel()


def compact(x: np.ndarray) -> np.ndarray:
    return x.reshape(3, WIDTH)[:, :8].ravel()


def test_openings_measure_lids_and_lips():
    landmarks = np.zeros((68, 2))
    landmarks[[40, 41], 1], landmarks[66, 1] = 0.02, 0.1
    np.testing.assert_allclose(landmarks.ravel() @ opening_matrix(), [0.02, 0, 0.1])


def test_calibration_undoes_what_the_generator_does():
    rng = np.random.default_rng(0)
    asked, own = rng.normal(size=(2, 200, 3))
    slope, keep, bias = np.array([0.6, 0.7, 0.8]), np.array([0.1, 0.2, 0.3]), np.array([0.01, 0.0, -0.01])
    ask, own_share, offset = solve(asked, own, slope * asked + keep * own + bias)
    np.testing.assert_allclose(slope * (ask * asked + own_share * own + offset) + keep * own + bias, asked, atol=1e-9)


def test_the_slim_rung_starts_near_the_wide_one(decoder):
    samples = latents(6)
    wide = decoder.rung(decoder.features(samples, 3), samples, 256)
    features = decoder.half(decoder.features(samples, 2), samples)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.generator.slim.SOME", 6)
        prune(decoder, samples, features)
    started = (decoder.slim(features, samples) - wide).square().mean()
    assert started < 0.5 * wide.var()


def test_vetting_moves_only_those_that_show_the_attribute():
    rng = torch.Generator().manual_seed(0)
    values = torch.randn(600, 16, generator=rng)
    has = {name: values[:, i] > 1.0 for i, name in enumerate(ATTRIBUTES)}
    sigma = torch.eye(16)
    scores, limits = fit(values, has, sigma)
    moved = move_back(values, scores, limits, way_back(scores, sigma))
    assert ((moved @ scores - limits) < 0.05).all()
    clean = ((values @ scores - limits) < 0).all(1)
    assert clean.any()
    torch.testing.assert_close(moved[clean], values[clean])
    assert float((moved[:, 0] > 1.0).float().mean()) < 0.3 * float(has[ATTRIBUTES[0]].float().mean())


def test_the_identity_model_draws_latents_within_its_limits():
    torch.manual_seed(0)
    mapping = Mapping().eval().requires_grad_(False)
    average = mapping(seeded_z(512, 1)).mean(0)
    model = IdentityModel(mapping, average)
    drawn = model(seeded_z(16, 5))
    assert drawn.shape == (16, STYLES, WIDTH)
    assert ((drawn[:, 0] - average) @ model.scores - model.limits < 0.1).all()


def test_an_ir_is_read_by_layer_and_port(tmp_path):
    (tmp_path / "m.xml").write_text(
        '<net><layers><layer id="0" name="w" type="Const"><data element_type="f32" offset="4" shape="2, 2" size="16"/>'
        '</layer><layer id="1" name="x" type="Parameter"/><layer id="2" name="y" type="MatMul"/></layers>'
        '<edges><edge from-layer="0" from-port="0" to-layer="2" to-port="1"/>'
        '<edge from-layer="1" from-port="0" to-layer="2" to-port="0"/></edges></net>'
    )
    (tmp_path / "m.bin").write_bytes(np.array([9, 1, 2, 3, 4], np.float32).tobytes())
    layers = read_ir(tmp_path / "m.xml")
    assert layers["2"].inputs == ("1", "0")
    np.testing.assert_array_equal(layers["0"].value, [[1, 2], [3, 4]])


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("25m", 1500), ("1.5h", 5400)])
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


def test_a_text_that_is_no_duration():
    with pytest.raises(ValueError, match="90s, 25m or 2h"):
        parse_duration("soon")
