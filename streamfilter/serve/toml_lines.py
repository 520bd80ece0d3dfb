"""Where each key of a TOML text stands: tomllib gives the values, this the lines for the errors about them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

Place = tuple[str | int, ...]
"""The way to a value: `("camera", 1, "source")` is the key `source` of the second `[[camera]]`."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(r"[A-Za-z0-9_-]+|\"(?:[^\"\\]|\\.)*\"|'[^']*'")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_SCALAR = re.compile(r"[^\s,\]}#](?:[^,\]}#\n]*[^\s,\]}#])?")


def lines_of(text: str) -> dict[Place, int]:
    """The line, counted from 1, of every table, key and array item of a text that tomllib accepts.

    Raises:
        ValueError: tomllib would not have accepted it.
    """
    return _Scan(text).lines


class _Scan:
    """One pass over the text; `_at` is the position, `_table` the place of the table that is being filled."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Place, int] = {}
        self._text = text
        self._at = 0
        self._counted_at, self._line = 0, 1
        self._table: Place = ()
        self._items: dict[Place, int] = {}
        self._blank()
        while self._at < len(text):
            self._statement()
            self._blank()

    def _statement(self) -> None:
        if not self._follows("["):
            self._pair(self._table)
            return
        is_item = self._text.startswith("[[", self._at)
        self._take("[[" if is_item else "[")
        self._note_line()
        self._table = self._table_at(tuple(self._key()), is_item=is_item)
        self._take("]]" if is_item else "]")

    def _table_at(self, names: tuple[str, ...], *, is_item: bool) -> Place:
        """The place of a header; names on the way to it stand for the latest item of their array of tables."""
        place: Place = ()
        for index, name in enumerate(names):
            place = (*place, name)
            self._note(place)
            if is_item and index == len(names) - 1:
                self._items[place] = self._items.get(place, -1) + 1
            if place in self._items:
                place = (*place, self._items[place])
                self._note(place)
        return place

    def _pair(self, table: Place) -> None:
        self._note_line()
        place = table
        for name in self._key():
            place = (*place, name)
            self._note(place)
        self._take("=")
        self._value(place)

    def _key(self) -> Iterator[str]:
        while True:
            self._blank()
            part = self._match(_KEY_PART)
            # tomllib itself knows best what escapes in a quoted key mean.
            yield part if part[0] not in "\"'" else next(iter(tomllib.loads(f"{part} = 0")))
            self._blank()
            if not self._follows("."):
                return
            self._take(".")

    def _value(self, place: Place) -> None:
        self._blank()
        if self._follows("["):
            self._array(place)
        elif self._follows("{"):
            self._inline_table(place)
        else:
            self._match(_STRING if self._follows('"', "'") else _SCALAR)

    def _array(self, place: Place) -> None:
        self._take("[")
        self._blank()
        index = 0
        while not self._follows("]"):
            self._note_line()
            self._note((*place, index))
            self._value((*place, index))
            index += 1
            self._separator()
        self._take("]")

    def _inline_table(self, place: Place) -> None:
        self._take("{")
        self._blank()
        while not self._follows("}"):
            self._pair(place)
            self._separator()
        self._take("}")

    def _separator(self) -> None:
        self._blank()
        if self._follows(","):
            self._take(",")
            self._blank()

    def _note(self, place: Place) -> None:
        """A place that is opened in parts keeps the line of the first."""
        self.lines.setdefault(place, self._line)

    def _note_line(self) -> None:
        self._line += self._text.count("\n", self._counted_at, self._at)
        self._counted_at = self._at

    def _follows(self, *marks: str) -> bool:
        return self._text.startswith(marks, self._at)

    def _take(self, mark: str) -> None:
        self._blank()
        if not self._follows(mark):
            raise ValueError(f"expected {mark!r} at character {self._at}")
        self._at += len(mark)

    def _blank(self) -> None:
        blank = _BLANK.match(self._text, self._at)
        self._at = self._at if blank is None else blank.end()

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(f"nothing to read at character {self._at}")
        self._at = found.end()
        return found.group()
