"""Small stand-ins for what training needs: drawn faces, a painter and judges with random weights."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from streamfilter.align import ffhq_matrix, transform
from streamfilter.structures import Floats, Image
from tests.synthetic_face import face_shape
from training.generator.networks import Decoder, Mapping
from training.judges.identity import IdentityJudge
from training.judges.landmarks import LandmarkJudge
from training.judges.perceptual import PerceptualJudge
from training.landmarks.network import Network, NetworkConfig
from training.landmarks.train import Run, TrainConfig
from training.networks.light import LightConfig, LightController, blank
from training.objective import Judges
from training.prepare.faces import Face
from training.prepare.parts import Part
from training.prepare.sources import Picture
from training.train.assemble import batch_config, build_trainer
from training.train.batches import BatchMaker
from training.train.presets import Preset
from training.train.trainer import Trainer

STYLES, WIDTH = 23, 512
SMALL = LightConfig(hidden=32, light=8, first_slots=(0, 6, 12))


class DrawnFaces:
    """Aligned faces of different expression as coloured shapes; every second one follows the one before it."""

    def __init__(self, count: int = 12) -> None:
        random = np.random.default_rng(0)
        shapes = [face_shape(eyes=random.uniform(0.2, 1.2), mouth=random.uniform(0, 0.6)) for _ in range(count)]
        turned = [shape + random.normal(0, 0.01, shape.shape).astype(np.float32) for shape in shapes]
        self.landmarks: Floats = np.stack([transform(shape, ffhq_matrix(shape, 1)) for shape in turned]) + 0.5
        self.neighbour = np.array([i + 1 if i % 2 == 0 else -1 for i in range(count)])
        self._colours = random.integers(60, 220, (count, 3))

    def __len__(self) -> int:
        return len(self.landmarks)

    def image(self, i: int, side: int) -> Image:
        picture = np.full((side, side, 3), 255 - self._colours[i], np.uint8)
        hull = cv2.convexHull(np.round(self.landmarks[i] * side).astype(np.int32))
        cv2.fillConvexPoly(picture, hull, [int(c) for c in self._colours[i]])
        return picture


class Painter(nn.Module):
    """A decoder of random weights: the mean latent of each third of W+ colours a grid, which is enlarged."""

    n_styles, sides = STYLES, (64, 128)

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.read = nn.Linear(3 * WIDTH, 12 * 8 * 8)
        self.layers = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(12, 12, 3, padding=1), nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(12, 3, 3, padding=1),
        )  # fmt: skip
        self.register_buffer("latent_avg", torch.zeros(WIDTH))
        self.eval().requires_grad_(False)

    def paint(self, latent: Tensor, side: int) -> Tensor:
        thirds = torch.stack([latent[:, :7].mean(1), latent[:, 7:13].mean(1), latent[:, 13:].mean(1)], 1)
        grid = self.read(thirds.flatten(1) * 3).view(-1, 12, 8, 8)
        return nn.functional.interpolate(self.layers(grid), size=(side, side), mode="bilinear").mul(3).tanh()


def identities(z: Tensor) -> Tensor:
    """Random z -> identity, at about the spread of real latents."""
    return (0.5 * z)[:, None].expand(-1, STYLES, -1)


def recogniser(seed: int) -> nn.Module:
    """Tells patterns apart, whatever their brightness."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.LayerNorm(192, elementwise_affine=False),
        nn.Linear(192, 32, bias=False),
    )  # fmt: skip


def landmark_network() -> Network:
    """Random, but with heatmaps whose peaks move with the picture."""
    torch.manual_seed(2)
    network = Network(NetworkConfig(size=32, stem=8, widths=(8, 12, 16), lateral=8, head=16))
    network.heat.weight.data *= 60
    network.correct[2].weight.data.normal_(0, 0.1)
    return network


def judges() -> Judges:
    """Judges of random weights."""
    perceptual = PerceptualJudge().eval().requires_grad_(False)
    return Judges(LandmarkJudge(landmark_network()), IdentityJudge([recogniser(3), recogniser(4)]), perceptual)


def closed_form() -> dict[str, np.ndarray]:
    """Asks for the landmarks it is given, and leads away from the person."""
    values = {
        "mean": DrawnFaces().landmarks.mean(0).ravel(), "keep": np.eye(136, dtype=np.float32),
        "gain": 0.1 * np.random.default_rng(1).standard_normal((3 * WIDTH, 154), np.float32),
        "metric": 0.3 * np.eye(WIDTH, dtype=np.float32),
    }  # fmt: skip
    return {**blank(), **values}


def controller() -> LightController:
    """A small light controller."""
    torch.manual_seed(5)
    return LightController(SMALL, closed_form())


def trainer(preset: Preset, model: nn.Module | None = None) -> tuple[Trainer, BatchMaker]:
    """A trainer of stand-ins, on the CPU."""
    maker = BatchMaker(DrawnFaces(), identities, batch_config(preset))
    near = torch.from_numpy(maker.faces.landmarks.mean(0))
    built = build_trainer(preset, model or controller(), Painter(), judges(), maker, near, torch.device("cpu"))
    return built, maker


def write_files(folder: Path, weights: Path) -> list[str]:
    """A pack, a decoder, a landmark network and a closed form on disk, as arguments of the command."""
    (folder / "pack").mkdir()
    drawn = DrawnFaces(4)
    part = Part(source="drawn", key="drawn")
    for index in range(len(drawn)):
        image = drawn.image(index, 256)
        _, jpeg = cv2.imencode(".jpg", image)
        face = Face(jpeg=jpeg.tobytes(), landmarks=drawn.landmarks[index], matrix=np.eye(2, 3, dtype=np.float32))
        part.add(face, Picture(image=image, person=str(index), name=f"{index}.jpg"), follows_last=False)
    part.save(folder / "pack" / "part_0000.npz")
    torch.manual_seed(0)
    decoder = Decoder(blocks=4).drop_noise()
    decoder.const.data.normal_()
    state = {"decoder": decoder.state_dict(), "mapping": Mapping().state_dict(), "latent_avg": torch.zeros(WIDTH)}
    torch.save(state, folder / "decoder.pt")
    run = Run(landmark_network().config, TrainConfig())
    run.average = landmark_network()
    (folder / "landmarks").mkdir()
    run.save(folder / "landmarks")
    np.savez(folder / "controller.npz", **closed_form())
    named = {"pack": "pack", "decoder": "decoder.pt", "landmarks": "landmarks", "closed-form": "controller.npz"}
    options = [word for option, name in named.items() for word in (f"--{option}", str(folder / name))]
    return [*options, "--weights", str(weights)]
