"""The process behind one network outlet: packets from its standard input to the address that it was given.

A process of its own, since FFmpeg's connecting and taking leave hold Python's lock: a server that does not answer would
stop every thread there is (measured: for the whole time-out). It ends with its input, and by an alarm clock where
FFmpeg blocks without end; not by the signals that end a whole group of processes, since its parent has packets to send.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from av import FFmpegError

from streamfilter.media.outlets.muxing import AT_ONCE, Muxer
from streamfilter.media.outlets.wire import READY, PushOrder, read_order, read_packet


def push(source: BinaryIO, status: BinaryIO) -> None:
    """Connect, say so on `status`, and pass packets on until `source` ends.

    Raises:
        FFmpegError, OSError, ValueError: The target refuses.
        EOFError: `source` ended before it said what to do.
    """
    order = read_order(source)
    with _deadline(order.open_timeout_s):
        muxer = _connect(order)
    status.write(READY)
    status.flush()
    try:
        while packet := read_packet(source):
            with _deadline(order.write_timeout_s):
                muxer.mux(packet)
    except (FFmpegError, OSError, ValueError):
        with _deadline(order.write_timeout_s):
            muxer.close_quietly()
        raise
    with _deadline(order.write_timeout_s):
        muxer.close()


def _connect(order: PushOrder) -> Muxer:
    return Muxer(order.url, order.container, order.parameters, AT_ONCE | order.options)


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Ends the process if the block takes longer: the signal's default does so even within FFmpeg."""
    if not hasattr(signal, "setitimer"):  # only where the parent alone keeps the time
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> int:
    """Run as a program; a failure is told as one line of the form `error NUMBER TEXT`."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    status = sys.stdout.buffer
    try:
        push(sys.stdin.buffer, status)
    except EOFError:
        return 1
    except (FFmpegError, OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or type(error).__name__
        status.write(f"error {getattr(error, 'errno', None) or 0} {text}\n".encode())
        status.flush()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
