"""The screen of a live run: how a `LiveState` is laid out for a person who trades."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from axiom.live_state import LiveState, clock_of
from domain.chain import Chain
from domain.price import PRICE_SCALE

_EXPIRIES: Final = 2
_FIXED_LINES: Final = 28
"""Lines of the screen that are not strikes: the rest of the terminal is for them."""

_WIDE: Final = 120
"""Columns of a terminal that has room for theos."""

_DAYS: Final = 365.0


def draw(state: LiveState, ticks_ns: Sequence[int] = (), *, width: int = 140, height: int = 48) -> Group:
    """Lay out the screen.

    Args:
        state: What is known now.
        ticks_ns: Tick-to-quote latencies so far, ns; the last 2,000 count.
        width: Columns of the terminal.
        height: Lines of the terminal: they decide how many strikes are shown.
    """
    top = Table.grid(padding=(0, 2))
    top.add_row(_market(state), _exposure(state), _pnl(state), _activity(state, ticks_ns))
    strikes = max((height - _FIXED_LINES) // _EXPIRIES, 3)
    below = Table.grid(padding=(0, 3))
    below.add_row(_fills(state), _notes(state))
    montage = _montage(state, strikes, has_theo=width >= _WIDE)
    parts: list[RenderableType] = [_head(state), _progress(state), top, Text(), montage, Text(), below]
    return Group(*parts)


def _head(state: LiveState) -> Text:
    head = Text(f"{state.underlying}  ", style="bold")
    if state.is_synthetic:
        head.append(" SYNTHETIC MARKET, simulated fills ", style="black on yellow")
    else:
        head.append(" recorded market, simulated fills ", style="black on cyan")
    head.append(f"  {clock_of(state.now) if state.now else '--:--:--'} New York   {state.name}")
    return head


def _progress(state: LiveState) -> Table:
    opens, closes = state.span
    done = min(max(state.now - opens, 0), closes - opens)
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(ratio=1)
    line.add_column(justify="right")
    line.add_row(ProgressBar(total=closes - opens, completed=done), f"{100 * done / (closes - opens):.0f} % of the day")
    return line


def _pairs(title: str, rows: list[tuple[str, RenderableType]]) -> Table:
    table = Table(title=title, title_style="bold", show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for name, value in rows:
        table.add_row(name, value)
    return table


def _market(state: LiveState) -> Table:
    quality = state.quality()
    bid, ask = state.spot
    change = state.mid - state.first_mid
    quoting = (
        Text("quoting", style="bold green")
        if state.is_quoting
        else Text(f"not quoting: {', '.join(state.held_by) or 'not yet'}", style="bold red")
    )
    rows: list[tuple[str, RenderableType]] = [
        ("underlying", f"{bid / PRICE_SCALE:,.2f} x {ask / PRICE_SCALE:,.2f}" if ask else "no quote yet"),
        ("since the open", _signed(change, 2) if state.first_mid else ""),
        ("state", quoting),
        ("two-sided", f"{quality.two_sided:,} of {quality.quotable:,}"),
        ("at or inside NBBO", f"{100 * quality.inside_share:.0f} %" if quality.two_sided else ""),
        ("median width", f"{quality.width:.2f}, NBBO {quality.nbbo_width:.2f}" if quality.two_sided else ""),
    ]
    return _pairs("market and quotes", rows)


def _exposure(state: LiveState) -> Table:
    held = state.exposure
    if held is None:
        return _pairs("position", [("", "none yet")])
    return _pairs(
        "position",
        [
            ("delta, shares", _signed(held.delta)),
            ("delta, $", _signed(held.delta * held.spot)),
            ("gamma, shares per $", _signed(held.gamma, 1)),
            ("vega, $ per point", _signed(held.vega / 100)),
            ("theta, $ per day", _signed(held.theta / _DAYS)),
            ("stock, shares", _signed(held.stock)),
            ("open contracts", f"{state.open_contracts:,}"),
        ],
    )


def _pnl(state: LiveState) -> Table:
    mark = state.pnl
    if mark is None:
        return _pairs("P&L, $", [("", "no mark yet")])
    names = ("spread", "delta", "gamma", "vega", "theta", "rest", "hedging", "fees")
    rows: list[tuple[str, RenderableType]] = [("total", _signed(mark.total, style="bold"))]
    return _pairs("P&L, $", rows + [(name, _signed(getattr(mark, name))) for name in names])


def _activity(state: LiveState, ticks_ns: Sequence[int]) -> Table:
    counts = state.counts
    rows: list[tuple[str, RenderableType]] = [
        ("quote sets", f"{counts['quote_sets']:,}"),
        ("entries", f"{counts['entries']:,}"),
        ("refused entries", f"{counts['refused']:,}"),
        ("orders, refused", f"{counts['orders']:,}, {counts['orders_refused']:,}"),
        ("fills: quotes", f"{counts['quote_fills']:,}"),
        ("fills: hedges", f"{counts['order_fills']:,}"),
    ]
    if len(ticks_ns):
        p50, p99 = np.percentile(np.array(ticks_ns[-2_000:]), [50, 99]) / 1e6
        rows.append(("tick to quote, ms", f"p50 {p50:.2f}  p99 {p99:.2f}"))
    return _pairs("activity", rows)


def _signed(value: float, places: int = 0, style: str = "") -> Text:
    colour = "red" if value < 0 and round(value, places) else ""
    return Text(f"{value:,.{places}f}" if round(value, places) else "0", style=f"{style} {colour}".strip())


# --- the chain near the money -----------------------------------------------------------------------------------------


def _montage(state: LiveState, strikes: int, *, has_theo: bool) -> Table:
    """Calls left, puts right, the strikes around the spot of the nearest expiries: NBBO outside, ours inside."""
    title = "calls                         nearest the money: NBBO outside, ours inside                         puts"
    table = Table(title=title, title_style="bold", box=None, expand=True, pad_edge=False, header_style="dim")
    side = ("held", "theo", "NBBO", "bid", "ask", "NBBO") if has_theo else ("held", "NBBO", "bid", "ask", "NBBO")
    for name in (*side, "strike", *side):
        table.add_column(name, justify="center" if name == "strike" else "right", no_wrap=True)
    if state.chain is None or not state.mid:
        return table
    for expiry in _shown_expiries(state, state.chain):
        blank = [""] * len(side)
        table.add_row(*blank, Text(f"{state.chain.expiries[expiry][1]:%d %b %Y}", style="bold"), *blank)
        for call, put in _near(state, state.chain, expiry, strikes):
            strike = Text(f"{state.chain.strike[call]:,.2f}".removesuffix(".00"), style="bold")
            left, right = (_cells(state, row, has_theo=has_theo) for row in (call, put))
            table.add_row(*left, strike, *right)
    return table


def _shown_expiries(state: LiveState, chain: Chain) -> list[int]:
    is_quoted = (state.nbbo > 0).any(axis=0)
    quoted = np.flatnonzero(np.bincount(chain.expiry_index[is_quoted], minlength=len(chain.expiries)))
    return [int(expiry) for expiry in quoted if chain.expiry_ns[expiry] > state.now][:_EXPIRIES]


def _near(state: LiveState, chain: Chain, expiry: int, strikes: int) -> list[tuple[int, int]]:
    """Call and put of the strikes around the spot, ascending."""
    start, stop = int(chain.expiry_start[expiry]), int(chain.expiry_start[expiry + 1])
    calls = [row for row in range(start, stop) if chain.sign[row] > 0 and chain.partner[row] >= 0]
    middle = int(np.searchsorted(chain.strike[calls], state.mid))
    first = min(max(middle - strikes // 2, 0), max(len(calls) - strikes, 0))
    return [(row, int(chain.partner[row])) for row in calls[first : first + strikes]]


def _cells(state: LiveState, row: int, *, has_theo: bool) -> list[Text]:
    best = state.best
    nbbo_bid, nbbo_ask = (int(price) for price in state.nbbo[:, row])
    bid, ask = int(best.bid[row]), int(best.ask[row])
    held = int(state.held[row])
    theo = state.theo[row] if len(state.theo) else np.nan
    cells = [Text(f"{held:+,}" if held else "", style="red" if held < 0 else "green")]
    if has_theo:
        cells.append(Text(f"{theo:.3f}" if np.isfinite(theo) else "", style="dim"))
    return [
        *cells,
        Text(_price(nbbo_bid)),
        Text(_price(bid), style="bold green" if bid >= nbbo_bid > 0 else "yellow"),
        Text(_price(ask), style="bold green" if 0 < ask <= nbbo_ask else "yellow"),
        Text(_price(nbbo_ask)),
    ]


def _price(units: int) -> str:
    return f"{units / PRICE_SCALE:.2f}" if units else "-"


# --- what happened ----------------------------------------------------------------------------------------------------


def _fills(state: LiveState) -> Table:
    table = Table(title="last fills", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for name in ("time", "kind", "side", "quantity", "contract", "price", "edge"):
        table.add_column(name, justify="right" if name in {"quantity", "price", "edge"} else "left", no_wrap=True)
    for fill in state.fills:
        side = Text(fill.side, style="green" if fill.side == "buy" else "red")
        edge = _signed(fill.edge, 3) if np.isfinite(fill.edge) else Text()
        price = f"{fill.price:,.2f}"
        table.add_row(clock_of(fill.ts), fill.kind, side, f"{fill.quantity:,}", fill.name, price, edge)
    return table


def _notes(state: LiveState) -> Table:
    table = Table(title="notes", title_style="bold", box=None, show_header=False, pad_edge=False)
    for ts, text in state.notes:
        table.add_row(clock_of(ts), Text(text, style="yellow"))
    return table
