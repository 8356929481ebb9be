"""Fills with their edge and markouts, and what they say together.

All prices are dollars per share and all edges are signed so that positive is good for us. Edge is edge to theo: against
our value just before the instant of the fill, on which the quote was made. It is not the part `spread` of the P&L: that
is against the mark when the fill is booked. A markout is against the middle of the NBBO some minutes later; `hedged`
takes out delta times the move of the underlying since just before the fill (options only).
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np

from domain.commands import STOCK
from domain.errors import DataError
from domain.events import FillBusted, FillCorrected, OrderFilled
from domain.events_base import Event
from domain.price import PRICE_SCALE
from store.market import Floats, Ints, Market

HORIZONS: Final = (0, 1, 5, 30)
"""Minutes after the fill. 0 is the end of the instant that filled us: for a minute bar, the minute's close."""

_MINUTE_NS: Final = 60_000_000_000
_NAN: Final = float("nan")


@dataclass(slots=True)
class Fill:
    """One execution of ours. `theo`, `mid`, `delta` and `spot` stood just before it; NaN where there was none."""

    ts: int
    fill_id: str
    venue: int
    clordid: str
    is_quote: bool
    intent: str
    contract: int
    side: str
    quantity: int
    price: float
    fee: float
    adds_liquidity: bool
    multiplier: float
    theo: float
    mid: float
    delta: float
    spot: float
    status: str = "good"
    markout: dict[int, float] = field(default_factory=dict)
    hedged: dict[int, float] = field(default_factory=dict)

    @property
    def sign(self) -> int:
        """+1 bought, -1 sold."""
        return 1 if self.side == "buy" else -1

    @property
    def edge(self) -> float:
        """Per share against our value; stock, and options that we had no value for, against the middle."""
        return self.sign * ((self.mid if np.isnan(self.theo) else self.theo) - self.price)

    @property
    def kind(self) -> str:
        """Why it happened: `quote`, or the intent of the order."""
        return "quote" if self.is_quote else self.intent or "order"


class MarkoutStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Markouts of one kind of fill at one horizon, dollars per share.

    Standard errors are clustered by minute: fills of one minute saw one move of the market and count as one.

    Attributes:
        fills: Fills with a two-sided NBBO at the horizon, before the close.
        unmarked: The others: what could not be marked is not in the figures.
        mean: Over fills.
        standard_error: Of the mean; NaN with fewer than two minutes.
        median: Over fills.
        mean_per_contract: Weighted by quantity.
        standard_error_per_contract: Of that.
        hedged_mean: The mean less delta times the move of the underlying.
        hedged_standard_error: Of that.
        dollars: Sum of markout times quantity times multiplier.
    """

    fills: int
    unmarked: int
    mean: float
    standard_error: float
    median: float
    mean_per_contract: float
    standard_error_per_contract: float
    hedged_mean: float
    hedged_standard_error: float
    dollars: float


class FillLog:
    """Collects fills and marks them as time goes on."""

    def __init__(self, market: Market, multiplier: Sequence[float]) -> None:
        """Mark against this market. `multiplier` is that of each contract."""
        self.fills: dict[str, Fill] = {}
        self.close_ts = 0
        self._market = market
        self._multiplier = multiplier
        self._due: list[tuple[int, int, int, Fill]] = []
        self._count = itertools.count()

    def apply(self, event: Event) -> bool:
        """Take over a fill, a bust or a correction; return whether it was one.

        Raises:
            DataError: A bust or a correction of an unknown fill.
        """
        match event:
            case OrderFilled():
                self._add(event)
            case FillBusted():
                self._find(event.fill_id).status = "busted"
            case FillCorrected():
                fill = self._find(event.fill_id)
                change = (event.price - event.old_price) / PRICE_SCALE
                for marks in (fill.markout, fill.hedged):
                    for horizon in marks:
                        marks[horizon] -= fill.sign * change
                fill.status, fill.quantity, fill.price = "corrected", event.quantity, event.price / PRICE_SCALE
            case _:
                return False
        return True

    def until(self, ts: int) -> None:
        """Mark what is due before `ts`. Call it before anything of `ts` is applied."""
        while self._due and self._due[0][0] < ts:
            due, _, horizon, fill = heapq.heappop(self._due)
            if self.close_ts and due > self.close_ts:
                continue
            view = self._market.at(due)
            fill.markout[horizon] = fill.sign * (view.mid(fill.contract) - fill.price)
            if fill.contract != STOCK:
                move = view.mid(STOCK) - fill.spot
                fill.hedged[horizon] = fill.markout[horizon] - fill.sign * fill.delta * move

    def _add(self, event: OrderFilled) -> None:
        view = self._market.before(event.ts_event)
        is_stock = event.contract == STOCK
        fill = Fill(
            ts=event.ts_event,
            fill_id=event.fill_id,
            venue=event.venue,
            clordid=event.clordid,
            is_quote=event.is_quote,
            intent=event.intent,
            contract=event.contract,
            side=event.side,
            quantity=event.quantity,
            price=event.price / PRICE_SCALE,
            fee=event.fee / PRICE_SCALE,
            adds_liquidity=event.adds_liquidity,
            multiplier=1.0 if is_stock else float(self._multiplier[event.contract]),
            theo=_NAN if is_stock else float(view.theo[event.contract]),
            mid=view.mid(event.contract),
            delta=1.0 if is_stock else float(view.delta[event.contract]),
            spot=view.mid(STOCK),
        )
        self.fills[event.fill_id] = fill
        for horizon in HORIZONS:
            heapq.heappush(self._due, (fill.ts + horizon * _MINUTE_NS, next(self._count), horizon, fill))

    def _find(self, fill_id: str) -> Fill:
        fill = self.fills.get(fill_id)
        if fill is None:
            raise DataError("a bust or correction of an unknown fill", fill_id=fill_id)
        return fill


def good(fills: Sequence[Fill]) -> list[Fill]:
    """Fills that stand: not those taken back."""
    return [fill for fill in fills if fill.status != "busted"]


def kinds(fills: Sequence[Fill]) -> list[str]:
    """Kinds that occur, quotes first."""
    return sorted({fill.kind for fill in fills}, key=lambda kind: (kind != "quote", kind))


def markout_statistics(fills: Sequence[Fill], horizon: int) -> MarkoutStatistics:
    """What the fills say together at one horizon of HORIZONS, in minutes."""
    marks = _column(fills, lambda fill: fill.markout.get(horizon, _NAN))
    is_marked = np.isfinite(marks)
    marked = [fill for fill, is_in in zip(fills, is_marked, strict=True) if is_in]
    marks = marks[is_marked]
    hedged = _column(marked, lambda fill: fill.hedged.get(horizon, _NAN))
    quantity = _column(marked, lambda fill: fill.quantity)
    minute = np.array([fill.ts // _MINUTE_NS for fill in marked], np.int64)
    mean, error = clustered_mean(marks, np.ones(len(marks)), minute)
    per_contract, per_contract_error = clustered_mean(marks, quantity, minute)
    has_hedge = np.isfinite(hedged)
    hedged_mean, hedged_error = clustered_mean(hedged[has_hedge], np.ones(int(has_hedge.sum())), minute[has_hedge])
    return MarkoutStatistics(
        fills=len(marks),
        unmarked=len(fills) - len(marks),
        mean=mean,
        standard_error=error,
        median=float(np.median(marks)) if len(marks) else _NAN,
        mean_per_contract=per_contract,
        standard_error_per_contract=per_contract_error,
        hedged_mean=hedged_mean,
        hedged_standard_error=hedged_error,
        dollars=float(marks @ (quantity * _column(marked, lambda fill: fill.multiplier))),
    )


def clustered_mean(values: Floats, weights: Floats, cluster: Ints) -> tuple[float, float]:
    """Weighted mean and its standard error, robust to any dependence inside a cluster.

    Args:
        values: Shape (n,).
        weights: Positive. Shape (n,).
        cluster: Which cluster each value belongs to. Shape (n,).

    Returns:
        Mean, NaN of nothing; standard error, NaN with fewer than two clusters.

    Source: Liang, Zeger (1986), Biometrika 73, 13-22, with the G / (G - 1) correction for few clusters.
    """
    if len(values) == 0:
        return _NAN, _NAN
    weight = float(weights.sum())
    mean = float(values @ weights) / weight
    _, group = np.unique(cluster, return_inverse=True)
    scores = np.bincount(group, weights=weights * (values - mean))
    groups = len(scores)
    if groups < 2:
        return mean, _NAN
    return mean, float(np.sqrt((scores @ scores) * groups / (groups - 1))) / weight


def _column(fills: Sequence[Fill], read: Callable[[Fill], float]) -> Floats:
    return np.array([read(fill) for fill in fills], np.float64)
