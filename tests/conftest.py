"""What every test may ask for: the recorded data, a browser, and how hard properties are tried."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

CHECKOUT = Path(__file__).resolve().parent.parent

# The same examples on every machine: a red test is red for everyone. The search for new ones is `make fuzz`.
settings.register_profile("ci", derandomize=True, max_examples=50, deadline=None)
settings.register_profile(
    "fuzz",
    max_examples=2_000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def absent(requirement: str, variable: str) -> NoReturn:
    """Skip a test whose requirement this machine lacks; fail it where the environment says it must be there."""
    if os.environ.get(variable) == "1":
        pytest.fail(f"{requirement} ({variable}=1 makes its absence a failure)", pytrace=False)
    pytest.skip(requirement)


@pytest.fixture(scope="session")
def shared_root() -> Path:
    """The folder of recorded data and reference tables: AXIOM_SHARED, by default `../shared` beside the checkout."""
    root = Path(os.environ.get("AXIOM_SHARED") or CHECKOUT.parent / "shared")
    if not (root / "data").is_dir():
        absent(f"no recorded data: {root / 'data'} is not a folder; set AXIOM_SHARED", "AXIOM_REQUIRE_DATA")
    return root


@pytest.fixture(scope="session")
def shared_data(shared_root: Path) -> Path:
    """The folder of recorded market data."""
    return shared_root / "data"


@pytest.fixture(scope="session")
def lean_root(shared_data: Path) -> Path:
    """A LEAN data folder that holds GOOG on 24 Dec 2015 (minute quotes, trades, open interest, underlying)."""
    root = shared_data / "lean" / "Data"
    if not (root / "option" / "usa" / "minute" / "goog").is_dir():
        absent(f"no LEAN minute archives of GOOG under {root}", "AXIOM_REQUIRE_DATA")
    return root


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The installed Chromium or Chrome; AXIOM_CHROMIUM names another one."""
    names = (os.environ.get("AXIOM_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        absent("no Chromium: `make system` installs it", "AXIOM_REQUIRE_BROWSER")
    return Path(found)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end why a complete run is red when a test did not run."""
    if _skips_are_failures() and (skipped := len(terminalreporter.stats.get("skipped", []))):
        terminalreporter.write_line(f"{skipped} skipped: AXIOM_NO_SKIPS=1 makes that a failure", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that skipped anything, where the environment says that nothing may be skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if _skips_are_failures() and reporter is not None and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _skips_are_failures() -> bool:
    return os.environ.get("AXIOM_NO_SKIPS") == "1"
