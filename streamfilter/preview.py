"""A window that shows the protected picture on this machine's screen; the caller's thread draws it."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Self

import cv2

from streamfilter.errors import OutputError, ProtectionError
from streamfilter.pipeline.stop import Stop
from streamfilter.structures import SafeFrame

NO_SCREEN = "window: there is no screen to draw on here; leave the window out, or use page:8080"
CLOSING_KEYS = (27, ord("q"))


class Preview:
    """Shows frames until it is closed with q, Escape or the window's own button, which asks the run to stop.

    Raises:
        OutputError: There is no screen to draw on.
    """

    def __init__(self, title: str, stop: Stop) -> None:
        self._title, self._stop = f"streamfilter: {title}", stop
        # Without a screen the window library would end the whole process.
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise OutputError(NO_SCREEN)
        try:
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        except cv2.error as error:
            raise OutputError(NO_SCREEN) from error

    def show(self, frame: SafeFrame) -> None:
        """Draw a protected picture.

        Raises:
            ProtectionError: It is anything but a `SafeFrame`.
        """
        if type(frame) is not SafeFrame:
            raise ProtectionError(f"the window shows SafeFrame only, got {type(frame).__name__}")
        cv2.imshow(self._title, cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1) & 0xFF
        if key in CLOSING_KEYS or cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
            self._stop.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cv2.destroyWindow(self._title)
