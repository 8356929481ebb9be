"""What the README tells a stranger to type exists, and every command, package and target is told of."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from typer.core import TyperGroup
from typer.main import get_command

from axiom.cli import app
from axiom.settings import ENV_PREFIX, load

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GROUP = get_command(app)
assert isinstance(GROUP, TyperGroup)
COMMANDS = GROUP.commands


def test_every_command_that_is_told_exists() -> None:
    told = {*re.findall(r"`axiom ([a-z]+)", README), *re.findall(r"^    axiom ([a-z]+)", README, re.MULTILINE)}
    row = next(line for line in README.splitlines() if line.startswith("| `axiom kill`"))
    told |= set(re.findall(r"`([a-z]+)`", row.split("|")[1]))
    assert told <= COMMANDS.keys()
    assert {"run", "replay", "resume", "diff", "report", "tail", "topics", "doctor", "bench", "settings"} <= told


def test_every_option_that_is_told_exists() -> None:
    known = {name for parameter in COMMANDS["run"].params for name in parameter.opts}
    options = {found for line in README.splitlines() if "axiom run" in line for found in re.findall(r"--[a-z-]+", line)}
    assert options <= known
    assert options >= {"--source", "--path", "--underlying", "--date", "--speed", "--positions"}


@pytest.mark.parametrize("assignment", sorted({*re.findall(rf"({ENV_PREFIX}\w+=[\w.]+)", README)}))
def test_every_setting_that_is_told_changes_something(assignment: str) -> None:
    name, _, value = assignment.partition("=")
    assert msgspec.structs.asdict(load(None, {name: value})) != msgspec.structs.asdict(load(None, {}))


def test_every_make_target_that_is_told_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    told = {*re.findall(r"`make ([a-z]+)`", README), *re.findall(r"^    make ([a-z]+)", README, re.MULTILINE)}
    assert told <= targets
    assert told >= {"demo", "test", "check", "fuzz", "bench", "system", "clean"}


def test_the_layout_names_every_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(re.findall(r"^    ([a-z]+)/ ", README, re.MULTILINE))
    assert set(project["tool"]["scikit-build"]["wheel"]["packages"]) <= listed
    assert [name for name in listed if not (ROOT / name).is_dir()] == []
