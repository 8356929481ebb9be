"""A run that Ctrl-C ended quotes again when it is resumed; one that a person had paused stays paused.

Who paused is kept in two marks in the folder of the run. They follow the commands that were applied, also those that a
resumed run takes from its journal, so that a kill at any point leaves them as the journal says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from axiom.control import ControlServer
from axiom.runs import RunFolder
from domain.commands import Flatten, OperatorCommand, PauseQuoting, ResumeQuoting
from domain.events import CommandApplied
from domain.events_base import Event

RUNTIME: Final = "runtime"
"""The user of a command that the process gives itself."""


def operator(kind: type[OperatorCommand], underlying: str, reason: str) -> OperatorCommand:
    """A command that the process gives itself on behalf of the person who started it."""
    return kind(ts_event=0, ts_init=0, underlying=underlying, user=RUNTIME, reason=reason)


class PauseMarks:
    """A sink that keeps the marks of a run."""

    def __init__(self, folder: RunFolder) -> None:
        self._interrupted = folder.interrupted
        self._paused = folder.paused

    def on_input(self, source: str, event: Event, outputs: Sequence[Event]) -> None:  # noqa: ARG002  # the sink protocol
        """Note who pauses, and who resumes. A command that was refused changes nothing."""
        if not isinstance(event, OperatorCommand) or not any(isinstance(output, CommandApplied) for output in outputs):
            return
        if isinstance(event, PauseQuoting | Flatten):
            (self._interrupted if event.user == RUNTIME else self._paused).touch()
        elif isinstance(event, ResumeQuoting):
            self._interrupted.unlink(missing_ok=True)
            self._paused.unlink(missing_ok=True)

    @property
    def is_interrupt_alone(self) -> bool:
        """Whether quoting rests because of an interrupt, and for no other reason of a person."""
        return self._interrupted.exists() and not self._paused.exists()


class LiftedControl:
    """The control of a resumed run: its first command lifts the pause of an interrupt, if that alone holds quoting.

    It is asked for commands once the journal is at its end, when the marks are as the run left them.
    """

    def __init__(self, control: ControlServer, marks: PauseMarks) -> None:
        self._control = control
        self._marks: PauseMarks | None = marks

    @property
    def should_stop(self) -> bool:
        """As the control says."""
        return self._control.should_stop

    def poll(self) -> Sequence[OperatorCommand]:
        """What people ask for, after the lift."""
        marks, self._marks = self._marks, None
        if marks is not None and marks.is_interrupt_alone:
            return (operator(ResumeQuoting, "", "resumed after an interrupt"),)
        return self._control.poll()

    def answer(self, command: OperatorCommand, outputs: Sequence[Event]) -> None:
        """As the control does."""
        self._control.answer(command, outputs)
