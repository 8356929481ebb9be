"""Quote quality: how long, how wide and how well we quoted, weighted by time over the open session.

A contract counts while it is eligible: its NBBO is two-sided and our last |delta| lies in [0.05, 0.95]. It is quoted
while one venue shows both sides of ours. Width is our best ask less our best bid over all venues. A sample is one
contract in one minute: the mean width of the time in which it was eligible and quoted, weighted by that time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from domain.price import PRICE_SCALE
from store.market import Bools, Floats, Ints, Market
from store.resting import Best, Resting

MIN_DELTA: Final = 0.05
MAX_DELTA: Final = 0.95
REQUIRED_SHARE: Final = 0.90
"""A contract passes when it is quoted for this share of its eligible time."""

MINUTE_NS: Final = 60_000_000_000
SECOND_NS: Final = 1_000_000_000

# Rows of what is integrated over time, per contract.
ELIGIBLE, QUOTED, OUR_WIDTH, NBBO_WIDTH, ALL_NBBO_WIDTH, BID_INSIDE, ASK_INSIDE, BOTH_INSIDE, DELTA = range(9)
MEASURES: Final = 9


@dataclass(slots=True)
class Crossing:
    """Our own bid met our own ask: price units, where each was shown, and when it ended (0: not yet)."""

    ts: int
    contract: int
    bid: int
    bid_venue: int
    ask: int
    ask_venue: int
    until: int = 0


class Samples(NamedTuple):
    """One row per contract and minute in which the contract was eligible.

    Attributes:
        minute: Start of the minute, ns. Shape (s,).
        contract: Dense index. Shape (s,).
        totals: The measures integrated over the minute, in seconds and dollar seconds. Shape (MEASURES, s).
    """

    minute: Ints
    contract: npt.NDArray[np.int32]
    totals: npt.NDArray[np.float32]

    @property
    def is_quoted(self) -> Bools:
        """Where there is a width of ours. Shape (s,)."""
        return np.asarray(self.totals[QUOTED] > 0)

    def widths(self) -> tuple[Floats, Floats, Floats]:
        """Our mean width, the NBBO's over the same time, in dollars, and seconds; of the quoted samples."""
        rows = self.is_quoted
        seconds = self.totals[QUOTED, rows].astype(np.float64)
        return self.totals[OUR_WIDTH, rows] / seconds, self.totals[NBBO_WIDTH, rows] / seconds, seconds


class QuoteStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The day in a few numbers. Widths are dollars, shares are of time unless they say contracts.

    Attributes:
        contracts_eligible: Contracts that were eligible at any time.
        contracts_two_sided_90: Of those, the ones quoted for at least 90 % of their eligible time.
        share: The second over the first.
        quoted_share: Quoted time over eligible time, all contracts together.
        median_width: Median of our width over the samples, weighted by time.
        median_width_nbbo: The same of the NBBO, over the same samples.
        median_width_nbbo_all: The NBBO's over all eligible time, whether or not we quoted.
        median_width_ratio: Median of our width over the NBBO's, sample by sample.
        at_or_inside_share: Time with both sides at or inside the NBBO, of quoted time.
        at_or_inside_bid: The same of the bid alone.
        at_or_inside_ask: The same of the ask alone.
        samples: Contract-minutes behind the medians.
        crossed_own_quotes: Times that a contract came to show a bid of ours at or above an ask of ours.
    """

    contracts_eligible: int
    contracts_two_sided_90: int
    share: float
    quoted_share: float
    median_width: float
    median_width_nbbo: float
    median_width_nbbo_all: float
    median_width_ratio: float
    at_or_inside_share: float
    at_or_inside_bid: float
    at_or_inside_ask: float
    samples: int
    crossed_own_quotes: int


def weighted_median(values: npt.NDArray[Any], weights: npt.NDArray[Any]) -> float:
    """The smallest value at which at least half of the weight is reached, to six digits; NaN of nothing."""
    if len(values) == 0:
        return float("nan")
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order], dtype=np.float64)
    return round(float(values[order[np.searchsorted(reached, reached[-1] / 2)]]), 6)


class QualityMeter:
    """Integrates quote quality over time.

    Call `until(ts)` before anything that `market` or `resting` follow changes at `ts`, and `changed()` after it.
    """

    def __init__(self, market: Market, resting: Resting) -> None:
        """Measure these quotes against this market."""
        self.crossings: list[Crossing] = []
        self._market = market
        self._resting = resting
        self._rates: Floats = np.zeros((MEASURES, market.n))
        self._minute: Floats = np.zeros((MEASURES, market.n))
        self._crossed: dict[int, Crossing] = {}
        self._parts: list[tuple[int, npt.NDArray[np.int32], npt.NDArray[np.float32]]] = []
        self._since = 0
        self._is_open = False
        self._is_stale = True

    def open(self, ts: int) -> None:
        """The session opened, or a halt ended: measure from here."""
        if not self._is_open:
            self._is_open, self._since = True, ts

    def close(self, ts: int) -> None:
        """The session closed or halted: measure up to here."""
        self.until(ts)
        self._is_open = False
        for standing in self._crossed.values():
            standing.until = ts
        self._crossed = {}

    def changed(self) -> None:
        """The market or our quotes are not what they were."""
        self._is_stale = True

    def until(self, ts: int) -> None:
        """Integrate what stands, up to `ts`."""
        if not self._is_open or ts <= self._since:
            return
        if self._is_stale:
            self._refresh()
        while self._since < ts:
            boundary = (self._since // MINUTE_NS + 1) * MINUTE_NS
            end = min(ts, boundary)
            self._minute += self._rates * ((end - self._since) / SECOND_NS)
            if end == boundary:
                self._flush(self._since // MINUTE_NS * MINUTE_NS)
            self._since = end

    def samples(self) -> Samples:
        """All samples so far; a minute that has begun counts with what it has."""
        if self._minute[ELIGIBLE].any():
            self._flush(self._since // MINUTE_NS * MINUTE_NS)
        if not self._parts:
            return Samples(np.empty(0, np.int64), np.empty(0, np.int32), np.empty((MEASURES, 0), np.float32))
        minutes = np.repeat([part[0] for part in self._parts], [len(part[1]) for part in self._parts])
        return Samples(
            minutes.astype(np.int64),
            np.concatenate([part[1] for part in self._parts]),
            np.concatenate([part[2] for part in self._parts], axis=1),
        )

    def _refresh(self) -> None:
        """What one second of the present state adds to each measure."""
        view, best = self._market.now, self._resting.best()
        delta = np.nan_to_num(view.delta)
        size = np.abs(delta)
        eligible = (view.bid > 0) & (view.ask > 0) & (size >= MIN_DELTA) & (size <= MAX_DELTA)
        quoted = eligible & best.is_two_sided
        bid_inside, ask_inside = quoted & (best.bid >= view.bid), quoted & (best.ask <= view.ask)
        nbbo_width = (view.ask - view.bid) / PRICE_SCALE
        self._rates[ELIGIBLE] = eligible
        self._rates[QUOTED] = quoted
        self._rates[OUR_WIDTH] = quoted * ((best.ask - best.bid) / PRICE_SCALE)
        self._rates[NBBO_WIDTH] = quoted * nbbo_width
        self._rates[ALL_NBBO_WIDTH] = eligible * nbbo_width
        self._rates[BID_INSIDE] = bid_inside
        self._rates[ASK_INSIDE] = ask_inside
        self._rates[BOTH_INSIDE] = bid_inside & ask_inside
        self._rates[DELTA] = eligible * delta
        self._find_crossings(best)
        self._is_stale = False

    def _find_crossings(self, best: Best) -> None:
        crossed = np.flatnonzero((best.bid > 0) & (best.ask > 0) & (best.bid >= best.ask)).tolist()
        if not crossed and not self._crossed:
            return
        standing: dict[int, Crossing] = {}
        for contract in crossed:
            found = self._crossed.pop(contract, None)
            if found is None:
                bid, ask = int(best.bid[contract]), int(best.ask[contract])
                bid_venue, ask_venue = self._resting.venues_of(contract, bid, ask)
                found = Crossing(self._since, contract, bid, bid_venue, ask, ask_venue)
                self.crossings.append(found)
            standing[contract] = found
        for ended in self._crossed.values():
            ended.until = self._since
        self._crossed = standing

    def _flush(self, minute: int) -> None:
        rows = np.flatnonzero(self._minute[ELIGIBLE] > 0)
        if len(rows):
            self._parts.append((minute, rows.astype(np.int32), self._minute[:, rows].astype(np.float32)))
        self._minute[:] = 0.0


def contract_totals(samples: Samples, n: int) -> Floats:
    """The measures of each contract over the day. Shape (MEASURES, n)."""
    return np.stack([np.bincount(samples.contract, weights=row, minlength=n) for row in samples.totals])


def statistics(samples: Samples, crossed_own_quotes: int) -> QuoteStatistics:
    """The day in a few numbers; NaN where nothing was eligible or quoted."""
    n = int(samples.contract.max()) + 1 if len(samples.contract) else 0
    per_contract = contract_totals(samples, n) if n else np.zeros((MEASURES, 0))
    total = per_contract.sum(axis=1)
    is_eligible = per_contract[ELIGIBLE] > 0
    passes = is_eligible & (per_contract[QUOTED] >= REQUIRED_SHARE * per_contract[ELIGIBLE])
    ours, nbbo, seconds = samples.widths()
    all_seconds = samples.totals[ELIGIBLE].astype(np.float64)
    return QuoteStatistics(
        contracts_eligible=int(is_eligible.sum()),
        contracts_two_sided_90=int(passes.sum()),
        share=_ratio(float(passes.sum()), float(is_eligible.sum())),
        quoted_share=_ratio(total[QUOTED], total[ELIGIBLE]),
        median_width=weighted_median(ours, seconds),
        median_width_nbbo=weighted_median(nbbo, seconds),
        median_width_nbbo_all=weighted_median(samples.totals[ALL_NBBO_WIDTH] / all_seconds, all_seconds),
        median_width_ratio=weighted_median(ours[nbbo > 0] / nbbo[nbbo > 0], seconds[nbbo > 0]),
        at_or_inside_share=_ratio(total[BOTH_INSIDE], total[QUOTED]),
        at_or_inside_bid=_ratio(total[BID_INSIDE], total[QUOTED]),
        at_or_inside_ask=_ratio(total[ASK_INSIDE], total[QUOTED]),
        samples=int(samples.is_quoted.sum()),
        crossed_own_quotes=crossed_own_quotes,
    )


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
