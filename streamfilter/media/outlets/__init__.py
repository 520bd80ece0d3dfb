"""Where an encoded stream goes: files, folders and servers, each with the same interface.

`push_process` runs without this file.
"""

from __future__ import annotations

from streamfilter.media.outlets.opening import OUTLET_KINDS, open_outlet
from streamfilter.media.outlets.outlet import Outlet, OutletConfig

__all__ = ["OUTLET_KINDS", "Outlet", "OutletConfig", "open_outlet"]
