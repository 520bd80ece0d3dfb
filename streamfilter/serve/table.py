"""One TOML table, read key by key; every error names the file, the line, the table and the key."""

from __future__ import annotations

import difflib
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from typing import TypeVar

from streamfilter.errors import ConfigError
from streamfilter.serve.toml_lines import Place

T = TypeVar("T")
D = TypeVar("D")
Lines = Mapping[Place, int]

_MOST_BITS = 63  # of a number in TOML
_SIZE = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")
_FRACTION = re.compile(r"-?[0-9]{1,9}(/[0-9]{1,9}|\.[0-9]{1,9})?")
_WANTED = {int: "a whole number", float: "a number", str: "a text in quotes"}


@dataclass(frozen=True, kw_only=True)
class Table:
    """The values of one table; `label` names it for users, such as `camera 'door'`."""

    file: str
    lines: Lines
    place: Place
    label: str
    values: Mapping[str, object]

    def refuse(self, problem: str, *keys: str | int) -> ConfigError:
        """The error about what `keys` lead to, or about the table."""
        places = [(*self.place, *keys[:count]) for count in range(len(keys), -1, -1)]
        line = next((self.lines[place] for place in places if place in self.lines), 1)
        return ConfigError(f"{self.file}:{line}: {self.label}: {problem}")

    def only(self, known: Iterable[str]) -> None:
        """Refuse keys that mean nothing."""
        names = list(known)
        for key in self.values:
            if key not in names:
                raise self.refuse(f"unknown key {key!r}{meant(key, names)}", key)

    def read(self, key: str, kind: object, default: T) -> T:
        """The value of a key as the type `kind`, or the default."""
        if key not in self.values:
            return default
        try:
            return typing.cast(T, converted(self.values[key], kind))
        except ConfigError as error:
            raise self.refuse(f"{key}: {error}", key) from error

    def checked(self, key: str, make: Callable[[], T]) -> T:
        """What `make` returns; its ConfigError becomes one about `key`."""
        try:
            return make()
        except ConfigError as error:
            raise self.refuse(f"{key}: {error}", key) from error

    def room(self, default: D, keys: Mapping[str, str]) -> D:
        """A frozen dataclass of settings, with what stands in the table under `keys`: key -> name of the field."""
        kinds = typing.get_type_hints(type(default))
        given = {key: self.read(key, kinds[name], None) for key, name in keys.items() if key in self.values}
        try:
            return _replaced(default, {keys[key]: value for key, value in given.items()})
        except ConfigError as error:
            raise self.refuse(str(error), *self._culprit(default, keys, given)) from error

    def _culprit(self, default: object, keys: Mapping[str, str], given: Mapping[str, object]) -> tuple[str, ...]:
        """The first key that cannot work even alone; the first at all, where only several together cannot."""
        for key, value in given.items():
            try:
                _replaced(default, {keys[key]: value})
            except ConfigError:
                return (key,)
        return tuple(given)[:1]


def _replaced(default: D, values: Mapping[str, object]) -> D:
    return replace(default, **values)  # type: ignore[type-var]


def meant(word: str, known: Iterable[str]) -> str:
    """What was probably meant, as the end of an error."""
    near = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def converted(value: object, kind: object) -> object:
    """A TOML value as the type of a setting.

    Raises:
        ConfigError: It is of another type.
    """
    _refuse_extremes(value)
    if isinstance(kind, types.UnionType):  # None is what is meant by leaving a key out
        kind = next(each for each in kind.__args__ if each is not types.NoneType)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _choice(value, kind)
    if kind == tuple[int, int]:
        return _size(value)
    if kind is Fraction:
        return _rate(value)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
        raise ConfigError(f"{shown(value)} must be {_WANTED[typing.cast(type, kind)]}")
    return value


def _refuse_extremes(value: object) -> None:
    """What no setting can mean, and some would not survive."""
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise ConfigError("the number is too large")
    if isinstance(value, str) and "\0" in value:
        raise ConfigError("the text holds a NUL")


def _choice(value: object, kind: type[StrEnum]) -> StrEnum:
    names = [str(each) for each in kind]
    if not isinstance(value, str):
        raise ConfigError(f"{shown(value)} must be one of {', '.join(names)}")
    if value not in names:
        raise ConfigError(f"{value[:20]!r} must be one of {', '.join(names)}{meant(value, names)}")
    return kind(value)


def _size(value: object) -> tuple[int, int]:
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ConfigError(f'{shown(value)} must be a size such as "640x480"')
    return int(found[1]), int(found[2])


def _rate(value: object) -> Fraction:
    try:
        if type(value) is int or (isinstance(value, str) and _FRACTION.fullmatch(value)):
            return Fraction(value)
        if isinstance(value, float):
            return Fraction(value).limit_denominator(1001)
    except (ValueError, ZeroDivisionError, OverflowError):
        pass
    raise ConfigError(f'{shown(value)} must be a rate such as 25 or "30000/1001"')


def shown(value: object) -> str:
    """A value for an error: short, and nothing of a text, which may hold a password."""
    if isinstance(value, str):
        return "the text"
    return f"{value}" if isinstance(value, bool | int | float) else f"the {type(value).__name__}"
