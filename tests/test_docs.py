"""The README, the help and the program say the same."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import streamfilter
from streamfilter.cli import main
from streamfilter.cli.exits import Exit

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")


def commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command by its full name, those in groups too."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


COMMANDS = list(commands(main))


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def command_lines() -> list[list[str]]:
    """Every `streamfilter ...` of the README's console blocks, as words."""
    lines = [part for block in blocks("console") for line in block.splitlines() for part in line.split("&&")]
    words = [shlex.split(line) for line in lines]
    return [line[1:] for line in words if line and Path(line[0]).name == "streamfilter"]


def option_section(command: str) -> str:
    return README.split(f"### Options of `streamfilter {command}`")[1].split("\n#")[0]


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_help_teaches(name: str, command: click.Command) -> None:
    result = CliRunner().invoke(main, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"streamfilter {name} " in result.output
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_every_option_has_a_row_in_the_readme_with_its_default(name: str, command: click.Command) -> None:
    rows = re.findall(r"^\| (`-.*?) \| (.*?) \|", option_section(name), re.MULTILINE)
    defaults = {re.findall(r"`(--?[\w-]+)`", names)[-1]: default.strip() for names, default in rows}
    options = {each.opts[-1]: each for each in command.params if isinstance(each, click.Option)}
    assert list(defaults) == list(options)
    for flag, option in options.items():
        shown = not option.is_flag and option.show_default and option.default is not None
        value = f"{option.default:g}" if isinstance(option.default, float) else str(option.default)
        assert defaults[flag] == (value if shown else "")


def test_every_command_of_the_readme_can_be_parsed() -> None:
    lines = [line for line in command_lines() if not line[0].startswith("-")]
    named = [next(name for name, _ in COMMANDS if line[: len(name.split())] == name.split()) for line in lines]
    assert set(named) == {name for name, _ in COMMANDS}
    for line, name in zip(lines, named, strict=True):
        dict(COMMANDS)[name].make_context(name, line[len(name.split()) :])


def test_the_commands_of_the_help_can_be_parsed() -> None:
    for name, command in COMMANDS:
        text = CliRunner().invoke(main, [*name.split(), "--help"]).output
        for line in re.findall(r"^ +streamfilter (.*?)(?: [|>].*)?$", text, re.MULTILINE):
            words, length = shlex.split(line), len(name.split())
            if words[:2] == ["models", "pull"] != name.split():  # another command that comes first
                continue
            assert words[:length] == name.split()
            command.make_context(name, words[length:])


def test_the_exit_codes_of_the_readme_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| (\d+) \|", README.split("### Exit codes")[1].split("\n#")[0], re.MULTILINE)
    assert [int(row) for row in rows] == sorted(Exit)
    for code in Exit:
        assert re.search(rf"^ +{code.value} ", CliRunner().invoke(main, ["run", "--help"]).output, re.MULTILINE)


def test_python_examples_use_public_names_only() -> None:
    examples = blocks("python")
    assert examples
    for example in examples:
        for node in ast.walk(ast.parse(example)):
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == "streamfilter":
                assert node.attr in streamfilter.__all__


def test_files_that_the_readme_names_exist() -> None:
    named = set(re.findall(r"`((?:samples|streamfilter|training|export|tests)/[\w./-]+)`", README))
    named |= set(re.findall(r"\]\(([\w./-]+)\)", README))
    missing = {name for name in named if not (ROOT / name).exists()}
    assert not missing


def test_the_test_command_of_the_readme_is_what_ci_runs() -> None:
    assert "bash tests/run" in README
    assert "tests/run" in (ROOT / ".ci" / "run").read_text("utf-8")
    gate = (ROOT / "tests" / "run").read_text("utf-8")
    for check in ("ruff check", "ruff format --check", "mypy", "lint-imports", "pytest"):
        assert check in gate


def test_the_changelog_has_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert re.search(rf"^## \[{re.escape(version)}\]", CHANGELOG, re.MULTILINE)
