"""A hedge that is under way: from the request to the end of its last child."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Self

TERMINAL: Final = frozenset({"filled", "canceled", "rejected", "expired"})
"""States of `OrderStateChanged.after` that end an order."""


class HedgeInFlight:
    """A parent order and its children at venues.

    It is over when every child that was routed has ended or was refused. A child whose outcome is unknown keeps it
    open: nothing is sent for what it may still trade.
    """

    def __init__(self) -> None:
        self.request_id = ""
        self.asked_ts = 0
        self.wanted = 0
        self.traded = 0
        self._open: dict[str, int] = {}

    @property
    def is_open(self) -> bool:
        """Whether a hedge is under way."""
        return bool(self.request_id)

    @property
    def may_trade(self) -> int:
        """Shares that its open children may still trade, signed; of a request that nobody routed, all of it."""
        left = abs(self.wanted) - self.traded
        most = min(sum(self._open.values()), left) if self._open else left
        return most if self.wanted > 0 else -most

    def ask(self, request_id: str, quantity: int, ts: int) -> None:
        """Start one. The quantity is signed: positive buys."""
        self.request_id, self.wanted, self.asked_ts, self.traded = request_id, quantity, ts, 0
        self._open.clear()

    def routed(self, clordid: str) -> None:
        """Note a child. The router names all of them before the first can end; their sizes follow."""
        self._open[clordid] = abs(self.wanted)

    def sized(self, clordid: str, quantity: int) -> None:
        """Note how large a child is."""
        self._open[clordid] = quantity

    def filled(self, clordid: str, quantity: int) -> None:
        """Note that an open child traded."""
        self._open[clordid] = max(self._open[clordid] - quantity, 0)
        self.traded += quantity

    def owns(self, clordid: str) -> bool:
        """Whether that is an open child."""
        return clordid in self._open

    def end_child(self, clordid: str) -> bool:
        """Note that a child ended.

        Returns:
            Whether the hedge is over.
        """
        self._open.pop(clordid, None)
        return not self._open

    def close(self) -> None:
        """Forget it."""
        self.request_id = ""
        self._open.clear()

    def state(self) -> dict[str, Any]:
        """All of it, for a snapshot."""
        return {
            "request_id": self.request_id,
            "asked_ts": self.asked_ts,
            "wanted": self.wanted,
            "traded": self.traded,
            "open": list(self._open.items()),
        }

    @classmethod
    def of(cls, state: dict[str, Any]) -> Self:
        """The one that `state` gave."""
        hedge = cls()
        hedge.request_id, hedge.asked_ts = state["request_id"], state["asked_ts"]
        hedge.wanted, hedge.traded = state["wanted"], state["traded"]
        hedge._open = dict(state["open"])
        return hedge


def sure_delta(delta: float, in_doubt: Iterable[HedgeInFlight]) -> float:
    """What is left to hedge whatever becomes of hedges whose outcome is unknown.

    Each of them may have traded in full, in part or not at all, so net delta lies between two bounds. A trade towards
    zero is right in every case only for the bound that is nearer to zero, and for none where they lie on both sides.

    Args:
        delta: Net delta without them, shares.
        in_doubt: Hedges without an outcome.

    Returns:
        The bound nearer to zero, or 0 where zero lies between the two.
    """
    low = high = delta
    for hedge in in_doubt:
        low, high = low + min(hedge.may_trade, 0), high + max(hedge.may_trade, 0)
    return low if low > 0 else high if high < 0 else 0.0
