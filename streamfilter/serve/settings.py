"""The keys that `[defaults]` and `[[camera]]` share, and the settings that each of them is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from streamfilter.config import AnonymizeConfig, DetectConfig, TrackConfig
from streamfilter.live_config import LiveConfig

Keys = Mapping[str, str]
"""Key in the file -> name of the field in a frozen dataclass."""


def _all(room: type) -> Keys:
    return {each.name: each.name for each in fields(room)}


def _some(*names: str, **renamed: str) -> Keys:
    return {name: name for name in names} | renamed


DETECT, TRACK, ANONYMIZE, LIVE = (_all(room) for room in (DetectConfig, TrackConfig, AnonymizeConfig, LiveConfig))
CARDS = _some("card_after_s", "freeze_s", "card_fps")
ENCODER = _some("codec", "preset", "crf", "max_kbps", "key_interval_s", encoder_threads="threads")
OUTLETS = _some(
    "segment_s",
    "write_timeout_s",
    "hls_segment_s",
    "hls_segments",
    sink_open_timeout_s="open_timeout_s",
)
PLAIN = ("restart", "max_latency_ms", "audio")
ROOMS = (DETECT, TRACK, ANONYMIZE, LIVE, CARDS, ENCODER, OUTLETS)
SETTINGS = (*PLAIN, *(key for room in ROOMS for key in room))
