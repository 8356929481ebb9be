"""The house rules: sizes, names, paths, pins, and the files that a stranger reads first."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
NOT_OURS = {"build", "dist", "runs", "__pycache__", "node_modules"}
HIDDEN_BUT_OURS = {".ci", ".gitignore", ".editorconfig", ".pre-commit-config.yaml"}
MAX_MODULE_LINES = 400
MAX_FILE_BYTES = 1_000_000
VAGUE = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc"}
MACHINE_PATHS = re.compile(r"(?<![A-Za-z0-9_.])/(?:work|home|root|Users|tmp)/")
SECTIONS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
TARGETS = ["demo", "test", "check", "bench", "fuzz", "system", "clean", "setup", "lock", "docs"]


def source_files() -> Iterator[Path]:
    """Every file that belongs to the project; not what set-up, builds and runs leave in the checkout."""
    for folder, names, files in os.walk(CHECKOUT):
        names[:] = sorted(n for n in names if n not in NOT_OURS and not n.endswith(".egg-info") and is_ours(n))
        yield from (
            Path(folder) / name for name in sorted(files) if is_ours(name) and not name.endswith((".so", ".pyc"))
        )


def is_ours(name: str) -> bool:
    return not name.startswith(".") or name in HIDDEN_BUT_OURS


FILES = list(source_files())
MODULES = [path for path in FILES if path.suffix == ".py" and path.relative_to(CHECKOUT).parts[0] != "tests"]


def shown(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    # A table is data that a tool writes or a document lists: it is looked up, not read through.
    read = [path for path in MODULES if not path.stem.endswith("_table")]
    sizes = {shown(path): len(text_of(path).splitlines()) for path in read}
    assert {name: lines for name, lines in sizes.items() if lines > MAX_MODULE_LINES} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [shown(path) for path in MODULES if VAGUE & {*path.relative_to(CHECKOUT).with_suffix("").parts}] == []


def test_every_package_is_typed_and_says_what_it_is() -> None:
    packages = [CHECKOUT / name for name in PROJECT["tool"]["scikit-build"]["wheel"]["packages"]]
    assert [package.name for package in packages if not (package / "py.typed").is_file()] == []
    assert [package.name for package in packages if not text_of(package / "__init__.py").startswith('"""')] == []


def test_every_folder_of_python_is_type_checked() -> None:
    folders = {path.relative_to(CHECKOUT).parts[0] for path in FILES if path.suffix == ".py"}
    assert folders == set(PROJECT["tool"]["mypy"]["files"])


def test_no_file_names_a_machine() -> None:
    # A script may use the temporary folder of the shell it runs in.
    read = [path for path in FILES if path.relative_to(CHECKOUT).parts[0] != "scripts"]
    assert [shown(path) for path in read if MACHINE_PATHS.search(text_of(path))] == []


def test_no_large_file_enters_the_project() -> None:
    assert [shown(path) for path in FILES if path.stat().st_size > MAX_FILE_BYTES] == []


@pytest.mark.data
def test_recorded_market_data_never_enters_the_project(shared_data: Path) -> None:
    sizes = {path.stat().st_size for path in FILES if path.stat().st_size}
    alike = [path for path in shared_data.rglob("*") if path.is_file() and path.stat().st_size in sizes]
    recorded = {hashlib.sha256(path.read_bytes()).digest() for path in alike}
    assert [shown(path) for path in FILES if hashlib.sha256(path.read_bytes()).digest() in recorded] == []


def test_tests_are_no_package_and_mirror_the_packages() -> None:
    tests = CHECKOUT / "tests"
    assert sorted(tests.rglob("__init__.py")) == []
    kinds = {"architecture", "contract", "replay", "golden", "e2e", "benchmarks", "tools", "deploy"}
    known = kinds | set(PROJECT["tool"]["scikit-build"]["wheel"]["packages"])
    assert {path.relative_to(tests).parts[0] for path in tests.rglob("test_*.py")} <= known


def test_every_dependency_is_pinned_and_locked() -> None:
    project = PROJECT["project"]
    asked = [*PROJECT["build-system"]["requires"], *project["dependencies"]]
    asked += [pin for extra in project["optional-dependencies"].values() for pin in extra]
    assert [pin for pin in asked if not re.fullmatch(r"[A-Za-z0-9_.\-\[\]]+==[0-9][A-Za-z0-9.]*", pin)] == []
    lock = [line for line in text_of(CHECKOUT / "requirements.lock").splitlines() if line and not line.startswith("#")]
    locked = {normalised(line) for line in lock}
    assert [pin for pin in asked if normalised(pin) not in locked] == [], "`make lock` writes requirements.lock"


def normalised(pin: str) -> str:
    name, _, version = pin.partition("==")
    return re.sub(r"[-_.]+", "-", re.sub(r"\[.*\]", "", name)).lower() + "==" + version


def test_the_makefile_has_its_targets_and_names_each_in_its_help() -> None:
    makefile = text_of(CHECKOUT / "Makefile")
    assert [target for target in TARGETS if not re.search(rf"^{target}:.*## \S", makefile, re.MULTILINE)] == []


@pytest.mark.parametrize(
    "name",
    [
        ".ci/run",
        *(f"scripts/{name}" for name in ("setup", "system", "check", "check-wheel", "find-python", "quickfix")),
    ],
)
def test_scripts_can_be_run_and_stop_at_the_first_failure(name: str) -> None:
    path = CHECKOUT / name
    assert os.access(path, os.X_OK)
    assert "set -euo pipefail" in text_of(path)


def test_the_readme_shows_the_two_first_commands() -> None:
    readme = text_of(CHECKOUT / "README.md")
    assert "make demo" in readme
    assert "make test" in readme


def test_links_between_documents_lead_somewhere() -> None:
    links = [
        (path, target)
        for path in FILES
        if path.suffix == ".md"
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text_of(path))
    ]
    assert [f"{shown(path)}: {target}" for path, target in links if not (path.parent / target).exists()] == []


def test_the_changelog_keeps_its_order() -> None:
    lines = text_of(CHECKOUT / "CHANGELOG.md").splitlines()
    assert lines[0] == "# Changelog"
    versions = [line for line in lines if line.startswith("## ")]
    assert versions[0] == "## [Unreleased]"
    assert [v for v in versions[1:] if not re.fullmatch(r"## \[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", v)] == []
    dates = [version.rpartition(" ")[2] for version in versions[1:]]
    assert dates == sorted(dates, reverse=True)
    section = ""
    for line in lines:
        if line.startswith("## "):
            section = ""
        if line.startswith("### "):
            assert line[4:] in SECTIONS
            assert not section or SECTIONS.index(section) < SECTIONS.index(line[4:])
            section = line[4:]


def test_decision_records_are_numbered_and_complete() -> None:
    records = sorted((CHECKOUT / "docs" / "decisions").glob("*.md"))
    numbers = [path.name[:4] for path in records]
    assert numbers == [f"{number:04}" for number in range(1, len(records) + 1)]
    headings = ("## Context", "## Decision", "## Consequences")
    assert [shown(path) for path in records if any(heading not in text_of(path) for heading in headings)] == []


def test_the_licence_is_whole() -> None:
    licence = text_of(CHECKOUT / "LICENSE")
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
