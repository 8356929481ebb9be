"""The summary of a run: one JSON object that says what it did and how well."""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec
import numpy as np

from store.fills import HORIZONS, Fill, good, kinds, markout_statistics
from store.ledger import DEFINITIONS, PARTS, Ledger
from store.record import RunRecord

LABEL: Final = "simulated fills on minute NBBO: no claim of profit rests on them"
SYNTHETIC_LABEL: Final = "synthetic market and simulated fills: no claim of profit rests on them"

QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def label_of(*, is_synthetic: bool) -> str:
    """What every figure of a run must be read with."""
    return SYNTHETIC_LABEL if is_synthetic else LABEL


def summarize(record: RunRecord) -> dict[str, Any]:
    """Return the summary. Every number is finite or null; dollars, microseconds and MiB as the names say."""
    day, facts = record.day, record.facts
    run = day.run
    last = day.ledger.pnl.last() or {}
    positions = day.ledger.positions.records()
    fills = good(list(day.fills.fills.values()))
    is_synthetic = run is not None and run.is_synthetic
    summary: dict[str, Any] = _finite(
        {
            "run": facts.run or (run.run if run else ""),
            "label": label_of(is_synthetic=is_synthetic),
            "source": run.source if run else "",
            "is_synthetic": is_synthetic,
            "underlying": day.names.underlying,
            "trade_date": run.trade_date if run else "",
            "contracts": day.market.n,
            "events": day.inputs + day.outputs,
            "inputs": day.inputs,
            "quote_sets": day.counts["QuotesCleared"],
            "quotes_sent": day.quotes_sent,
            "orders": len(day.orders.orders),
            "fills": len(fills),
            "fills_by_kind": {kind: sum(fill.kind == kind for fill in fills) for kind in kinds(fills)},
            "rejects": {origin: dict(sorted(counts.items())) for origin, counts in day.refusals.counts.items()},
            "feed_refused": dict(sorted(day.feed_refused.items())),
            "breaches": sum(day.ledger.breaches.column("count")),
            "reconciliation": day.reconciliation.summary(),
            "positions": {row["symbol"]: row["quantity"] for row in positions if row["quantity"]},
            "positions_equal_fills": all(row["quantity"] == row["recount"] for row in positions),
            "exposure": _at_the_end(day.ledger.exposures.last()),
            "unhedged": unhedged(day.ledger, day.close_ts),
            "pnl": {"total": last.get("total"), **{part: last.get(part) for part in PARTS}},
            "crossed_own_quotes": record.quotes.crossed_own_quotes,
            "gate_bypasses": facts.gate_bypasses,
            "definitions": DEFINITIONS,
            "quality": msgspec.structs.asdict(record.quotes),
            "edge_to_theo": {kind: _edge([fill for fill in fills if fill.kind == kind]) for kind in kinds(fills)},
            "markouts": {
                kind: {
                    f"{horizon}m": msgspec.structs.asdict(markout_statistics(chosen, horizon)) for horizon in HORIZONS
                }
                for kind in kinds(fills)
                for chosen in [[fill for fill in fills if fill.kind == kind]]
            },
            "tick_to_quote_us": percentiles(facts.tick_to_quote_us),
            "refit_to_quote_us": percentiles(facts.refit_to_quote_us),
            "peak_rss_mib": facts.peak_rss_mib,
            "wall_seconds": facts.wall_seconds,
            "machine": facts.machine,
            "digest": facts.digest,
        }
    )
    return summary


def percentiles(samples: tuple[float, ...]) -> dict[str, float]:
    """Percentiles of latencies, each an observed value; `count` says of how many."""
    if not samples:
        return {"count": 0}
    values = np.asarray(samples, np.float64)
    found = np.quantile(values, list(QUANTILES.values()), method="inverted_cdf")
    return {"count": len(values), **dict(zip(QUANTILES, found.tolist(), strict=True))}


def unhedged(ledger: Ledger, close_ts: int) -> list[dict[str, Any]]:
    """Return what net delta the day ended with, in parts, each with the reason why it was not hedged.

    The parts add up to the net delta of the last exposure, settlement included: what the hedger stated when the session
    closed; what was filled after it, when the stock could not be traded any more; and what is left to the settlement
    price, or to the band inside which nothing is hedged. Parts of less than a share are left out.

    Args:
        ledger: The tables of the day.
        close_ts: Scheduled close, ns; 0 where no session was announced.

    Returns:
        Nothing before the close.
    """
    exposures, marked = ledger.exposures, ledger.pnl.last()
    if not close_ts or marked is None or marked["ts"] < close_ts or not len(exposures):
        return []
    delta = exposures.column("delta")
    late = [
        place
        for place, (ts, cause) in enumerate(zip(exposures.column("ts"), exposures.column("cause"), strict=True))
        if ts >= close_ts and cause == "fill"
    ]
    filled = delta[-1] - delta[late[0] - 1] if late and late[0] else 0.0
    stated = [row for row in ledger.hedges.records() if row["ts"] >= close_ts and row["reason"]]
    known = stated[-1]["net_delta"] if stated else 0.0
    rest = "settlement price" if stated else "inside the band of the closing hedge"
    parts = [
        (known, stated[-1]["reason"] if stated else ""),
        (filled, "filled after the close"),
        (delta[-1] - known - filled, rest),
    ]
    return [{"delta": shares, "reason": reason} for shares, reason in parts if abs(shares) >= 1.0]


def _at_the_end(row: dict[str, Any] | None) -> dict[str, float]:
    """Net Greeks that the day ended with; what expired is settled."""
    return {name: (row or {}).get(name, 0.0) for name in ("stock", "delta", "gamma", "vega", "theta")}


def _edge(fills: list[Fill]) -> dict[str, float]:
    """Edge to theo of fills: dollars per share, and dollars in all."""
    edges = np.array([fill.edge for fill in fills])
    weights = np.array([fill.quantity * fill.multiplier for fill in fills])
    known = np.isfinite(edges)
    return {
        "fills": int(known.sum()),
        "mean": float(edges[known].mean()) if known.any() else math.nan,
        "median": float(np.median(edges[known])) if known.any() else math.nan,
        "dollars": float(edges[known] @ weights[known]),
    }


def _finite(value: Any) -> Any:  # noqa: ANN401  # JSON of any shape
    """The same with null where a number is not finite: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
