"""Progress of a run where no terminal shows it: a line on standard error for each tenth of the session."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

from axiom.live_state import clock_of
from domain.events_base import Event
from streams.recorded import Recording

_STEPS = 10


class ProgressLines:
    """Writes `40 % 10:54:00` and the like."""

    def __init__(self, recording: Recording) -> None:
        self._open_ns = recording.open_ns
        self._step_ns = max((recording.close_ns - recording.open_ns) // _STEPS, 1)
        self._done = 0

    def on_input(self, source: str, event: Event, outputs: Sequence[Event]) -> None:  # noqa: ARG002  # the sink protocol
        """Say when another tenth is done."""
        done = min((event.ts_event - self._open_ns) // self._step_ns, _STEPS)
        if done > self._done:
            self._done = done
            with contextlib.suppress(OSError):  # nobody reads it any more: the run goes on
                sys.stderr.write(f"{done * 100 // _STEPS:3d} % {clock_of(event.ts_event)}\n")
