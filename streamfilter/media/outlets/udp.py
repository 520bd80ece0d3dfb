"""MPEG-TS over UDP, to one host or a multicast group. Nobody need listen, and nobody can hold the stream up."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

from streamfilter.errors import ConfigError, OutputError
from streamfilter.media.encoded import EncodedPacket, StreamParameters
from streamfilter.media.outlets.muxing import AT_ONCE, Muxer
from streamfilter.media.outlets.outlet import Outlet, OutletConfig

# Seven packets of 188 bytes are the most that fits into one Ethernet frame.
DATAGRAM_BYTES = 7 * 188
_SEND_BUFFER_BYTES = 1 << 20
# Tables four times a second, so that a reader who joins late need not wait.
_OPTIONS = AT_ONCE | {"pat_period": "0.25", "mpegts_flags": "+resend_headers"}


class UdpOutlet(Outlet):
    """Sends datagrams to `udp://host:port` (`?ttl=N` for multicast).

    Raises:
        ConfigError: The address has no host or no port.
    """

    is_network = True

    def __init__(self, name: str, url: str, parameters: StreamParameters, config: OutletConfig) -> None:
        super().__init__(name, parameters, config)
        self._host, self._port, self._ttl = _target(name, url)
        self._datagrams: _Datagrams | None = None
        self._muxer: Muxer | None = None

    def _open(self) -> None:
        self._datagrams = _Datagrams(*_resolved(self.name, self._host, self._port), ttl=self._ttl)
        self._muxer = Muxer(self._datagrams, "mpegts", self._parameters, _OPTIONS, buffer_size=DATAGRAM_BYTES)  # type: ignore[arg-type]

    def _write(self, packet: EncodedPacket) -> None:
        assert self._muxer is not None  # write() opens first
        self._muxer.mux(packet)

    def _finish(self) -> None:
        try:
            if self._muxer is not None:
                self._muxer.close()
        finally:
            self._release()

    def _release(self) -> None:
        if self._muxer is not None:
            self._muxer.close_quietly()
            self._muxer = None
        if self._datagrams is not None:
            self._datagrams.close()
            self._datagrams = None


class _Datagrams:
    """What is written at once goes out as one datagram; one that the system has no room for is lost, as UDP may."""

    name = "udp"

    def __init__(self, family: int, address: tuple[object, ...], *, ttl: int) -> None:
        self._address = address
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        if ipaddress.ip_address(str(address[0]).partition("%")[0]).is_multicast and family == socket.AF_INET:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        self.lost = 0

    def write(self, data: bytes) -> int:
        """Send one datagram."""
        try:
            self._socket.sendto(data, self._address)
        except (BlockingIOError, ConnectionRefusedError):
            self.lost += 1
        return len(data)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _target(name: str, url: str) -> tuple[str, int, int]:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
        ttl = int(parse_qs(parts.query).get("ttl", ["1"])[0])
    except ValueError:
        host, port, ttl = None, None, -1
    if not 0 <= ttl <= 255:
        raise ConfigError(f"{name}: port and ttl (0 to 255) must be numbers, as in udp://239.0.0.1:5000?ttl=2")
    if not host or not port:
        raise ConfigError(f"{name} names no host and port; give one as in udp://192.168.1.20:5000")
    return host.lstrip("@"), port, ttl


def _resolved(name: str, host: str, port: int) -> tuple[int, tuple[object, ...]]:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        raise OutputError(f"{name}: there is no host of that name ({error.strerror}); check the address") from None
    return family, address
