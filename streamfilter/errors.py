"""Every error that streamfilter raises on purpose.

    StreamFilterError
    |-- InputError(ValueError)          the source cannot be used: missing, empty, damaged, no picture in it
    |   `-- DamagedStreamError          part of the source could not be decoded; the rest was written
    |-- OutputError(OSError)            the target cannot be written, exists already, or is the source itself
    |-- ConfigError(ValueError)         an option has a value that cannot work
    |-- ShapeError(ValueError)          an array has not the shape or type that a value demands
    |-- DeviceError(RuntimeError)       the device that was asked for is not there
    |-- ModelError(RuntimeError)        a model file is missing, damaged, or not of the kind that is needed
    `-- ProtectionError(RuntimeError)   something unprotected was about to leave

Each also inherits the builtin that fits, so callers may catch either. Messages name the value and what to do.
"""

from __future__ import annotations


class StreamFilterError(Exception):
    """Base of all errors that are raised on purpose; its text is one line that a user can act on."""


class InputError(StreamFilterError, ValueError):
    """The source cannot be used."""


class DamagedStreamError(InputError):
    """Part of the source could not be decoded; what could be was protected and written."""


class OutputError(StreamFilterError, OSError):
    """The target cannot be written."""


class ConfigError(StreamFilterError, ValueError):
    """An option has a value that cannot work."""


class ShapeError(StreamFilterError, ValueError):
    """An array has not the shape or dtype that a value demands."""


class DeviceError(StreamFilterError, RuntimeError):
    """The device or execution provider that was asked for is not available."""


class ModelError(StreamFilterError, RuntimeError):
    """A model file is missing, damaged, or not of the kind that is needed."""


class ProtectionError(StreamFilterError, RuntimeError):
    """Something unprotected was about to leave; nothing was written."""
