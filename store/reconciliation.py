"""What the venues were asked about during a day, how it ended, and what they reported that was not booked."""

from __future__ import annotations

from typing import Final

from domain.events import (
    Event,
    FillCorrected,
    OrderFilled,
    OrderStatusCleared,
    ReconciliationEnded,
    ReconciliationNeeded,
    VenueTrustChanged,
)

DOUBTS: Final = frozenset(
    {ReconciliationNeeded, OrderFilled, FillCorrected, OrderStatusCleared, ReconciliationEnded, VenueTrustChanged}
)
"""What `ReconciliationLog` reads."""


class ReconciliationLog:
    """Doubt about outcomes, from the events of a day.

    A report that was not booked when it came and was booked later, under the same identifier, is no longer in doubt.
    """

    def __init__(self) -> None:
        self.doubts = 0
        self.questions = 0
        self.corrections = 0
        self._ended: dict[str, ReconciliationEnded] = {}
        self._unbooked: dict[str, ReconciliationNeeded] = {}
        self._disputed: dict[int, None] = {}

    def apply(self, event: Event) -> None:
        """Take the next event; others are ignored."""
        match event:
            case ReconciliationNeeded():
                self.doubts += 1
                if event.unbooked:
                    self._unbooked[f"{event.venue}:{event.exec_id}"] = event
            case OrderFilled():
                self._unbooked.pop(event.fill_id, None)
            case FillCorrected():
                self.corrections += 1
            case OrderStatusCleared():
                self.questions += 1
            case ReconciliationEnded():
                self._ended[event.clordid] = event
            case VenueTrustChanged(is_trusted=False):
                self._disputed[event.venue] = None
            case VenueTrustChanged():
                self._disputed.pop(event.venue, None)
            case _:
                pass

    def summary(self) -> dict[str, int]:
        """Counts over the day: an order that was asked about several times counts once, as it ended."""
        settled = sum(ended.is_settled for ended in self._ended.values())
        return {
            "doubts": self.doubts,
            "questions": self.questions,
            "settled": settled,
            "unsettled": len(self._ended) - settled,
            "corrections": self.corrections,
            "unbooked": len(self._unbooked),
            "disputed_venues": len(self._disputed),
        }

    def problems(self) -> list[str]:
        """What a person has to take up with a venue, one line each."""
        unsettled = [ended for ended in self._ended.values() if not ended.is_settled]
        return [
            *(f"order {ended.clordid} is not settled: {ended.outcome}" for ended in unsettled),
            *(f"not booked: {each.unbooked} by {each.subject}: {each.reason}" for each in self._unbooked.values()),
            *(f"venue {venue} executed more than was ordered, and did not take it back" for venue in self._disputed),
        ]
