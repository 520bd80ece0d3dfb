"""training.networks.light: it starts as the closed form, learns on top of it, and knows no facial shape."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from streamfilter.errors import ConfigError
from training.generator.steered import Controller
from training.networks.light import LightConfig, LightController, blank, root, slots_of


@pytest.fixture
def closed_form() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    values = {name: random.normal(0, 0.02, value.shape).astype(np.float32) for name, value in blank().items()}
    values["mean"] += 0.5
    # Like the fitted ones: a projection that keeps half of all directions and lets half go.
    basis = np.linalg.qr(random.normal(size=(136, 136)))[0][:, :68]
    values["keep"] = (basis @ basis.T).astype(np.float32)
    return values


def inputs(count: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    surroundings = torch.rand(count, 3, 64, 64, generator=generator) * 2 - 1
    landmarks = 0.5 + 0.1 * torch.randn(count, 68, 2, generator=generator)
    identity = torch.randn(count, 1, 512, generator=generator).expand(-1, 23, -1)
    return surroundings, landmarks, identity


def awake(model: LightController) -> LightController:
    with torch.no_grad():
        model.leave.weight.normal_(0, 0.05)
        model.leave.bias.normal_(0, 0.05)
    return model


def test_it_starts_as_the_closed_form(closed_form: dict[str, np.ndarray]) -> None:
    surroundings, landmarks, identity = inputs()
    start = Controller(closed_form)(surroundings, landmarks, identity)
    steered = LightController(LightConfig(), closed_form).steer(surroundings, landmarks, identity)
    assert torch.equal(steered.latent, start)
    assert not steered.shift.any()


def test_every_parameter_learns(closed_form: dict[str, np.ndarray]) -> None:
    model = awake(LightController(LightConfig(hidden=16, light=4), closed_form))
    model(inputs()[0], None, *inputs()[1:]).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_folding_changes_nothing_but_the_size(closed_form: dict[str, np.ndarray]) -> None:
    model = awake(LightController(LightConfig(hidden=16), closed_form)).eval()
    surroundings, landmarks, identity = inputs()
    with torch.no_grad():
        before = model(surroundings, None, landmarks, identity)
        after = model.folded()(surroundings, None, landmarks, identity)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)
    assert torch.equal(model.metric, torch.eye(512))


def test_what_the_projection_lets_go_never_reaches_the_learnt_part(closed_form: dict[str, np.ndarray]) -> None:
    closed_form["openings"] = np.zeros_like(closed_form["openings"])
    model = awake(LightController(LightConfig(), closed_form)).eval()
    surroundings, landmarks, identity = inputs()
    shape = torch.randn(3, 136, generator=torch.Generator().manual_seed(2)) * 0.05
    shape = shape - shape @ torch.from_numpy(closed_form["keep"]).T
    with torch.no_grad():
        one = model(surroundings, None, landmarks, identity)
        other = model(surroundings, None, landmarks + shape.view(3, 68, 2), identity)
    torch.testing.assert_close(one, other, atol=2e-3, rtol=1e-3)


def test_slots_fall_into_their_groups() -> None:
    assert slots_of((0, 3, 6), 8) == [0, 0, 0, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("slots", [(), (1, 3), (0, 3, 3), (0, 6, 3)])
def test_groups_that_leave_slots_out_are_refused(slots: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="it must begin at 0 and rise"):
        LightConfig(first_slots=slots)


def test_the_root_of_a_covariance_squares_to_it() -> None:
    factor = np.random.default_rng(3).normal(size=(20, 6))
    covariance = factor.T @ factor
    np.testing.assert_allclose(root(covariance) @ root(covariance), covariance, atol=1e-9)
