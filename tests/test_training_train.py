"""training/train: batches, the loop and the command; a smoke training lowers each loss of the paper."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_optimizer")

from click.testing import CliRunner  # noqa: E402

from streamfilter import align  # noqa: E402
from streamfilter.errors import ConfigError, DeviceError  # noqa: E402
from tests import training_kit as kit  # noqa: E402
from training.losses.beyond import opening  # noqa: E402
from training.networks.encoder import Encoder, EncoderConfig  # noqa: E402
from training.objective import Weights, fuse, objective  # noqa: E402
from training.train import curves, grid, optimizers, presets, runs  # noqa: E402
from training.train.adversary import Adversary  # noqa: E402
from training.train.assemble import batch_config, device_of, shown  # noqa: E402
from training.train.batches import BatchConfig, BatchMaker, odds, prefetched  # noqa: E402
from training.train.checkpoint import checkpoints, load_resume, load_snapshot  # noqa: E402
from training.train.cli import main, resolve  # noqa: E402
from training.train.expressions import INNER_LIPS, LIDS, ExpressionConfig, open_mouth, scale_lids, vary  # noqa: E402
from training.train.loop import Job, train  # noqa: E402
from training.train.records import DivergedError, Means, Records, clock  # noqa: E402
from training.train.records import read as read_records  # noqa: E402
from training.train.steering import steer  # noqa: E402
from training.train.stop import Stop  # noqa: E402
from training.train.trainer import Trainer  # noqa: E402

SMOKE = replace(presets.named("smoke"), rate=3e-3)
FAST = replace(SMOKE, weights=Weights(perceptual=0.0), batch=2, tick=1, snapshot_ticks=2)


TIMED = {"images_per_s", "s_per_step", "memory_gib"}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def faces() -> kit.DrawnFaces:
    return kit.DrawnFaces()


def job(run: Path, trainer: Trainer, maker: BatchMaker, told: list[str] | None = None) -> Job:
    run.mkdir(parents=True, exist_ok=True)
    records = Records(run, trainer.step, tensorboard=False)
    echo = told.append if told is not None else lambda text: None
    return Job(run=run, trainer=trainer, make=maker, shown=shown(maker), records=records, echo=echo)


def equal(one: object, other: object) -> bool:
    """Trees whose tensors are equal bit by bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def same_batch(one, other) -> bool:
    return all(torch.equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))


# Expressions.


def test_lids_are_scaled_and_nothing_else_moves(faces):
    points = faces.landmarks[0]
    for factor in (0.0, 0.5, 1.3):
        changed = scale_lids(points, factor)
        for upper, lower in LIDS:
            gap = np.linalg.norm(points[upper] - points[lower])
            assert np.linalg.norm(changed[upper] - changed[lower]) == pytest.approx(factor * gap, abs=1e-6)
        rest = sorted(set(range(68)) - {p for pair in LIDS for p in pair})
        assert np.array_equal(changed[rest], points[rest])


def test_a_mouth_opens_as_far_as_it_shall_and_takes_the_chin_along(faces):
    points = faces.landmarks[0]
    width = np.linalg.norm(points[54] - points[48])
    for wanted in (0.0, 0.3, 0.7):
        changed = open_mouth(points, wanted)
        inner = [np.linalg.norm(changed[upper] - changed[lower]) for upper, lower in INNER_LIPS]
        assert inner[1] == pytest.approx(wanted * width, abs=0.02)
        still = [*range(4), *range(13, 48), 48, 54]
        assert np.array_equal(changed[still], points[still])
    assert open_mouth(points, 0.7)[8, 1] - points[8, 1] > 0.5 * (
        opening_of(open_mouth(points, 0.7)) - opening_of(points)
    )


def opening_of(points: np.ndarray) -> float:
    return float(opening(torch.from_numpy(points)[None])[0, 2])


def test_shares_of_changed_faces(faces):
    random = np.random.default_rng(0)
    both = ExpressionConfig(blinks=0.3, mouths=0.2)
    changed = [vary(faces.landmarks[0], both, random)[1] for _ in range(2000)]
    assert np.mean(changed) == pytest.approx(1 - 0.7 * 0.8, abs=0.04)
    still = faces.landmarks[0]
    points, any_change = vary(still, ExpressionConfig(), random)
    assert points is still
    assert not any_change


# Batches.


def test_a_batch_is_a_function_of_seed_and_step_alone(faces):
    config = BatchConfig(side=64, temporal=0.3, people=9, jitter=0.001, expressions=ExpressionConfig(blinks=0.5))
    one, other = (BatchMaker(faces, kit.identities, config) for _ in range(2))
    other(11)
    assert same_batch(one(5).batch, other(5).batch)
    assert not same_batch(one(5).batch, one(6).batch)
    changed = BatchMaker(faces, kit.identities, replace(config, seed=2))
    assert not same_batch(one(5).batch, changed(5).batch)


def test_rows_come_in_pairs_of_one_person(faces):
    maker = BatchMaker(faces, kit.identities, BatchConfig(size=6, side=64, people=9))
    sample = maker(0)
    assert sample.people[0::2] == sample.people[1::2]
    assert torch.equal(sample.batch.identity[0::2], sample.batch.identity[1::2])
    assert torch.equal(sample.batch.identity, maker.identities(sample.people))
    assert len(set(sample.people)) > 1


def test_pictures_are_what_the_runtime_would_see(faces):
    batch = BatchMaker(faces, kit.identities, BatchConfig(side=64, mirror=0.0))(0).batch
    pixels = batch.landmarks[0].numpy() * 64 - 0.5
    original = ((batch.original[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    removed = torch.from_numpy(align.remove_face(original, pixels)).permute(2, 0, 1).float() / 127.5 - 1
    torch.testing.assert_close(batch.surroundings[0], removed)
    assert np.array_equal(batch.pose[0, 0].numpy(), align.pose_image(pixels, 64))
    assert np.array_equal(batch.mask[0, 0].numpy(), align.face_mask(pixels, 64))
    assert batch.authentic.all()
    assert not batch.follows.any()


def test_mirrored_faces_keep_their_landmarks(faces):
    plain, flipped = (BatchMaker(faces, kit.identities, BatchConfig(side=64, mirror=m))(0).batch for m in (0.0, 1.0))
    assert torch.equal(flipped.original, plain.original.flip(3))
    back = flipped.landmarks[:, torch.from_numpy(align.MIRROR)] * torch.tensor([-1, 1]) + torch.tensor([1, 0])
    torch.testing.assert_close(back, plain.landmarks)


def test_frames_of_a_clip_follow_each_other_with_their_own_expressions(faces):
    expressions = ExpressionConfig(blinks=1.0, mouths=1.0)
    batch = BatchMaker(faces, kit.identities, BatchConfig(side=64, temporal=1.0, mirror=0, expressions=expressions))(3)
    assert batch.batch.follows.tolist() == [False, True] * 4
    assert batch.batch.authentic.all()
    for row in range(0, 8, 2):
        first = int(np.abs(faces.landmarks - batch.batch.landmarks[row].numpy()).sum((1, 2)).argmin())
        second = faces.landmarks[faces.neighbour[first]]
        assert np.array_equal(batch.batch.landmarks[row + 1].numpy(), second)


def test_a_changed_face_is_no_truth_and_shows_nowhere(faces):
    shut = ExpressionConfig(mouths=1.0, widest_mouth=0.0)
    batch = BatchMaker(faces, kit.identities, BatchConfig(side=64, mirror=0, expressions=shut))(0).batch
    assert not batch.authentic.any()
    for row in range(len(batch)):
        index = int(np.abs(faces.landmarks[:, :4] - batch.landmarks[row, :4].numpy()).sum((1, 2)).argmin())
        own = torch.from_numpy(align.face_mask(faces.landmarks[index] * 64 - 0.5, 64))
        assert (batch.mask[row, 0] >= own).all()
        grey = batch.surroundings[row][:, own > 0.999]
        assert (grey - (align.REMOVED / 127.5 - 1)).abs().max() < 1e-6


def test_rare_faces_are_drawn_more_often(faces):
    chance = odds(faces.landmarks, 2.0)
    assert chance.sum() == pytest.approx(1)
    assert chance[np.argmax(faces.landmarks[:, 66, 1] - faces.landmarks[:, 62, 1])] > chance.min()
    assert odds(faces.landmarks, 0.0) is None


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_prefetched_batches_come_in_order(faces, workers):
    maker = BatchMaker(faces, kit.identities, BatchConfig(size=2, side=64))
    with prefetched(maker, 4, workers=workers) as samples:
        for step in range(4, 9):
            assert same_batch(next(samples).batch, maker(step).batch)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batch")]


def test_an_error_of_a_worker_is_raised_where_its_batch_is_taken():
    def make(step: int):
        if step == 2:
            raise RuntimeError("broken picture")
        return step

    with prefetched(make, 0, workers=2) as samples:
        assert [next(samples), next(samples)] == [0, 1]
        with pytest.raises(RuntimeError, match="broken picture"):
            next(samples)


def test_odd_batches_and_empty_packs_are_refused():
    with pytest.raises(ConfigError, match="batch is 3; it must be even"):
        replace(SMOKE, batch=3)
    none = kit.DrawnFaces(1)
    none.landmarks = none.landmarks[:0]
    with pytest.raises(ValueError, match="no face"):
        BatchMaker(none, kit.identities, BatchConfig())


# Steps.


def test_a_smoke_training_lowers_each_loss_of_the_paper_on_a_fixed_batch():
    trainer, maker = kit.trainer(SMOKE)
    sample = maker(0)

    def losses() -> dict[str, float]:
        with torch.no_grad():
            painted = trainer.look(sample.batch, sample.people)
            terms = objective(painted, sample.batch, trainer.frozen.judges, Weights())
        return {name: float(value) for name, value in terms.items()}

    before = losses()
    for _ in range(24):
        trainer.advance(sample)
    after = losses()
    assert list(after) == ["landmark", "identity", "perceptual"]
    assert after["landmark"] < 0.985 * before["landmark"]
    # It is asked of the fused picture, of which hair and forehead stay as they were.
    assert after["identity"] < 0.7 * before["identity"]
    assert after["perceptual"] < 0.95 * before["perceptual"]


def run_through(folder: Path, preset: presets.Preset, stops: list[int]) -> Trainer:
    """Train up to each of `stops` in turn, in a new process's state each time."""
    for steps in stops:
        trainer, maker = kit.trainer(preset)
        if (state := load_resume(folder)) is not None:
            trainer.load_state(state)
        until = replace(preset, kimg=steps * preset.batch / 1000, cooldown_kimg=0.0)
        trainer.preset = until
        train(job(folder, trainer, maker), Stop())
    return trainer


# Ranger's slow weights move at the sixth step.
@pytest.mark.parametrize(("optimizer", "adversarial", "parts"), [("adam", 0.1, [2, 4]), ("ranger", 0.0, [5, 7])])
def test_a_run_in_two_parts_is_the_run_in_one(tmp_path, optimizer, adversarial, parts):
    weights = Weights(perceptual=0.0, adversarial=adversarial, away=0.1, distinct=0.1)
    preset = replace(
        FAST, optimizer=optimizer, weights=weights, blinks=0.5, temporal=0.3, warmup_kimg=0.006, take_turns=True,
        rungs=(64, 128), workers=2, snapshot_ticks=100,
    )  # fmt: skip
    one = run_through(tmp_path / "one", preset, parts[-1:])
    two = run_through(tmp_path / "two", preset, parts)
    assert one.step == two.step == parts[-1]
    assert equal(one.state(), two.state())
    snapshots = [load_snapshot(tmp_path / name)[0].state_dict() for name in ("one", "two")]
    assert equal(*(dict(each) for each in snapshots))
    rows = [
        [{k: v for k, v in row.items() if not timed(k)} for row in read_records(tmp_path / n)] for n in ("one", "two")
    ]
    assert rows[0] == rows[1]


def timed(name: str) -> bool:
    return name in {"images_per_s", "s_per_step", "memory_gib"}


def test_an_encoder_learns_on_top_of_a_light_controller_that_stays():
    torch.manual_seed(0)
    config = EncoderConfig(
        side=64, stem=8, stem_stride=2, widths=(8, 8, 8), depths=(1, 1, 1), lateral=8, heads="shared", head_width=8
    )
    start = kit.controller()
    trainer, maker = kit.trainer(FAST, Encoder(config, start))
    sample = maker(0)
    first = steer(trainer.model, sample.batch)
    torch.testing.assert_close(first.latent, trainer.model(*inputs(sample.batch)))
    assert torch.equal(first.wanted, start.steer(sample.batch.surroundings, *inputs(sample.batch)[2:]).wanted)
    kept = {name: value.clone() for name, value in start.state_dict().items()}
    for _ in range(3):
        trainer.advance(sample)
    assert equal(kept, dict(trainer.model.start.state_dict()))
    assert steer(trainer.model, sample.batch).shift.abs().max() > 0


def inputs(batch):
    return batch.surroundings, batch.pose, batch.landmarks, batch.identity


def test_bf16_stays_near_fp32():
    losses = []
    for precision in ("fp32", "bf16"):
        trainer, maker = kit.trainer(replace(FAST, precision=precision))
        numbers = [trainer.advance(maker(step)) for step in range(2)]
        losses.append([float(n["loss"].detach()) for n in numbers])
        assert all(p.dtype == torch.float32 for p in trainer.model.parameters())
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_the_average_follows():
    model = kit.controller()
    average = optimizers.averaged(model)
    before = average.enter.weight.clone()
    with torch.no_grad():
        model.enter.weight += 1
    optimizers.follow(average, model, keep=0.9, step=1000)
    torch.testing.assert_close(average.enter.weight, before + 0.1)
    optimizers.follow(average, model, keep=0.9, step=0)
    torch.testing.assert_close(average.enter.weight, before + 0.1 + 0.9 * 0.9)
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_the_rate_rises_stays_and_falls():
    preset = replace(SMOKE, rate=1.0, batch=100, kimg=10, warmup_kimg=1, cooldown_kimg=2)
    rates = [preset.rate_at(kimg) for kimg in (0, 0.5, 1, 5, 8, 9, 10, 11)]
    assert rates == pytest.approx([0.1, 0.6, 1, 1, 1, 0.5, 0, 0])
    assert {presets.named("paper").rate_at(kimg) for kimg in (0, 1, 900)} == {1e-4}


def test_an_adversary_learns_to_tell_and_the_model_to_deceive():
    torch.manual_seed(0)
    judge = Adversary(32)
    optimizer = torch.optim.Adam(judge.parameters(), lr=2e-3, betas=optimizers.ADVERSARY_BETAS)
    photos, painted = torch.rand(4, 3, 32, 32) - 1, torch.rand(4, 3, 32, 32)
    for _ in range(12):
        loss = torch.nn.functional.softplus(-judge(photos)).mean() + torch.nn.functional.softplus(judge(painted)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert judge(photos).min() > judge(painted).max()
    trainer, maker = kit.trainer(replace(FAST, weights=Weights(perceptual=0, adversarial=0.5)))
    before = [parameter.clone() for parameter in trainer.adversary.parameters()]
    numbers = trainer.advance(maker(0))
    assert {"adversarial", "critic"} <= set(numbers)
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.adversary.parameters(), strict=True))
    assert all(parameter.requires_grad for parameter in trainer.adversary.parameters())


def test_people_are_looked_at_once_and_recalled(tmp_path):
    trainer, _ = kit.trainer(replace(FAST, people=40))
    own = trainer.frozen.own
    some = own([33, 2, 33])
    told: list[tuple[int, int]] = []
    everyone = own.everyone(lambda k, of: told.append((k, of)))
    assert told == [(16, 40), (32, 40), (40, 40)]
    assert torch.equal(some, everyone[[33, 2, 33]])
    own.keep(tmp_path / "people.pt")
    again = kit.trainer(replace(FAST, people=40))[0].frozen.own
    assert again.recall(tmp_path / "people.pt")
    assert torch.equal(again([33, 2]), some[:2])
    other = kit.trainer(replace(FAST, people=24))[0].frozen.own
    assert not other.recall(tmp_path / "people.pt")
    # Another seed draws other people: what is known of the first ones is not theirs.
    strangers = kit.trainer(replace(FAST, people=40, seed=2))[0].frozen.own
    assert not strangers.recall(tmp_path / "people.pt")
    assert not torch.allclose(strangers([33]), some[:1], atol=0.05)


# The loop.


def test_a_run_leaves_statistics_curves_grids_and_a_checkpoint(tmp_path):
    trainer, maker = kit.trainer(replace(FAST, kimg=0.008))
    told: list[str] = []
    reason = train(job(tmp_path, trainer, maker, told), Stop())
    assert reason == "0.008 kimg are done"
    rows = read_records(tmp_path)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert {"kimg", "landmark", "identity", "loss", "images_per_s", "memory_gib"} <= set(rows[0])
    assert len(told) == 4
    assert told[0].startswith("step 1  0.00 kimg")
    assert "images/s" in told[0]
    assert told[0].endswith("left")
    assert [folder.name for folder in checkpoints(tmp_path)] == ["step_00000004"]
    assert cv2.imread(str(tmp_path / "grid_00000004.png")).shape == (5 * 64, 8 * 64, 3)
    assert cv2.imread(str(tmp_path / "curves.png")).shape[1] == curves.PANEL_W * curves.COLUMNS


def test_the_grid_shows_what_the_average_paints():
    trainer, maker = kit.trainer(FAST)
    sample = shown(maker)
    sheet = grid.paint(trainer, sample).reshape(5, 64, 8, 64, 3)
    rows = [torch.from_numpy(row.copy()).permute(1, 3, 0, 2) for row in sheet]
    batch = sample.batch
    with torch.no_grad():
        result = fuse(trainer.paint(steer(trainer.average, batch).latent, 64), batch)
    for row, wanted in zip(rows, (batch.original, batch.surroundings, None, result, None), strict=True):
        if wanted is not None:
            assert (row.float() / 127.5 - 1 - wanted.clamp(-1, 1)).abs().max() < 0.01


def test_a_time_limit_ends_a_run_with_a_checkpoint(tmp_path):
    trainer, maker = kit.trainer(replace(FAST, kimg=1e6, tick=1000))
    assert train(job(tmp_path, trainer, maker), Stop(1.0)) == "the time is up"
    assert trainer.step > 0
    assert load_snapshot(tmp_path)[1]["step"] == trainer.step == read_records(tmp_path)[-1]["step"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_with_a_checkpoint(tmp_path, number):
    before = signal.getsignal(number)
    trainer, maker = kit.trainer(replace(FAST, kimg=1e6))

    def asked(step: int):
        if step == 2:
            os.kill(os.getpid(), number)
        return maker(step)

    assert train(replace(job(tmp_path, trainer, maker), make=asked), Stop()) == f"{number.name} was received"
    assert checkpoints(tmp_path)[-1].name == f"step_{trainer.step:08d}"
    assert signal.getsignal(number) == before


def test_a_loss_that_is_not_finite_stops_the_run_and_leaves_the_last_checkpoint(tmp_path):
    trainer, maker = kit.trainer(replace(FAST, kimg=1.0, weights=Weights()))

    def broken(step: int):
        sample = maker(step)
        if step >= 3:
            sample.batch.original.fill_(float("nan"))
        return sample

    with pytest.raises(DivergedError, match=r"perceptual became .*NaN at step 3; the last checkpoint is from before"):
        train(replace(job(tmp_path, trainer, maker), make=broken), Stop())
    assert [folder.name for folder in checkpoints(tmp_path)] == ["step_00000002"]
    assert all(value.isfinite().all() for value in load_snapshot(tmp_path)[0].state_dict().values())


def test_a_gradient_that_is_not_finite_is_found_before_a_checkpoint():
    means = Means()
    means.add({"loss": torch.tensor(1.0), "gradient": torch.tensor(float("nan"))})
    with pytest.raises(DivergedError, match="gradient became infinite or NaN at step 9"):
        means.read(9)


def test_means_and_records(tmp_path):
    means = Means()
    for value in (1.0, 2.0):
        means.add({"a": torch.tensor(value)})
    means.add({"b": torch.tensor(5.0)})
    assert means.read(3) == {"a": 1.5, "b": 5.0}
    records = Records(tmp_path, 0, tensorboard=False)
    for step in (1, 2, 3):
        records.add({"step": step, "kimg": step / 10, "a": 0.1})
    with (tmp_path / "stats.jsonl").open("a") as file:
        file.write('{"step": 4, "ki')
    assert [row["step"] for row in Records(tmp_path, 2, tensorboard=False).rows] == [1, 2]
    assert [row["step"] for row in read_records(tmp_path)] == [1, 2]
    assert (clock(3725), clock(float("inf"))) == ("1:02:05", "?")


def test_tensorboard_gets_the_same_numbers(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    records = Records(tmp_path, 0, tensorboard=True)
    records.add({"step": 2, "kimg": 0.1, "loss": 0.5})
    records.close()
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(2, 0.5)]


def test_curves_show_high_above_low():
    rows = [{"step": k, "kimg": k / 10, "loss": 1.0 - k / 50} for k in range(50)]
    sheet = curves.draw(rows, ["loss", "never"])
    assert sheet.shape == (curves.PANEL_H, curves.PANEL_W * curves.COLUMNS, 3)
    line = (sheet[:, : curves.PANEL_W] == curves.LINE).all(2)
    ys, xs = np.nonzero(line)
    assert ys[xs < 100].mean() < ys[xs > 300].mean()
    assert np.allclose(curves.running_mean(np.arange(6, dtype=np.float32), 2), [0, 0.5, 1.5, 2.5, 3.5, 4.5])


# Presets and the command.


def test_presets_survive_json_and_overrides_reach_inside():
    for preset in presets.PRESETS.values():
        assert presets.from_dict(json.loads(json.dumps(presets.to_dict(preset)))) == preset
    changed = presets.override(
        SMOKE,
        ["rate=2e-4", "batch=6", "compile=true", "weights.identity=0.2", "model.hidden=64", "rungs=64,128", "kimg=1.5"],
    )
    assert (changed.rate, changed.batch, changed.compile, changed.kimg) == (2e-4, 6, True, 1.5)
    assert (changed.weights.identity, changed.model, changed.rungs) == (0.2, {"hidden": 64}, (64, 128))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("rate", "NAME=VALUE"),
        ("speed=3", "no setting 'speed'; there are name, kind"),
        ("weights.beauty=1", "no setting 'beauty'; there are landmark"),
        ("batch=many", "int expected"),
        ("compile=perhaps", "bool expected"),
        ("batch=5", "batch is 5; it must be even"),
        ("precision=fp8", "one of fp32, bf16"),
        ("mirror=2", "mirror is 2.0; it is a share"),
        ("rate=0", "rate is 0.0; it must be above 0"),
        ("side.x=3", "weights.NAME and model.NAME"),
    ],
)
def test_bad_settings_are_named(setting, message):
    with pytest.raises(ConfigError, match=message):
        presets.override(SMOKE, [setting])


def test_the_paper_preset_is_the_paper():
    paper = presets.named("paper")
    assert (paper.kind, paper.optimizer, paper.rate, paper.batch, paper.side) == ("encoder", "ranger", 1e-4, 4, 256)
    terms = {name: value for name, value in vars(paper.weights).items() if value}
    assert terms == {"landmark": 1.0, "identity": 0.1, "perceptual": 0.1}
    with pytest.raises(ConfigError, match="no preset 'fast'; there are paper, light"):
        presets.named("fast")


def test_a_gpu_that_is_not_there_is_missed():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceError, match="no GPU"):
        device_of("cuda")
    assert device_of("auto").type == "cpu"


def test_run_folders_are_numbered(tmp_path):
    assert runs.new_run(tmp_path / "none", "light").name == "00000-light"
    (tmp_path / "00006-paper").mkdir()
    (tmp_path / "notes").mkdir()
    assert runs.new_run(tmp_path, "light").name == "00007-light"


@pytest.fixture
def arguments(tmp_path) -> list[str]:
    """Files that exist, for what is checked before any is read."""
    given = []
    for option, name in (("--pack", "pack"), ("--weights", "weights"), ("--landmarks", "run68")):
        (tmp_path / name).mkdir()
        given += [option, str(tmp_path / name)]
    for option, name in (("--decoder", "decoder.pt"), ("--closed-form", "controller.npz")):
        (tmp_path / name).touch()
        given += [option, str(tmp_path / name)]
    return given


def test_a_dry_run_resolves_prints_and_leaves_nothing(tmp_path, arguments):
    done = CliRunner().invoke(
        main, ["--preset", "light", *arguments, "--out", str(tmp_path / "runs"), "--set", "rate=5e-4", "--dry-run"]
    )
    assert done.exit_code == 0, done.output
    where, _, options = done.output.partition("\n")
    assert where == str(tmp_path / "runs" / "00000-light")
    resolved = json.loads(options)
    assert resolved["preset"]["rate"] == 5e-4
    assert resolved["sources"]["packs"] == [str(tmp_path / "pack")]
    assert not (tmp_path / "runs").exists()


def test_a_begun_run_remembers_its_options(tmp_path, arguments):
    files = {"packs": (tmp_path / "pack",), "decoder": tmp_path / "decoder.pt", "weights": tmp_path / "weights"}
    files |= {"landmarks": tmp_path / "run68", "closed_form": tmp_path / "controller.npz", "light": None, "start": None}
    plan = resolve("light", ("seed=7",), files, out=tmp_path / "runs", run=None, tensorboard=False)
    runs.write_options(plan.run, plan.options())
    nothing = dict.fromkeys(files, None) | {"packs": ()}
    again = resolve(None, ("rate=1e-5",), nothing, out=None, run=plan.run, tensorboard=False)
    assert again == replace(plan, preset=replace(plan.preset, rate=1e-5))
    with pytest.raises(ConfigError, match="was begun with --preset light"):
        resolve("paper", (), nothing, out=None, run=plan.run, tensorboard=False)
    (tmp_path / "controller.npz").unlink()
    with pytest.raises(ConfigError, match=r"nothing at .*controller\.npz, .* give its --closed-form"):
        resolve(None, (), nothing, out=None, run=plan.run, tensorboard=False)


@pytest.mark.parametrize(
    ("leave_out", "add", "message"),
    [
        ("--closed-form", ["--out", "runs"], "needs --closed-form"),
        ("--weights", ["--out", "runs"], "--weights is missing"),
        ("--pack", ["--out", "runs"], "--pack is missing"),
        (None, [], "either --out"),
        (None, ["--out", "runs", "--for", "soon"], "90s, 25m or 2h"),
        (None, ["--out", "runs", "--set", "batch=3"], "batch is 3"),
        (None, ["--out", "runs", "--light", "pack"], "--light is where an encoder starts"),
    ],
)
def test_options_that_do_not_fit_are_named(tmp_path, arguments, leave_out, add, message):
    add = [str(tmp_path / word) if word in {"runs", "pack"} else word for word in add]
    if leave_out:
        at = arguments.index(leave_out)
        arguments = arguments[:at] + arguments[at + 2 :]
    done = CliRunner().invoke(main, ["--preset", "light", *arguments, *add, "--dry-run"])
    assert done.exit_code != 0
    assert message in done.output


def test_help_teaches():
    done = CliRunner().invoke(main, ["--help"])
    assert done.exit_code == 0
    for word in ("Examples:", "python -m training.train --preset light", "--dry-run", "options.json", "Ctrl-C"):
        assert word in done.output
    assert all(getattr(parameter, "help", True) for parameter in main.params)


@pytest.mark.slow
def test_the_loop_costs_little_beside_the_networks(tmp_path):
    trainer, maker = kit.trainer(replace(SMOKE, tick=10, snapshot_ticks=100, workers=1, kimg=0.08))
    took = [0.0]
    advance = trainer.advance

    def timed_advance(sample):
        start = time.perf_counter()
        numbers = advance(sample)
        took[0] += time.perf_counter() - start
        return numbers

    trainer.advance = timed_advance
    start = time.perf_counter()
    train(job(tmp_path, trainer, maker), Stop())
    assert took[0] > 0.6 * (time.perf_counter() - start)


def test_batch_config_takes_what_the_preset_says():
    config = batch_config(presets.named("light"))
    light = presets.named("light")
    assert (config.size, config.side, config.seed, config.people) == (light.batch, light.side, light.seed, light.people)
    assert config.expressions.blinks == light.blinks


# With the networks that judge real faces.


@pytest.fixture(scope="module")
def weights(real_data) -> Path:
    folder = real_data.parent / "weights"
    if not (folder / "identity").is_dir():
        pytest.skip(f"{folder} with identity/ and perceptual/ is not there")
    return folder


@pytest.fixture(scope="module")
def files(weights, tmp_path_factory) -> list[str]:
    """Everything the command reads: real judges, and small files of the other kinds."""
    return kit.write_files(tmp_path_factory.mktemp("files"), weights)


@pytest.mark.real
def test_the_command_trains_goes_on_and_trains_an_encoder_on_top(files, tmp_path):
    small = ["--set", "kimg=0.008", "--set", "model.hidden=16", "--set", "weights.distinct=0.1"]
    begun = CliRunner().invoke(main, ["--preset", "smoke", *files, *small, "--out", str(tmp_path)])
    assert begun.exit_code == 0, begun.output
    assert "stopped because 0.008 kimg are done" in begun.output
    assert "4 faces" in begun.output
    assert "looked at 16 of 16" not in begun.output  # it tells every 320
    run = tmp_path / "00000-smoke"
    before = load_snapshot(run)[1]["step"]
    assert before == 2
    late = CliRunner().invoke(main, ["--run", str(run), "--set", "kimg=1", "--for", "0s"])
    assert late.exit_code == 0, late.output
    assert "stopped because the time is up" in late.output
    assert (run / "options.json").is_file()
    assert (run / "people.pt").is_file()
    until = f"kimg={(before + 2) * SMOKE.batch / 1000}"
    again = CliRunner().invoke(main, ["--run", str(run), "--set", until])
    assert again.exit_code == 0, again.output
    assert f"going on at step {before}" in again.output
    assert load_snapshot(run)[1]["step"] == before + 2
    tiny = {"stem": 8, "stem_stride": 2, "widths": [8, 8, 8], "depths": [1, 1, 1], "lateral": 8, "heads": "shared"}
    tiny |= {"head_width": 8, "side": 64}
    arguments = [word for name, value in tiny.items() for word in ("--set", f"model.{name}={value}")]
    at = files.index("--closed-form")
    others = files[:at] + files[at + 2 :]
    top = CliRunner().invoke(
        main,
        ["--preset", "smoke", *others, "--light", str(run), "--out", str(tmp_path), "--set", "kind=encoder", *arguments]
        + ["--set", "kimg=0.008"],
    )
    assert top.exit_code == 0, top.output
    model, head = load_snapshot(tmp_path / "00001-smoke")
    assert head["kind"] == "encoder"
    assert isinstance(model, Encoder)
    assert equal(dict(model.start.state_dict()), dict(load_snapshot(run)[0].state_dict()))
