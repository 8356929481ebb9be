"""Charts of our quotes: widths against the NBBO, time quoted, latency."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from store.charts.figure import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    Chart,
    chart,
    dots,
    line,
    local_times,
    money,
    panel_titles,
    panels,
    percent,
    rounded,
)
from store.quality import REQUIRED_SHARE
from store.record import RunRecord
from store.summary import percentiles

_BINS: Final = 48
_POINTS: Final = 400
_WIDTH_TICKS: Final = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50]


def widths_over_time(record: RunRecord) -> Chart:
    """Median width by minute, ours and the NBBO's, and how often we were there and at or inside."""
    rows = record.day.ledger.quote_minutes
    times = local_times(rows.column("minute"))
    axes = panels(2, 1)
    axes["xaxis"] |= {"matches": "x2", "showticklabels": False}
    axes["xaxis2"] |= {"title": {"text": "New York time"}}
    axes["yaxis"] |= {"title": {"text": "dollars"}, "rangemode": "tozero"}
    axes["yaxis2"] |= {"range": [0, 1.03], "tickformat": ".0%"}
    quoted = [
        quoted / eligible if eligible else None
        for quoted, eligible in zip(rows.column("quoted_seconds"), rows.column("eligible_seconds"), strict=True)
    ]
    lower = {"xaxis": "x2", "yaxis": "y2"}
    data = [
        line(times, rows.column("median_width_nbbo"), "NBBO", GREY, dash="dash"),
        line(times, rows.column("median_width"), "ours", BLUE),
        line(times, quoted, "two-sided, of eligible time", GREEN, **lower),
        line(times, rows.column("at_or_inside_bid"), "bid at or inside NBBO", ORANGE, dash="dot", **lower),
        line(times, rows.column("at_or_inside_ask"), "ask at or inside NBBO", PURPLE, dash="dot", **lower),
        line(times, rows.column("at_or_inside_both"), "both", RED, **lower),
    ]
    q = record.quotes
    note = (
        f"Median over contract-minutes {money(q.median_width, 3)} against {money(q.median_width_nbbo, 3)} of the NBBO "
        f"at the same times. At or inside the NBBO: bid {percent(q.at_or_inside_bid)}, ask "
        f"{percent(q.at_or_inside_ask)}, both {percent(q.at_or_inside_share)} of quoted time."
    )
    titles = ("Median width of eligible contracts", "Share of time")
    return chart(
        "widths-time",
        "Quote width against the NBBO, minute by minute",
        note,
        data,
        height=520,
        is_wide=True,
        hovermode="x",
        annotations=panel_titles(axes, titles),
        legend={"orientation": "h", "y": -0.12, "yanchor": "top", "x": 0},
        **axes,
    )


def widths(record: RunRecord) -> Chart:
    """How widths are distributed, ours and the NBBO's over the same contract-minutes."""
    ours, nbbo, seconds = record.samples.widths()
    is_shown = (ours > 0) & (nbbo > 0)
    ours, nbbo, seconds = ours[is_shown], nbbo[is_shown], seconds[is_shown]
    data = [
        line(*_cumulative(values, seconds), name, color, width=2.2, dash=dash)
        for values, name, color, dash in ((nbbo, "NBBO", GREY, "dash"), (ours, "ours", BLUE, "solid"))
        if len(values)
    ]
    note = (
        f"Ours over the NBBO's, sample by sample: median {record.quotes.median_width_ratio:.2f}, of "
        f"{record.quotes.samples:,} contract-minutes, weighted by time."
        if data
        else "Nothing was quoted."
    )
    return chart(
        "widths",
        "Distribution of quote widths",
        note,
        data,
        xaxis={"type": "log", "title": {"text": "width, dollars per share (logarithmic)"}, "tickvals": _WIDTH_TICKS},
        yaxis={"title": {"text": "share of time at most this wide"}, "tickformat": ".0%", "range": [0, 1.03]},
    )


def quoting_time(record: RunRecord) -> Chart:
    """Share of eligible time quoted, contracts in falling order."""
    shares = sorted(record.day.ledger.quote_contracts.column("share"), reverse=True)
    rank = [place / len(shares) for place in range(len(shares) + 1)] if shares else []
    data = [
        line(
            rounded(rank), [*shares[:1], *shares], "contracts", BLUE, width=2.4, fill="tozeroy", fillcolor="@blue-soft"
        )
    ]
    q = record.quotes
    note = (
        f"{q.contracts_two_sided_90:,} of {q.contracts_eligible:,} contracts ({percent(q.share)}) were two-sided "
        f"at least {percent(REQUIRED_SHARE, 0)} of the time in which their NBBO was two-sided and |delta| "
        "was 0.05 to 0.95."
    )
    bar = {"type": "line", "x0": 0, "x1": 1, "y0": REQUIRED_SHARE, "y1": REQUIRED_SHARE}
    return chart(
        "quoting-time",
        "Quoting time by contract",
        note,
        data,
        shapes=[bar | {"line": {"color": RED, "width": 1.5, "dash": "dash"}}],
        xaxis={"title": {"text": "contracts, best first"}, "tickformat": ".0%", "range": [0, 1]},
        yaxis={"title": {"text": "share of eligible time"}, "tickformat": ".0%", "range": [0, 1.03]},
        showlegend=False,
    )


def quoting_map(record: RunRecord) -> Chart:
    """Where in the chain we quoted: strike, expiry, share of time."""
    rows, chain = record.day.ledger.quote_contracts, record.day.chain
    found = [] if chain is None else [chain.contracts[index] for index in rows.column("contract")]
    names = sorted({contract.expiry.isoformat() for contract in found}, reverse=True)
    data = []
    for right, symbol, name, above in (("C", "triangle-up", "calls", 0.17), ("P", "triangle-down", "puts", -0.17)):
        chosen = [row for row, contract in enumerate(found) if contract.right == right]
        shares = [rows.column("share")[row] for row in chosen]
        texts = [f"{rows.column('symbol')[row]}: {percent(rows.column('share')[row])}" for row in chosen]
        marker = {
            "color": rounded(shares),
            "colorscale": [[0.0, RED], [REQUIRED_SHARE, ORANGE], [1.0, BLUE]],
            "cmin": 0,
            "cmax": 1,
            "showscale": right == "C",
            "colorbar": {"title": {"text": "share"}, "tickformat": ".0%", "thickness": 12, "len": 0.9},
            "line": {"width": 0},
        }
        strikes = [found[row].strike_dollars for row in chosen]
        levels = [names.index(found[row].expiry.isoformat()) + above for row in chosen]
        trace = dots(strikes, levels, name, GREY, symbol=symbol, size=7, marker=marker, text=texts, hoverinfo="text")
        data.append(trace)
    return chart(
        "quoting-map",
        "Quoting time over the chain",
        "Each mark is a contract that was eligible at some time, in blue where it was quoted throughout; calls point "
        "up, puts down.",
        data,
        height=max(340, 90 + 30 * len(names)),
        xaxis={"title": {"text": "strike, dollars"}},
        yaxis={"tickvals": list(range(len(names))), "ticktext": names, "range": [-0.6, len(names) - 0.4]},
        margin={"l": 90, "r": 16, "t": 28, "b": 44},
    )


def tick_to_quote(record: RunRecord) -> Chart:
    """From a move of the underlying to serialised quotes, wall clock."""
    samples = np.asarray(record.facts.tick_to_quote_us, np.float64)
    found = percentiles(record.facts.tick_to_quote_us)
    data, shapes, annotations = [], [], []
    if len(samples):
        top = max(float(np.quantile(samples, 0.995)) * 1.1, float(samples.min()) * 1.5)
        edges = np.linspace(0, top, _BINS + 1)
        counts, _ = np.histogram(np.minimum(samples, top), edges)
        middle = (edges[1:] + edges[:-1]) / 2
        bars = {"type": "bar", "x": rounded(middle), "y": counts.tolist(), "name": "ticks", "marker": {"color": SKY}}
        data.append(bars | {"width": float(edges[1] - edges[0]) * 0.94})
        for name, color, anchor in (("p50", GREEN, "right"), ("p99", RED, "left")):
            x = min(found[name], top)
            shapes.append(
                {
                    "type": "line",
                    "x0": x,
                    "x1": x,
                    "y0": 0,
                    "y1": 1,
                    "yref": "paper",
                    "line": {"color": color, "width": 2},
                }
            )
            annotations.append(
                {"x": x, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False, "xanchor": anchor}
                | {"text": f"{name} {found[name]:,.0f} µs"}
            )
    note = (
        f"{found['count']:,} ticks led to quotes: p50 {found['p50']:,.0f}, p99 {found['p99']:,.0f}, p99.9 "
        f"{found['p99.9']:,.0f}, max {found['max']:,.0f} microseconds on this machine; the last bar holds all above."
        if data
        else "No tick led to quotes, or times were not kept."
    )
    refits = percentiles(record.facts.refit_to_quote_us)
    if refits["count"]:
        note += (
            f" New option quotes, which are fitted first, took p50 {refits['p50']:,.0f}, p99 {refits['p99']:,.0f} in "
            f"{refits['count']:,} cases."
        )
    return chart(
        "latency",
        "Tick to quote: from a move of the underlying to serialised mass quotes",
        note,
        data,
        shapes=shapes,
        annotations=annotations,
        xaxis={"title": {"text": "microseconds"}},
        yaxis={"title": {"text": "ticks"}},
    )


def _cumulative(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> tuple[list[Any], list[Any]]:
    """Values in rising order and the share of weight at or below each, thinned to `_POINTS` points."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    at = np.unique(np.searchsorted(share, np.linspace(0, 1, _POINTS)).clip(0, len(values) - 1))
    return rounded(values[order][at]), share[at].tolist()
