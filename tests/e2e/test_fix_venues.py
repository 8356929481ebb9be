"""Venues as processes behind FIX sessions: the same day as in one process, and none lost when a venue dies."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from domain.events import QuotesCleared, VenueStatusChanged
from streams.journal import JournalReader, segments
from tests.e2e.conftest import Axiom

if TYPE_CHECKING:
    from domain.events_base import Event

pytestmark = pytest.mark.timeout(300)
LIMIT_S = 90.0


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The small run with its venues in one process."""
    return Axiom(tmp_path_factory.mktemp("direct") / "runs").json("run", "--id", "d")


def test_a_run_over_fix_is_the_run_in_one_process(axiom: Axiom, direct: dict[str, Any]) -> None:
    """Stronger than the promise (equality with its own replay): nothing is lost or turned on the wire."""
    summary = axiom.json("run", "--id", "f", "--venues", "fix")
    assert summary["digest"] == direct["digest"]
    assert summary["problems"] == []
    assert summary["crossed_own_quotes"] == summary["gate_bypasses"] == 0
    assert summary["fills"] == direct["fills"]
    assert axiom.json("replay", "f")["equal"]
    assert not list(_pids(axiom, "f"))


@pytest.mark.slow
@pytest.mark.data
def test_the_recorded_day_over_fix_is_the_one_in_one_process(axiom: Axiom, lean_root: Path) -> None:
    command = ("run", "--source", "lean", "--path", str(lean_root), "--underlying", "GOOG", "--date", "2015-12-24")
    plain = Axiom(axiom.runs, {})
    over_fix, direct = (plain.json(*command, "--venues", venues, "--id", venues) for venues in ("fix", "direct"))
    assert over_fix["digest"] == direct["digest"]
    for summary in (over_fix, direct):
        assert summary["problems"] == []  # positions and cash are those of the venues' books
        assert summary["crossed_own_quotes"] == summary["gate_bypasses"] == 0
        assert summary["fills"] >= 50


@pytest.fixture
def live(axiom: Axiom) -> Iterator[subprocess.Popen[str]]:
    """A paced run over FIX that has begun to quote."""
    process = axiom.start("run", "--id", "live", "--venues", "fix", "--speed", "8", "--json")
    _until(lambda: bool(_events(axiom, QuotesCleared)), process)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate(timeout=30)


def test_a_venue_that_is_killed_comes_back_with_its_book(axiom: Axiom, live: subprocess.Popen[str]) -> None:
    before = dict(_pids(axiom, "live"))
    axiom.call("venues", "live", "kill", "SIMA")
    _until(
        lambda: [e.is_up for e in _events(axiom, VenueStatusChanged) if "session is back" in e.reason][-1:] == [True],
        live,
    )
    after = dict(_pids(axiom, "live"))
    assert after["SIMA"] != before["SIMA"]
    assert {mic: pid for mic, pid in after.items() if mic != "SIMA"} == {
        mic: pid for mic, pid in before.items() if mic != "SIMA"
    }
    summary = _end_of(live)
    assert summary["problems"] == []  # positions and cash equal the venues' books
    assert summary["crossed_own_quotes"] == summary["gate_bypasses"] == 0
    assert axiom.json("replay", "live")["equal"]


def test_a_frozen_venue_holds_the_clock_and_thaws(axiom: Axiom, live: subprocess.Popen[str]) -> None:
    axiom.call("venues", "live", "pause", "SIMB")
    time.sleep(1.0)
    axiom.call("venues", "live", "continue", "SIMB")
    summary = _end_of(live)
    assert summary["problems"] == []
    assert axiom.json("replay", "live")["equal"]


def test_a_venue_is_told_to_lie_and_its_executions_are_not_believed(axiom: Axiom, live: subprocess.Popen[str]) -> None:
    axiom.call("venues", "live", "tell", "SIMA", "duplicate_rate=1.0")
    assert "unknown" in axiom.call("venues", "live", "tell", "SIMA", "duplicates=1", code=2)
    assert "no such venue process" in axiom.call("venues", "live", "kill", "NOPE", code=2)
    summary = _end_of(live)
    assert summary["problems"] == []  # each execution was counted once
    assert axiom.json("replay", "live")["equal"]


def test_a_killed_run_is_resumed_and_reconciled_with_its_venues(axiom: Axiom, live: subprocess.Popen[str]) -> None:
    time.sleep(2.0)
    live.kill()
    live.communicate(timeout=30)
    _until(lambda: not [pid for _, pid in _pids(axiom, "live") if Path(f"/proc/{pid}").exists()], None)
    summary = axiom.json("resume", "live")
    assert summary["problems"] == []
    assert summary["crossed_own_quotes"] == summary["gate_bypasses"] == 0
    assert axiom.json("replay", "live")["equal"]


def test_interrupt_cancels_at_the_venues_and_leaves_no_process(axiom: Axiom, live: subprocess.Popen[str]) -> None:
    pids = [pid for _, pid in _pids(axiom, "live")]
    began = time.monotonic()
    live.send_signal(signal.SIGINT)
    live.communicate(timeout=30)
    assert time.monotonic() - began < 5.0
    assert live.returncode == 130
    _until(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()], None)


def _pids(axiom: Axiom, run: str) -> Iterator[tuple[str, int]]:
    for path in sorted((axiom.runs / run / "venues").glob("*/process.json")):
        yield path.parent.name, json.loads(path.read_text())["pid"]


def _end_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, out + err
    value: dict[str, Any] = json.loads(out.splitlines()[-1])
    return value


def _events(axiom: Axiom, *kinds: type[Event]) -> list[Any]:
    folder = axiom.runs / "live" / "journal"
    if not folder.exists() or not segments(folder):
        return []
    names = {kind.__name__ for kind in kinds}
    return [record.event() for record in JournalReader(folder) if record.message.schema in names]


def _until(condition: Callable[[], bool], process: subprocess.Popen[str] | None) -> None:
    until = time.monotonic() + LIMIT_S
    while not condition():
        if process is not None and process.poll() is not None:
            out, err = process.communicate()
            pytest.fail(f"ended with {process.returncode}\n{out}\n{err}")
        assert time.monotonic() < until
        time.sleep(0.1)
