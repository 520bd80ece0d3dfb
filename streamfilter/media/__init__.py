"""Everything that touches media files; the only importer of `av`. Live sources join here as further `Source`s."""

from __future__ import annotations

from streamfilter.media.address import Address, AddressKind
from streamfilter.media.damage import Damage
from streamfilter.media.encoded import EncodedPacket, StreamParameters, TrackKind
from streamfilter.media.info import Colour, Kind, SourceInfo, TrackInfo
from streamfilter.media.jobs import Job, Plan, plan_jobs
from streamfilter.media.live_audio import AudioChunk
from streamfilter.media.live_clock import LIVE_TIME_BASE
from streamfilter.media.live_encoder import EncoderConfig, LiveEncoder
from streamfilter.media.live_source import LiveSource
from streamfilter.media.opening import open_sink, open_source
from streamfilter.media.outlets import OUTLET_KINDS, Outlet, OutletConfig, open_outlet
from streamfilter.media.sink import Sink
from streamfilter.media.source import Source

__all__ = [
    "LIVE_TIME_BASE",
    "OUTLET_KINDS",
    "Address",
    "AddressKind",
    "AudioChunk",
    "Colour",
    "Damage",
    "EncodedPacket",
    "EncoderConfig",
    "Job",
    "Kind",
    "LiveEncoder",
    "LiveSource",
    "Outlet",
    "OutletConfig",
    "Plan",
    "Sink",
    "Source",
    "SourceInfo",
    "StreamParameters",
    "TrackInfo",
    "TrackKind",
    "open_outlet",
    "open_sink",
    "open_source",
    "plan_jobs",
]
