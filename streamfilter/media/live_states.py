"""The state of a live source, told once at every change."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from streamfilter.media.address import Address
from streamfilter.stream_state import StreamEvent, StreamState

_log = logging.getLogger(__name__)

OnEvent = Callable[[StreamEvent], None]


class LiveStates:
    """Holds the `state` (None before the first) and tells changes of it, or of its reason; the end is final."""

    def __init__(self, address: Address, on_event: OnEvent | None) -> None:
        self.state: StreamState | None = None
        self._address = address
        self._reason = ""
        self._on_event = on_event

    def tell(self, state: StreamState, reason: str = "") -> None:
        """Change to `state`, for a reason without credentials."""
        if self.state is StreamState.ENDED or (state is self.state and reason == self._reason):
            return
        self.state, self._reason = state, reason
        _log.info("%s: %s%s", self._address, state, f" ({reason})" if reason else "")
        if self._on_event is not None:
            self._on_event(StreamEvent(state=state, at_s=time.monotonic(), reason=reason))
