"""Makes samples/two_people.mp4: two invented people talk, turn, blink and cross each other.

    python -m samples.make_samples DECODER.pt CONTROLLER.npz [--out FILE] [--work FOLDER]

DECODER.pt comes from `python -m training.generator.readouts`, CONTROLLER.npz from `python -m training.generator.fit`.
With --work, painted pictures are kept in FOLDER and used again as long as nobody moves differently.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import click
import cv2
import numpy as np

from samples.acting import FPS, FRAMES, PEOPLE, Array, Part, Person, act
from samples.cutout import Picture, extend, head_matte, steady
from samples.room import HEIGHT, WIDTH, garment, room
from samples.voice import RATE, soundtrack

CHUNK = 1024
COLLAR = 0.89  # where the collar's sides are, in the head's square


class Sprite:
    """One person ready to be drawn: pictures, mattes, garment and where they go."""

    def __init__(self, person: Person, part: Part, pictures: np.ndarray, points: Array, matrices: Array) -> None:
        self._person, self._part, self._matrices = person, part, matrices
        self._mattes = steady(np.stack([head_matte(p, q) for p, q in zip(pictures, points, strict=True)]))
        self._pictures = [extend(picture, matte) for picture, matte in zip(pictures, self._mattes, strict=True)]
        self._garment = garment(person.side, person.garment)

    def draw(self, canvas: np.ndarray, index: int) -> None:
        """Draw the person as in frame `index` onto `canvas` (float), head first: the collar lies over the neck."""
        place = placement(self._part.centre[index], self._person.side, self._pictures[0].shape[0])
        matrix = (place @ np.vstack([cv2.invertAffineTransform(self._matrices[index]), [0, 0, 1]]))[:2]
        head = np.dstack([self._pictures[index].astype(np.float32), self._mattes[index] * 255])
        _lay(canvas, head, matrix, sharpen=0.5)
        width = self._garment.shape[1]
        x, y = self._part.centre[index] + [-width / 2, (COLLAR - 0.5) * self._person.side]
        _lay(canvas, self._garment, np.array([[1, 0, x], [0, 1, y]]))


def placement(centre: Array, side: float, pixels: int) -> Array:
    """The matrix (3, 3) from a head's square of `pixels` px to the frame."""
    scale = side / pixels
    shift = centre - scale * (pixels - 1) / 2
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]])


def _lay(canvas: np.ndarray, layer: np.ndarray, matrix: Array, sharpen: float = 0.0) -> None:
    """Lay RGBA `layer` over `canvas` in place."""
    moved = cv2.warpAffine(layer, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
    colour, alpha = moved[..., :3], np.clip(moved[..., 3:] / 255, 0, 1)
    if sharpen:
        colour = np.clip(colour + sharpen * (colour - cv2.GaussianBlur(colour, (0, 0), 1.5)), 0, 255)
    canvas += alpha * (colour - canvas)


def load_sprite(person: Person, checkpoint: Path, controller: Path, work: Path | None) -> Sprite:
    """Paint the person, or take the pictures of an earlier run from `work`."""
    from samples.painting import Studio, aligned  # noqa: PLC0415 (torch is slow to load, and drawing needs none)

    studio = Studio(checkpoint, controller)
    part = act(person, studio.neutral(person))
    points, matrices = aligned(part)
    kept = work / f"{person.name}.npz" if work else None
    if kept is not None and kept.exists():
        with np.load(kept) as old:
            if old["points"].shape == points.shape and np.allclose(old["points"], points, atol=1e-4):
                return Sprite(person, part, old["pictures"], points, matrices)
    pictures = studio.film(person, part)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, pictures=pictures, points=points)
    return Sprite(person, part, pictures, points, matrices)


def frames(sprites: list[Sprite]) -> Iterator[Picture]:
    """All frames (720, 1280, 3) of the clip."""
    background = room().astype(np.float32)
    for index in range(FRAMES):
        canvas = background.copy()
        for sprite in sprites:
            sprite.draw(canvas, index)
        yield np.clip(np.round(canvas), 0, 255).astype(np.uint8)


def write(path: Path, pictures: Iterator[Picture], sound: Array) -> None:
    """Write H.264 and AAC to `path`."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FPS, options={"crf": "20", "preset": "slow", "threads": "1"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=RATE, layout="mono")
        audio.bit_rate = 96000
        for picture in pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for start in range(0, len(sound), CHUNK):
            samples = sound[None, start : start + CHUNK].astype(np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("controller", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", default=Path(__file__).with_name("two_people.mp4"), type=click.Path(path_type=Path))
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), help="Keep painted pictures here.")
def main(checkpoint: Path, controller: Path, out: Path, work: Path | None) -> None:
    """Paint the people, draw the room and write the clip."""
    sprites = [load_sprite(person, checkpoint, controller, work) for person in PEOPLE]
    write(out, frames(sprites), soundtrack())
    click.echo(f"{out}: {out.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
