"""Films for the RTSP server of the tests: H.264 without B-frames, a key frame each second, a number burnt in if wanted.

Plain Python and the `ffmpeg` program, because the server's Python has neither numpy nor PyAV.

The burnt-in number stands twice, in a strip along the upper and one along the lower edge: `NUMBER_BITS` black or white
blocks over the whole width, the highest bit first, then `CHECK_BITS` for `check(number)`.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

NUMBER_BITS = 14
CHECK_BITS = 6
BLOCKS = NUMBER_BITS + CHECK_BITS
LOOP_S = 40
"""A counter starts again at 0 after so many seconds."""

KEY_S = 1
ENCODE = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-crf", "23", "-pix_fmt", "yuv420p")
SOUND = ("-c:a", "aac", "-b:a", "96k", "-ar", "48000", "-ac", "2")


def check(number: int) -> int:
    """Catches every single wrong bit, a black and a white strip: 61 is prime, and 11 is not 0."""
    return (number * 37 + 11) % 61


def strip_px(height: int) -> int:
    """Height of a strip in a picture, even."""
    return max(8, height // 20 // 2 * 2)


@dataclass(frozen=True)
class Counter:
    """One size of a picture with a counter.

    As text `WIDTHxHEIGHT@FPS`, for a moving pattern, or `WIDTHxHEIGHT@FPS:FILE`, for a film that runs under the strips.
    """

    width: int
    height: int
    fps: int
    film: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Counter:
        shape, _, film = text.partition(":")
        size, _, fps = shape.partition("@")
        width, _, height = size.partition("x")
        return cls(int(width), int(height), int(fps or 25), Path(film) if film else None)


def counter_films(text: str, folder: Path, *, loop_s: int = LOOP_S, beep: bool = True) -> list[Path]:
    """Films of `COUNTER[,COUNTER ...]` that follow each other and count through; together they last `loop_s`."""
    counters = [Counter.parse(part) for part in text.split(",")]
    each_s = loop_s // len(counters)
    if each_s * len(counters) != loop_s or loop_s * counters[0].fps > 1 << NUMBER_BITS:
        raise ValueError(f"{loop_s} s cannot be shared by {text}: give whole seconds and at most 16384 frames")
    return [
        _counter_film(one, folder, first=number * each_s * one.fps, frames=each_s * one.fps, beep=beep)
        for number, one in enumerate(counters)
    ]


def _counter_film(counter: Counter, folder: Path, *, first: int, frames: int, beep: bool) -> Path:
    target = folder / f"counter-{_key(counter, first, frames, beep, _stamp(counter.film))}.mp4"
    size = f"{counter.width}x{counter.height}"
    if counter.film:
        ground = ["-stream_loop", "-1", "-i", str(counter.film)]
    else:
        ground = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={counter.fps}"]
    strip = f"nullsrc=size={BLOCKS}x2:rate={counter.fps},format=yuv420p,geq=lum='{_blocks(first)}':cb=128:cr=128"
    beeps = ["-f", "lavfi", "-i", "aevalsrc=0.5*sin(2000*PI*t)*lt(mod(t\\,1)\\,0.1):s=48000"] if beep else []
    seconds = str(frames // counter.fps)
    maps = ["-map", "[out]", *(["-map", "2:a"] if beep else [])]
    graph = _graph(counter)
    group = ["-g", str(counter.fps * KEY_S), "-keyint_min", str(counter.fps * KEY_S), "-sc_threshold", "0"]
    return _make(
        target,
        [*ground, "-f", "lavfi", "-i", strip, *beeps, "-filter_complex", graph, *maps],
        ["-t", seconds, *ENCODE, *group, *SOUND],
    )


def _blocks(first: int) -> str:
    """Brightness of the block in column X of frame N, in the words of FFmpeg's `geq`."""
    number = f"(N+{first})"
    value = f"if(lt(X,{NUMBER_BITS}),{number},mod({number}*37+11,61))"
    place = f"if(lt(X,{NUMBER_BITS}),{NUMBER_BITS - 1}-X,{BLOCKS - 1}-X)"
    return f"16+219*mod(floor({value}/pow(2,{place})),2)"


def _graph(counter: Counter) -> str:
    width, height = counter.width, counter.height
    fit = f"scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height},setsar=1"
    strip = strip_px(height)
    return (
        f"[0:v]fps={counter.fps},{fit},format=yuv420p[ground];"
        f"[1:v]scale={width}:{strip}:flags=neighbor,split[a][b];"
        f"[ground][a]overlay=0:0:shortest=1[upper];[upper][b]overlay=0:H-h:shortest=1[out]"
    )


def playable(film: Path, folder: Path) -> Path:
    """The film as the server loops it: as it is where that will do, encoded anew where not."""
    target = folder / f"film-{_key(_stamp(film))}.mp4"
    video = ["-c:v", "copy"] if _will_do(film) else [*ENCODE, "-force_key_frames", f"expr:gte(t,n_forced*{KEY_S})"]
    even = [] if "copy" in video else ["-vf", "scale=trunc(iw/2)*2:trunc(ih/2)*2"]
    return _make(target, ["-i", str(film), "-map", "0:v:0", "-map", "0:a:0?"], [*video, *even, *SOUND])


def _will_do(film: Path) -> bool:
    """H.264 in 4:2:0 that shows frames in the order of the file, with a key frame at least every two seconds."""
    entries = "stream=codec_name,has_b_frames,pix_fmt:packet=pts_time,flags"
    found = json.loads(_probe(film, "-select_streams", "v:0", "-show_packets", "-show_entries", entries))
    stream, packets = found["streams"][0], found["packets"]
    if (stream["codec_name"], stream.get("has_b_frames"), stream.get("pix_fmt")) != ("h264", 0, "yuv420p"):
        return False
    keys = [float(packet["pts_time"]) for packet in packets if "K" in packet["flags"]]
    ends = [*keys[1:], float(packets[-1]["pts_time"])]
    return "K" in packets[0]["flags"] and all(end - start <= 2 * KEY_S for start, end in zip(keys, ends, strict=True))


def has_sound(film: Path) -> bool:
    found = json.loads(_probe(film, "-select_streams", "a", "-show_entries", "stream=index"))
    return bool(found["streams"])


def _probe(film: Path, *arguments: str) -> str:
    command = ["ffprobe", "-v", "error", *arguments, "-of", "json", str(film)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _make(target: Path, inputs: list[str], outputs: list[str]) -> Path:
    """Run FFmpeg unless the film is there already; a film that is there is whole."""
    if not target.exists():
        part = target.with_suffix(".part.mp4")
        command = ["ffmpeg", "-v", "error", "-y", *inputs, *outputs, str(part)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        part.rename(target)
    return target


def _stamp(film: Path | None) -> str:
    if film is None:
        return ""
    status = film.stat()
    return f"{film.resolve()} {status.st_size} {status.st_mtime_ns}"


def _key(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
