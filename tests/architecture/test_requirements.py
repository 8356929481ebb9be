"""A missing requirement skips a test with its reason, and fails it where nothing may be missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def run_one_test(folder: Path, body: str, *options: str, **variables: str) -> tuple[int, str]:
    """Run one test under a copy of the project's conftest, in an environment of its own."""
    (folder / "conftest.py").write_text((CHECKOUT / "tests" / "conftest.py").read_text())
    (folder / "test_one.py").write_text(body)
    (folder / "pytest.ini").write_text("[pytest]\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AXIOM_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *options, str(folder)],
        env=kept | variables,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    return done.returncode, done.stdout + done.stderr


ASKS = {
    "data": "def test_asks(shared_root): pass\n",
    "lean": "def test_asks(lean_root): pass\n",
    "browser": "def test_asks(chromium): pass\n",
}


@pytest.mark.parametrize("kind", ASKS)
def test_an_absent_requirement_skips_with_its_reason(kind: str, tmp_path: Path) -> None:
    code, output = run_one_test(tmp_path, ASKS[kind], AXIOM_SHARED=str(tmp_path / "none"), PATH="")
    assert code == 0, output
    assert "1 skipped" in output
    assert "no Chromium" in output or "no recorded data" in output


@pytest.mark.parametrize("kind", ASKS)
def test_an_absent_requirement_fails_where_it_is_required(kind: str, tmp_path: Path) -> None:
    required = {"AXIOM_REQUIRE_DATA": "1", "AXIOM_REQUIRE_BROWSER": "1"}
    code, output = run_one_test(tmp_path, ASKS[kind], AXIOM_SHARED=str(tmp_path / "none"), PATH="", **required)
    assert code == 1, output
    assert "makes its absence a failure" in output


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["one process", "workers"])
def test_a_skip_fails_the_run_where_nothing_may_be_skipped(options: tuple[str, ...], tmp_path: Path) -> None:
    body = "import unittest\n\n\ndef test_skips():\n    raise unittest.SkipTest('never')\n"
    code, output = run_one_test(tmp_path, body, *options, AXIOM_NO_SKIPS="1")
    assert code == 1, output
    assert "1 skipped: AXIOM_NO_SKIPS=1 makes that a failure" in output
    assert run_one_test(tmp_path, body, *options)[0] == 0


def test_setup_names_what_a_python_lacks() -> None:
    done = subprocess.run(
        [str(CHECKOUT / "scripts" / "find-python")],
        env=os.environ | {"AXIOM_PYTHON": "no-such-python"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
