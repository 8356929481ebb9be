"""The one hedge that may be under way: from the request to the end of its last child."""

from __future__ import annotations

from typing import Any, Final

TERMINAL: Final = frozenset({"filled", "canceled", "rejected", "expired"})
"""States of `OrderStateChanged.after` that end an order."""


class HedgeInFlight:
    """A parent order and its children at venues.

    It is over when every child that was routed has ended or was refused. A child whose outcome is unknown keeps it
    open: nothing is sent while it might still trade.
    """

    def __init__(self) -> None:
        self.request_id = ""
        self.asked_ts = 0
        self.wanted = 0
        self.traded = 0
        self.is_overdue = False
        self._open: dict[str, None] = {}

    @property
    def is_open(self) -> bool:
        """Whether a hedge is under way."""
        return bool(self.request_id)

    def ask(self, request_id: str, quantity: int, ts: int) -> None:
        """Start one."""
        self.request_id, self.wanted, self.asked_ts = request_id, quantity, ts
        self.traded, self.is_overdue = 0, False
        self._open.clear()

    def routed(self, clordid: str) -> None:
        """Note a child. The router names all of them before the first can end."""
        self._open[clordid] = None

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
        """Return all of it, for a snapshot."""
        return {
            "request_id": self.request_id,
            "asked_ts": self.asked_ts,
            "wanted": self.wanted,
            "traded": self.traded,
            "is_overdue": self.is_overdue,
            "open": list(self._open),
        }

    def take_over(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.request_id, self.asked_ts = state["request_id"], state["asked_ts"]
        self.wanted, self.traded = state["wanted"], state["traded"]
        self.is_overdue = state["is_overdue"]
        self._open = dict.fromkeys(state["open"])
