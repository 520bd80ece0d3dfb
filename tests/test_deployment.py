"""The samples that show how to run streamfilter elsewhere: what they say is what the program understands."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click
import pytest

from streamfilter.cli import main
from streamfilter.cli.live import TOKEN_VARIABLE
from streamfilter.serve import ServeConfig, ServerConfig, load
from streamfilter.serve.config import parse
from streamfilter.stream_state import StreamState
from streamfilter.web import Gallery, WebServer
from streamfilter.web.status import CameraStatus

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples"
README = (ROOT / "README.md").read_text("utf-8")
UNIT = SAMPLES / "streamfilter.service"
PROGRAM = "/opt/streamfilter/bin/streamfilter"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
TOKEN = "a-token-of-the-tests"
ENVIRON = {"DOOR_PASSWORD": "p/ss", "YARD_KEY": "k-1", TOKEN_VARIABLE: TOKEN}

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


def parsed(words: list[str]) -> Mapping[str, object]:
    """The values of a command line, `streamfilter` left out, as the program reads them."""
    command = main.commands[words[0]]
    assert isinstance(command, click.Command)
    return command.make_context(words[0], words[1:]).params


# --- the configuration ------------------------------------------------------------------------------------------------


def readme_configs() -> list[str]:
    return re.findall(r"^```toml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_the_sample_configuration_can_be_loaded() -> None:
    config = load(SAMPLES / "serve.toml", ENVIRON)
    assert [camera.name for camera in config.cameras] == ["door", "yard", "desk"]
    assert replace(config.server, token=None) == ServerConfig()
    assert "p%2Fss" in config.cameras[0].source.url
    assert not any(secret in str(config) for secret in ENVIRON.values())


def test_the_configurations_of_the_readme_can_be_loaded() -> None:
    configs = [parse(text, ROOT / "README.md", ENVIRON) for text in readme_configs()]
    assert configs
    for config in configs:
        assert config.server.token == TOKEN
        assert config.server.port == ServerConfig().port


@pytest.mark.parametrize("text", [(SAMPLES / "serve.toml").read_text("utf-8"), *readme_configs()])
def test_no_limit_on_latency_is_eaten_up_by_the_look_ahead(text: str) -> None:
    config: ServeConfig = parse(text, Path("serve.toml"), ENVIRON)
    limits = [(camera.max_latency_ms, camera.filter.track.lookahead_s * 1e3) for camera in config.cameras]
    assert any(limit is not None for limit, _ in limits)
    assert all(limit is None or limit >= 1.5 * ahead for limit, ahead in limits)


def test_every_variable_of_the_samples_comes_from_the_environment() -> None:
    for text in ((SAMPLES / "serve.toml").read_text("utf-8"), *readme_configs()):
        names = set(re.findall(r"(?<!\$)\$\{(\w+)\}", re.sub(r"(?m)#.*", "", text)))
        assert names and names <= ENVIRON.keys()


# --- systemd ----------------------------------------------------------------------------------------------------------


def unit_settings() -> dict[str, list[str]]:
    """Every setting of the unit with its values, in order; a key may stand there twice."""
    settings: dict[str, list[str]] = {}
    for line in UNIT.read_text("utf-8").splitlines():
        if line and line[0] not in "#;[":
            key, sign, value = line.partition("=")
            assert sign and re.fullmatch(r"[A-Za-z]+", key), line
            settings.setdefault(key, []).append(value)
    return settings


def test_the_unit_starts_a_command_that_there_is() -> None:
    settings = unit_settings()
    (start,) = settings["ExecStart"]
    program, *words = shlex.split(start)
    assert program == PROGRAM
    params = parsed(words)
    assert (params["path"], params["form"], params["check"]) == (Path("/etc/streamfilter/serve.toml"), "json", False)
    assert settings["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def test_the_unit_hands_over_the_token_where_its_comment_says() -> None:
    (credential,) = unit_settings()["LoadCredential"]
    name, _, source = credential.partition(":")
    comments = "".join(line for line in UNIT.read_text("utf-8").splitlines(keepends=True) if line.startswith("#"))
    found = re.search(r'token_file = "(.*?)"', comments)
    assert found and found[1] == f"/run/credentials/{UNIT.name}/{name}"
    assert f"> {source})" in comments


def test_the_unit_keeps_what_it_must() -> None:
    settings = unit_settings()
    assert all(len(values) == 1 for values in settings.values())
    one = {key: values[0] for key, values in settings.items()}
    for key in ("NoNewPrivileges", "PrivateTmp", "DynamicUser", "ProtectHome", "RestrictSUIDSGID"):
        assert one[key] == "yes", key
    assert one["ProtectSystem"] == "strict"
    assert one["SupplementaryGroups"] == "video"
    assert set(one["RestrictAddressFamilies"].split()) == {"AF_INET", "AF_INET6", "AF_UNIX"}
    assert (one["Restart"], one["RestartPreventExitStatus"]) == ("on-failure", "2")
    assert one["KillMode"] == "mixed"  # a push to a server must not be ended before its last packet
    assert float(one["TimeoutStopSec"]) > ServerConfig().stop_s
    assert one["WorkingDirectory"] == f"/var/lib/{one['StateDirectory']}"


def test_the_unit_promises_no_watchdog_that_nobody_feeds() -> None:
    code = "".join(path.read_text("utf-8") for path in (ROOT / "streamfilter").rglob("*.py"))
    assert "WatchdogSec" not in unit_settings()
    assert "NOTIFY_SOCKET" not in code


@needs_systemd
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace(PROGRAM, "/bin/true"), "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    # Only what is said of this unit: the machine's others are not ours.
    assert UNIT.name not in done.stderr
    assert done.returncode == 0, done.stderr


@needs_systemd
def test_systemd_finds_the_unit_well_confined() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", done.stdout)
    if found is None:
        pytest.skip("this systemd-analyze does not judge files")
    assert float(found[1]) < 2.5


# --- the container ----------------------------------------------------------------------------------------------------


def container_lines() -> list[tuple[str, str]]:
    """Each instruction of the container file with what it says; continued lines joined, comments gone."""
    text = (SAMPLES / "Containerfile").read_text("utf-8")
    plain = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    lines = [line.partition(" ") for line in plain.replace("\\\n", " ").splitlines() if line]
    return [(name, rest.strip()) for name, _, rest in lines]


def instructions(name: str) -> list[str]:
    return [rest for each, rest in container_lines() if each == name]


def test_the_container_is_built_on_a_python_that_the_project_takes() -> None:
    images = [line.split()[0] for line in instructions("FROM")]
    assert len(set(images)) == 1
    found = re.search(r"python:3\.(\d+)-slim$", images[0])
    least = re.fullmatch(r">=3\.(\d+)", PROJECT["requires-python"])
    assert found and least and int(found[1]) >= int(least[1])


def test_the_container_copies_what_the_package_is_built_from() -> None:
    copied = {word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]}
    assert copied == {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], PROJECT["name"]}
    assert all((ROOT / name).exists() for name in copied)


def test_the_container_installs_with_pip_alone() -> None:
    commands = [shlex.split(part) for line in instructions("RUN") for part in line.split("&&")]
    programs = {Path(words[0]).name for words in commands}
    assert programs == {"python", "pip", "useradd"}
    installed = [word for words in commands if words[1] == "install" for word in words[2:] if word[0] != "-"]
    found = [re.fullmatch(r"(/src|[\w-]+)(?:\[([\w,-]+)\])?(>=[\d.]+)?", word) for word in installed]
    assert [match and match[1] for match in found] == ["/src", "opencv-python-headless"]
    for match in found:
        assert match is not None
        assert set((match[2] or "").split(",")) - {""} <= PROJECT["optional-dependencies"].keys()
    needed = next(each for each in PROJECT["dependencies"] if each.startswith("opencv-python"))
    assert found[1] is not None
    assert needed.removeprefix("opencv-python") == found[1][3]


def test_the_container_runs_a_command_that_there_is() -> None:
    (entry,), (command,) = instructions("ENTRYPOINT"), instructions("CMD")
    (program,) = json.loads(entry)
    assert program in PROJECT["scripts"]
    params = parsed(json.loads(command))
    assert (params["path"], params["form"]) == (Path("/etc/streamfilter/serve.toml"), "json")


def test_the_container_is_nobody_s_root_and_keeps_its_recordings() -> None:
    names = [name for name, _ in container_lines()]
    (user,), (added,) = instructions("USER"), [line for line in instructions("RUN") if "useradd" in line]
    assert int(user) > 0 and f"--uid {user} " in added
    assert names.index("USER") < names.index("WORKDIR")
    assert instructions("WORKDIR") == instructions("VOLUME")
    assert f"--home-dir {instructions('VOLUME')[0]} " in added
    assert instructions("EXPOSE") == [str(ServerConfig().port)]
    assert instructions("STOPSIGNAL") == ["SIGTERM"]


def is_healthy(server: WebServer, token: str) -> bool:
    """What the container's own check finds, asked of `server`."""
    (check,) = instructions("HEALTHCHECK")
    python, *words = json.loads(check.partition("CMD")[2])
    assert python == "python"
    assert f"'127.0.0.1', {ServerConfig().port}," in words[-1]
    here = [*words[:-1], words[-1].replace(str(ServerConfig().port), str(server.port))]
    environ = {**os.environ, TOKEN_VARIABLE: token}
    done = subprocess.run([sys.executable, *here], env=environ, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0 or TOKEN.encode() not in done.stderr
    return done.returncode == 0


def test_the_container_is_healthy_while_its_cameras_are() -> None:
    gallery = Gallery()
    with WebServer(gallery, "0.0.0.0", 0, TOKEN) as server:
        assert not is_healthy(server, TOKEN)  # no camera at all
        gallery.status("door", CameraStatus(state=StreamState.LIVE))
        assert is_healthy(server, TOKEN)
        assert not is_healthy(server, "another token altogether")
        gallery.status("door", CameraStatus(state=StreamState.RECONNECTING))
        assert not is_healthy(server, TOKEN)
    assert not is_healthy(server, TOKEN)  # nobody answers


def test_the_comments_name_keys_and_files_that_there_are() -> None:
    text = "\n".join((SAMPLES / name).read_text("utf-8") for name in ("Containerfile", "streamfilter.service"))
    for name in set(re.findall(r"samples/[\w.]+", text)):
        assert (ROOT / name).exists(), name
    keys = set(re.findall(r"\b(host|token_env|token_file|stop_s)\b", text))
    assert keys == {"host", "token_env", "token_file", "stop_s"}
    server = parse(
        f'[server]\nhost = "0.0.0.0"\ntoken_env = "{TOKEN_VARIABLE}"\n[[camera]]\nname = "a"\nsource = "test:"\n',
        Path("serve.toml"),
        ENVIRON,
    ).server
    assert (server.host, server.token) == ("0.0.0.0", TOKEN)
    assert f'token_env = "{TOKEN_VARIABLE}"' in text
