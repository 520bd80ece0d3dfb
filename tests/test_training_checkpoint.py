"""training/train/checkpoint: small files, loadable as plain weights, whole or not there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_optimizer")

from streamfilter.errors import ConfigError  # noqa: E402
from training.networks.light import LightConfig, LightController  # noqa: E402
from training.train import checkpoint  # noqa: E402
from training.train.presets import from_dict, named, to_dict  # noqa: E402

SMALL = LightConfig(hidden=16, light=4, first_slots=(0, 6))
SIXTEEN_MIB = 16 * 2**20


def light(seed: int = 0, config: LightConfig = SMALL) -> LightController:
    torch.manual_seed(seed)
    model = LightController(config)
    torch.nn.init.normal_(model.leave.weight)
    return model


def save(run: Path, step: int, state: object = None, model: torch.nn.Module | None = None) -> Path:
    return checkpoint.save(
        run, model=model or light(step), step=step, kimg=step / 100, preset=to_dict(named("light")), state=state
    )


def same(one: object, other: object) -> bool:
    """Equal trees, with tensors equal bit by bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(same(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_a_snapshot_describes_itself(tmp_path: Path) -> None:
    model = light()
    for path in (save(tmp_path, 7, model=model), tmp_path, tmp_path / "step_00000007" / "snapshot.pt"):
        loaded, head = checkpoint.load_snapshot(path)
        assert (head["kind"], head["step"], head["kimg"]) == ("light", 7, 0.07)
        assert from_dict(head["preset"]) == named("light")
        assert loaded.config == SMALL
        assert not loaded.training
        assert same(dict(loaded.state_dict()), dict(model.state_dict()))


def test_everything_is_plain_weights(tmp_path: Path) -> None:
    for path in save(tmp_path, 1, {"a": torch.ones(3), "b": (1, 2.5, None, "x", [True])}).iterdir():
        torch.load(path, weights_only=True)


def test_a_resume_gets_back_what_was_kept(tmp_path: Path) -> None:
    base = torch.arange(24.0).view(4, 6)
    state = {
        "view": base[1:3, ::2], "number": torch.tensor(3), "empty": torch.zeros(0, 2), "half": base.half(),
        "counts": torch.arange(5), "list": [base.t(), 1], "pair": (base.bool(), "text"), 3: None,
    }  # fmt: skip
    assert checkpoint.load_resume(tmp_path) is None
    save(tmp_path, 1, state)
    assert same(checkpoint.load_resume(tmp_path), state)


def test_no_file_is_above_16_mib_however_large_the_state(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    state = {"one": torch.randn(9_000_000, generator=generator), **{f"{k}": torch.randn(700, 700) for k in range(20)}}
    folder = save(tmp_path, 1, state, model=light(config=LightConfig(hidden=1024, first_slots=tuple(range(23)))))
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert max(sizes.values()) <= SIXTEEN_MIB
    assert {"snapshot.pt", "snapshot_01.pt", "resume_00.pt", "resume_01.pt"} <= set(sizes)
    assert same(checkpoint.load_resume(tmp_path), state)


def test_a_large_snapshot_keeps_half_the_digits(tmp_path: Path) -> None:
    model = light(config=LightConfig(hidden=1024, first_slots=tuple(range(23))))
    loaded, _ = checkpoint.load_snapshot(save(tmp_path, 1, model=model))
    for name, value in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, rtol=1e-3, atol=1e-6)


def test_the_older_checkpoint_goes_when_the_newer_is_whole(tmp_path: Path) -> None:
    save(tmp_path, 1, {"step": 1})
    newer = save(tmp_path, 2, {"step": 2})
    assert checkpoint.checkpoints(tmp_path) == [newer]
    assert save(tmp_path, 2, {"step": "again"}) == newer
    assert checkpoint.load_resume(tmp_path) == {"step": 2}


@pytest.mark.parametrize("files", [0, 1, 2])
def test_a_kill_while_writing_leaves_the_older_one(tmp_path: Path, files: int) -> None:
    save(tmp_path, 1, {"step": 1})
    whole = save(tmp_path / "other", 2, {"step": 2})
    half = tmp_path / "part_00000002"
    half.mkdir()
    for path in sorted(whole.iterdir())[:files]:
        shutil.copy(path, half)
    assert checkpoint.load_resume(tmp_path) == {"step": 1}
    assert checkpoint.load_snapshot(tmp_path)[1]["step"] == 1
    save(tmp_path, 2, {"step": 2})
    assert checkpoint.load_resume(tmp_path) == {"step": 2}
    assert not half.exists()


def test_a_kill_before_the_older_one_is_gone_leaves_the_newer(tmp_path: Path) -> None:
    older = save(tmp_path, 1, {"step": 1})
    kept = shutil.copytree(older, tmp_path / "kept")
    save(tmp_path, 2, {"step": 2})
    kept.rename(older)
    assert checkpoint.load_resume(tmp_path) == {"step": 2}
    assert checkpoint.load_snapshot(tmp_path)[1]["step"] == 2


def test_what_is_no_snapshot_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no snapshot"):
        checkpoint.load_snapshot(tmp_path)
    torch.save({"weights": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(ConfigError, match=r"other\.pt is no checkpoint of format 1"):
        checkpoint.load_snapshot(tmp_path / "other.pt")


def test_a_file_that_is_missing_or_cut_off_is_named(tmp_path: Path) -> None:
    large = light(config=LightConfig(hidden=1024, first_slots=tuple(range(23))))
    folder = save(tmp_path, 1, model=large)
    (folder / "snapshot_01.pt").unlink()
    with pytest.raises(ConfigError, match=r"snapshot_01\.pt is missing"):
        checkpoint.load_snapshot(tmp_path)
    for content in (b"", b"no checkpoint", (folder / "snapshot.pt").read_bytes()[:1000]):
        (folder / "snapshot.pt").write_bytes(content)
        with pytest.raises(ConfigError, match=r"snapshot\.pt is damaged, or no checkpoint"):
            checkpoint.load_snapshot(tmp_path)
