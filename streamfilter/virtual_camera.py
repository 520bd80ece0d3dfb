"""A virtual camera as a sink: video calls then see the protected picture."""

from __future__ import annotations

from typing import Any

from streamfilter.errors import OutputError, ProtectionError
from streamfilter.media.address import Address
from streamfilter.pipeline import Consumer
from streamfilter.structures import SafeFrame

FPS = 25.0


def virtual_camera(address: Address) -> Consumer[SafeFrame]:
    """The consumer for `camera:` or a device; it opens with the first frame, in that frame's size."""
    device = _Device(address)
    return Consumer(name=str(address), write=device.write, close=device.close, queue=2)


class _Device:
    def __init__(self, address: Address) -> None:
        self._address = address
        self._camera: Any = None

    def write(self, frame: SafeFrame) -> None:
        """Send a protected picture.

        Raises:
            OutputError: The library or the device is not there.
            ProtectionError: It is anything but a `SafeFrame`.
        """
        if type(frame) is not SafeFrame:
            raise ProtectionError(f"a camera takes SafeFrame only, got {type(frame).__name__}")
        if self._camera is None:
            self._camera = self._opened(frame)
        self._camera.send(frame.image)

    def close(self) -> None:
        """Let go of the device."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def _opened(self, frame: SafeFrame) -> Any:
        try:
            import pyvirtualcam  # noqa: PLC0415 - an extra: pip install streamfilter[camera]
        except ImportError as error:
            raise OutputError(f"{self._address} needs pyvirtualcam; pip install 'streamfilter[camera]'") from error
        height, width = frame.image.shape[:2]
        try:
            return pyvirtualcam.Camera(width, height, FPS, device=self._address.url or None)
        except RuntimeError as error:
            raise OutputError(f"{self._address}: no virtual camera there ({error})") from error
