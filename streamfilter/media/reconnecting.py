"""How long to wait between two tries to reach a source that was lost."""

from __future__ import annotations

from streamfilter.live_config import LiveConfig


class BackOff:
    """Waits that double, from the first to the longest of the settings; a refused password has its own."""

    def __init__(self, config: LiveConfig) -> None:
        self._config = config
        self._next_s = config.reconnect_first_s

    def next_s(self, *, denied: bool = False) -> float:
        """Seconds to wait before the next try."""
        wait_s = self._next_s
        self._next_s = min(2 * wait_s, self._config.reconnect_most_s)
        return max(wait_s, self._config.denied_wait_s) if denied else wait_s

    def reset(self) -> None:
        """The source came back."""
        self._next_s = self._config.reconnect_first_s
