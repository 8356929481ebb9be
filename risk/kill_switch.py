"""The kill switch: latches, and decides whether the cancels that go with it are to be sent."""

from __future__ import annotations

from typing import Any, Final

RESEND_NS: Final = 1_000_000_000
"""Identical mass cancels within this time are sent once.

Source: Cboe release notes C2019100802, one identical mass cancel per second and port.
"""


class KillSwitch:
    """Engaged until released. Engaging it again sends the cancels again, but not more than once a second.

    It latches by scope: the underlying, or the firm as the empty string. Each scope is released by itself, so that no
    release of one underlying lifts a kill of the firm, and it is engaged while any scope is.
    """

    def __init__(self) -> None:
        """Released."""
        self.count = 0
        self._scopes: dict[str, None] = {}
        self._last_sent: int | None = None

    @property
    def is_engaged(self) -> bool:
        """Whether nothing but cancels may leave."""
        return bool(self._scopes)

    def engage(self, scope: str, now: int) -> bool:
        """Latch, and return whether to send cancels at that time, ns."""
        was_engaged = self.is_engaged
        self._scopes[scope] = None
        if was_engaged and self._last_sent is not None and now - self._last_sent < RESEND_NS:
            return False
        self._last_sent = now
        self.count += 1
        return True

    def is_held_by(self, scope: str) -> bool:
        """Whether a scope is latched."""
        return scope in self._scopes

    def release(self, scope: str) -> bool:
        """Release a scope, and return whether none is latched now."""
        self._scopes.pop(scope, None)
        return not self._scopes

    def state(self) -> dict[str, Any]:
        """All of it, for a snapshot."""
        return {"scopes": list(self._scopes), "count": self.count, "last_sent": self._last_sent}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self._scopes = dict.fromkeys(state["scopes"])
        self.count, self._last_sent = state["count"], state["last_sent"]
