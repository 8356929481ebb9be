"""Charts of what we held and what it earned: P&L, its parts, net Greeks."""

from __future__ import annotations

from typing import Final

from store.charts.figure import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    YELLOW,
    Chart,
    chart,
    line,
    local_times,
    money,
    panel_titles,
    panels,
)
from store.ledger import PARTS
from store.record import RunRecord

PART_COLORS: Final = dict(zip(PARTS, (GREEN, BLUE, ORANGE, PURPLE, RED, GREY, SKY, YELLOW), strict=True))
PART_DASHES: Final = {"rest": "dot", "hedging": "dash", "fees": "dashdot"}

_DAYS_PER_YEAR: Final = 365
_POINTS: Final = 100


def pnl(record: RunRecord) -> Chart:
    """P&L and its parts over the day."""
    rows = record.day.ledger.pnl
    times = local_times(rows.column("ts"))
    axes = panels(2, 1)
    axes["xaxis"] |= {"matches": "x2", "showticklabels": False}
    axes["xaxis2"] |= {"title": {"text": "New York time"}}
    axes["yaxis"] |= {"title": {"text": "dollars"}, "domain": [0.60, 1.0]}
    axes["yaxis2"] |= {"title": {"text": "dollars"}, "domain": [0.0, 0.48]}
    data = [line(times, rows.column("total"), "total", INK, width=2.6, xaxis="x", yaxis="y", fill="tozeroy")]
    data[0]["fillcolor"] = "@ink-soft"
    data += [
        line(
            times,
            rows.column(part),
            part,
            PART_COLORS[part],
            xaxis="x2",
            yaxis="y2",
            dash=PART_DASHES.get(part, "solid"),
        )
        for part in PARTS
    ]
    last = rows.last()
    note = (
        f"Total at the last mark {money(last['total'])}. The parts add up to the total at every mark: spread is the "
        "edge against our value at each fill, hedging the same for stock, the Greeks and rest revalue what was held."
        if last
        else "No mark was made."
    )
    return chart(
        "pnl",
        "P&L since the open, and its parts",
        note,
        data,
        height=560,
        is_wide=True,
        hovermode="x",
        annotations=panel_titles(axes, ("Total", "Parts")),
        legend={"orientation": "h", "y": -0.11, "yanchor": "top", "x": 0},
        **axes,
    )


def pnl_bridge(record: RunRecord) -> Chart:
    """Which parts made the total: a waterfall of the last mark."""
    last = record.day.ledger.pnl.last() or dict.fromkeys(("total", *PARTS), 0.0)
    values = [float(last[part]) for part in PARTS]
    trace = {
        "type": "waterfall",
        "x": [*PARTS, "total"],
        "y": [*(round(value, 2) for value in values), round(float(last["total"]), 2)],
        "measure": [*("relative" for _ in PARTS), "total"],
        "text": [*(money(value) for value in values), money(float(last["total"]))],
        "textposition": "outside",
        "cliponaxis": False,
        "name": "P&L",
        "increasing": {"marker": {"color": GREEN}},
        "decreasing": {"marker": {"color": RED}},
        "totals": {"marker": {"color": INK}},
        "connector": {"line": {"color": GREY, "width": 1}},
    }
    gains = [part for part, value in zip(PARTS, values, strict=True) if value > 0]
    losses = [part for part, value in zip(PARTS, values, strict=True) if value < 0]
    note = f"Added: {', '.join(gains) or 'nothing'}. Took away: {', '.join(losses) or 'nothing'}."
    return chart(
        "pnl-bridge",
        "From spread to total at the last mark, dollars",
        note,
        [trace],
        yaxis={"title": {"text": "dollars"}},
    )


def greeks(record: RunRecord) -> Chart:
    """Net Greeks of the position, four panels."""
    rows = record.day.ledger.greeks_net
    times = local_times(rows.column("minute"))
    shown = (
        ("delta", "Delta, shares", BLUE, 1),
        ("gamma", "Gamma, shares per dollar", ORANGE, 1),
        ("vega", "Vega, dollars per vol point", PURPLE, _POINTS),
        ("theta", "Theta, dollars per day", RED, _DAYS_PER_YEAR),
    )
    axes = panels(2, 2)
    data = []
    for number, (name, title, color, scale) in enumerate(shown):
        suffix = str(number + 1) if number else ""
        values = [value / scale for value in rows.column(name)]
        data.append(
            line(times, values, title, color, xaxis=f"x{suffix}", yaxis=f"y{suffix}", showlegend=False, line_shape="hv")
        )
        data[-1]["line"]["shape"] = data[-1].pop("line_shape")
        axes[f"xaxis{suffix}"] |= {"matches": "x"} if number else {}
    close = record.day.close_ts
    deltas = [abs(d) for ts, d in zip(rows.column("minute"), rows.column("delta"), strict=True) if ts < close]
    note = (
        f"Net of options and stock. |delta| was at most {max(deltas):,.0f} shares before the close, and "
        f"{abs(rows.column('delta')[-1]):,.0f} at the end, what expired being settled."
        if deltas
        else "Nothing was held."
    )
    titles = [title for _, title, _, _ in shown]
    annotations = panel_titles(axes, titles)
    return chart(
        "greeks",
        "Net Greeks over the day",
        note,
        data,
        height=480,
        is_wide=True,
        hovermode="x",
        annotations=annotations,
        **axes,
    )
