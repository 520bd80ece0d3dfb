"""What a file holds beside its pixels, against what was put into it."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from streamfilter.errors import InputError
from streamfilter.media import Kind, open_source
from streamfilter.media.contents import contents
from streamfilter.media.further_pictures import further_pictures
from tests.media_factory import RATE, damage, exif_jpeg, make_video, picture, times

MS = Fraction(1, 1000)
UNEVEN = [0, 40, 90, 100, 250, 1290]


def decoded(path: Path) -> list[float]:
    with open_source(path) as source:
        return [frame.time_s for frame in source]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("even.mp4", {}),
        ("uneven.mkv", {"pts": UNEVEN, "time_base": MS}),
        ("late.mp4", {"pts": [852, 885, 920], "time_base": MS}),
        ("reordered.mp4", {"frames": 30, "options": {"bf": "3"}}),
        ("no_pts.avi", {"codec": "mpeg4"}),
        ("stream.ts", {"frames": 12}),
        ("hidden.webm", {"codec": "libvpx", "frames": 30, "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}}),
    ],
)
def test_the_times_are_those_of_the_decoded_pictures(tmp_path: Path, name: str, values: dict[str, object]) -> None:
    path = make_video(tmp_path / name, **values)
    found = contents(path)
    assert found.times.tolist() == pytest.approx(decoded(path), abs=1e-9)
    assert (np.diff(found.times) > 0).all()


def test_times_of_uneven_pictures_are_exact(tmp_path: Path) -> None:
    path = make_video(tmp_path / "uneven.mkv", pts=UNEVEN, time_base=MS)
    found = contents(path)
    assert found.times.tolist() == [float(time) for time in times(path)] == [time / 1000 for time in UNEVEN]
    assert (found.frames, found.start_s, found.step_s) == (6, 0.0, pytest.approx(0.05))
    assert found.duration_s > 1.29


def test_what_an_edit_list_hides_does_not_count(tmp_path: Path) -> None:
    whole, path = make_video(tmp_path / "a.mp4", frames=20), tmp_path / "b.mp4"
    with (
        av.open(str(whole)) as origin,
        av.open(str(path), "w", container_options={"avoid_negative_ts": "disabled"}) as output,
    ):
        stream = output.add_stream_from_template(origin.streams.video[0])
        for packet in origin.demux(video=0):
            if packet.size:
                early = int(RATE * 5 / packet.time_base)
                packet.pts, packet.dts = packet.pts - early, packet.dts - early
                packet.stream = stream
                output.mux(packet)
    found = contents(path)
    assert found.times.tolist() == pytest.approx(decoded(path))
    assert (found.frames, found.start_s) == (15, 0.0)


def test_further_pictures_of_a_video_are_counted(tmp_path: Path) -> None:
    assert contents(make_video(tmp_path / "a.mp4", audio=["aac"])).further_pictures == 0
    assert contents(make_video(tmp_path / "b.mp4", thumbnail=True)).further_pictures == 1
    with av.open(str(tmp_path / "b.mp4")) as origin, av.open(str(tmp_path / "two.mkv"), "w") as output:
        for _ in range(2):
            output.add_stream_from_template(origin.streams.video[0])
        for packet in origin.demux(video=0):
            for stream in output.streams if packet.size else ():
                packet.stream = stream
                output.mux(packet)
    found = contents(tmp_path / "two.mkv")
    assert (found.further_pictures, found.frames) == (1, 10)


def encoded(suffix: str) -> bytes:
    return cv2.imencode(suffix, np.random.default_rng(1).integers(0, 255, (48, 64, 3), dtype=np.uint8))[1].tobytes()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def jpeg_with(segment: bytes) -> bytes:
    jpeg = encoded(".jpg")
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


def png_with(part: bytes) -> bytes:
    png = encoded(".png")
    return png[:-12] + part + png[-12:]


def webp_with(part: bytes) -> bytes:
    webp = encoded(".webp")
    return webp[:4] + struct.pack("<I", len(webp) - 8 + len(part)) + webp[8:] + part


THUMBNAIL = encoded(".jpg")
XMP = b"<xmp:Thumbnails><xmpGImg:image>/9j/</xmpGImg:image></xmp:Thumbnails>"


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (encoded(".jpg"), 0),
        (exif_jpeg(picture(0, 64, 48), 6), 0),
        (jpeg_with(b"Exif\0\0" + THUMBNAIL), 1),
        (jpeg_with(b"http://ns.adobe.com/xap/1.0/\0" + XMP), 1),
        (encoded(".jpg") + THUMBNAIL, 1),
        (encoded(".jpg") + b"\0\0\0\x18ftypmp42", 1),
        (encoded(".png"), 0),
        (png_with(chunk(b"eXIf", THUMBNAIL)), 1),
        (png_with(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)), 1),
        (png_with(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0\0" + zlib.compress(XMP))), 1),
        (png_with(chunk(b"zTXt", b"XML\0\0" + zlib.compress(XMP))), 1),
        (png_with(chunk(b"tEXt", b"Comment\0at home")), 0),
        (png_with(chunk(b"IDAT", THUMBNAIL)), 0),  # what pixels are packed to
        (encoded(".png") + THUMBNAIL, 1),
        (webp_with(b""), 0),
        (webp_with(b"EXIF" + struct.pack("<I", len(THUMBNAIL)) + THUMBNAIL), 1),
        (b"BM", 0),
        (b"RIFF", 0),
        (b"\x89PNG\r\n\x1a\n\xff\xff", 0),
    ],
)
def test_further_pictures_of_a_picture_are_counted(tmp_path: Path, data: bytes, count: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    assert further_pictures(path) == count


def test_a_picture_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png cannot be read: No such file"):
        further_pictures(tmp_path / "gone.png")


def test_further_pages_are_counted(tmp_path: Path) -> None:
    cv2.imwritemulti(str(tmp_path / "a.tif"), [picture(index, 64, 48) for index in range(3)])
    assert contents(tmp_path / "a.tif").further_pictures == 2


def test_the_size_is_that_of_the_upright_picture(tmp_path: Path) -> None:
    found = contents(make_video(tmp_path / "turned.mp4", width=64, height=48, degrees=90))
    assert (found.width, found.height) == (48, 64)


def test_values_cannot_be_changed(tmp_path: Path) -> None:
    found = contents(make_video(tmp_path / "a.mp4", audio=["aac"]))
    with pytest.raises(ValueError, match="read-only"):
        found.times[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        found.tracks[0].times[0] = 1


def copied(source: Path, target: Path, *, flip: int | None = None) -> Path:
    """The same packets in another file; of packet `flip` of the sound one byte is changed."""
    with av.open(str(source)) as origin, av.open(str(target), "w") as output:
        wanted = [s for s in origin.streams if s.type != "subtitle"]
        streams = {s.index: output.add_stream_from_template(s) for s in wanted}
        count = 0
        for packet in origin.demux(*wanted):
            if not packet.size:
                continue
            if packet.stream.type == "audio":
                if count == flip:
                    packet.update(bytes(packet)[:-1] + bytes([bytes(packet)[-1] ^ 1]))
                count += 1
            packet.stream = streams[packet.stream.index]
            output.mux(packet)
    return target


def test_sound_is_told_byte_for_byte(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", frames=50, audio=["aac"], subtitles=["mov_text"])
    (sound,), (text,) = contents(path).of("audio"), contents(path).of("subtitle")
    assert (sound.codec, sound.language, text.codec) == ("aac", "deu", "mov_text")
    assert sound.duration_s == pytest.approx(2.0, abs=0.1)
    (same,) = contents(copied(path, tmp_path / "same.mkv")).of("audio")
    assert same.sha256 == sound.sha256
    assert same.packets == sound.packets
    (other,) = contents(copied(path, tmp_path / "other.mkv", flip=7)).of("audio")
    assert other.sha256 != sound.sha256


def test_a_photo_is_one_picture_upright(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(exif_jpeg(picture(3, 64, 48), 6))
    found = contents(path)
    assert (found.kind, found.width, found.height) == (Kind.IMAGE, 48, 64)
    assert (found.times.tolist(), found.duration_s, found.tracks) == ([0.0], 0.0, ())


def test_a_gif_has_times(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.gif", codec="gif", pix_fmt="rgb8", pts=[0, 10, 40], time_base=Fraction(1, 100))
    found = contents(path)
    assert found.kind is Kind.GIF
    assert found.times.tolist() == pytest.approx([0, 0.1, 0.4])


def test_a_damaged_film_is_told_by_its_decodable_pictures(tmp_path: Path) -> None:
    path = damage(make_video(tmp_path / "a.ts", frames=60, width=320, height=240, options={"g": "5"}), length=3000)
    found = contents(path)
    assert 0 < found.frames < 60
    assert found.times.tolist() == decoded(path)


def test_what_is_no_media_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no film")
    with pytest.raises(InputError, match=r"a\.mp4"):
        contents(tmp_path / "a.mp4")
    with pytest.raises(InputError, match="does not exist"):
        contents(tmp_path / "b.mp4")


@pytest.mark.real
@pytest.mark.parametrize(
    "name", ["multi/shot_cuts_audience_640x360.mp4", "talking/vfr_22fps_700.mp4", "hard/hands_over_face_b.mkv"]
)
def test_the_times_of_real_footage_are_exact(real_data: Path, name: str) -> None:
    path = real_data / "videos" / name
    assert contents(path).times.tolist() == decoded(path)
