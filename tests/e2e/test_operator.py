"""People act on a running system, and Ctrl-C ends it in order."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from domain.commands import PauseQuoting
from domain.events import (
    CommandApplied,
    KillSwitchEngaged,
    KillSwitchReleased,
    NbboUpdated,
    OrderCleared,
    QuoteCancelCleared,
    QuotesCleared,
)
from streams.journal import JournalReader, segments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from domain.events_base import Event
    from tests.e2e.conftest import Axiom

LIMIT_S = 60.0


@pytest.fixture
def live(axiom: Axiom) -> Iterator[subprocess.Popen[str]]:
    """A paced synthetic run that has begun to quote."""
    process = axiom.start("run", "--id", "live", "--speed", "4")
    _until(lambda: (axiom.runs / "live" / "control.json").exists() and bool(_events(axiom, QuotesCleared)), process)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate(timeout=30)


def test_kill_latches_until_released_and_cancels_pass(axiom: Axiom, live: subprocess.Popen[str]) -> None:
    assert axiom.json("kill", "--reason", "test", "--user", "alice")["applied"]
    _until(lambda: bool(_events(axiom, QuoteCancelCleared)), live)
    engaged = _events(axiom, KillSwitchEngaged)[-1]
    assert (engaged.user, engaged.reason) == ("alice", "test")
    before = engaged.ts_event
    time_of = max(event.ts_event for event in _events(axiom, QuotesCleared))
    assert time_of <= before
    assert axiom.json("release", "--reason", "done")["applied"]
    _until(lambda: any(event.ts_event > before for event in _events(axiom, QuotesCleared)), live)
    released = _events(axiom, KillSwitchReleased)[-1].ts_event
    sent = [event for kind in (QuotesCleared, OrderCleared) for event in _events(axiom, kind)]
    assert not [event for event in sent if before < event.ts_event < released]


def test_commands_are_journaled_with_user_and_reason(axiom: Axiom, live: subprocess.Popen[str]) -> None:
    assert axiom.json("pause", "--reason", "lunch", "--user", "bob")["applied"]
    assert axiom.json("resume", "live", "--reason", "back", "--user", "bob")["applied"]
    assert axiom.json("limits", "held_delta=5000", "--reason", "less risk", "--user", "bob")["applied"]
    assert axiom.json("flatten", "--reason", "home", "--user", "bob")["applied"]
    said = [(event.command, event.user, event.reason) for event in _events(axiom, CommandApplied)]
    assert [reason for _, user, reason in said if user == "bob"] == ["lunch", "back", "less risk", "home"]
    assert live.poll() is None


def test_a_wrong_limit_is_refused_whole_and_by_name(axiom: Axiom, live: subprocess.Popen[str]) -> None:
    answer = axiom.json("limits", "held_delta=1", "helddelta=2", "--reason", "typo", code=1)
    assert "helddelta" in str(answer)
    assert live.poll() is None


def test_interrupt_cancels_quotes_and_exits_within_five_seconds(axiom: Axiom, live: subprocess.Popen[str]) -> None:
    began = time.monotonic()
    live.send_signal(signal.SIGINT)
    out, _ = live.communicate(timeout=30)
    assert time.monotonic() - began < 5.0
    assert live.returncode == 130
    assert "axiom resume live" in out
    last_quotes = max(event.ts_event for event in _events(axiom, QuotesCleared))
    assert _events(axiom, QuoteCancelCleared)[-1].ts_event >= last_quotes
    resumed = axiom.start("resume", "live")
    _until(lambda: any(event.ts_event > last_quotes for event in _events(axiom, QuotesCleared)), resumed)
    resumed.kill()
    resumed.communicate(timeout=30)


def test_a_run_whose_terminal_is_closed_ends_as_with_ctrl_c_and_its_report_can_be_made(
    axiom: Axiom, live: subprocess.Popen[str]
) -> None:
    live.send_signal(signal.SIGHUP)
    live.communicate(timeout=30)
    assert live.returncode == 130
    last_quotes = max(event.ts_event for event in _events(axiom, QuotesCleared))
    assert _events(axiom, QuoteCancelCleared)[-1].ts_event >= last_quotes
    summary = axiom.json("report", "live")
    assert (summary["is_interrupted"], summary["problems"]) == (True, [])
    assert (axiom.runs / "live" / "report.html").stat().st_size > 0


def test_a_pause_of_a_person_holds_through_an_interrupt_and_a_resume(axiom: Axiom, live: subprocess.Popen[str]) -> None:
    assert axiom.json("pause", "--reason", "lunch", "--user", "bob")["applied"]
    live.send_signal(signal.SIGINT)
    live.communicate(timeout=30)
    before = len(_events(axiom, QuotesCleared))
    stopped = _events(axiom, PauseQuoting)[-1].ts_event
    resumed = axiom.start("resume", "live")
    _until(lambda: any(event.ts_event > stopped for event in _events(axiom, NbboUpdated)), resumed)
    assert len(_events(axiom, QuotesCleared)) == before
    assert axiom.json("resume", "live", "--reason", "back", "--user", "bob")["applied"]
    _until(lambda: len(_events(axiom, QuotesCleared)) > before, resumed)
    resumed.kill()
    resumed.communicate(timeout=30)


def test_a_run_goes_on_when_nobody_reads_its_output(axiom: Axiom) -> None:
    process = axiom.start("run", "--id", "unread", AXIOM_SET_SYNTHETIC__SESSION_MINUTES="1")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    process.wait(timeout=LIMIT_S)
    assert axiom.json("replay", "unread")["equal"]
    assert (axiom.runs / "unread" / "report.html").stat().st_size > 0


def test_an_underlying_that_the_run_does_not_have_is_named(axiom: Axiom, live: subprocess.Popen[str]) -> None:
    said = axiom.call("kill", "--underlying", "nope", "--reason", "typo", code=1)
    assert "refused" in said
    assert "field='underlying' value='NOPE'" in said
    assert live.poll() is None


def test_commands_to_a_run_that_is_not_running_say_so(axiom: Axiom) -> None:
    assert "no run yet" in axiom.call("kill", "--reason", "test", code=2)


def _events(axiom: Axiom, kind: type[Any]) -> list[Any]:
    journal = axiom.runs / "live" / "journal"
    if not segments(journal):
        return []
    found: list[Event] = [record.event() for record in JournalReader(journal) if record.message.schema == kind.__name__]
    return found


def _until(is_true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Poll a condition on what the process writes; fail when it dies or takes too long."""
    deadline = time.monotonic() + LIMIT_S
    while not is_true():
        assert time.monotonic() < deadline
        with contextlib.suppress(subprocess.TimeoutExpired):
            assert process.wait(timeout=0.1) is None, process.communicate()
