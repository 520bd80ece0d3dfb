"""Draws faces from the generator and measures them: the data of the closed-form steering.

    python -m training.generator.sample DECODER.pt OUT --count 6000 --predictor DAT --embedder ONNX

Half of the samples mix three latents over the coarse, mid and fine styles, so that each group's own effect can be told.
Written in parts of 200; a second run goes on where the first one stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from torch import Tensor

from streamfilter.align import ffhq_matrix, remove_face, transform
from streamfilter.structures import Image
from training.generator.fast import FastDecoder
from training.generator.measure import DlibTeacher, Embedder, patch_colours
from training.generator.networks import STYLES, WIDTH, Decoder, Mapping

GROUPS = (slice(0, 6), slice(6, 12), slice(12, STYLES))  # coarse, mid, fine
PART = 200
Painter = Callable[[Tensor], Tensor]
THUMB = 16


def load_decoder_checkpoint(path: Path) -> tuple[Decoder, Mapping, Tensor]:
    """Decoder, mapping network and average latent of a checkpoint written by `readouts`."""
    state = torch.load(path, weights_only=True)
    blocks = 1 + max(int(key.split(".")[1]) for key in state["decoder"] if key.startswith("blocks."))
    decoder, mapping = Decoder(blocks).drop_noise(), Mapping()
    decoder.load_state_dict(state["decoder"] | state.get("slim", {}), strict="slim" in state)
    mapping.load_state_dict(state["mapping"])
    return decoder.eval().requires_grad_(False), mapping.eval().requires_grad_(False), state["latent_avg"]


def spread(groups: Tensor) -> Tensor:
    """One latent per group, (N, 3, 512), over the slots of W+: (N, 23, 512)."""
    return groups[:, [index for index, group in enumerate(GROUPS) for _ in range(STYLES)[group]]]


def draw(mapping: Mapping, average: Tensor, count: int, seed: int) -> Tensor:
    """Random latents per group (count, 3, 512), truncation 0.6 to 1; every second one is the same in all groups."""
    rng = np.random.default_rng(seed)
    z = torch.from_numpy(rng.standard_normal((count * 3, WIDTH)).astype(np.float32))
    psi = torch.from_numpy(rng.uniform(0.6, 1.0, (count, 1, 1)).astype(np.float32))
    groups = average + psi * (mapping(z).reshape(count, 3, WIDTH) - average)
    groups[::2] = groups[::2, :1]
    return groups


def to_image(picture: Tensor) -> Image:
    """RGB tensor (3, H, W) in [-1, 1] -> (H, W, 3) uint8."""
    return ((picture.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).contiguous().numpy()


def thumbnail(image: Image, landmarks: np.ndarray) -> np.ndarray:
    """The surroundings (face removed), averaged down to 16 px, (16, 16, 3) uint8: what the light is read from."""
    return cv2.resize(remove_face(image, landmarks), (THUMB, THUMB), interpolation=cv2.INTER_AREA)


def measure_part(paint: Painter, groups: Tensor, teacher: DlibTeacher, embed: Embedder) -> dict:
    """Everything that is measured on one part of the samples; faces that dlib does not find are left out."""
    rows: dict[str, list[np.ndarray]] = {"groups": [], "landmarks": [], "colours": [], "embedding": [], "thumb": []}
    for group in groups:
        image = to_image(paint(spread(group[None]))[0])
        image = cv2.resize(image, (256, 256), interpolation=cv2.INTER_CUBIC) if len(image) < 256 else image
        landmarks = teacher(image)
        if landmarks is None:
            continue
        matrix = ffhq_matrix(landmarks, 256)
        rows["groups"].append(group.numpy().astype(np.float16))
        rows["landmarks"].append((landmarks + 0.5) / 256)
        rows["colours"].append(patch_colours(image, landmarks))
        rows["embedding"].append(embed(image, landmarks))
        aligned = cv2.warpAffine(image, matrix, (256, 256), borderMode=cv2.BORDER_REPLICATE)
        rows["thumb"].append(thumbnail(aligned, transform(landmarks, matrix)))
    return {name: np.stack(values) for name, values in rows.items()}


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--count", default=6000, show_default=True, help="Faces to draw.")
@click.option("--side", default=128, show_default=True, help="Rung that paints them.")
@click.option("--predictor", required=True, type=click.Path(exists=True, path_type=Path), help="dlib's 68-point .dat.")
@click.option("--embedder", required=True, type=click.Path(exists=True, path_type=Path), help="Recogniser, ONNX.")
def main(checkpoint: Path, out: Path, count: int, side: int, predictor: Path, embedder: Path) -> None:
    """Draw and measure faces into OUT, part by part."""
    decoder, mapping, average = load_decoder_checkpoint(checkpoint)
    paint = FastDecoder(decoder, side)
    teacher, embed = DlibTeacher(predictor), Embedder(embedder, 127.5, 1 / 128)
    out.mkdir(parents=True, exist_ok=True)
    start, fresh = time.monotonic(), 0
    for part in range(-(-count // PART)):
        path = out / f"part_{part:04d}.npz"
        if path.exists():
            continue
        with torch.inference_mode():
            rows = measure_part(paint, draw(mapping, average, PART, 1000 + part), teacher, embed)
        np.savez(path, **rows)
        fresh += PART
        rate = fresh / (time.monotonic() - start)
        left = (count - (part + 1) * PART) / rate
        click.echo(f"{(part + 1) * PART}/{count} faces, {rate:.1f}/s, {left:.0f} s left")


if __name__ == "__main__":
    main()
