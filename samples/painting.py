"""Paints the people of the scene with the project's generator (the one file that needs torch)."""

from __future__ import annotations

from pathlib import Path

import click
import cv2
import numpy as np
import torch

from samples.acting import Array, Part, Person
from streamfilter.align import face_mask, ffhq_matrix, transform
from training.generator.fast import FastDecoder
from training.generator.networks import seeded_z
from training.generator.sample import load_decoder_checkpoint, spread, to_image
from training.generator.steered import FIRST_SLOTS, load_controller
from training.generator.vet import IdentityModel

SIDE = 256
CHEEKS = [2, 3, 33, 13, 14, 28]  # a patch of bare skin that neither blinks nor talks
DRAWN = 32  # identities per seed, so that an index means the same face everywhere


def aligned(part: Part) -> tuple[Array, Array]:
    """Landmarks (n, 68, 2) in the generator's aligned squares, and the matrices (n, 2, 3) from head to aligned square.

    The generator only paints aligned faces; the matrix says how such a face lies in the head's own square. It follows
    the rigid head, so that a blink or a word does not shake the picture.
    """
    unit = np.diag([SIDE, SIDE]).astype(np.float64)
    matrices = np.stack([ffhq_matrix(points @ unit - 0.5, SIDE) for points in part.rigid])
    points = np.stack(
        [(transform(p @ unit - 0.5, m) + 0.5) / SIDE for p, m in zip(part.expressive, matrices, strict=True)]
    )
    return points, matrices


class Studio:
    """Decoder, identities and controller."""

    def __init__(self, checkpoint: Path, controller: Path) -> None:
        decoder, mapping, average = load_decoder_checkpoint(checkpoint)
        self._identities = IdentityModel(mapping, average)
        self._controller = load_controller(controller)
        self._decoder = FastDecoder(decoder, SIDE)

    def identity(self, person: Person) -> torch.Tensor:
        """The person's latent (1, 23, 512)."""
        with torch.inference_mode():
            return self._identities(seeded_z(DRAWN, person.seed)[person.index : person.index + 1])

    def _observed(self, identity: torch.Tensor) -> torch.Tensor:
        c = self._controller
        return (identity[:, FIRST_SLOTS] - c.average).flatten(1) @ c.predict + c.offset

    def neutral(self, person: Person) -> Array:
        """The person's own landmarks (68, 2) in [0, 1]."""
        with torch.inference_mode():
            return self._observed(self.identity(person))[0, :136].reshape(68, 2).double().numpy()

    def paint(self, person: Person, landmarks: Array) -> np.ndarray:
        """The person with these landmarks (n, 68, 2): pictures (n, 256, 256, 3) uint8."""
        identity, c = self.identity(person), self._controller
        pictures = []
        with torch.inference_mode():
            own = self._observed(identity)
            for index, points in enumerate(landmarks):
                seen = torch.from_numpy(points.reshape(1, 136)).float()
                target = torch.cat((seen, own[:, 136:-3], seen @ c.openings), 1)
                shift = ((target - own) @ c.gain.T).reshape(1, 3, -1)
                shift[:, 2] = 0  # the fine styles hold the colours of skin and hair, which must not change
                pictures.append(to_image(self._decoder((identity + spread(shift)).contiguous())[0]))
                if index % 50 == 0:
                    click.echo(f"{person.name}: picture {index}/{len(landmarks)}")
        return np.stack(pictures)

    def film(self, person: Person, part: Part) -> np.ndarray:
        """The whole part, (n, 256, 256, 3) uint8.

        Opening a mouth or closing eyes also changes hair and background a little; so each frame is painted at rest and
        with its expression, and only the face is taken from the second picture.
        """
        rest, moved = aligned(Part(part.rigid, part.rigid, part.centre))[0], aligned(part)[0]
        pairs = zip(self.paint(person, rest), self.paint(person, moved), moved, strict=True)
        return np.stack([put_expression(*pair) for pair in pairs])


def put_expression(rest: np.ndarray, moved: np.ndarray, landmarks: Array) -> np.ndarray:
    """`rest` with the face of `moved`, in the skin colour of `rest`."""
    points = (landmarks * SIDE - 0.5).astype(np.float32)
    cheeks = np.zeros(rest.shape[:2], np.uint8)
    cv2.fillConvexPoly(cheeks, np.round(points[CHEEKS]).astype(np.int32), 1)
    difference = moved.astype(np.float32) - rest
    difference -= difference[cheeks > 0].mean(0)
    mask = face_mask(points, SIDE, feather=0.1)[..., None]
    return np.clip(np.round(rest + mask * difference), 0, 255).astype(np.uint8)
