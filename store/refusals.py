"""What was refused: by our own gate and router, and by the venues."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import numpy as np

from domain.events import (
    CancelRejected,
    ExecType,
    ExecutionReported,
    OrderRefused,
    QuoteRefusal,
    QuotesAcknowledged,
    QuotesRefused,
)
from domain.events_base import Event
from domain.frames import QuoteRefusalFrame
from store.names import Names
from store.quality import MINUTE_NS
from store.rows import Rows

Origin = Literal["ours", "venues"]


class RefusalLog:
    """Counts refusals by reason, and keeps one row per message and reason.

    Attributes:
        counts: By origin and reason; quote entries count one each.
        entries_in_minute: Refused quote entries by minute since the epoch.
    """

    def __init__(self, names: Names, rows: Rows) -> None:
        self.counts: dict[Origin, Counter[str]] = {"ours": Counter(), "venues": Counter()}
        self.entries_in_minute: Counter[int] = Counter()
        self._names = names
        self._rows = rows

    def apply(self, event: Event) -> None:
        """Take an event over; one that refuses nothing is ignored."""
        match event:
            case QuotesRefused():
                self._entries("ours", "", event.ts_event, event.quote_set_id, event.frame)
            case QuotesAcknowledged():
                venue = self._names.venue(event.venue)
                self._entries("venues", venue, event.ts_event, event.quote_set_id, event.frame)
            case OrderRefused():
                reason = event.reason or "refused"
                self._add("ours", "", event.ts_event, ("order", event.clordid or event.request_id), reason, 1, "")
            case ExecutionReported(exec_type=ExecType.REJECTED):
                venue, symbol = self._names.venue(event.venue), self._names.symbol(event.contract)
                reason = event.text or "rejected"
                self._add("venues", venue, event.ts_event, ("order", event.clordid), reason, 1, symbol)
            case CancelRejected():
                venue, reason = self._names.venue(event.venue), event.reason or "cancel rejected"
                self._add("venues", venue, event.ts_event, ("cancel", event.clordid), reason, 1, "")
            case _:
                pass

    def _entries(self, origin: Origin, venue: str, ts: int, quote_set_id: str, frame: QuoteRefusalFrame) -> None:
        if len(frame) == 0:
            return
        self.entries_in_minute[ts // MINUTE_NS] += len(frame)
        codes, first, counts = np.unique(frame.reason, return_index=True, return_counts=True)
        for code, row, count in zip(codes.tolist(), first.tolist(), counts.tolist(), strict=True):
            reason, symbol = QuoteRefusal(code).name.lower(), self._names.symbol(int(frame.contract[row]))
            self._add(origin, venue, ts, ("quote", quote_set_id), reason, count, symbol)

    def _add(
        self, origin: Origin, venue: str, ts: int, subject: tuple[str, str], reason: str, count: int, symbol: str
    ) -> None:
        self.counts[origin][reason] += count
        self._rows.add(ts, origin, venue, *subject, reason, count, symbol)
