"""Fits the closed-form controller and writes it as one `.npz`.

python -m training.generator.fit SAMPLES PHOTOS.npz DECODER.pt OUT.npz
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch

from training.generator.shape import fit_shape, follow_jaw
from training.generator.steer import (
    COLOURS,
    LANDMARKS,
    OPENINGS,
    Array,
    Steering,
    SteerWeights,
    explained,
    fit_light,
    fit_steering,
    load_parts,
    opening_matrix,
)

Arrays = dict[str, np.ndarray]


@click.command()
@click.argument("samples", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("photos", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--jaw", default=0.8, show_default=True, help="Share of its own jaw line that the original keeps.")
@click.option("--landmarks", "landmark_noise", default=0.2, show_default=True, help="Noise factor of landmarks.")
@click.option("--colours", "colour_noise", default=1.0, show_default=True, help="Noise factor of patch colours.")
@click.option("--openings", "opening_noise", default=0.01, show_default=True, help="Noise factor of eyes and mouth.")
@click.option("--embedding", "embedding_noise", default=0.1, show_default=True, help="Noise factor of the identity.")
def main(
    samples: Path, photos: Path, checkpoint: Path, out: Path,
    jaw: float, landmark_noise: float, colour_noise: float, opening_noise: float,
    embedding_noise: float,
) -> None:  # fmt: skip
    """Fit shape model, light estimate and steering."""
    drawn, real = load_parts(samples), np.load(photos)
    average = torch.load(checkpoint, weights_only=True)["latent_avg"].numpy().astype(np.float64)
    shape = follow_jaw(fit_shape(real["landmarks"].astype(np.float64), real["person"]), jaw)
    weights = SteerWeights(
        landmarks=landmark_noise, colours=colour_noise, openings=opening_noise, embedding=embedding_noise
    )
    steering = fit_steering(drawn, average, weights)
    thumbs = np.concatenate([drawn["thumb"], real["thumb"], real["thumb"][:, :, ::-1]])
    swapped = real["colours"].reshape(-1, 5, 3)[:, [1, 0, 2, 3, 4]].reshape(-1, 15)
    light, light_offset = fit_light(thumbs, np.concatenate([drawn["colours"], real["colours"], swapped]))
    report(drawn, average, steering, thumbs, light, light_offset)
    np.savez(
        out,
        mean=shape.mean,
        keep=shape.keep,
        predict=steering.predict,
        offset=steering.offset,
        gain=steering.gain,
        openings=opening_matrix(),
        calibration=np.repeat([[1.0], [0.0], [0.0]], OPENINGS, axis=1),
        light=light,
        light_offset=light_offset,
        average=average,
    )


def report(drawn: Arrays, average: Array, steering: Steering, thumbs: Array, light: Array, light_offset: Array) -> None:
    """Print how much of each observation the linear models explain on the data they were fitted on."""
    x = (drawn["groups"].astype(np.float64) - average).reshape(len(drawn["groups"]), -1)
    guess = x @ steering.predict + steering.offset
    landmarks = drawn["landmarks"].reshape(len(x), -1)
    shares = (
        explained(landmarks, guess[:, :LANDMARKS]),
        explained(drawn["colours"], guess[:, LANDMARKS : LANDMARKS + COLOURS]),
    )
    click.echo(f"{len(x)} generated faces: landmarks {shares[0]:.3f}, colours {shares[1]:.3f} explained")
    seen = thumbs[: len(x)].reshape(len(x), -1).astype(np.float64) / 127.5 - 1
    click.echo(f"light from the surroundings: {explained(drawn['colours'], seen @ light + light_offset):.3f} explained")


if __name__ == "__main__":
    main()
