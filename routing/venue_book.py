"""The book that a simulated venue shows: derived from the recorded NBBO, which names no venue."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from domain.chain import Chain
from domain.commands import STOCK
from domain.events import NbboUpdated, UnderlyingUpdated
from domain.price import TickClass, TickColumns, next_down, next_up
from domain.random import hash_uniform
from routing.nbbo import ASK, BID, Ints, TopOfBook
from routing.venues import Venue, VenueTable

_SALT: Final = 0xB00C
_HALF_BITS: Final = 26
_HALF: Final = 1 << _HALF_BITS
_SHARE_UNIT: Final = 1_000_000
"""Tape shares are counted in millionths where sizes are split: exact in integers."""


def chain_ticks(chain: Chain, tick_classes: dict[str, TickClass], stock_tick: int) -> TickColumns:
    """Return the increments of every contract by its root, and of the underlying in the last row.

    Raises:
        KeyError: A root has no tick class: `ChainListed` names one for each.
    """
    classes = [tick_classes[contract.root] for contract in chain.contracts]
    below = np.array([*(tick.below for tick in classes), stock_tick], np.int64)
    above = np.array([*(tick.above for tick in classes), stock_tick], np.int64)
    return TickColumns(below, above)


class VenueBook:
    """One venue's best bid and offer per contract (last row: the underlying).

    At each update of the NBBO a seeded hash of (contract, venue, time) draws who shows it: every venue of the kind with
    probability `join_probability`, and always at least one on each side. Those share the NBBO's size by tape share; who
    gets none of it, and the others, stand one tick behind with their share of the size, at least 1. All venues of a run
    draw from the same seed, so they agree without talking.

    Size that we take is gone until the next update of the contract, or until it is shown again after `replenish_ns`.

    Attributes:
        price: Shape (2, n + 1), price units, 0 where the side is absent.
        size: What is left of the displayed size. Shape (2, n + 1).
        nbbo: The recorded NBBO.
    """

    def __init__(
        self, venue: Venue, venues: VenueTable, ticks: TickColumns, n: int, *, seed: int, join: float, replenish_ns: int
    ) -> None:
        peers = venues.of_kind(venue.kind)
        self.nbbo = TopOfBook(n)
        self.price: Ints = np.zeros((2, n + 1), np.int64)
        self.size: Ints = np.zeros((2, n + 1), np.int64)
        self._taken: dict[tuple[int, int], tuple[int, int]] = {}
        self.ticks = ticks
        self._place = peers.index(venue)
        self._share = [max(1, round(peer.tape_share * _SHARE_UNIT)) for peer in peers]
        self._peer = np.array([peer.index for peer in peers])[:, None]
        self._seed, self._threshold, self._replenish_ns = seed, int(join * _HALF), replenish_ns

    def apply(self, event: NbboUpdated | UnderlyingUpdated) -> Ints:
        """Follow an update of the NBBO.

        Returns:
            The rows that changed, ascending and distinct.

        Raises:
            InputError: The update is malformed; nothing changed.
        """
        self.nbbo.apply(event)
        if isinstance(event, UnderlyingUpdated):
            rows: Ints = np.array([STOCK], np.int64)
        else:
            rows = event.frame.contract.astype(np.int64)
            if not (rows[1:] > rows[:-1]).all():
                rows = np.unique(rows)
        if rows.size == 0:
            return rows
        if self._taken:
            updated = dict.fromkeys(rows.tolist())
            self._taken = {key: until for key, until in self._taken.items() if key[1] not in updated}
        draws = (hash_uniform(self._seed, _SALT, rows, event.ts_event, self._peer) * (_HALF * _HALF)).astype(np.int64)
        tick = TickColumns(self.ticks.below[rows], self.ticks.above[rows])
        self._derive(BID, rows, draws >> _HALF_BITS, tick)
        self._derive(ASK, rows, draws & (_HALF - 1), tick)
        return rows

    def _derive(self, side: int, rows: Ints, draw: npt.NDArray[np.int64], tick: TickColumns) -> None:
        price, size = self.nbbo.price[side, rows], self.nbbo.size[side, rows]
        shows = (draw < self._threshold) | (draw == draw.min(axis=0))
        place, share = self._place, self._share
        # Sums from the left in integers: a venue's upper edge is its neighbour's lower edge to the bit.
        low: Ints = np.zeros(len(rows), np.int64)
        for peer in range(place):
            low = low + shows[peer] * share[peer]
        high = low + shows[place] * share[place]
        total = high
        for peer in range(place + 1, len(share)):
            total = total + shows[peer] * share[peer]
        part = (np.floor(size * high / total + 0.5) - np.floor(size * low / total + 0.5)).astype(np.int64)
        is_behind = part == 0
        behind = next_down(price, tick) if side == BID else next_up(price, tick)
        behind_size = np.maximum(np.rint(size * (share[place] / _SHARE_UNIT)).astype(np.int64), 1)
        shown_price = np.where(is_behind, behind, price) * (price > 0)
        shown = np.where(is_behind, behind_size, part) * (shown_price > 0)
        self.price[side, rows] = shown_price
        self.size[side, rows] = shown

    def available(self, side: int, row: int, ts: int) -> tuple[int, int]:
        """Return price and size that an order may take from a side at a time; price 0 where there is nothing."""
        shown_again, full = self._taken.get((side, row), (ts + 1, 0))
        if shown_again <= ts:
            self.size[side, row] = full
            del self._taken[side, row]
        size = int(self.size[side, row])
        return (int(self.price[side, row]), size) if size else (0, 0)

    def take(self, side: int, row: int, quantity: int, ts: int) -> None:
        """Remove size that we took."""
        self._taken.setdefault((side, row), (ts + self._replenish_ns, int(self.size[side, row])))
        self.size[side, row] -= min(quantity, int(self.size[side, row]))

    def state(self) -> dict[str, Any]:
        """Return the arrays, for a snapshot."""
        return {
            "nbbo": self.nbbo.state(),
            "price": self.price,
            "size": self.size,
            "taken": [[*key, *until] for key, until in self._taken.items()],
        }

    def take_over(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.nbbo.take_over(state["nbbo"])
        self.price, self.size = state["price"], state["size"]
        self._taken = {(side, row): (until, full) for side, row, until, full in state["taken"]}
