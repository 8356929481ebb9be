"""The record of a run: what its events gave, and what only its process knew."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import msgspec
import numpy as np

from domain.commands import STOCK
from domain.errors import DataError
from domain.price import PRICE_SCALE
from store.day import Day
from store.fills import HORIZONS, Fill, good
from store.ledger import Ledger
from store.quality import (
    ALL_NBBO_WIDTH,
    ASK_INSIDE,
    BID_INSIDE,
    BOTH_INSIDE,
    DELTA,
    ELIGIBLE,
    MINUTE_NS,
    NBBO_WIDTH,
    OUR_WIDTH,
    QUOTED,
    QuoteStatistics,
    Samples,
    contract_totals,
    statistics,
    weighted_median,
)


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What only the process of a run knew. It is JSON, so that a report can be written again later.

    Attributes:
        run: Identifier of the run; names its folder.
        digest: Digest over all events, hexadecimal.
        gate_bypasses: Messages that reached a venue without a clearance of the gate.
        tick_to_quote_us: From a move of the underlying to serialised quotes: one wall-clock time per move that led to
            quotes, in microseconds.
        refit_to_quote_us: The same from new option quotes, which are fitted to a new surface first.
        peak_rss_mib: Largest resident memory of the process.
        wall_seconds: Time that the run took.
        machine: What it ran on, in words.
    """

    run: str = ""
    digest: str = ""
    gate_bypasses: int = 0
    tick_to_quote_us: tuple[float, ...] = ()
    refit_to_quote_us: tuple[float, ...] = ()
    peak_rss_mib: float = 0.0
    wall_seconds: float = 0.0
    machine: str = ""


class RunRecord(NamedTuple):
    """All that tables, summary and report are made of."""

    day: Day
    facts: RunFacts
    samples: Samples
    quotes: QuoteStatistics


def record_of(day: Day, facts: RunFacts) -> RunRecord:
    """Close the books of a day: derive the tables that need all of it. Once per day.

    Raises:
        DataError: It was done before.
    """
    ledger = day.ledger
    if len(ledger.quote_minutes) or len(ledger.fills):
        raise DataError("the books of this day are closed already", run=facts.run)
    samples = day.meter.samples()
    _fills(day, ledger)
    for order in day.orders.orders.values():
        ledger.orders.add(*order.values())
    _crossings(day, ledger)
    _quote_minutes(day, ledger, samples)
    _quote_contracts(day, ledger, samples)
    _positions(day, ledger)
    for minute, (bid, ask) in day.underlying.items():
        ledger.underlying.add(minute * MINUTE_NS, bid / PRICE_SCALE, ask / PRICE_SCALE)
    _greeks_net(ledger)
    for measure, times in (("tick_to_quote", facts.tick_to_quote_us), ("refit_to_quote", facts.refit_to_quote_us)):
        for sample, microseconds in enumerate(times):
            ledger.latencies.add(measure, sample, microseconds)
    return RunRecord(day, facts, samples, statistics(samples, len(day.meter.crossings)))


def _fills(day: Day, ledger: Ledger) -> None:
    for fill in day.fills.fills.values():
        ledger.fills.add(
            fill.ts,
            fill.fill_id,
            day.names.venue(fill.venue),
            fill.clordid,
            fill.is_quote,
            fill.kind,
            fill.contract,
            day.names.symbol(fill.contract),
            fill.side,
            fill.quantity,
            fill.price,
            fill.fee,
            fill.adds_liquidity,
            fill.status,
            fill.multiplier,
            *(_or_null(value) for value in (fill.theo, fill.mid, fill.delta, fill.spot, fill.edge)),
            *(_or_null(fill.markout.get(horizon)) for horizon in HORIZONS),
            *(_or_null(fill.hedged.get(horizon)) for horizon in HORIZONS),
        )


def _crossings(day: Day, ledger: Ledger) -> None:
    for one in day.meter.crossings:
        ledger.crossings.add(
            one.ts,
            day.names.symbol(one.contract),
            one.bid / PRICE_SCALE,
            day.names.venue(one.bid_venue),
            one.ask / PRICE_SCALE,
            day.names.venue(one.ask_venue),
            ((one.until or day.clock) - one.ts) / 1_000,
        )


def _quote_minutes(day: Day, ledger: Ledger, samples: Samples) -> None:
    minutes, begins = np.unique(samples.minute, return_index=True)
    ends = np.append(begins, len(samples.minute))[1:]
    for minute, begin, end in zip(minutes.tolist(), begins, ends, strict=True):
        part = Samples(samples.minute[begin:end], samples.contract[begin:end], samples.totals[:, begin:end])
        ours, nbbo, seconds = part.widths()
        total = part.totals.sum(axis=1, dtype=np.float64)
        quoted = total[QUOTED]
        inside = [total[side] / quoted if quoted else None for side in (BID_INSIDE, ASK_INSIDE, BOTH_INSIDE)]
        number = minute // MINUTE_NS
        ledger.quote_minutes.add(
            minute,
            len(part.contract),
            int(part.is_quoted.sum()),
            float(total[ELIGIBLE]),
            float(quoted),
            _or_null(weighted_median(ours, seconds)),
            _or_null(weighted_median(nbbo, seconds)),
            *inside,
            day.sent_in_minute[number],
            day.refusals.entries_in_minute[number],
        )


def _quote_contracts(day: Day, ledger: Ledger, samples: Samples) -> None:
    if not len(samples.contract):
        return
    totals = contract_totals(samples, day.market.n)
    for contract in np.flatnonzero(totals[ELIGIBLE] > 0).tolist():
        one = totals[:, contract].tolist()
        eligible, quoted = one[ELIGIBLE], one[QUOTED]
        ledger.quote_contracts.add(
            contract,
            day.names.symbol(contract),
            one[DELTA] / eligible,
            eligible,
            quoted,
            quoted / eligible,
            one[OUR_WIDTH] / quoted if quoted else None,
            one[NBBO_WIDTH] / quoted if quoted else one[ALL_NBBO_WIDTH] / eligible,
            one[BOTH_INSIDE] / quoted if quoted else None,
        )


def _positions(day: Day, ledger: Ledger) -> None:
    bought, sold = _traded(good(list(day.fills.fills.values())))
    touched = {*day.imported, *bought, *sold, *day.settled, *day.positions}
    view = day.market.now
    for contract in sorted(touched):
        recount = day.imported[contract] + bought[contract] - sold[contract] + day.settled[contract]
        mark = view.mid(contract)
        if np.isnan(mark) and contract != STOCK:
            mark = float(view.theo[contract])
        ledger.positions.add(
            contract,
            day.names.symbol(contract),
            day.imported[contract],
            bought[contract],
            sold[contract],
            day.settled[contract],
            day.positions.get(contract, 0),
            recount,
            _or_null(mark),
        )


def _traded(fills: list[Fill]) -> tuple[Counter[int], Counter[int]]:
    bought: Counter[int] = Counter()
    sold: Counter[int] = Counter()
    for fill in fills:
        (bought if fill.side == "buy" else sold)[fill.contract] += fill.quantity
    return bought, sold


def _greeks_net(ledger: Ledger) -> None:
    exposures = ledger.exposures
    minutes = [ts // MINUTE_NS for ts in exposures.column("ts")]
    columns = [exposures.column(name) for name in ledger.greeks_net.schema.names if name != "minute"]
    for row, minute in enumerate(minutes):
        if row + 1 == len(minutes) or minutes[row + 1] != minute:
            ledger.greeks_net.add(minute * MINUTE_NS, *(column[row] for column in columns))


def _or_null(value: float | None) -> Any:  # noqa: ANN401  # a cell of a table: a number or null
    return None if value is None or np.isnan(value) else float(value)
