"""What the gate knows of the market: between which prices an entry may stand, and what keeps a contract off altogether.

The collar is one-sided on purpose: a bid far below the market or an offer far above it cannot trade against us.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from domain.chain import Chain
from domain.errors import InputError
from domain.events import GreeksComputed, NbboUpdated, QuoteRefusal, UnderlyingUpdated
from domain.price import PRICE_SCALE, TickClass, tick_columns
from risk import _screen
from risk.limits import Limits
from risk.resting import FAR
from risk.worst_case import UnitRisk

Ints = npt.NDArray[np.int64]
MS: Final = 1_000_000


class Market:
    """Last NBBO, theo and underlying, and the price bounds that follow from them.

    Attributes:
        unit: Greeks and premium of one contract of each option.
        tick_below, tick_above: Increments below and from three dollars, units. Shape (venues * n,), of the venues that
            take our quotes: the first ones.
        bid, ask: Best bid and offer of the underlying, units, 0 before the first quote.
        underlying_ts: When the underlying's quote was last updated, ns; 0 before the first.
        theo_ts: The same for the theos.
    """

    def __init__(self, chain: Chain, tick_classes: Mapping[str, TickClass], venues: int) -> None:
        """Know the contracts and their ticks, and no price.

        Raises:
            InputError: A root of the chain has no tick class.
        """
        roots = [root for root, _ in chain.expiries]
        missing = next((root for root in roots if root not in tick_classes), None)
        if missing is not None:
            raise InputError("root has no tick class", field="tick_classes", value=missing)
        n = len(chain)
        self._osi = {c.osi.replace(" ", ""): i for i, c in enumerate(chain.contracts)}
        self._symbol = chain.underlying
        self._venues = venues
        columns = tick_columns([tick_classes[root] for root in roots], chain.expiry_index)
        self.tick_below: Ints = np.tile(columns.below, venues)
        self.tick_above: Ints = np.tile(columns.above, venues)
        self.unit = UnitRisk(chain)
        self.nbbo_bid: Ints = np.zeros(n, np.int64)
        self.nbbo_ask: Ints = np.zeros(n, np.int64)
        self._everything = np.arange(n, dtype=np.int32)
        self.has_theo = np.zeros(n, np.bool_)
        self.theo = np.zeros(n)
        self.bid = 0
        self.ask = 0
        self.underlying_ts = 0
        self.theo_ts = 0
        self.is_up = np.ones(venues, np.bool_)
        self._down_elsewhere: dict[int, None] = {}
        self._disputed: dict[int, None] = {}
        self._limits: Limits | None = None
        self._restricted = np.zeros(n, np.bool_)
        self._bid_cap: Ints = np.zeros(n * venues, np.int64)
        self._ask_floor: Ints = np.full(n * venues, FAR)
        self._is_dirty = True

    @property
    def spot(self) -> float:
        """Mid of the underlying, dollars; 0 before the first quote."""
        return (self.bid + self.ask) / (2 * PRICE_SCALE)

    def on_nbbo(self, event: NbboUpdated) -> None:
        """Take over the quotes that changed."""
        frame = event.frame
        self.nbbo_bid[frame.contract] = np.where(frame.bid_size > 0, frame.bid, 0)
        self.nbbo_ask[frame.contract] = np.where(frame.ask_size > 0, frame.ask, 0)
        self._is_dirty = True

    def on_underlying(self, event: UnderlyingUpdated) -> None:
        """Take over the underlying's quote."""
        self.bid, self.ask, self.underlying_ts = event.bid, event.ask, event.ts_event

    def on_greeks(self, event: GreeksComputed) -> None:
        """Take over theos and Greeks; a row that is not good keeps its last Greeks and loses its theo."""
        frame = event.frame
        good = (frame.status == 0) & (frame.theo >= 0)
        if good.all() and np.array_equal(frame.contract, self._everything):
            self.has_theo[:] = True
            self.theo[:] = frame.theo
            self.unit.replace(frame)
        else:
            self.has_theo[frame.contract] = good
            self.theo[frame.contract] = np.where(good, frame.theo, 0.0)
            self.unit.update(frame, good)
        self.theo_ts = event.ts_event
        self._is_dirty = True

    def set_venue(self, venue: int, *, is_up: bool) -> None:
        """A venue came up or went down."""
        if 0 <= venue < self._venues:
            self.is_up[venue] = is_up
            self._is_dirty = True
        elif is_up:
            self._down_elsewhere.pop(venue, None)
        else:
            self._down_elsewhere[venue] = None

    def set_trust(self, venue: int, *, is_trusted: bool) -> None:
        """What a venue reports is disputed, or no longer."""
        if is_trusted:
            self._disputed.pop(venue, None)
        else:
            self._disputed[venue] = None
        self._is_dirty = True

    def is_trusted(self, venue: int) -> bool:
        """Whether new risk may go to a venue, as far as its own reports are concerned."""
        return venue not in self._disputed

    def is_reachable(self, venue: int) -> bool:
        """Whether a venue is up, be it one that takes our quotes or another one."""
        return bool(self.is_up[venue]) if 0 <= venue < self._venues else venue not in self._down_elsewhere

    def set_limits(self, limits: Limits) -> None:
        """Collars or the restricted list changed."""
        self._limits = limits
        self._restricted[:] = self._symbol in limits.restricted
        for symbol in limits.restricted:
            at = self._osi.get(symbol)
            if at is not None:
                self._restricted[at] = True
        self._is_dirty = True

    def is_stale(self, now: int, stale_ms: int) -> bool:
        """Whether the underlying's quote or the theos are too old at that time to add risk, or never came."""
        return self.age_ms(now) > stale_ms

    def age_ms(self, now: int) -> float:
        """Age of the older of the underlying's quote and the theos, ms; the age of the epoch before both came."""
        return (now - min(self.underlying_ts, self.theo_ts)) / MS

    def price_bounds(self) -> tuple[Ints, Ints]:
        """Return the highest bid and the lowest offer allowed, units. Two of shape (venues * n,).

        Where nothing may stand they are 0 and FAR.
        """
        if self._is_dirty:
            self._refresh()
        return self._bid_cap, self._ask_floor

    def order_bounds(self, contract: int) -> tuple[int, int]:
        """Return the highest price at which to buy one option and the lowest at which to sell it, at any venue."""
        cap, floor = self._collar(slice(contract, contract + 1))
        return int(cap[0]), int(floor[0])

    def stock_bounds(self, limits: Limits) -> tuple[int, int]:
        """Return the highest price to buy the stock at and the lowest to sell it at, units; 0 and FAR if unknown."""
        high = math.floor(self.ask * (1 + limits.stock_collar_fraction))
        return high, math.ceil(self.bid * (1 - limits.stock_collar_fraction)) if self.bid > 0 else int(FAR)

    def is_restricted(self, contract: int) -> bool:
        """Whether an option is on the restricted list; with STOCK, whether the underlying is."""
        if contract < 0:
            return self._limits is not None and self._symbol in self._limits.restricted
        return bool(self._restricted[contract])

    def block_reason(self, contract: npt.NDArray[np.integer], venue: npt.NDArray[np.integer]) -> npt.NDArray[np.int8]:
        """Return why nothing may stand in each entry, as a QuoteRefusal code; 0 where something may. Shape (k,)."""
        reason = np.zeros(len(contract), np.int8)
        reason[~self._takes_quotes()[venue]] = QuoteRefusal.VENUE
        reason[~self.has_theo[contract]] = QuoteRefusal.NO_THEO
        reason[self._restricted[contract]] = QuoteRefusal.RESTRICTED
        return reason

    def _collar(self, at: slice) -> tuple[Ints, Ints]:
        """Return the price bounds of some contracts, at a venue that is up.

        A bid stands at most `room` above the lower of theo and national offer, an offer at most that far below the
        higher of theo and national bid; `room` is `collar_dollars`, or `collar_fraction` of the theo if that is more.
        """
        limits = self._limits or Limits()
        theo = self.theo[at]
        cap, floor = np.empty(len(theo), np.int64), np.empty(len(theo), np.int64)
        _screen.collar(
            theo,
            self.has_theo[at] & ~self._restricted[at],
            self.nbbo_bid[at],
            self.nbbo_ask[at],
            dollars=limits.collar_dollars,
            fraction=limits.collar_fraction,
            scale=PRICE_SCALE,
            cap=cap,
            floor=floor,
        )
        return cap, floor

    def _refresh(self) -> None:
        cap, floor = self._collar(slice(None))
        caps, floors = self._bid_cap.reshape(self._venues, -1), self._ask_floor.reshape(self._venues, -1)
        caps[:] = cap
        floors[:] = floor
        if not (takes := self._takes_quotes()).all():
            caps[~takes] = 0
            floors[~takes] = FAR
        self._is_dirty = False

    def _takes_quotes(self) -> npt.NDArray[np.bool_]:
        """Which of the venues that take our quotes may be quoted at. Shape (venues,)."""
        takes = self.is_up.copy()
        takes[[venue for venue in self._disputed if 0 <= venue < self._venues]] = False
        return takes

    def state(self) -> dict[str, Any]:
        """All of it, for a snapshot."""
        return {
            "nbbo_bid": self.nbbo_bid,
            "nbbo_ask": self.nbbo_ask,
            "has_theo": self.has_theo,
            "theo": self.theo,
            "greeks": self.unit.greeks,
            "premium": self.unit.premium,
            "is_up": self.is_up,
            "down_elsewhere": list(self._down_elsewhere),
            "disputed": list(self._disputed),
            "numbers": [self.bid, self.ask, self.underlying_ts, self.theo_ts],
        }

    def restore(self, state: dict[str, Any], limits: Limits) -> None:
        """Take over what `state` gave."""
        for name in ("nbbo_bid", "nbbo_ask", "has_theo", "theo", "is_up"):
            setattr(self, name, state[name])
        self.unit.restore(state["greeks"], state["premium"])
        self.bid, self.ask, self.underlying_ts, self.theo_ts = state["numbers"]
        self._down_elsewhere = dict.fromkeys(state["down_elsewhere"])
        self._disputed = dict.fromkeys(state["disputed"])
        self._restricted[:] = False
        self.set_limits(limits)
