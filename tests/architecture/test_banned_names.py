"""What imports cannot show: clocks, chance, files and unordered iteration stay out of the core."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
RUFF: dict[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["ruff"]
BANNED: list[str] = list(RUFF["lint"]["flake8-tidy-imports"]["banned-api"])
CORE = ("domain", "pricing", "risk", "quoting", "hedging", "routing")
# hash: the hash of a str changes from process to process. The others are files, the terminal and code made at run time.
BANNED_BUILTINS = {"open", "print", "input", "hash", "eval", "exec", "__import__", "breakpoint"}
CORE_MODULES = [path for package in CORE for path in sorted((CHECKOUT / package).rglob("*.py"))]


def probe_of(name: str) -> str:
    """Code that uses a banned name: of `datetime.datetime.now`, `from datetime import datetime` and the attribute."""
    parts = name.split(".")
    if len(parts) == 1:
        return f"import {name}\n"
    if len(parts) == 2:
        return f"from {parts[0]} import {parts[1]}\n{parts[1]}\n"
    return f"from {'.'.join(parts[:-2])} import {parts[-2]}\n{parts[-2]}.{parts[-1]}\n"


def reported(source: str, filename: str) -> str:
    command = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--output-format", "json"]
    done = subprocess.run(
        [*command, "--stdin-filename", filename, "-"],
        input=source,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return " ".join(finding["message"] for finding in json.loads(done.stdout))


def test_ruff_reports_every_banned_name_in_the_core() -> None:
    messages = {package: reported("".join(map(probe_of, BANNED)), f"{package}/probe.py") for package in CORE}
    assert {package: [n for n in BANNED if f"`{n}` is banned" not in messages[package]] for package in CORE} == {
        package: [] for package in CORE
    }


def test_shells_may_use_them() -> None:
    source = "".join(map(probe_of, BANNED))
    assert reported(source, "streams/probe.py") == ""
    assert reported(source, "axiom/probe.py") == ""


def findings(source: str) -> Iterator[str]:
    """Calls of banned builtins, and loops over a set that is visible as one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BANNED_BUILTINS:
            yield f"line {node.lineno}: {node.func.id}()"
        if isinstance(node, ast.For | ast.comprehension) and _is_a_set(node.iter):
            yield f"line {node.iter.lineno}: iterates over a set"


def _is_a_set(node: ast.expr) -> bool:
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"set", "frozenset"}
    return named or isinstance(node, ast.Set | ast.SetComp)


@pytest.mark.parametrize(
    "source",
    ["open('x')", "hash('x')", "for x in {1, 2}: pass", "[x for x in set(y)]", "{x: 1 for x in {z for z in y}}"],
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert list(findings(source))


@pytest.mark.parametrize("path", CORE_MODULES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_core_modules_open_nothing_and_never_iterate_over_a_set(path: Path) -> None:
    assert list(findings(path.read_text())) == []
