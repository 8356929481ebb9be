"""What an interrupt paused is lifted when the run goes on; what a person paused is not, however often it was killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axiom.control import ControlServer
from axiom.interrupts import RUNTIME, LiftedControl, PauseMarks
from axiom.runs import RunFolder
from domain.commands import EngageKillSwitch, Flatten, OperatorCommand, PauseQuoting, ResumeQuoting
from domain.events import CommandApplied, CommandRefused, TimerFired
from domain.events_base import Event


def given_command(kind: type[OperatorCommand], user: str) -> OperatorCommand:
    return kind(ts_event=1, ts_init=1, underlying="XYZ", user=user, reason="test")


def outcome(command: OperatorCommand, *, is_applied: bool = True) -> Event:
    kind = CommandApplied if is_applied else CommandRefused
    name = type(command).__name__
    return kind(ts_event=1, ts_init=1, underlying="XYZ", command=name, user=command.user, reason="")


def take(marks: PauseMarks, *commands: OperatorCommand) -> None:
    for command in commands:
        marks.on_input("ops", command, [outcome(command)])


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ControlServer]:
    found = ControlServer(tmp_path)
    yield found
    found.close()


INTERRUPT = given_command(PauseQuoting, RUNTIME)
RESUME = given_command(ResumeQuoting, "ann")


@pytest.mark.parametrize("kind", [PauseQuoting, Flatten])
def test_pause_of_a_person_outlives_an_interrupt(folder: RunFolder, kind: type[OperatorCommand]) -> None:
    marks = PauseMarks(folder)
    found = []
    for commands in ((given_command(kind, "ann"), INTERRUPT), (RESUME, INTERRUPT), (RESUME,)):
        take(marks, *commands)
        found.append(marks.is_interrupt_alone)
    assert found == [False, True, False]


@given(
    commands=st.lists(
        st.builds(
            given_command,
            st.sampled_from([PauseQuoting, Flatten, ResumeQuoting, EngageKillSwitch]),
            st.sampled_from([RUNTIME, "ann"]),
        )
    ),
    again=st.integers(0, 20),
)
def test_marks_are_those_of_the_journal_after_any_replay_of_its_end(
    tmp_path_factory: pytest.TempPathFactory, commands: list[OperatorCommand], again: int
) -> None:
    """A resumed run sees the commands after its snapshot a second time, with the marks that the first process left."""
    once, twice = RunFolder(tmp_path_factory.mktemp("once")), RunFolder(tmp_path_factory.mktemp("twice"))
    take(PauseMarks(once), *commands)
    take(PauseMarks(twice), *commands)
    last_resume = max((at for at, command in enumerate(commands) if isinstance(command, ResumeQuoting)), default=-1)
    take(PauseMarks(twice), *commands[min(again, last_resume + 1) :])
    assert (once.interrupted.exists(), once.paused.exists()) == (twice.interrupted.exists(), twice.paused.exists())


def test_refused_command_and_other_events_leave_the_marks(folder: RunFolder) -> None:
    marks = PauseMarks(folder)
    take(marks, INTERRUPT)
    pause = given_command(PauseQuoting, "ann")
    marks.on_input("ops", pause, [outcome(pause, is_applied=False)])
    marks.on_input("ops", RESUME, [outcome(RESUME, is_applied=False)])
    marks.on_input("timer", TimerFired(ts_event=1, ts_init=1, underlying="XYZ", timer="1s"), [outcome(pause)])
    assert marks.is_interrupt_alone


def test_lift_is_the_first_command_of_a_run_that_was_interrupted(folder: RunFolder, server: ControlServer) -> None:
    marks = PauseMarks(folder)
    take(marks, INTERRUPT)
    control = LiftedControl(server, marks)
    server.submit(given_command(EngageKillSwitch, "ann"))
    (lift,) = control.poll()
    assert isinstance(lift, ResumeQuoting)
    control.answer(lift, [outcome(lift)])
    assert [type(command) for command in control.poll()] == [EngageKillSwitch]
    assert control.poll() == ()


def test_lift_that_the_journal_holds_already_is_not_given_again(folder: RunFolder, server: ControlServer) -> None:
    """Killed after the lift was journaled and before the mark was gone: the control is asked after the journal."""
    marks = PauseMarks(folder)
    take(marks, INTERRUPT)
    control = LiftedControl(server, marks)
    take(marks, given_command(ResumeQuoting, RUNTIME))
    assert control.poll() == ()


def test_stop_is_passed_on(folder: RunFolder, server: ControlServer) -> None:
    control = LiftedControl(server, PauseMarks(folder))
    assert not control.should_stop
    server.should_stop = True
    assert control.should_stop
