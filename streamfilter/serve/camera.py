"""One camera of a configuration, as a value: what it reads, where it writes, how it is filtered and started again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from streamfilter.config import Audio, FilterConfig
from streamfilter.live_config import LiveConfig
from streamfilter.media.address import Address, AddressKind
from streamfilter.media.live_encoder import EncoderConfig
from streamfilter.media.outlets.outlet import OutletConfig
from streamfilter.pipeline import PipelineConfig
from streamfilter.pipeline.crew import Restart
from streamfilter.redact import names_secret
from streamfilter.shedding import ShedConfig

_LONG = 8
_LOCAL = frozenset({AddressKind.FILE, AddressKind.HLS})


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Two cameras that are equal need no restart. `repr` shows no credential.

    `max_latency_ms`: beyond it, work is shed; None: see `ShedConfig.beyond`.
    """

    name: str
    source: Address
    sinks: tuple[Address, ...] = ()
    restart: Restart = Restart.ALWAYS
    max_latency_ms: float | None = None
    audio: Audio = Audio.KEEP
    filter: FilterConfig = field(default_factory=FilterConfig)
    live: LiveConfig = field(default_factory=LiveConfig)
    cards: PipelineConfig = field(default_factory=PipelineConfig)
    # More threads would only wait for each other: other cameras have work for the other cores.
    encoder: EncoderConfig = field(default_factory=lambda: EncoderConfig(threads=1))
    # Nobody sits beside a server: a disk that was full is tried again, and no restart is refused for what it recorded.
    outlets: OutletConfig = field(default_factory=lambda: OutletConfig(unattended=True))

    @property
    def pipeline(self) -> PipelineConfig:
        """Settings of its live run: people are known again after a gap no longer than the track hold."""
        shed = ShedConfig.beyond(self.filter.track.lookahead_s, self.max_latency_ms)
        return replace(self.cards, shed=shed, keep_s=self.filter.track.hold_s)

    @property
    def secrets(self) -> frozenset[str]:
        """What of its addresses must never be shown."""
        return frozenset(secret for address in (self.source, *self.sinks) for secret in secrets_of(address))

    @property
    def held(self) -> frozenset[str]:
        """What it needs for itself alone: two cameras that share any of it cannot run at once."""
        devices = [self.source] if self.source.kind is AddressKind.WEBCAM else []
        return frozenset(place_of(address) for address in (*self.sinks, *devices))


def place_of(address: Address) -> str:
    """The same text for every spelling of one place: a file's full path, or a URL without login and upper case."""
    if address.kind in _LOCAL and "://" not in address.url:
        return str(Path(address.url).resolve())
    parts = urlsplit(address.url)
    if not parts.netloc:
        return f"{address.kind}:{address.url}"
    host = parts.netloc.rpartition("@")[2].lower()
    return parts._replace(scheme=parts.scheme.lower(), netloc=host, fragment="").geturl().rstrip("/")


def secrets_of(address: Address) -> Iterator[str]:
    """Passwords, tokens and keys in an address, as they are written and as they are meant.

    What else stands in a query or a path, such as `stream=main`, is a secret only where it is long: short words would
    be taken out of sentences that they have nothing to do with.
    """
    if "://" not in address.url:
        return
    parts = urlsplit(address.url)
    login = parts.netloc.rpartition("@")[0]
    others = [parts.query, *(part for part in parts.path.split("/") if part not in address.shown)]
    query = parse_qsl(parts.query)
    others += [value for key, value in query if not names_secret(key)]
    told = [login, login.partition(":")[2], *(value for key, value in query if names_secret(key))]
    for secret in (*told, *(other for other in others if len(other) >= _LONG)):
        yield from {secret, unquote(secret)} - {""}


def with_own_seed(camera: Camera) -> Camera:
    """The camera with a seed derived from its name: one seed for all would give their people the same faces."""
    seed = camera.filter.anonymize.seed
    if seed is None:
        return camera
    own = int.from_bytes(hashlib.sha256(f"{seed}/{camera.name}".encode()).digest()[:8], "big")
    return replace(camera, filter=replace(camera.filter, anonymize=replace(camera.filter.anonymize, seed=own)))
