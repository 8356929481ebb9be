"""The report of a run: one page that needs nothing but a browser."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import jinja2
import plotly.offline

from domain.commands import STOCK
from store.charts import holdings, quotes, smile, trading
from store.charts.figure import Chart, local_times, money, percent
from store.ledger import DEFINITIONS
from store.record import RunRecord
from store.summary import summarize

NAME: Final = "report.html"
MAX_ROWS: Final = 200
"""Rows of a table on the page; the Parquet table holds the rest."""

CHARTS: Final[dict[str, tuple[Callable[[RunRecord], Chart], ...]]] = {
    "Profit and loss": (holdings.pnl, holdings.pnl_bridge, trading.underlying),
    "Risk": (holdings.greeks,),
    "Quotes": (quotes.widths_over_time, quotes.widths, quotes.quoting_time, quotes.quoting_map, quotes.tick_to_quote),
    "Fills": (trading.markouts, trading.markouts_by_time),
    "Surface": (smile.smile,),
}


class Figure(NamedTuple):
    """A key figure: what it is, its text, where the summary holds it, and what it means."""

    name: str
    text: str
    path: str
    hint: str = ""


class Grid(NamedTuple):
    """A table of the page. `numeric` are the columns that are set right. `left_off`: rows only in Parquet."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    numeric: frozenset[int]
    left_off: int = 0


def write_report(folder: Path, record: RunRecord) -> Path:
    """Write `<folder>/report.html` and return its path. The page holds its script: it opens offline.

    The file appears whole or not at all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    partial = path.with_suffix(".partial")
    partial.write_text(page(record), encoding="utf-8")
    partial.replace(path)
    return path


def page(record: RunRecord) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    summary = summarize(record)
    sections = {title: [draw(record) for draw in charts] for title, charts in CHARTS.items()}
    return environment.get_template("report.html.j2").render(
        summary=summary,
        header=_header(record, summary),
        figures=_figures(summary),
        sections=sections,
        grids=_grids(record, summary),
        figure_json={chart.key: _script(chart.figure) for charts in sections.values() for chart in charts},
        summary_json=_script(summary),
        plotly=plotly.offline.get_plotlyjs(),
    )


def _script(value: object) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _header(record: RunRecord, summary: dict[str, Any]) -> list[tuple[str, str]]:
    times = local_times([record.day.open_ts, record.day.close_ts]) if record.day.open_ts else ["", ""]
    session = f"{times[0][11:16]} to {times[1][11:16]} New York time"
    found = [
        ("Run", summary["run"]),
        ("Underlying", f"{summary['underlying']}, {summary['contracts']:,} contracts"),
        ("Session", f"{summary['trade_date']}, {session}"),
        ("Market data", f"{'synthetic' if summary['is_synthetic'] else 'recorded'}, source {summary['source']}"),
        ("Digest", summary["digest"]),
        ("Machine", summary["machine"]),
        ("Took", f"{summary['wall_seconds']:,.1f} s, {summary['peak_rss_mib']:,.0f} MiB resident at most"),
    ]
    return [(name, text or "–") for name, text in found]


def _figures(summary: dict[str, Any]) -> list[Figure]:
    q, latency = summary["quality"], summary["tick_to_quote_us"]
    quotes_at_5 = summary["markouts"].get("quote", {}).get("5m", {})
    return [
        Figure("P&L", money(summary["pnl"]["total"]), "pnl.total", "marked, all parts"),
        Figure("Spread", money(summary["pnl"]["spread"]), "pnl.spread", "part of it: option fills against their marks"),
        Figure(
            "Edge to theo",
            money(summary["edge_to_theo"].get("quote", {}).get("dollars")),
            "edge_to_theo.quote.dollars",
            "quote fills against the theo before them",
        ),
        Figure("Fills", f"{summary['fills']:,}", "fills", "quotes and hedges"),
        Figure(
            "Markout 5 min", money(quotes_at_5.get("mean"), 3), "markouts.quote.5m.mean", "per share, fills of quotes"
        ),
        Figure("Contracts two-sided ≥ 90%", percent(q["share"]), "quality.share", "of those eligible"),
        Figure("Median width", money(q["median_width"], 3), "quality.median_width", "ours, per share"),
        Figure("Median NBBO width", money(q["median_width_nbbo"], 3), "quality.median_width_nbbo", "same times"),
        Figure(
            "At or inside NBBO",
            percent(q["at_or_inside_share"]),
            "quality.at_or_inside_share",
            "both sides, of quoted time",
        ),
        Figure("Quotes sent", f"{summary['quotes_sent']:,}", "quotes_sent", "entries of mass quotes"),
        Figure("Orders", f"{summary['orders']:,}", "orders", "cleared by the gate"),
        Figure(
            "Crossed own quotes", f"{summary['crossed_own_quotes']:,}", "crossed_own_quotes", "recounted, all venues"
        ),
        Figure("Gate bypasses", f"{summary['gate_bypasses']:,}", "gate_bypasses", "messages without clearance"),
        Figure("Tick to quote p50", _micros(latency.get("p50")), "tick_to_quote_us.p50", "microseconds"),
        Figure("Tick to quote p99", _micros(latency.get("p99")), "tick_to_quote_us.p99", "microseconds"),
        Figure("Events", f"{summary['events']:,}", "events", f"{summary['inputs']:,} of them inputs"),
    ]


def _micros(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


# --- tables -----------------------------------------------------------------------------------------------------------


def _grids(record: RunRecord, summary: dict[str, Any]) -> list[Grid]:
    grids = [
        _edges(summary),
        _markouts(summary),
        _positions(record),
        _settlements(record),
        _refusals(record),
        _breaches(record),
        _obligations(record),
        _incidents(record),
    ]
    if len(record.day.ledger.crossings):
        grids.insert(0, _crossings(record))
    return grids


def _grid(title: str, note: str, head: str, rows: Sequence[tuple[str, ...]], numeric: Sequence[int]) -> Grid:
    return Grid(
        title,
        note,
        tuple(head.split("|")),
        list(rows[:MAX_ROWS]),
        frozenset(numeric),
        max(0, len(rows) - MAX_ROWS),
    )


def _edges(summary: dict[str, Any]) -> Grid:
    rows = [
        (kind, f"{s['fills']:,}", _signed(s["mean"]), _signed(s["median"]), money(s["dollars"]))
        for kind, s in summary["edge_to_theo"].items()
    ]
    note = f"{DEFINITIONS['edge_to_theo']} Dollars per share, and in all; positive is good for us."
    return _grid("Edge to theo", note, "fills|with a value|mean|median|total", rows, range(1, 5))


def _markouts(summary: dict[str, Any]) -> Grid:
    rows = [
        (
            kind,
            horizon.replace("m", " min"),
            f"{s['fills']:,}",
            f"{s['unmarked']:,}",
            _signed(s["mean"]),
            _signed(s["standard_error"], sign=""),
            _signed(s["median"]),
            _signed(s["mean_per_contract"]),
            _signed(s["standard_error_per_contract"], sign=""),
            _signed(s["hedged_mean"]),
            money(s["dollars"]),
        )
        for kind, horizons in summary["markouts"].items()
        for horizon, s in horizons.items()
    ]
    return _grid(
        "Markouts",
        "Dollars per share, positive is good for us; s.e. clustered by minute. 0 min is the end of the instant that "
        "filled us. Weighted: by contracts or shares. Hedged: less delta times the move of the underlying.",
        "fills|after|marked|unmarked|mean|s.e.|median|weighted mean|s.e.|hedged mean|total",
        rows,
        range(2, 11),
    )


def _positions(record: RunRecord) -> Grid:
    rows = [
        (
            row["symbol"],
            *(f"{row[name]:,}" for name in ("imported", "bought", "sold", "settled", "quantity")),
            "–" if row["mark"] is None else f"{row['mark']:,.2f}",
            "–" if row["mark"] is None else money(_value(record, row)),
            "yes" if row["recount"] == row["quantity"] else f"NO: {row['recount']:,}",
        )
        for row in record.day.ledger.positions.records()
    ]
    return _grid(
        "Positions",
        "Contracts, or shares of the underlying. The recount sums import, fills and settlement anew.",
        "contract|imported|bought|sold|settled|at the end|mark|value|recount agrees",
        rows,
        range(1, 8),
    )


def _value(record: RunRecord, row: dict[str, Any]) -> float:
    chain, contract = record.day.chain, row["contract"]
    multiplier = 1.0 if contract == STOCK or chain is None else float(chain.multiplier[contract])
    return float(row["quantity"] * row["mark"] * multiplier)


def _settlements(record: RunRecord) -> Grid:
    rows = [
        (
            _clock(row["ts"]),
            row["symbol"],
            f"{row['quantity']:,}",
            row["outcome"],
            f"{row['settlement_price']:,.2f}",
            f"{row['shares']:,}",
            money(row["cash"], 2),
        )
        for row in record.day.ledger.settlements.records()
    ]
    note = "What expired, and what came in for it."
    return _grid("Settlement", note, "time|contract|position|outcome|price|shares|cash", rows, (2, 4, 5, 6))


def _refusals(record: RunRecord) -> Grid:
    groups: defaultdict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in record.day.ledger.refusals.records():
        groups[row["origin"], row["venue"], row["kind"], row["reason"]].append(row)
    rows = [
        (
            "our gate or router" if origin == "ours" else f"venue {venue}",
            kind,
            reason,
            f"{sum(row['count'] for row in found):,}",
            f"{len(found):,}",
            _clock(found[0]["ts"]),
            _clock(found[-1]["ts"]),
            found[0]["symbol"] or found[0]["subject"],
        )
        for (origin, venue, kind, reason), found in sorted(groups.items())
    ]
    return _grid(
        "Refusals",
        "Counted by who refused what and why. Entries count one each; messages are the mass quotes or orders of them.",
        "by|what|reason|entries|messages|first|last|example",
        rows,
        (3, 4),
    )


def _breaches(record: RunRecord) -> Grid:
    groups: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in record.day.ledger.breaches.records():
        groups[row["check"]].append(row)
    rows = []
    for check, found in sorted(groups.items()):
        worst = max(found, key=lambda row: abs(row["value"]))
        rows.append(
            (
                check,
                f"{sum(row['count'] for row in found):,}",
                _clock(found[0]["ts"]),
                _clock(found[-1]["ts"]),
                f"{worst['value']:,.4g}",
                f"{worst['limit']:,.4g}",
                worst["subject"],
            )
        )
    note = "Checks of the gate that failed: what they stopped did not leave."
    return _grid(
        "Limit breaches", note, "check|count|first|last|worst value|limit|subject of the worst", rows, (1, 4, 5)
    )


def _obligations(record: RunRecord) -> Grid:
    last = {row["rule"]: row for row in record.day.ledger.obligations.records()}
    rows = [
        (
            rule,
            percent(row["required_share"]),
            percent(row["share"]),
            percent(row["forecast_share"]),
            f"{row['quoted_seconds']:,.0f}",
            f"{row['elapsed_seconds']:,.0f}",
            f"{row['shortfall_seconds']:,.0f}",
            percent(row["wide_share"]),
        )
        for rule, row in sorted(last.items())
    ]
    note = "Quoting time and width against each rule, as last measured."
    head = "rule|required|so far|forecast|quoted s|elapsed s|shortfall s|too wide"
    return _grid("Obligations", note, head, rows, range(1, 8))


def _incidents(record: RunRecord) -> Grid:
    rows = [
        (_clock(row["ts"]), row["event"], row["source"], row["detail"]) for row in record.day.ledger.incidents.records()
    ]
    note = "Switches, protections, halts, refused inputs, degraded feeds, unknown outcomes, and what people commanded."
    return _grid("Incidents", note, "time|event|from|detail", rows, ())


def _crossings(record: RunRecord) -> Grid:
    rows = [
        (
            _clock(row["ts"]),
            row["symbol"],
            f"{row['bid']:.2f}",
            row["bid_venue"],
            f"{row['ask']:.2f}",
            row["ask_venue"],
            f"{row['microseconds']:,.0f}",
        )
        for row in record.day.ledger.crossings.records()
    ]
    note = "A bid of ours stood at or above an ask of ours. There must be none."
    return _grid("Crossed own quotes", note, "time|contract|our bid|at|our ask|at|for µs", rows, (2, 4, 6))


def _clock(ts: int) -> str:
    return datetime.fromisoformat(local_times([ts])[0]).strftime("%H:%M:%S")


def _signed(value: float | None, sign: str = "+") -> str:
    return "–" if value is None else f"{value:{sign}.4f}"
