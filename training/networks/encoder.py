"""The encoder of the paper (pSp, arXiv 2008.00951): surroundings and pose image -> shifts in W+, one per slot.

A residual network with squeeze-excitation looks at both pictures at once; a feature pyramid gives three levels; each
slot of W+ reads its level through its own `map2style`: coarse slots the coarse level, and so on. The shift is added to
where a frozen `start` puts the latent already (the light controller, or the identity itself), and the last layers are
zero at first: training begins exactly at `start` and can only leave it where the losses ask for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from streamfilter.errors import ConfigError
from training.networks.map2style import TRUNKS, Map2Style
from training.networks.pyramid import Pyramid
from training.networks.resnet import ResNet

CHANNELS = 4  # RGB of the surroundings and the pose image
# Number of styles -> first medium and first fine slot; StyleGAN2 of any size as pSp has it.
LEVELS = {23: (7, 13), 18: (3, 7), 16: (3, 7), 14: (3, 7)}


def levels_of(n_styles: int) -> tuple[int, int]:
    """First medium and first fine slot of a decoder with `n_styles` slots.

    Raises:
        ConfigError: no such decoder is known.
    """
    if n_styles not in LEVELS:
        known = ", ".join(map(str, sorted(LEVELS)))
        raise ConfigError(f"no slots are known for {n_styles} styles; known are {known}: give first_medium, first_fine")
    return LEVELS[n_styles]


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Sizes of the encoder; the defaults are the `full` one, IR-SE-50 with pSp's style blocks.

    `side` is what the network looks at (px), whatever side it is given. `stem_stride` and the stages' own halving give
    the levels their size. `heads` is how a slot reads its level (`map2style`), with `head_width` features.
    `first_medium` and `first_fine` split the slots. `read_landmarks` tells `map2style` the landmarks as numbers too:
    a small network reads them less exactly from the pose image.
    """

    side: int = 256
    stem: int = 64
    stem_stride: int = 1
    widths: tuple[int, ...] = (64, 128, 256, 512)
    depths: tuple[int, ...] = (3, 4, 14, 3)
    lateral: int = 512
    heads: Literal["gradual", "shared"] = "gradual"
    head_width: int = 512
    style: int = 512
    n_styles: int = 23
    first_medium: int = 7
    first_fine: int = 13
    conditioned: bool = True
    read_landmarks: bool = False

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.depths) or len(self.widths) < 3:
            raise ConfigError(f"widths {self.widths} and depths {self.depths} must be three or more, as many of each")
        if not 0 < self.first_medium < self.first_fine < self.n_styles:
            raise ConfigError(
                f"slots must split as 0 < first_medium < first_fine < n_styles, got {self.first_medium},"
                f" {self.first_fine}, {self.n_styles}"
            )
        if self.heads not in TRUNKS:
            raise ConfigError(f"heads are {' or '.join(TRUNKS)}, got {self.heads!r}")
        if self.side & (self.side - 1) or self.coarse_side < 4:
            raise ConfigError(f"side must be a power of two with a coarse level of 4 px or more, got {self.side}")

    @property
    def coarse_side(self) -> int:
        """Side of the coarse level, px; the medium one is twice, the fine one four times as large."""
        return self.side // self.stem_stride // 2 ** len(self.widths)

    @property
    def slots(self) -> tuple[int, int, int]:
        """How many slots read the coarse, the medium and the fine level."""
        return self.first_medium, self.first_fine - self.first_medium, self.n_styles - self.first_fine


FULL = EncoderConfig()
COMPACT = EncoderConfig(
    side=128, stem=24, stem_stride=2, widths=(48, 96, 144), depths=(1, 2, 2), lateral=96, heads="shared", head_width=64,
    read_landmarks=True,
)  # fmt: skip
PRESETS = {"full": FULL, "compact": COMPACT}


def preset(name: str, n_styles: int = 23) -> EncoderConfig:
    """The named sizes for a decoder with `n_styles` slots.

    Raises:
        ConfigError: no such preset, or no such number of styles.
    """
    if name not in PRESETS:
        raise ConfigError(f"no encoder preset {name!r}; there are {', '.join(PRESETS)}")
    first_medium, first_fine = levels_of(n_styles)
    return replace(PRESETS[name], n_styles=n_styles, first_medium=first_medium, first_fine=first_fine)


def resized(picture: Tensor, side: int) -> Tensor:
    """A square picture averaged down (or enlarged) to `side` px by a whole factor.

    Raises:
        ConfigError: the sides are no whole multiples of each other.
    """
    given = picture.shape[-1]
    if given == side:
        return picture
    if given % side == 0:
        return F.avg_pool2d(picture, given // side)
    if side % given == 0:
        return F.interpolate(picture, scale_factor=float(side // given), mode="bilinear", align_corners=False)
    raise ConfigError(f"a picture of {given} px cannot be brought to the encoder's {side} px by a whole factor")


class Encoder(nn.Module):
    """Surroundings (N,3,S,S) in [-1,1], pose (N,1,S,S) in {0,1}, landmarks (N,68,2) in [0,1], identity -> W+ latent.

    `start` has the same four arguments and is never trained. Without one, the shift is added to the identity or, if
    the encoder is not conditioned on it, to `latent_avg` (512), as in pSp.
    """

    def __init__(
        self, config: EncoderConfig = FULL, start: nn.Module | None = None, latent_avg: Tensor | None = None
    ) -> None:
        super().__init__()
        self.config, self.n_styles = config, config.n_styles
        self.start = None if start is None else start.eval().requires_grad_(False)
        self.register_buffer("latent_avg", torch.zeros(config.style) if latent_avg is None else latent_avg.clone())
        self.trunk = ResNet(
            CHANNELS, stem=config.stem, stem_stride=config.stem_stride, widths=config.widths, depths=config.depths
        )
        self.pyramid = Pyramid(config.widths[-3:], config.lateral)
        self.map2style = nn.ModuleList(
            _map2style(config, slots, config.coarse_side * 2**level) for level, slots in enumerate(config.slots)
        )

    def train(self, mode: bool = True) -> Encoder:
        """As for any module, but `start` stays as it is used."""
        super().train(mode)
        if self.start is not None:
            self.start.eval()
        return self

    def forward(self, surroundings: Tensor, pose: Tensor, landmarks: Tensor, identity: Tensor) -> Tensor:
        """Latent (N, n_styles, 512), always in full precision: half of it would show as flicker."""
        shift = self.shift(surroundings, pose, landmarks, identity)
        return self.begin(surroundings, pose, landmarks, identity) + shift.float()

    def begin(self, surroundings: Tensor, pose: Tensor, landmarks: Tensor, identity: Tensor) -> Tensor:
        """The latent that the shift is added to, (N, n_styles, 512); no gradient flows through it."""
        if self.start is not None:
            with torch.no_grad(), torch.autocast(identity.device.type, enabled=False):
                return self.start(surroundings, pose, landmarks, identity)
        return identity if self.config.conditioned else self.latent_avg.expand_as(identity)

    def shift(self, surroundings: Tensor, pose: Tensor, landmarks: Tensor, identity: Tensor) -> Tensor:
        """The learnt shift (N, n_styles, 512)."""
        picture = resized(torch.cat((surroundings, pose), 1), self.config.side)
        levels = self.pyramid(self.trunk(picture))
        own = identity.split(self.config.slots, 1)
        parts = zip(self.map2style, levels, own, strict=True)
        return torch.cat([styles(level, code, landmarks) for styles, level, code in parts], 1)


def _map2style(config: EncoderConfig, slots: int, side: int) -> Map2Style:
    trunk = TRUNKS[config.heads](config.lateral, slots, config.head_width, side)
    return Map2Style(
        trunk, slots=slots, width=config.head_width, style=config.style, conditioned=config.conditioned,
        landmarks=config.read_landmarks,
    )  # fmt: skip
