"""How many messages a session may send in a second, and what goes first when they are more: cancels.

A cancel never passes what it is about: an order that leaves after its own cancel would work for ever. So whoever puts
a cancel in first takes out (`take_out`) or brings forward (`bring_forward`) what it concerns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from domain.commands import CancelAllOrders, CancelOrder, CancelQuotes, Outbound, PlaceQuotes, ReplaceOrder, SubmitOrder
from fix.wire import Body

Cancel = CancelQuotes | CancelOrder | CancelAllOrders


class Waiting(NamedTuple):
    """A command that waits for its turn. `since` is by the monotonic clock, seconds."""

    command: Outbound
    bodies: Sequence[Body]
    since: float


class Throttle:
    """The two queues of a session, and the budget that lets them out.

    Args:
        per_second: Messages per second.
        burst: Messages that may leave at once after a rest.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._budget = float(burst)
        self._counted: float | None = None
        self._first: deque[Waiting] = deque()
        self._others: deque[Waiting] = deque()

    def __len__(self) -> int:
        return len(self._first) + len(self._others)

    def put(self, waiting: Waiting) -> None:
        """Add a command behind those of its kind."""
        (self._first if isinstance(waiting.command, Cancel) else self._others).append(waiting)

    def due(self, now: float) -> Waiting | None:
        """The next command that may leave, None where the budget is spent or nothing waits.

        The messages of one command leave together: they may overdraw the budget, which is then made up for.
        """
        before = now if self._counted is None else self._counted
        self._budget = min(self._budget + max(now - before, 0.0) * self._per_second, self._burst)
        self._counted = max(now, before)
        if not len(self) or self._budget < 1.0:
            return None
        waiting = self._first.popleft() if self._first else self._others.popleft()
        self.spend(len(waiting.bodies))
        return waiting

    def spend(self, messages: int) -> None:
        """Count messages that left beside the queues."""
        self._budget -= messages

    def late(self, since: float) -> list[Waiting]:
        """Take out what came before `since` and is no cancel: a stale order is never sent."""
        return self.take_out(lambda waiting: waiting.since < since and not isinstance(waiting.command, Cancel))

    def take_out(self, is_meant: Callable[[Waiting], bool]) -> list[Waiting]:
        """Take out of the queue, oldest first: it will not be sent."""
        out = [waiting for waiting in self._others if is_meant(waiting)]
        if out:
            self._others = deque(waiting for waiting in self._others if not is_meant(waiting))
        return out

    def bring_forward(self, is_meant: Callable[[Waiting], bool]) -> None:
        """Let it leave as early as the cancels that wait, and in front of those that come."""
        self._first.extend(self.take_out(is_meant))

    def clear(self) -> list[Waiting]:
        """Take out everything: the session is gone."""
        out = [*self._first, *self._others]
        self._first.clear()
        self._others.clear()
        return out


def concerns(cancel: Outbound, command: Outbound) -> bool:
    """Whether a cancel is about a command that has not left yet."""
    if cancel.underlying != command.underlying:
        return False
    match cancel:
        case CancelQuotes():
            return isinstance(command, PlaceQuotes)
        case CancelAllOrders():
            return isinstance(command, SubmitOrder | ReplaceOrder)
        case CancelOrder(orig_clordid=name):
            return isinstance(command, SubmitOrder | ReplaceOrder) and command.clordid == name
        case _:
            return False


def takes_all(cancel: Outbound) -> bool:
    """Whether nothing of the kind may be left after a cancel: what waits need not leave at all."""
    return isinstance(cancel, CancelAllOrders) or (isinstance(cancel, CancelQuotes) and not cancel.contracts)
