"""Our quotes as the venues hold them, recounted from what they answered and from nothing else."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

import numpy as np

from domain.events import (
    ExecType,
    ExecutionReported,
    QuotesAcknowledged,
    QuotesCanceled,
    QuotesCleared,
    VenueProtectionTripped,
    VenueStatusChanged,
)
from domain.events_base import Event
from domain.frames import QuoteFrame
from store.market import Bools, Ints

_KEPT_SETS: Final = 4_096
"""Quote sets that wait for an answer, at most: a venue that drops messages never answers."""

BID: Final = 0
ASK: Final = 1
_NO_ASK: Final = np.iinfo(np.int64).max


class _Sent(NamedTuple):
    """Rows that wait for an acknowledgement."""

    frame: QuoteFrame
    begin: int


class Best(NamedTuple):
    """Our best prices over all venues, price units.

    `bid` and `ask` are 0 where we show none; `is_two_sided` where one venue shows both sides. Each of shape (n,).
    """

    bid: Ints
    ask: Ints
    is_two_sided: Bools


class Resting:
    """Working quotes: acknowledged, less what was refused, canceled, executed or removed by a protection.

    A mass quote may travel in several messages to one venue: their acknowledgements carry one `quote_set_id` and are
    matched in order, `accepted` and refused entries being the length of each.
    """

    def __init__(self, n: int) -> None:
        """Begin with no quotes in n contracts."""
        self.n = n
        self.price: Ints = np.zeros((2, 0, n), np.int64)
        self.size: Ints = np.zeros((2, 0, n), np.int64)
        self._sent: dict[tuple[str, int], _Sent] = {}
        self._order: deque[tuple[str, int]] = deque()

    def apply(self, event: Event) -> bool:
        """Take an event over; return whether working quotes may have changed."""
        match event:
            case QuotesCleared():
                self._send(event)
                return False
            case QuotesAcknowledged():
                self._acknowledge(event)
            case QuotesCanceled(contracts=contracts):
                self._pull(event.venue, contracts)
            case VenueProtectionTripped():
                self._pull(event.venue, ())
            case VenueStatusChanged(is_up=False):
                self._pull(event.venue, ())
            case ExecutionReported(exec_type=ExecType.TRADE) if event.quote_set_id:
                self._grow(event.venue)
                side = BID if event.side == "buy" else ASK
                self.size[side, event.venue, event.contract] = event.leaves_qty
            case _:
                return False
        return True

    def best(self) -> Best:
        """Our best prices over all venues."""
        live = self.size > 0
        bid = np.where(live[BID], self.price[BID], 0).max(axis=0, initial=0)
        ask = np.where(live[ASK], self.price[ASK], _NO_ASK).min(axis=0, initial=_NO_ASK)
        return Best(bid, np.where(ask == _NO_ASK, 0, ask), (live[BID] & live[ASK]).any(axis=0))

    def venues_of(self, contract: int, bid: int, ask: int) -> tuple[int, int]:
        """A venue that shows this bid of ours, and one that shows this ask."""
        shown = (self.size[:, :, contract] > 0) & (
            self.price[:, :, contract] == np.array([bid, ask], np.int64)[:, None]
        )
        return int(shown[BID].argmax()), int(shown[ASK].argmax())

    def _send(self, cleared: QuotesCleared) -> None:
        frame = cleared.frame
        for venue in np.unique(frame.venue).tolist():
            key = cleared.quote_set_id, venue
            self._sent[key] = _Sent(frame.take(frame.venue == venue), 0)
            self._order.append(key)
        while len(self._order) > _KEPT_SETS:
            self._sent.pop(self._order.popleft(), None)

    def _acknowledge(self, answer: QuotesAcknowledged) -> None:
        key = answer.quote_set_id, answer.venue
        sent = self._sent.pop(key, None)
        if sent is None:
            return
        end = sent.begin + answer.accepted + len(answer.frame)
        part = sent.frame.take(np.arange(sent.begin, min(end, len(sent.frame))))
        if end < len(sent.frame):
            self._sent[key] = sent._replace(begin=end)
        if len(answer.frame):
            part = part.take(~np.isin(part.contract, answer.frame.contract))
        self._grow(answer.venue)
        for side, price, size in ((BID, part.bid, part.bid_size), (ASK, part.ask, part.ask_size)):
            self.price[side, answer.venue, part.contract] = price
            self.size[side, answer.venue, part.contract] = size

    def _pull(self, venue: int, contracts: tuple[int, ...]) -> None:
        self._grow(venue)
        if contracts:
            self.size[:, venue, list(contracts)] = 0
        else:
            self.size[:, venue] = 0

    def _grow(self, venue: int) -> None:
        more = venue + 1 - self.size.shape[1]
        if more > 0:
            room = np.zeros((2, more, self.n), np.int64)
            self.price = np.concatenate((self.price, room), axis=1)
            self.size = np.concatenate((self.size, room), axis=1)
