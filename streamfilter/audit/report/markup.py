"""HTML and SVG as values: what is not markup already is escaped when it becomes part of some."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from streamfilter.audit.wording import plain

_EMPTY = ("meta", "img", "link", "path", "rect", "line", "circle", "polyline")


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | None | Iterable["Child"]


def tag(element: str, /, *children: Child, **attributes: str | float | None) -> Html:
    """An element. Children may be nested and may be None; an attribute that is None is left out.

    `class_` means class; other underscores in names of attributes become hyphens.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    if element in _EMPTY:
        return Html(f"<{element}{written}/>")
    return Html(f"<{element}{written}>{join(*children)}</{element}>")


def join(*children: Child) -> Html:
    """Several pieces, one after the other."""
    return Html("".join(_text(child) for child in children))


def _text(child: Child) -> str:
    if child is None or isinstance(child, Html):
        return child or ""
    return escape(plain(child)) if isinstance(child, str) else join(*child)


def _attribute(key: str, value: str | float) -> str:
    text = value if isinstance(value, str) else f"{round(value, 2):g}"
    return f' {key.rstrip("_").replace("_", "-")}="{escape(plain(text))}"'
