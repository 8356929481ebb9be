"""Charts of fills: markouts, and where in the day they happened."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from store.charts.figure import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RED,
    Chart,
    Trace,
    chart,
    dots,
    line,
    local_times,
    panel_titles,
    panels,
    rounded,
)
from store.fills import Fill, good, kinds, markout_statistics
from store.record import RunRecord

HORIZONS = (1, 5, 30)
_CONFIDENCE = 1.96
_KIND_COLORS = (BLUE, ORANGE, PURPLE)
_SCATTER_HORIZON = 5


def markouts(record: RunRecord) -> Chart:
    """Mean markout by horizon, with 95 % intervals; one panel per kind, since options and stock differ in scale."""
    fills = good(list(record.day.fills.fills.values()))
    found = kinds(fills)
    axes = panels(1, max(len(found), 1))
    data: list[Trace] = []
    parts = []
    for number, kind in enumerate(found):
        suffix = str(number + 1) if number else ""
        chosen = [fill for fill in fills if fill.kind == kind]
        stats = [markout_statistics(chosen, horizon) for horizon in HORIZONS]
        place = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
        labels = [
            f"{h} min<br>n={s.fills}" + ("" if np.isfinite(s.standard_error) else "<br>(error unknown)")
            for h, s in zip(HORIZONS, stats, strict=True)
        ]
        bars = [([s.mean for s in stats], [s.standard_error for s in stats], "markout", _KIND_COLORS[number % 3])]
        if kind == "quote":
            hedged = [s.hedged_mean for s in stats], [s.hedged_standard_error for s in stats]
            bars.append((*hedged, "less delta times the move", GREY))
        for means, errors, name, color in bars:
            interval = {"type": "data", "array": rounded([_CONFIDENCE * e for e in errors]), "visible": True}
            data.append(
                {"type": "bar", "x": labels, "y": rounded(means), "name": f"{kind}: {name}", "marker": {"color": color}}
                | {"error_y": interval | {"color": INK, "thickness": 1.2}}
                | place
            )
        axes[f"yaxis{suffix}"] |= {"zeroline": True} | ({"title": {"text": "dollars per share"}} if not number else {})
        middle = stats[1]
        error = f"s.e. {middle.standard_error:.4f}" if np.isfinite(middle.standard_error) else "error unknown"
        known = f"{middle.mean:+.4f} ({error}) over {middle.fills} fills" if middle.fills else "not known"
        parts.append(f"{kind} after 5 minutes {known}")
    note = (
        "Positive is good for us; bars are means, whiskers 95 % intervals with errors clustered by minute. "
        f"{'; '.join(parts)}."
        if fills
        else "There were no fills."
    )
    annotations = panel_titles(axes, [f"{kind} fills" for kind in found])
    return chart(
        "markouts",
        "Markouts after 1, 5 and 30 minutes",
        note,
        data,
        barmode="group",
        annotations=annotations,
        legend={"orientation": "h", "y": -0.24, "yanchor": "top", "x": 0},
        margin={"l": 64, "r": 16, "t": 28, "b": 90},
        height=400,
        **axes,
    )


def markouts_by_time(record: RunRecord) -> Chart:
    """Each fill of an option quote at its time."""
    fills = [fill for fill in good(list(record.day.fills.fills.values())) if fill.is_quote]
    data = []
    for side, name, symbol, color in (
        ("buy", "we bought", "triangle-up", GREEN),
        ("sell", "we sold", "triangle-down", RED),
    ):
        chosen = [fill for fill in fills if fill.side == side]
        marks = [fill.markout.get(_SCATTER_HORIZON) for fill in chosen]
        text = [_told(record, fill) for fill in chosen]
        data.append(
            dots(local_times([fill.ts for fill in chosen]), marks, name, color, symbol=symbol, size=9, text=text)
            | {"hoverinfo": "text"}
        )
    marked = [mark for fill in fills if (mark := fill.markout.get(_SCATTER_HORIZON)) is not None and np.isfinite(mark)]
    note = (
        f"{sum(mark > 0 for mark in marked)} of {len(marked)} fills of quotes stood better than their price after 5 "
        f"minutes; {len(fills) - len(marked)} could not be marked (one-sided NBBO, or after the close)."
    )
    return chart(
        "markouts-time",
        "Fills of our quotes: markout after 5 minutes, dollars per share",
        note,
        data,
        xaxis={"title": {"text": "New York time of the fill"}},
        yaxis={"title": {"text": "dollars per share"}, "zeroline": True},
        height=400,
    )


def underlying(record: RunRecord) -> Chart:
    """The underlying, with our trades in it."""
    rows = record.day.ledger.underlying
    middle = [(bid + ask) / 2 for bid, ask in zip(rows.column("bid"), rows.column("ask"), strict=True)]
    data = [line(local_times(rows.column("minute")), middle, "middle of the quote", INK)]
    fills = [fill for fill in good(list(record.day.fills.fills.values())) if not fill.is_quote]
    for side, name, symbol, color in (("buy", "bought", "triangle-up", GREEN), ("sell", "sold", "triangle-down", RED)):
        chosen = [fill for fill in fills if fill.side == side]
        if chosen:
            text = [f"{fill.side} {fill.quantity:,} at {fill.price:,.4f}" for fill in chosen]
            prices: Sequence[float] = [fill.price for fill in chosen]
            times = local_times([fill.ts for fill in chosen])
            data.append(dots(times, prices, name, color, symbol=symbol, size=9, text=text) | {"hoverinfo": "text"})
    shares = sum(fill.quantity for fill in fills)
    note = f"{len(fills):,} fills of hedges, {shares:,} shares in all."
    name = record.day.names.underlying
    return chart(
        "underlying",
        f"{name}: price and our hedges, dollars",
        note,
        data,
        xaxis={"title": {"text": "New York time"}},
        yaxis={"title": {"text": "dollars"}},
    )


def _told(record: RunRecord, fill: Fill) -> str:
    marks = ", ".join(
        f"{horizon} min {fill.markout[horizon]:+.3f}"
        for horizon in HORIZONS
        if np.isfinite(fill.markout.get(horizon, np.nan))
    )
    symbol = record.day.names.symbol(fill.contract)
    terms = f"{fill.side} {fill.quantity} at {fill.price:.2f}, edge to theo {fill.edge:+.3f}"
    return f"{symbol}<br>{terms}<br>{marks or 'not marked'}"
