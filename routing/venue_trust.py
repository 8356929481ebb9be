"""Which venues are in dispute: those that executed more than an order was for, until it is taken back."""

from __future__ import annotations

from domain.commands import ResetProtection
from domain.events import Event, ExecutionReported, VenueTrustChanged
from routing.order_records import Order
from routing.reports import stamps_of


class VenueTrust:
    """Orders that were overfilled, by venue. One is trusted again when none is left, or when a person says so."""

    def __init__(self) -> None:
        self._overfilled: dict[str, int] = {}

    def judge(self, report: ExecutionReported, order: Order) -> list[Event]:
        """Look at an order again; say so where that changes whether its venue is trusted."""
        was_trusted = self._is_trusted(order.venue)
        if order.is_overfilled:
            self._overfilled[order.clordid] = order.venue
        else:
            self._overfilled.pop(order.clordid, None)
        is_trusted = self._is_trusted(order.venue)
        if is_trusted == was_trusted:
            return []
        reason = f"order {order.clordid}: {order.cum} executed of {max(order.quantities)}"
        return [VenueTrustChanged(**stamps_of(report), venue=order.venue, is_trusted=is_trusted, reason=reason)]

    def reset(self, command: ResetProtection, underlying: str) -> list[Event]:
        """A person settled it with the venues; a command to the firm is answered for our underlying."""
        venues = sorted(dict.fromkeys(self._overfilled.values()))
        self._overfilled.clear()
        stamps = stamps_of(command)
        stamps["underlying"] = underlying
        reason = f"{command.user}: {command.reason}"
        return [VenueTrustChanged(**stamps, venue=venue, is_trusted=True, reason=reason) for venue in venues]

    def _is_trusted(self, venue: int) -> bool:
        return venue not in self._overfilled.values()

    def state(self) -> dict[str, int]:
        """Return all of it, for a snapshot."""
        return self._overfilled

    def take_over(self, state: dict[str, int]) -> None:
        """Take over what `state` gave."""
        self._overfilled = dict(state)
