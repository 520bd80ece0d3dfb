"""A configuration of `streamfilter serve`: what it becomes, and errors that name the file, the line and the key."""

from __future__ import annotations

import io
import itertools
import json
import logging
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from streamfilter import json_log
from streamfilter.config import Audio, Device
from streamfilter.errors import ConfigError, InputError
from streamfilter.json_log import EVENTS, LineFormatter, LogForm, log_to, tell
from streamfilter.live_config import Transport
from streamfilter.pipeline.crew import Restart
from streamfilter.redact import described, redacted
from streamfilter.serve.camera import place_of
from streamfilter.serve.config import ServeConfig, load, parse
from streamfilter.serve.settings import PLAIN, ROOMS, SETTINGS
from streamfilter.serve.toml_lines import Place, lines_of

FILE = Path("serve.toml")
SAMPLE = Path(__file__).parent.parent / "samples" / "serve.toml"
TOKEN = "a-token-that-is-long-enough"
ONE = '[[camera]]\nname = "door"\nsource = "test:"\n'


def read(text: str, environ: Mapping[str, str] | None = None) -> ServeConfig:
    return parse(text, FILE, environ or {})


def refusal(text: str, environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as error:
        read(text, environ)
    message = str(error.value)
    assert "\n" not in message
    return message


# --- lines of a TOML text ---------------------------------------------------------------------------------------------


def places(value: object, place: Place = ()) -> Iterator[Place]:
    """Every place in what tomllib made of a text."""
    if place:
        yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*place, key))


SCALARS = st.sampled_from(
    ["1", "-2.5e3", "true", "1979-05-27", "1979-05-27 07:32:00Z", "0xff", "inf", '""', "''", '"#]},="', "'\\'"]
    + ['"\\"\\\\"', '"""\na\n\\"""" # ]\n"""', "'''\n''\n'''", '"""x""""', "'''y'''''", '"\\u00e9 = [\\t]"', "1_000"]
)
SPACE = st.sampled_from(["", " ", "\t ", "\n", " # c ]\n", "\r\n\n"])
NAMES = st.sampled_from(["a", "b", "server", "camera", "1", '"q.x"', "'l i t'", '"\\u00e9"', "x-_9"])
KEYS = st.lists(NAMES, min_size=1, max_size=3).map(" . ".join)


def arrays(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    items = st.lists(st.tuples(SPACE, values, SPACE).map("".join), max_size=4)
    return st.tuples(items, SPACE).map(lambda both: f"[{','.join(both[0])}{',' if both[0] else ''}{both[1]}]")


def inline_tables(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(KEYS, values).map(" = ".join), max_size=3)
    return pairs.map(lambda each: "{ " + " , ".join(each) + " }")


VALUES = st.recursive(SCALARS, lambda inner: arrays(inner) | inline_tables(inner), max_leaves=6)
STATEMENTS = st.one_of(
    st.tuples(KEYS, VALUES).map(" = ".join),
    KEYS.map("[ {} ]".format),
    KEYS.map("[[{}]]".format),
    st.sampled_from(["", "  # a comment = [", "\t"]),
)


@given(st.lists(st.tuples(STATEMENTS, st.sampled_from(["\n", " # c\n", "\r\n"])).map("".join), max_size=8).map("".join))
@example('[[a]]\n[[a.b]]\nc = 1\n[[a.b]]\n[a.b.d]\ne.f = [[1], {g = 2}]\n[[a]]\n"" = 0')
def test_the_places_are_those_that_tomllib_sees(text: str) -> None:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        assume(False)
    assert set(lines_of(text)) == set(places(values))


@given(st.lists(st.tuples(SPACE, st.sampled_from(["pair", "table", "item"]), VALUES), max_size=10))
def test_every_key_has_its_line(statements: list[tuple[str, str, str]]) -> None:
    text, expected, count = "", {}, itertools.count()
    for space, kind, value in statements:
        text += space if space.endswith("\n") else space + "\n"
        name = f"unique{next(count)}"
        expected[name] = text.count("\n") + 1
        text += {"pair": f"{name} = {value}", "table": f"[{name}]", "item": f"[[items]]\n{name} = 1"}[kind] + "\n"
        expected[name] += kind == "item"
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        assume(False)
    found = {place[-1]: line for place, line in lines_of(text).items() if str(place[-1]).startswith("unique")}
    assert found == expected


def test_items_of_an_array_have_their_own_lines() -> None:
    text = 'x = [\n  "a",\n\n  # not here\n  "b", "c",\n]\n'
    assert lines_of(text) == {("x",): 1, ("x", 0): 2, ("x", 1): 5, ("x", 2): 5}


def test_what_is_opened_in_parts_has_the_line_of_the_first() -> None:
    found = lines_of("a.b = 1\na.c = 2\n[[d]]\n[[d]]\n[d.e]\n")
    assert found[("a",)] == 1
    assert (found[("d",)], found[("d", 0)], found[("d", 1)], found[("d", 1, "e")]) == (3, 3, 4, 5)


# --- what a configuration becomes ------------------------------------------------------------------------------------


def test_a_camera_has_its_own_settings_those_of_defaults_or_the_usual() -> None:
    config = read(
        '[server]\nport = 0\ndevice = "cpu"\nthreads = 1\n'
        '[defaults]\nhold_s = 1\naudio = "drop"\nstall_s = 2.5\ncrf = 30\n'
        '[[camera]]\nname = "a"\nsource = "rtsp://10.0.0.1/x"\nsinks = ["a.mkv", "rtsp://10.0.0.2/a"]\n'
        'restart = "never"\nhold_s = 0.2\nrtsp_transport = "udp"\nmax_latency_ms = 200\n'
        '[[camera]]\nname = "b"\nsource = "webcam:0"\nsize = "640x480"\nrate = "30000/1001"\n'
    )
    a, b = config.cameras
    assert (config.server.port, config.server.device, config.server.host) == (0, Device.CPU, "127.0.0.1")
    assert [str(sink) for sink in a.sinks] == ["a.mkv", "rtsp://10.0.0.2/a"]
    assert (a.filter.track.hold_s, b.filter.track.hold_s) == (0.2, 1.0)
    assert (a.restart, b.restart) == (Restart.NEVER, Restart.ALWAYS)
    assert (a.live.rtsp_transport, b.live.rtsp_transport) == (Transport.UDP, Transport.TCP)
    assert (b.live.size, b.live.rate) == ((640, 480), Fraction(30000, 1001))
    assert {a.audio, b.audio} == {Audio.DROP}
    assert (a.live.stall_s, a.encoder.crf, a.encoder.threads) == (2.5, 30, 1)
    assert a.pipeline.shed is not None
    assert b.pipeline.shed is not None
    assert (a.pipeline.shed.max_latency_ms, a.pipeline.keep_s, b.pipeline.shed.max_latency_ms) == (200, 0.2, 550)


def test_a_file_that_fails_is_tried_again_as_servers_are() -> None:
    usual, own = read(ONE).cameras[0], read(ONE + "segment_s = 60\n").cameras[0]
    assert (usual.outlets.unattended, own.outlets.unattended, own.outlets.segment_s) == (True, True, 60)


def test_one_seed_for_all_gives_every_camera_other_people() -> None:
    text = '[defaults]\nseed = 7\n[[camera]]\nname = "a"\nsource = "test:"\n[[camera]]\nname = "b"\nsource = "test:"\n'
    seeds = [camera.filter.anonymize.seed for camera in read(text).cameras]
    assert len(set(seeds)) == 2
    assert seeds == [camera.filter.anonymize.seed for camera in read(text).cameras]
    assert read(ONE + "seed = 7\n").cameras[0].filter.anonymize.seed == 7


def test_no_key_means_two_things() -> None:
    assert not [key for key, count in Counter(SETTINGS).items() if count > 1]
    assert not {"name", "source", "sinks"} & set(SETTINGS)


def test_the_sample_is_a_configuration_and_explains_every_key(tmp_path: Path) -> None:
    text = SAMPLE.read_text("utf-8")
    config = parse(text, SAMPLE, {"DOOR_PASSWORD": "p", "STREAMFILTER_TOKEN": TOKEN, "YARD_KEY": "k"})
    assert len(config.cameras) >= 2
    explained = {word.strip("#`,.:;()") for word in text.split()}
    assert not set(SETTINGS) - explained
    assert not {"host", "port", "token", "token_env", "token_file", "device", "threads", "model", "stop_s"} - explained


def test_commented_keys_of_the_sample_show_the_defaults() -> None:
    usual = read(ONE).cameras[0]
    rooms = (*(getattr(usual.filter, name) for name in ("detect", "track", "anonymize")), usual.live, usual.cards)
    rooms += (usual.encoder, usual.outlets)
    expected = {key: getattr(room, name) for keys, room in zip(ROOMS, rooms, strict=True) for key, name in keys.items()}
    expected |= {key: getattr(usual, key) for key in PLAIN}
    shown = {}
    for line in SAMPLE.read_text("utf-8").splitlines():
        key, mark, value = line.removeprefix("# ").partition(" = ")
        if line.startswith("# ") and mark and key in SETTINGS:
            shown[key] = tomllib.loads(f"v = {value}")["v"]
    assert len(shown) > 30
    assert shown == {key: expected[key] for key in shown}


# --- what is refused, and where --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[[camera]]\nname = "door"\n\nsorce = "test:"\n',
            "serve.toml:4: camera 'door': unknown key 'sorce'; did you mean 'source'?",
        ),
        ("[sever]\n" + ONE, "serve.toml:1: the file: unknown key 'sever'; did you mean 'server'?"),
        (ONE + ONE, "serve.toml:5: camera 'door': name: line 2 has a camera of this name already"),
        (ONE + 'hold_s = "1"', "serve.toml:4: camera 'door': hold_s: the text must be a number"),
        (ONE + "seed = true", "serve.toml:4: camera 'door': seed: True must be a whole number"),
        (ONE + "hold_s = nan", "serve.toml:4: camera 'door': hold_s: nan must be a number"),
        (ONE + 'restart = "on-failur"', "one of always, on-failure, never; did you mean 'on-failure'?"),
        (ONE + "overwrite = true", "serve.toml:4: camera 'door': unknown key 'overwrite'"),
        (ONE + "crf = 30\nhold_s = -1", "serve.toml:5: camera 'door': hold and look-ahead must not be negative"),
        (ONE + "stall_s = 4\nread_timeout_s = 9\ncrf = 99", "serve.toml:6: camera 'door': the crf of a live stream"),
        (ONE + "stall_s = 4", "serve.toml:4: camera 'door': a stream must stall before it is given up"),
        (ONE + 'size = "large"', "serve.toml:4: camera 'door': size: the text must be a size such as \"640x480\""),
        (ONE + 'rate = "1/0"', "serve.toml:4: camera 'door': rate: the text must be a rate such as 25"),
        (ONE + "max_latency_ms = 0", "serve.toml:4: camera 'door': max_latency_ms: must be above 0"),
        ('[[camera]]\nsource = "test:"', "serve.toml:1: camera 1: has no name"),
        ('\n[[camera]]\nname = "a"', "serve.toml:2: camera 'a': has no source"),
        ('[[camera]]\nname = "a/b"\nsource = "test:"', "serve.toml:2: camera 1: name: camera name 'a/b'"),
        ("[server]\nport = 8080\n", "serve.toml:1: the file: name at least one camera, in a table [[camera]]"),
        ("camera = 3\n", "serve.toml:1: the file: name at least one camera"),
        ("camera = [3]\n", "serve.toml:1: the file: camera 1 must be a table"),
        ("\nserver = 3\n" + ONE, "serve.toml:2: the file: [server] must be a table"),
        (ONE + "sinks = 'a.mkv'", "serve.toml:4: camera 'door': sinks: must be a list of texts"),
        (ONE + "sinks = [\n'a.mkv',\n'page:8080']", "serve.toml:6: camera 'door': sinks: the page of [server]"),
        (ONE + "sinks = ['webcam:0']", "serve.toml:4: camera 'door': sinks: webcam:0 cannot be written to"),
        ('[[camera]]\nname = "a"\nsource = "ftp://x/"', "serve.toml:3: camera 'a': source: ftp:// is no kind"),
        ("a = 1\na = 2\n", "serve.toml:2: no TOML: Cannot overwrite a value"),
        ("[server\n", "serve.toml:1: no TOML: Expected ']'"),
        ("x = 'a\n\n", "serve.toml:3: no TOML: Expected"),
        ("[server]\nport = 65536\n" + ONE, "serve.toml:2: [server]: port: must lie between 0"),
        ("[server]\n\nstop_s = 0\n" + ONE, "serve.toml:3: [server]: stop_s: must be above 0"),
        ("[server]\nthreads = -1\n" + ONE, "serve.toml:2: [server]: threads: must not be negative"),
        ("[server]\nhots = 'x'\n" + ONE, "serve.toml:2: [server]: unknown key 'hots'; did you mean 'host'?"),
        ("[defaults]\nname = 'x'\n" + ONE, "serve.toml:2: [defaults]: unknown key 'name'"),
        ("[server]\nport = " + "1" * 5000 + "\n" + ONE, "serve.toml: no TOML that is meant"),
        ("x = " + "[" * 5000 + "]" * 5000, "serve.toml: no TOML that is meant"),
        (ONE + "x = " + "[" * 300 + "]" * 300, "serve.toml:4: camera 'door': unknown key 'x'"),
        (ONE + "hold_s = 1" + "0" * 400, "serve.toml:4: camera 'door': hold_s: the number is too large"),
        (ONE + "seed = 0x" + "f" * 5000, "serve.toml:4: camera 'door': seed: the number is too large"),
        (ONE + 'rate = "1e999999999"', "serve.toml:4: camera 'door': rate: the text must be a rate such as 25"),
        (ONE + 'size = "²x480"', "serve.toml:4: camera 'door': size: the text must be a size"),
        (ONE + f'size = "{"1" * 5000}x480"', "serve.toml:4: camera 'door': size: the text must be a size"),
        (ONE + 'codec = "a\\u0000b"', "serve.toml:4: camera 'door': codec: the text holds a NUL"),
        ("[server]\nstop_s = 1e300\n" + ONE, "serve.toml:2: [server]: stop_s: must be above 0 and at most 3600"),
        (ONE + 'sinks = ["a.ts", "file:///a%00b"]', "serve.toml:4: camera 'door': sinks: the file:// address"),
    ],
)
def test_an_error_names_file_line_and_key(text: str, message: str) -> None:
    assert message in refusal(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("out.mkv", "./x/../out.mkv"),
        ("rtsp://a:b@10.0.0.1/live", "RTSP://10.0.0.1/live/"),
        ("udp://127.0.0.1:5000", "udp://127.0.0.1:5000"),
        ("live/a.m3u8", "live/a.m3u8"),
        ("camera:2", "/dev/video2"),
    ],
)
def test_two_cameras_may_not_write_to_one_place(one: str, other: str) -> None:
    text = f'[[camera]]\nname = "a"\nsource = "test:"\nsinks = ["{one}"]\n'
    text += f'[[camera]]\nname = "b"\nsource = "test:"\nsinks = [\n"b.mkv",\n"{other}"]\n'
    message = refusal(text)
    assert message.startswith("serve.toml:10: camera 'b': sinks: ")
    assert message.endswith("is written by camera 'a' already")
    assert "a:b" not in message


def test_a_sink_may_not_be_a_source() -> None:
    text = '[[camera]]\nname = "a"\nsource = "in.mp4"\n[[camera]]\nname = "b"\nsource = "test:"\nsinks = ["./in.mp4"]\n'
    assert "serve.toml:7: camera 'b': sinks: ./in.mp4 is read by camera 'a' already" in refusal(text)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml", {})
    (tmp_path / "bad.toml").write_bytes(b"a = 1\nb = '\xff'\n")
    with pytest.raises(ConfigError, match=r"bad\.toml:2: is not UTF-8 text"):
        load(tmp_path / "bad.toml", {})


# --- the environment, and the token ----------------------------------------------------------------------------------


def test_credentials_come_from_the_environment_and_are_encoded() -> None:
    text = '[[camera]]\nname = "a"\nsource = "rtsp://${USER}:${PASS}@10.0.0.1/${ROOM}"\nsinks = ["$${x}.mkv"]\n'
    camera = read(text, {"USER": "me", "PASS": "p@ss/w rd?", "ROOM": "hall/1"}).cameras[0]
    assert camera.source.url == "rtsp://me:p%40ss%2Fw%20rd%3F@10.0.0.1/hall/1"
    assert camera.sinks[0].url == "${x}.mkv"
    assert str(camera.source) == "rtsp://10.0.0.1/hall/1"
    assert "p@ss" not in repr(camera)
    assert "p%40ss" not in repr(camera)
    assert {"p@ss/w rd?", "p%40ss%2Fw%20rd%3F"} <= camera.secrets


def test_a_missing_variable_is_named() -> None:
    text = '[[camera]]\nname = "a"\nsource = "rtsp://u:${PASS}@h/"\n'
    assert "serve.toml:3: camera 'a': source: the environment variable PASS is not set" in refusal(text)
    assert "a ${ is not closed" in refusal(text.replace("${PASS}", "${PA SS}"))


def test_beyond_loopback_a_token_is_demanded() -> None:
    text = '[server]\nport = 1\nhost = "0.0.0.0"\n'
    assert "serve.toml:3: [server]: host: 0.0.0.0 can be reached from elsewhere" in refusal(text + ONE)
    config = read(text + 'token_env = "T"\n' + ONE, {"T": TOKEN})
    assert config.server.token == TOKEN
    assert TOKEN not in repr(config)
    assert TOKEN in config.secrets
    assert "serve.toml:4: [server]: token_env: the environment variable that it names is not set" in refusal(
        text + 'token_env = "T"\n' + ONE
    )
    assert "serve.toml:4: [server]: token_env: the token must have" in refusal(
        text + 'token_env = "T"\n' + ONE, {"T": "short"}
    )


@pytest.mark.parametrize(("key", "mode", "fits"), [("token", 0o600, True), ("token", 0o640, False)])
def test_a_token_may_stand_in_a_file_that_nobody_else_can_read(
    tmp_path: Path, key: str, mode: int, *, fits: bool
) -> None:
    path = tmp_path / "serve.toml"
    path.write_text(f'[server]\ntoken = "{TOKEN}"\n' + ONE)
    path.chmod(mode)
    if fits:
        assert load(path, {}).server.token == TOKEN
    else:
        with pytest.raises(ConfigError, match=r"serve\.toml:2: \[server\]: token: .* chmod 600") as error:
            load(path, {})
        assert TOKEN not in str(error.value)


def test_a_token_file_may_be_read_by_a_group_but_not_by_all(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text(TOKEN + "\n")
    text = f"[server]\ntoken_file = '{secret}'\n" + ONE
    secret.chmod(0o640)
    assert read(text).server.token == TOKEN
    secret.chmod(0o644)
    assert "can be read by others; chmod o-rwx" in refusal(text)
    assert "token: token_file" not in refusal(text.replace("[server]", "[server]\ntoken_env = 'T'"))


@pytest.mark.parametrize("pasted", [TOKEN, "/" + TOKEN, 40 * TOKEN, TOKEN + "=", "a\\u0000" + TOKEN])
@pytest.mark.parametrize("key", ["token_env", "token_file"])
def test_a_token_in_the_place_of_its_name_is_not_quoted(key: str, pasted: str) -> None:
    message = refusal(f'[server]\n{key} = "{pasted}"\n' + ONE)
    assert message.startswith(f"serve.toml:2: [server]: {key}: ")
    assert TOKEN not in message


# --- no credential in any line ---------------------------------------------------------------------------------------

SECRETS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x17F, exclude_categories=["Cs", "Cc", "Zs"]), min_size=6
)
HOSTS = st.sampled_from(["10.0.0.1", "cam.example:554", "[fe80::1]:8554", "localhost"])
SCHEMES = st.sampled_from(["rtsp", "rtsps", "http", "https", "rtmp", "srt", "udp", "RTSP"])


@st.composite
def secret_urls(draw: st.DrawFn) -> tuple[str, str]:
    """A URL, and the secret in it: its password, a token in its query, or the key of a service."""
    scheme, host = draw(SCHEMES), draw(HOSTS)
    secret = "s3c" + draw(SECRETS)
    kind = draw(st.sampled_from(["login", "encoded", "query", "both", "key"]))
    if kind == "query":
        return f"{scheme}://{host}/live?channel=1&token={secret}", secret
    if kind == "key":
        return f"rtmp://{host}/live/{secret}", secret
    written = quote(secret, safe="") if kind == "encoded" else secret
    end = "?token=" + secret if kind == "both" else ""
    return f"{scheme}://user:{written}@{host}/live{end}", secret


@given(secret_urls(), st.sampled_from(["{}", "cannot open '{}': refused", "[in#0] {}: 401", "a {} b {} c", '"{}"']))
def test_no_line_holds_the_secret_of_a_url(given_url: tuple[str, str], sentence: str) -> None:
    url, secret = given_url
    text = redacted(sentence.replace("{}", url))
    assert secret not in text
    assert quote(secret, safe="") not in text
    assert secret not in described(RuntimeError(sentence.replace("{}", url)))


@given(secret_urls(), st.sampled_from(sorted(EVENTS)), st.sampled_from(list(LogForm)))
def test_no_log_line_holds_a_secret_wherever_it_stands(given_url: tuple[str, str], event: str, form: LogForm) -> None:
    url, secret = given_url
    out = io.StringIO()
    with log_to(out, LineFormatter(form, {secret}), verbose=True):
        tell(event, **{key: [f"of {url}" if key in json_log.NAMES else f"{secret} of {url}"] for key in EVENTS[event]})
        logging.getLogger("streamfilter.media").warning("%s: %s", url, secret)
        logging.getLogger("streamfilter.media").error("failed", exc_info=InputError(f"{url} {secret}"))
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    for line in lines:
        values = json.loads(line) if form is LogForm.JSON else {"line": line}
        for spelt in (secret, quote(secret, safe="")):
            assert spelt not in str(values)
            assert spelt not in line


def test_what_is_no_secret_stays_readable() -> None:
    assert redacted("cannot open rtsp://10.0.0.1:554/live: refused") == "cannot open rtsp://10.0.0.1:554/live: refused"
    assert redacted("rtsp://u:p@cam/live") == "rtsp://***@cam/live"
    assert redacted("http://cam/x.mjpg?user=a&pwd=b") == "http://cam/x.mjpg?***"
    assert redacted("http://cam/x?token=one@two") == "http://***"
    assert redacted("two\nlines") == "two lines"
    assert redacted("rtsp://u:p w@cam/x") == "rtsp://*** w@cam/x"
    assert described(InputError("no picture")) == "no picture"
    assert described(ValueError("bad")) == "ValueError: bad"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp:/admin:secret@10.0.0.1/s does not exist", "rtsp:/***@10.0.0.1/s does not exist"),
        ("admin:sec/ret@cam/s does not exist", "***@cam/s does not exist"),
        ("rtsp://h/user=admin_password=secret_channel=1.sdp", "rtsp://h/***"),
        ("http://h/live/pwd/secret/x", "http://h/live/pwd/***"),
        (r"C:\me@home\a.mp4 does not exist", r"C:\me@home\a.mp4 does not exist"),
        ("door: lost at 12:30, see me@home", "door: lost at 12:30, see me@home"),
    ],
)
def test_what_looks_like_a_login_or_a_password_is_hidden(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_a_short_password_is_hidden_in_sentences_and_spoils_no_names() -> None:
    text = '[[camera]]\nname = "door"\nsource = "rtsp://me:door@10.0.0.1/x?stream=live&api_key=k3y&long=longer-than-that"\n'
    secrets = read(text).secrets
    assert {"door", "k3y", "longer-than-that"} <= secrets
    assert "live" not in secrets
    out = io.StringIO()
    with log_to(out, LineFormatter(LogForm.JSON, secrets)):
        tell("sink.failed", camera="door", sink="door.mkv", reason="live: the door is shut")
    line = json.loads(out.getvalue())
    assert (line["camera"], line["sink"], line["reason"]) == ("door", "door.mkv", "live: the *** is shut")


def test_json_lines_keep_to_their_schema() -> None:
    out = io.StringIO()
    with log_to(out, LineFormatter(LogForm.JSON)):
        tell("camera.state", logging.WARNING, camera="door", state="backing-off", reason="", restarts=2)
        logging.getLogger("streamfilter.media").warning("not shown without verbose")
    (line,) = (json.loads(text) for text in out.getvalue().splitlines())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "event": "camera.state",
        "camera": "door",
        "state": "backing-off",
        "restarts": 2,
    }
    with pytest.raises(ValueError, match="camra"):
        tell("camera.state", camra="door")
    with pytest.raises(ValueError, match="no event"):
        tell("camera.stat")


def test_equal_addresses_of_one_place() -> None:
    one, other = read(ONE + 'sinks = ["rtsp://u:p@H/x#y"]').cameras[0], read(ONE + 'sinks = ["rtsp://h/x"]').cameras[0]
    assert place_of(one.sinks[0]) == place_of(other.sinks[0])
    assert one != other
    assert replace(one, sinks=other.sinks) == other
