"""`${NAME}` in a text, replaced by what the environment holds: credentials need not stand in a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from streamfilter.errors import ConfigError

_REFERENCE = re.compile(r"\$(\$\{|\{([A-Za-z_][A-Za-z0-9_]*)\}|\{)")


def substituted(text: str, environ: Mapping[str, str]) -> str:
    """`text` with every `${NAME}` replaced; `$${` stands for `${`.

    A value that is put between `://` and `@` is percent-encoded, so a password may hold any character.

    Raises:
        ConfigError: The environment has no such name, or nothing under it; the message shows no value.
    """

    def value_of(found: re.Match[str]) -> str:
        if found[1] == "${":
            return "${"
        if not found[2]:
            raise ConfigError("a ${ is not closed by a name and a }; write $${ for the characters themselves")
        value = environ.get(found[2], "")
        if not value:
            raise ConfigError(f"the environment variable {found[2]} is not set")
        in_login = "://" in text[: found.start()] and "@" in text[found.end() :]
        return quote(value, safe="") if in_login else value

    return _REFERENCE.sub(value_of, text)
