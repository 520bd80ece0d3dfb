"""training.objective: only terms with a weight are computed, and untrue originals are not compared with."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
import torch
from torch import Tensor

from tests.synthetic_face import face_shape, placed
from training.judges.identity import IdentityJudge
from training.judges.landmarks import LandmarkJudge
from training.judges.mobile_face_net import MobileFaceNet
from training.judges.perceptual import PerceptualJudge
from training.landmarks.network import Network
from training.objective import TERMS, Judges, Weights, fuse, look, named, objective, total
from training.structures import Batch

EVERYTHING = Weights(**dict.fromkeys(TERMS, 0.5))


@pytest.fixture(scope="module")
def judges() -> Judges:
    torch.manual_seed(0)
    recognisers = IdentityJudge([MobileFaceNet().eval(), MobileFaceNet().eval()])
    return Judges(LandmarkJudge(Network()), recognisers, PerceptualJudge().eval()).requires_grad_(False)


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    landmarks = torch.from_numpy(placed(face_shape(mouth=0.2), x=0.5, y=0.47, size=0.24)).expand(4, -1, -1)
    mask = torch.zeros(4, 1, 64, 64)
    mask[..., 16:60, 12:52] = 1
    mask[..., 16, 12:52] = 0.5
    original = torch.rand(4, 3, 64, 64, generator=generator) * 2 - 1
    return Batch(
        surroundings=original * (1 - mask), pose=mask, landmarks=landmarks, original=original, mask=mask,
        identity=torch.randn(4, 23, 512, generator=generator), authentic=torch.tensor([True, True, False, True]),
        follows=torch.tensor([False, True, False, False]),
    )  # fmt: skip


def terms_of(judges: Judges, batch: Batch, face: Tensor, weights: Weights) -> dict[str, Tensor]:
    with torch.no_grad():
        was = judges.identity(batch.original, batch.landmarks)
    shift = face.flatten(1)[:, :8]
    painted = look(
        judges, face, batch, wanted=batch.landmarks, own=was.flip(0), was=was, others=was[:1], shift=shift, only=1
    )
    return objective(painted, batch, judges, weights)


def test_the_papers_weights_are_the_default() -> None:
    assert named(Weights()) == {"landmark": 1.0, "identity": 0.1, "perceptual": 0.1}


def test_every_term_has_a_weight_and_every_weight_but_the_adversarial_a_term() -> None:
    assert set(asdict(Weights())) == set(TERMS) | {"adversarial"}


def test_terms_without_weight_are_not_computed(judges: Judges, batch: Batch) -> None:
    face = torch.rand(4, 3, 64, 64)
    assert set(terms_of(judges, batch, face, Weights())) == {"landmark", "identity", "perceptual"}


def test_every_term_is_finite_and_reaches_the_face(judges: Judges, batch: Batch) -> None:
    face = (torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1).requires_grad_()
    for name, term in terms_of(judges, batch, face, EVERYTHING).items():
        assert term.isfinite(), name
        (gradient,) = torch.autograd.grad(term, face, retain_graph=True)
        assert gradient.abs().sum() > 0, name


def test_the_total_is_the_weighted_sum() -> None:
    terms = {"landmark": torch.tensor(2.0), "identity": torch.tensor(3.0)}
    assert total(terms, Weights()).item() == pytest.approx(2.3)


def test_the_fused_picture_is_the_original_outside_the_mask_and_in_its_light_inside(batch: Batch) -> None:
    face = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(3)) * 0.8 - 0.9
    fused = fuse(face, batch)
    outside, inside = (batch.mask == level for level in (0, 1))
    assert torch.equal(fused[outside.expand_as(fused)], batch.original[outside.expand_as(fused)])
    for row in range(4):
        got, want = (picture[row][:, inside[row, 0]] for picture in (fused, batch.original))
        torch.testing.assert_close(got.mean(1), want.mean(1), atol=0.02, rtol=0)
        assert (got.std(1) / face[row][:, inside[row, 0]].std(1)).max() < 1.61


def test_a_face_in_the_right_light_is_fused_as_it_is(batch: Batch) -> None:
    torch.testing.assert_close(fuse(batch.original, batch), batch.original, atol=1e-5, rtol=0)


def test_a_face_is_not_compared_with_an_original_that_it_was_never_to_match(judges: Judges, batch: Batch) -> None:
    face = torch.rand(4, 3, 64, 64).requires_grad_()
    perceptual = terms_of(judges, batch, face, Weights())["perceptual"]
    (gradient,) = torch.autograd.grad(perceptual, face)
    assert not gradient[2].any() and gradient[[0, 1, 3]].abs().sum((1, 2, 3)).all()
    nothing = replace(batch, authentic=torch.zeros(4, dtype=torch.bool))
    assert terms_of(judges, nothing, face, Weights())["perceptual"].item() == 0
