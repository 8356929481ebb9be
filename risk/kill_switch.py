"""The kill switch: latches, and decides whether the cancels that go with it are to be sent."""

from __future__ import annotations

from typing import Any, Final

RESEND_NS: Final = 1_000_000_000
"""Identical mass cancels within this time are sent once.

Source: Cboe release notes C2019100802, one identical mass cancel per second and port.
"""


class KillSwitch:
    """Engaged until released. Engaging it again sends the cancels again, but not more than once a second."""

    def __init__(self) -> None:
        """Released."""
        self.is_engaged = False
        self.count = 0
        self._last_sent: int | None = None

    def engage(self, now: int) -> bool:
        """Latch, and return whether to send cancels at that time, ns."""
        was_engaged, self.is_engaged = self.is_engaged, True
        if was_engaged and self._last_sent is not None and now - self._last_sent < RESEND_NS:
            return False
        self._last_sent = now
        self.count += 1
        return True

    def release(self) -> bool:
        """Release, and return whether it was engaged."""
        was_engaged, self.is_engaged = self.is_engaged, False
        return was_engaged

    def state(self) -> dict[str, Any]:
        """All of it, for a snapshot."""
        return {"is_engaged": self.is_engaged, "count": self.count, "last_sent": self._last_sent}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.is_engaged, self.count, self._last_sent = state["is_engaged"], state["count"], state["last_sent"]
