"""From an address to the outlet that serves it."""

from __future__ import annotations

from pathlib import Path

from streamfilter.errors import ConfigError
from streamfilter.media.address import Address, AddressKind
from streamfilter.media.encoded import StreamParameters
from streamfilter.media.outlets.file import FileOutlet
from streamfilter.media.outlets.hls import HlsOutlet
from streamfilter.media.outlets.outlet import Outlet, OutletConfig
from streamfilter.media.outlets.rtmp import RtmpOutlet
from streamfilter.media.outlets.rtsp import RtspOutlet
from streamfilter.media.outlets.segments import SegmentsOutlet
from streamfilter.media.outlets.srt import SrtOutlet
from streamfilter.media.outlets.udp import UdpOutlet

_SERVERS = {
    AddressKind.RTSP: RtspOutlet,
    AddressKind.RTMP: RtmpOutlet,
    AddressKind.SRT: SrtOutlet,
    AddressKind.UDP: UdpOutlet,
}
OUTLET_KINDS = frozenset({AddressKind.FILE, AddressKind.HLS, *_SERVERS})
"""Addresses that take encoded packets; pages, windows and cameras take pictures."""


def open_outlet(address: Address, parameters: StreamParameters, config: OutletConfig | None = None) -> Outlet:
    """The outlet for an address. It connects with its first key frame; what can be checked before is.

    Raises:
        ConfigError: No outlet serves such an address, or its file ending says nothing.
        OutputError: The place cannot be written, or the name is taken.
    """
    config = config or OutletConfig()
    if address.kind is AddressKind.HLS:
        return HlsOutlet(_local(address), parameters, config)
    if address.kind is AddressKind.FILE:
        path = _local(address)
        in_parts = config.segment_s is not None or "%" in path.name
        return (SegmentsOutlet if in_parts else FileOutlet)(path, parameters, config)
    if address.kind in _SERVERS:
        return _SERVERS[address.kind](str(address), address.url, parameters, config)
    raise ConfigError(f"{address} takes no encoded stream; give a file, an .m3u8, or rtsp://, rtmp://, srt://, udp://")


def _local(address: Address) -> Path:
    if "://" in address.url:
        raise ConfigError(f"{address} cannot be written to; an HLS stream goes to a folder, as in live/stream.m3u8")
    return Path(address.url)
