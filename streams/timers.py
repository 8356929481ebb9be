"""Timers: time becomes events. Recorded runs feed event time, live ones wall time."""

from __future__ import annotations

from domain.events import TimerFired


class Timers:
    """One periodic timer on the grid of its period: due times are multiples of it since the epoch."""

    def __init__(self, name: str, period_ns: int, underlying: str) -> None:
        self._name = name
        self._period = period_ns
        self._underlying = underlying
        self.offset = 0
        self.due: int | None = None

    def start(self, now: int) -> None:
        """Arm: the first firing is the first grid point after `now`."""
        self.due = (now // self._period + 1) * self._period

    def stop(self) -> None:
        """Disarm."""
        self.due = None

    def fire(self) -> TimerFired:
        """The event that is due; arms the next.

        Raises:
            RuntimeError: The timer is not armed.
        """
        if self.due is None:
            message = "timer is not armed"
            raise RuntimeError(message)
        event = TimerFired(ts_event=self.due, ts_init=self.due, underlying=self._underlying, timer=self._name)
        self.due += self._period
        self.offset += 1
        return event

    def state(self) -> tuple[int | None, int]:
        """Due time and offset, for a snapshot."""
        return self.due, self.offset

    def set_state(self, due: int | None, offset: int) -> None:
        """Take over a state."""
        self.due, self.offset = due, offset
