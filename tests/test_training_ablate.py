"""training/ablate: every term is left out or tried, all variants start alike, and what is reported is what was seen."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_optimizer")

from click.testing import CliRunner  # noqa: E402

from streamfilter.errors import ConfigError  # noqa: E402
from tests import training_kit as kit  # noqa: E402
from training import ablate  # noqa: E402
from training.ablation.shifts import Bench, Descent, Mover, scenes_of  # noqa: E402
from training.ablation.table import Outcome, difference, markdown, to_dict  # noqa: E402
from training.ablation.variants import FULL, START, Variant, variants_of  # noqa: E402
from training.ablation.witnesses import Measurer, Witnesses, correlations, joined, per_face  # noqa: E402
from training.networks.encoder import Encoder, EncoderConfig  # noqa: E402
from training.objective import TERMS, Weights, total  # noqa: E402
from training.train import presets  # noqa: E402
from training.train.checkpoint import save_snapshot  # noqa: E402
from training.train.steering import steer  # noqa: E402

WEIGHTS = Weights(landmark=0.0, landmark_emphasised=4.0, identity=1.0, perceptual=0.0, pull=0.02)
PRESET = replace(presets.named("smoke"), weights=WEIGHTS, take_turns=True)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def recognise(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Tells faces apart by the colours around their middle."""
    x, y = landmarks.mean(0).round().astype(int)
    crop = image[max(y - 8, 0) : y + 8, max(x - 8, 0) : x + 8].astype(np.float32).mean((0, 1)) - 127
    return crop / max(float(np.linalg.norm(crop)), 1e-6)


@pytest.fixture(scope="module")
def ablation() -> ablate.Ablation:
    trainer, maker = kit.trainer(PRESET)
    bench = Bench(trainer, Descent(steps=3, rate=0.05))
    pairs = ablate.makers_of(maker, kit.DrawnFaces(), 128)
    near = torch.from_numpy(maker.faces.landmarks.mean(0))
    measure = Measurer(bench, Witnesses(recognise=recognise), near, 128)
    return ablate.Ablation(bench=bench, measure=measure, scenes=scenes_of(trainer, pairs, [1, 1]), side=128)


# --- variants -------------------------------------------------------------------------------------------------------


def test_every_term_but_the_adversarial_one_is_left_out_or_tried():
    full = presets.named("light").weights
    variants = variants_of(full)
    assert [variant.name for variant in variants[:2]] == [FULL, START]
    assert variants[-1].weights == Weights()
    about = {variant.about for variant in variants if variant.about}
    assert about == set(TERMS) - {"landmark"}  # whose turn it is in place of the emphasised one
    for variant in variants:
        if variant.about:
            before, after = asdict(full), asdict(variant.weights)
            changed = {name for name in before if before[name] != after[name]}
            assert changed - {"landmark"} == {variant.about}
            assert variant.name.startswith("without" if not after[variant.about] else "with") or "not" in variant.name


def test_only_some_terms_are_compared_if_so_asked():
    names = [variant.name for variant in variants_of(presets.named("light").weights, ["away", "gaze"])]
    assert names == [FULL, START, "without away", "with gaze"]
    with pytest.raises(ConfigError, match="no term 'adversarial' to leave out"):
        variants_of(Weights(), ["adversarial"])


def test_an_objective_of_one_term_is_not_left_without_any():
    alone = Weights(landmark=1.0, identity=0.0, perceptual=0.0)
    assert "without landmark" not in [variant.name for variant in variants_of(alone)]


# --- shifts ---------------------------------------------------------------------------------------------------------


def test_a_shift_is_what_the_controller_would_have_learnt(ablation):
    scene, model = ablation.scenes[0], kit.controller()
    shift = torch.randn(3, 512, generator=torch.Generator().manual_seed(0))
    moved = Mover(model, kit.Painter())(scene.steered, shift.expand(len(scene.batch), -1, -1))
    with torch.no_grad():
        model.leave.bias.copy_(shift.flatten())
        learnt = steer(model, scene.batch)
    torch.testing.assert_close(moved.latent, learnt.latent, atol=1e-4, rtol=0)
    torch.testing.assert_close(moved.shift, learnt.shift, atol=1e-4, rtol=0)


def test_an_encoder_is_moved_by_coarse_medium_and_fine_slots(ablation):
    config = EncoderConfig(side=32, stem=4, widths=(4, 4, 4), depths=(1, 1, 1), lateral=4, heads="shared", head_width=8)
    decoder, scene = kit.Painter(), ablation.scenes[0]
    decoder.mapping = torch.nn.Identity()
    move = Mover(Encoder(config, kit.controller(), torch.zeros(512)), decoder)
    start = replace(scene.steered, shift=torch.zeros(len(scene.batch), 23 * 512))
    shift = move.still(len(scene.batch))
    assert torch.equal(move(start, shift).latent, start.latent)
    shift[:, 1] = 1.0
    changed = (move(start, shift).latent != start.latent).any(2)[0]
    assert changed.nonzero()[:, 0].tolist() == list(range(7, 13))
    assert move(start, shift).shift.abs().sum() > 0
    with pytest.raises(ConfigError, match="Linear has no shift"):
        Mover(torch.nn.Linear(1, 1), decoder)


def test_an_objective_is_lowered_and_the_same_way_each_time(ablation):
    bench, scene = ablation.bench, ablation.scenes[0]
    told = []
    shift = bench.optimise(scene, WEIGHTS, lambda: told.append(1))
    assert len(told) == 3
    assert torch.equal(shift, bench.optimise(scene, WEIGHTS))
    still = bench.optimise(scene, None)
    assert not still.any()
    before, after = (bench.terms(scene, s) for s in (still, shift))
    assert set(before) == set(TERMS)
    loss = [float(total({k: torch.tensor(v) for k, v in terms.items()}, WEIGHTS)) for terms in (before, after)]
    assert loss[1] < loss[0]
    assert np.isclose(bench.terms(scene, bench.optimise(scene, None))["identity"], before["identity"])


# --- what is measured -----------------------------------------------------------------------------------------------


def seen(who: list[list[float]], people: list[int], follows: list[bool], **more: np.ndarray) -> dict:
    landmarks = np.repeat(kit.DrawnFaces(1).landmarks * 128, len(who), 0)
    landmarks[:, [65, 66, 67], 1] += np.arange(len(who))[:, None]
    unit = np.array(who, np.float32) / np.linalg.norm(who, axis=1, keepdims=True)
    plain = {"own": unit, "filmed": -unit, "original": landmarks, "wanted": landmarks, "found": landmarks}
    return {"who": unit, "person": np.array(people), "follows": np.array(follows), **plain, **more}


def test_numbers_per_face():
    four = seen([[1, 0], [1, 1], [0, 1], [0, 2]], [5, 5, 7, 7], [False, False, False, True])
    numbers = per_face(four, 128)
    assert numbers["own"] == pytest.approx(np.ones(4))
    assert numbers["filmed"] == pytest.approx(-np.ones(4))
    assert numbers["poses"] == pytest.approx([0.5**0.5])  # the second pair are neighbouring frames
    assert numbers["others"] == pytest.approx([0, 0.5**0.5, 0.5**0.5 / 2, 0.5**0.5 / 2])
    apart = per_face({**four, "found": four["wanted"] + np.float32([3, 4])}, 128)
    assert apart["px"] == pytest.approx(np.full(4, 10.0))  # pixels of 256
    lost = four["original"].copy()
    lost[0] = np.nan
    assert np.isnan(per_face({**four, "dlib": lost}, 128)["dlib_px"]).tolist() == [True, False, False, False]


def test_correlations_of_openings():
    one = seen([[1, 0]] * 5, [0] * 5, [False] * 5)
    assert correlations(one, 128) == {"eyes": None, "mouth": pytest.approx(1)}  # these eyes do not move
    upside_down = one["original"][::-1].copy()
    upside_down[0] = np.nan
    assert correlations({**one, "dlib": upside_down}, 128)["dlib_mouth"] == pytest.approx(-1)


def test_faces_are_looked_at_sharply_and_in_place(ablation):
    parts = [ablation.measure(scene, ablation.bench.move.still(4)) for scene in ablation.scenes]
    faces = joined([found for found, _ in parts])
    assert faces["who"].shape == (8, 3)
    assert faces["follows"].tolist() == [False] * 5 + [True, False, True]
    assert faces["original"][0] == pytest.approx(ablation.scenes[0].batch.landmarks[0].numpy() * 128 - 0.5)
    assert parts[0][1][0].shape == (128, 128, 3)
    torch.testing.assert_close(ablation.scenes[1].sharp.landmarks, ablation.scenes[1].batch.landmarks)


# --- tables and the command -----------------------------------------------------------------------------------------


def outcome(name: str, own: list[float]) -> Outcome:
    terms = dict.fromkeys(TERMS, 0.5)
    return Outcome(variant=Variant(name, None), terms=terms, faces={"own": np.array(own)}, whole={"eyes": 0.9})


def test_clear_differences_are_bold():
    full, clear, unclear = outcome(FULL, [0.5, 0.6, 0.7]), outcome("a", [0.4, 0.51, 0.6]), outcome("b", [0.9, 0.2, 0.7])
    mean, error = difference(clear, full, "own")
    assert mean == pytest.approx(-0.29 / 3)
    assert error == pytest.approx(np.std([-0.1, -0.09, -0.1], ddof=1) / 3**0.5)
    text = markdown([full, clear, unclear])
    assert "| a | **0.503** | 0.900 |" in text
    assert "| b | 0.600 | 0.900 |" in text
    assert json.loads(json.dumps(to_dict([full, clear])))[1]["independent"] == {
        "own": pytest.approx(0.5033, abs=1e-3),
        "eyes": 0.9,
    }


def test_a_comparison_is_kept_after_every_variant(ablation, tmp_path):
    kept = []

    def keep(outcomes, sheet):
        kept.append((len(outcomes), sheet.shape))
        ablate.write(tmp_path / "out", outcomes, sheet)

    variants = variants_of(WEIGHTS, ["identity"])
    found = ablate.compare(ablation, variants, lambda line: None, keep)
    assert kept == [(k + 1, (128 * (k + 1), 512, 3)) for k in range(3)]
    full, start, without = found
    assert full.terms["identity"] < start.terms["identity"]
    assert full.terms["identity"] < without.terms["identity"]
    assert start.terms["pull"] < full.terms["pull"]
    rows = json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert [row["variant"] for row in rows] == [FULL, START, "without identity"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["ablation.json", "ablation.md", "faces.png"]


def test_flicker_is_a_mean_over_the_scenes_with_frames(ablation):
    assert ablate.mean_of("flicker", [0.0, 0.3], ablation.scenes) == pytest.approx(0.3)
    assert ablate.mean_of("pull", [0.0, 0.3], ablation.scenes) == pytest.approx(0.15)


def test_faces_are_shared_out():
    assert ablate.shares(32, 8, True) == [3, 1]
    assert ablate.shares(16, 8, True) == [1, 1]
    assert ablate.shares(16, 8, False) == [2]
    with pytest.raises(ConfigError, match="--faces is 8; the preset makes 8 at a time, so it takes 16"):
        ablate.shares(8, 8, True)


def test_the_command_refuses_a_preset_of_another_kind(tmp_path: Path):
    snapshot = tmp_path / "snapshot.pt"
    save_snapshot(snapshot, model=kit.controller(), step=1, kimg=0.1, preset={})
    assert ablate.preset_of(snapshot, None, ["batch=4"], 64).people == 64
    (tmp_path / "decoder.pt").touch()
    folders = [word for option in ("pack", "weights", "landmarks") for word in (f"--{option}", str(tmp_path))]
    files = [str(snapshot), "--decoder", str(tmp_path / "decoder.pt"), "--out", str(tmp_path / "out"), *folders]
    result = CliRunner().invoke(ablate.main, [*files, "--preset", "paper"])
    assert result.exit_code == 1
    assert "--preset paper is for a model of kind encoder; the snapshot is of kind light" in result.output
