"""What kind of media a file is, told by its first bytes; refusals that need no decoder."""

from __future__ import annotations

from pathlib import Path

from streamfilter.errors import InputError
from streamfilter.media.info import Kind

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
GIF_SUFFIXES = frozenset({".gif"})
# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".3g2", ".3gp", ".apng", ".asf", ".avi", ".dv", ".f4v", ".flv", ".m2ts", ".m2v", ".m4v", ".mjpeg",
    ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".rm",
    ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})
# fmt: on
MEDIA_SUFFIXES = IMAGE_SUFFIXES | GIF_SUFFIXES | VIDEO_SUFFIXES

HEAD_BYTES = 4096
_STILL = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\x00", b"MM\x00*")
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif", b"avis"})


def kind_of(path: Path) -> Kind:
    """The kind of the file at `path`.

    Raises:
        InputError: missing, a folder, unreadable, empty, or of a kind that would be read wrongly.
    """
    head = read_head(path)
    if head.startswith((b"GIF87a", b"GIF89a")):
        return Kind.GIF
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        raise InputError(f"{path} is a HEIF/AVIF picture, which cannot be read yet; convert it to JPEG or PNG first")
    if _is_webp(head):
        if b"ANIM" in head[:64]:
            raise InputError(f"{path} is an animated WebP, which cannot be read yet; convert it to GIF or MP4 first")
        return Kind.IMAGE
    if head.startswith(_STILL) or (head.startswith(b"BM") and path.suffix.lower() == ".bmp"):
        return Kind.VIDEO if b"acTL" in head else Kind.IMAGE
    return Kind.VIDEO


def read_head(path: Path) -> bytes:
    """The first bytes of a file.

    Raises:
        InputError: missing, a folder, unreadable or empty.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the name") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder where a file is needed") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not head:
        raise InputError(f"{path} is empty")
    return head


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"
