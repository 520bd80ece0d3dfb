"""Makes eyes and mouths open as far as they are asked to.

    python -m training.generator.calibrate DECODER.pt CONTROLLER.npz PHOTOS.npz --predictor FILE.dat

Paints faces towards the landmarks of real photos, measures what came out, and fits, for each opening,
got = s * asked + k * own + b. The controller then asks for (wanted - k * own - b) / s. Written into CONTROLLER.npz.
"""

from __future__ import annotations

from pathlib import Path

import click
import cv2
import numpy as np
import torch

from training.generator.fast import FastDecoder
from training.generator.measure import DlibTeacher
from training.generator.networks import seeded_z
from training.generator.sample import load_decoder_checkpoint, to_image
from training.generator.steer import OPENINGS, Array
from training.generator.steered import FIRST_SLOTS, load_controller
from training.generator.vet import IdentityModel

LEAST_SLOPE = 0.4


def solve(asked: Array, own: Array, got: Array) -> Array:
    """Calibration (3, OPENINGS): factors of the wanted and of the own opening, and an offset."""
    rows = []
    for k in range(asked.shape[1]):
        design = np.column_stack([asked[:, k], own[:, k], np.ones(len(asked))])
        slope, keep, bias = np.linalg.lstsq(design, got[:, k], rcond=None)[0]
        slope = max(float(slope), LEAST_SLOPE)  # an opening that hardly follows must not be asked for the impossible
        rows.append((1 / slope, -keep / slope, -bias / slope))
    return np.array(rows).T


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("controller", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("photos", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--predictor", required=True, type=click.Path(exists=True, path_type=Path), help="dlib's 68-point .dat.")
@click.option("--count", default=200, show_default=True, help="Faces to paint.")
def main(checkpoint: Path, controller: Path, photos: Path, predictor: Path, count: int) -> None:
    """Measure how far eyes and mouths follow, and correct for it."""
    decoder, mapping, average = load_decoder_checkpoint(checkpoint)
    paint, teacher, control = FastDecoder(decoder, 128), DlibTeacher(predictor), load_controller(controller)
    control.calibration.copy_(torch.tensor([[1.0], [0.0], [0.0]]).expand(3, OPENINGS))
    real = np.load(photos)
    chosen = np.random.default_rng(0).permutation(len(real["landmarks"]))[:count]
    rows = []
    with torch.inference_mode():
        identities = IdentityModel(mapping, average)(seeded_z(count, 4))
        for i, index in enumerate(chosen):
            landmarks = torch.from_numpy(real["landmarks"][index : index + 1].astype(np.float32))
            surroundings = torch.from_numpy(real["thumb"][index : index + 1].astype(np.float32)).permute(0, 3, 1, 2)
            identity = identities[i : i + 1]
            latent = control(surroundings / 127.5 - 1, landmarks, identity)
            image = cv2.resize(to_image(paint(latent)[0]), (256, 256), interpolation=cv2.INTER_CUBIC)
            found = teacher(image)
            if found is None:
                continue
            own = (identity[:, FIRST_SLOTS] - control.average).flatten(1) @ control.predict + control.offset
            measured = torch.from_numpy((found.reshape(1, -1) + 0.5) / 256)
            rows.append([(v @ control.openings)[0].numpy() for v in (landmarks.flatten(1), own[:, :136], measured)])
    asked, own, got = np.array(rows, np.float64).transpose(1, 0, 2)
    calibration = solve(asked, own, got)
    correlation = [round(float(np.corrcoef(pair)[0, 1]), 3) for pair in zip(asked.T, got.T, strict=True)]
    click.echo(f"{len(rows)} faces; correlation {correlation}")
    click.echo(f"calibration (wanted, own, offset):\n{calibration.round(4)}")
    with np.load(controller) as values:
        np.savez(controller, **{**dict(values), "calibration": calibration})


if __name__ == "__main__":
    main()
