"""Which words of the source may follow its picture: by default none that could name a person or place."""

from __future__ import annotations

from collections.abc import Mapping

from av.container import InputContainer, OutputContainer

# A language is needed to choose a track and says nothing of a person.
HARMLESS = frozenset({"language"})
# Written by the muxer for itself, or wrong once the picture stands upright.
STALE = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "rotate", "handler_name", "vendor_id"}
)


def track_metadata(metadata: Mapping[str, str], *, keep: bool) -> dict[str, str]:
    """What one track may keep; `keep` keeps all but what has become wrong."""
    stale = {k for k in metadata if k in STALE or k.upper().startswith(("DURATION", "NUMBER_OF", "_STATISTICS", "BPS"))}
    return {k: v for k, v in metadata.items() if (k not in stale if keep else k in HARMLESS)}


def carry_metadata(source: InputContainer, output: OutputContainer) -> None:
    """Copy titles, dates, places and chapters, as `--keep-metadata` asks."""
    for key, value in track_metadata(source.metadata, keep=True).items():
        output.metadata[key] = value
    chapters = source.chapters()
    if chapters:
        output.set_chapters(chapters)
