"""What people may do at the gate: kill, release, change limits. Each command is answered by an event."""

from __future__ import annotations

from collections.abc import Sequence

from domain.commands import (
    CancelAllOrders,
    CancelQuotes,
    ChangeLimits,
    EngageKillSwitch,
    Flatten,
    OperatorCommand,
    ReleaseKillSwitch,
)
from domain.errors import InputError
from domain.events import CommandApplied, CommandRefused, Event, KillSwitchEngaged, KillSwitchReleased
from risk.issue import Issuer
from risk.kill_switch import KillSwitch
from risk.view import View


class Controls:
    """Reactions of the gate to operator commands."""

    def __init__(self, issuer: Issuer, view: View, kill: KillSwitch) -> None:
        self._issuer = issuer
        self._view = view
        self._kill = kill

    def engage(self, command: EngageKillSwitch) -> Sequence[Event]:
        """Latch, cancel everything, say so. Never refused."""
        events: list[Event] = []
        head = self._issuer.head(command)
        was_engaged = self._kill.is_engaged
        if self._kill.engage(command.underlying, command.ts_event):
            name, reason = f"{self._issuer.gate}-kill-{self._kill.count}", f"kill switch: {command.reason}"
            quotes = CancelQuotes(**head, cancel_id=f"{name}-quotes", venue=-1, contracts=(), reason=reason)
            orders = CancelAllOrders(**head, cancel_id=f"{name}-orders", venue=-1, reason=reason)
            self._view.quotes.send_cancel(quotes.cancel_id, quotes.venue, quotes.contracts)
            events += [self._issuer.quote_cancel(quotes), self._issuer.orders_cancel(orders)]
        if not was_engaged:
            events.append(KillSwitchEngaged(**head, user=command.user, reason=command.reason))
        return [*events, self._applied(command)]

    def release(self, command: ReleaseKillSwitch) -> Sequence[Event]:
        """Release what the command names, the underlying or the firm, if it is engaged and somebody says who and why.

        `KillSwitchReleased` comes with the last of the two.
        """
        if not self._kill.is_engaged:
            return [self._refused(command, "the kill switch is not engaged")]
        if not self._kill.is_held_by(command.underlying):
            other = "the firm" if command.underlying else "the underlying"
            return [self._refused(command, f"the kill switch of {other} is engaged, not this one")]
        if not (command.user and command.reason):
            return [self._refused(command, "a release names a user and a reason")]
        applied = self._applied(command)
        if not self._kill.release(command.underlying):
            return [applied]
        return [KillSwitchReleased(**self._issuer.head(command), user=command.user, reason=command.reason), applied]

    def change_limits(self, command: ChangeLimits) -> Sequence[Event]:
        """Put all named limits in force, or none."""
        if not (command.user and command.reason):
            return [self._refused(command, "a change of limits names a user and a reason")]
        try:
            limits = self._view.limits.with_changes(command.limits)
        except InputError as error:  # the refusal is this command's answer: the shard has nothing to decide
            return [self._refused(command, str(error))]
        self._view.set_limits(limits)
        return [self._applied(command)]

    def acknowledge(self, command: OperatorCommand) -> Sequence[Event]:
        """Answer for quoter and hedger, which act on the command itself."""
        if isinstance(command, Flatten) and self._kill.is_engaged:
            return [self._refused(command, "the kill switch is engaged: no order can leave")]
        return [self._applied(command)]

    def _applied(self, command: OperatorCommand) -> Event:
        head, name = self._issuer.head(command), type(command).__name__
        return CommandApplied(**head, command=name, user=command.user, reason=command.reason)

    def _refused(self, command: OperatorCommand, reason: str) -> Event:
        head, name = self._issuer.head(command), type(command).__name__
        return CommandRefused(**head, command=name, user=command.user, reason=reason)
