"""Charts of what we held and what it earned: P&L, its parts, net Greeks."""

from __future__ import annotations

from typing import Final

from domain.calendar import DAY_NS
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
from store.ledger import DEFINITIONS, PARTS
from store.record import RunRecord
from store.rows import Rows

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
        f"Total at the last mark {money(last['total'])}. The parts add up to the total at every mark: the Greeks and "
        "rest revalue what was held, hedging is what fills of stock gained or lost against its mark. Spread: "
        f"{DEFINITIONS['pnl.spread'][:1].lower()}{DEFINITIONS['pnl.spread'][1:]}"
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
    """Net Greeks of the position, six panels: gamma and theta of options that expire today stand apart.

    What these lose in a day says little, as they have hours left and their theta grows without bound. It is shown times
    what is left of the session, which stays of the size of what there is to lose.
    """
    rows = record.day.ledger.greeks_net
    times = local_times(rows.column("minute"))
    axes = panels(3, 2)
    data = []
    close = record.day.close_ts
    for number, (title, color, values) in enumerate(_greek_panels(rows, close)):
        suffix = str(number + 1) if number else ""
        trace = line(times, values, title, color, xaxis=f"x{suffix}", yaxis=f"y{suffix}", showlegend=False)
        trace["line"]["shape"] = "hv"
        data.append(trace)
        axes[f"xaxis{suffix}"] |= {"matches": "x"} if number else {}
    deltas = [abs(d) for ts, d in zip(rows.column("minute"), rows.column("delta"), strict=True) if ts < close]
    note = (
        f"Net of options and stock. |delta| was at most {max(deltas):,.0f} shares before the close, and "
        f"{abs(rows.column('delta')[-1]):,.0f} at the end, what expired being settled. Options that expire today stand "
        "apart, as at the money their gamma and theta grow without bound; their theta is shown times the time to the "
        "close."
        if deltas
        else "Nothing was held."
    )
    return chart(
        "greeks",
        "Net Greeks over the day",
        note,
        data,
        height=680,
        is_wide=True,
        hovermode="x",
        annotations=panel_titles(axes, [trace["name"] for trace in data]),
        **axes,
    )


def _greek_panels(rows: Rows, close: int) -> list[tuple[str, str, list[float]]]:
    """Title, colour and values of each panel, in the units that a trader reads."""
    gamma, theta = (
        [(net - today, today) for net, today in zip(rows.column(name), rows.column(f"{name}_expiring"), strict=True)]
        for name in ("gamma", "theta")
    )
    left = [max(close - ts, 0) / (_DAYS_PER_YEAR * DAY_NS) for ts in rows.column("minute")]
    return [
        ("Delta, shares", BLUE, list(rows.column("delta"))),
        ("Vega, dollars per vol point", PURPLE, [value / _POINTS for value in rows.column("vega")]),
        ("Gamma of later expiries, shares per dollar", ORANGE, [later for later, _ in gamma]),
        ("Gamma expiring today, shares per dollar", ORANGE, [today for _, today in gamma]),
        ("Theta of later expiries, dollars per day", RED, [later / _DAYS_PER_YEAR for later, _ in theta]),
        (
            "Theta expiring today, dollars to the close",
            RED,
            [today * years for (_, today), years in zip(theta, left, strict=True)],
        ),
    ]
