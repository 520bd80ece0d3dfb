"""Many cameras in one process: their configuration, who supervises them, and how they change over to another one."""

from streamfilter.serve.camera import Camera
from streamfilter.serve.config import ServeConfig, load
from streamfilter.serve.reload import Reloader
from streamfilter.serve.seat import Screen, Seat
from streamfilter.serve.server import ServerConfig
from streamfilter.serve.supervisor import Changes, RunCamera, Supervisor

__all__ = [
    "Camera",
    "Changes",
    "Reloader",
    "RunCamera",
    "Screen",
    "Seat",
    "ServeConfig",
    "ServerConfig",
    "Supervisor",
    "load",
]
