"""The live terminal view of a run: underlying, quotes against NBBO, position, fills, P&L, latencies, progress."""

from __future__ import annotations

import datetime as dt
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from axiom.runs import RunFolder
from domain.calendar import ny_time
from domain.chain import Chain
from domain.commands import STOCK
from domain.events import (
    ChainListed,
    ExposureChanged,
    GreeksComputed,
    KillSwitchEngaged,
    KillSwitchReleased,
    NbboUpdated,
    OrderCleared,
    OrderFilled,
    OrderRefused,
    PnlMarked,
    ProtectionTripped,
    QuotesCleared,
    QuotesRefused,
    QuotingStateChanged,
    UnderlyingUpdated,
)
from domain.events_base import Event
from domain.metrics import Metrics
from streams.recorded import Recording

_REFRESH_S: Final = 0.2
_ROWS: Final = 12
_UNITS: Final = 10_000.0


class LiveView:
    """Collects what a person wants to see, and counts it for the metrics. Drawn only when it is shown."""

    def __init__(self, *, is_shown: bool, metrics: Metrics, console: Console | None = None) -> None:
        self._is_shown = is_shown
        self._metrics = metrics
        self._console = console or Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._drawn = 0.0
        self._span = (0, 1)
        self._name = ""
        self._is_synthetic = False
        self._now = 0
        self._chain: Chain | None = None
        self._spot = ""
        self._quotes: dict[str, int] = {"messages": 0, "entries": 0, "refused": 0, "orders": 0}
        self._fills: deque[str] = deque(maxlen=6)
        self._fill_count = 0
        self._exposure: ExposureChanged | None = None
        self._pnl: PnlMarked | None = None
        self._notes: deque[str] = deque(maxlen=4)
        self._ticks: deque[float] = deque(maxlen=2_000)
        self._nbbo: npt.NDArray[np.int64] = np.zeros((2, 0), np.int64)
        self._ours: npt.NDArray[np.int64] = np.zeros((2, 0), np.int64)
        self._delta: npt.NDArray[np.float64] = np.zeros(0)

    def begin(self, recording: Recording, listed: ChainListed) -> None:
        """Know what will run."""
        self._take(listed)
        self._name, self._is_synthetic = recording.name, recording.is_synthetic
        self._span = (recording.open_ns, recording.close_ns)

    def __enter__(self) -> Self:
        """Start drawing."""
        if self._is_shown:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        if self._is_shown:
            self._live.stop()

    def on_input(self, source: str, event: Event, outputs: Sequence[Event]) -> None:  # noqa: ARG002  # the sink protocol
        """Take in one input and what came of it."""
        self._now = max(self._now, event.ts_event)
        self._take(event)
        for output in outputs:
            self._take(output)
        if self._is_shown and time.monotonic() - self._drawn > _REFRESH_S:
            self._drawn = time.monotonic()
            self._live.update(self.render(), refresh=True)

    def on_tick(self, microseconds: float) -> None:
        """Take in one latency."""
        self._ticks.append(microseconds)

    def _take(self, event: Event) -> None:  # noqa: C901, PLR0912  # one branch for each kind of event
        match event:
            case ChainListed():
                self._chain = Chain(event.underlying, dt.date.fromisoformat(event.trade_date), event.contracts)
                self._nbbo = np.zeros((2, len(self._chain)), np.int64)
                self._ours = np.zeros((2, len(self._chain)), np.int64)
            case UnderlyingUpdated():
                self._spot = f"{event.bid / _UNITS:.2f} x {event.ask / _UNITS:.2f}"
                self._metrics.gauge("run.event_time", event.ts_event * 1e-9)
            case NbboUpdated(frame=frame):
                self._nbbo[:, frame.contract] = frame.bid, frame.ask
            case GreeksComputed(frame=greeks):
                self._delta = greeks.delta
            case QuotesCleared(frame=quotes):
                self._quotes["messages"] += 1
                self._quotes["entries"] += len(quotes)
                self._ours[0, quotes.contract] = np.where(quotes.bid_size > 0, quotes.bid, 0)
                self._ours[1, quotes.contract] = np.where(quotes.ask_size > 0, quotes.ask, 0)
                self._metrics.count("quoting.quotes_sent", len(quotes))
            case QuotesRefused(frame=refused):
                self._quotes["refused"] += len(refused)
                self._metrics.count("risk.refusals", len(refused), "quote")
            case OrderCleared():
                self._quotes["orders"] += 1
                self._metrics.count("orders.sent")
            case OrderRefused():
                self._metrics.count("risk.refusals", 1, event.reason)
                self._notes.append(f"order refused: {event.reason} {event.detail}")
            case OrderFilled():
                self._fill_count += 1
                self._fills.append(self._describe(event))
                self._metrics.count("orders.fills")
            case ExposureChanged():
                self._exposure = event
                self._metrics.gauge("risk.exposure.delta", event.delta)
            case PnlMarked():
                self._pnl = event
                self._metrics.gauge("risk.pnl.total", event.total)
            case ProtectionTripped():
                self._notes.append(f"protection tripped: {event.rule} {event.value:g} against {event.limit:g}")
            case KillSwitchEngaged() | KillSwitchReleased():
                self._notes.append(f"{type(event).__name__}: {event.user}, {event.reason}")
            case QuotingStateChanged():
                self._notes.append("quoting" if event.is_quoting else f"not quoting: {', '.join(event.held_by)}")
            case _:
                pass

    def _describe(self, fill: OrderFilled) -> str:
        name = (
            fill.underlying
            if fill.contract == STOCK or self._chain is None
            else self._chain.contracts[fill.contract].osi
        )
        kind = "quote" if fill.is_quote else fill.intent
        return f"{clock_of(fill.ts_event)} {kind:8} {fill.side:4} {fill.quantity:>6} {name} @ {fill.price / _UNITS:.2f}"

    def render(self) -> Group:
        """The screen."""
        opens, closes = self._span
        done = min(max(self._now - opens, 0), closes - opens)
        label = "SYNTHETIC MARKET" if self._is_synthetic else "recorded market, simulated fills"
        clock = clock_of(self._now) if self._now else "--:--:--"
        head = Text(f"{self._name}  {clock} New York  {label}", style="bold")
        grid = Table.grid(padding=(0, 3))
        grid.add_row(self._book(), self._held())
        fills = Table(title=f"fills ({self._fill_count})", expand=True, show_header=False)
        for line in self._fills:
            fills.add_row(line)
        notes = Text("\n".join(self._notes), style="yellow")
        return Group(head, ProgressBar(total=closes - opens, completed=done), grid, self._ladder(), fills, notes)

    def _book(self) -> Table:
        table = Table(title="quoting", show_header=False)
        table.add_row("underlying", self._spot)
        table.add_row("quotes shown", f"{int(np.count_nonzero(self._ours.all(axis=0))):,}")
        for name, value in self._quotes.items():
            table.add_row(name, f"{value:,}")
        if self._ticks:
            p50, p99 = np.percentile(np.array(self._ticks), [50, 99])
            table.add_row("tick to quote", f"p50 {p50:,.0f} us  p99 {p99:,.0f} us")
        return table

    def _held(self) -> Table:
        table = Table(title="position and P&L", show_header=False)
        if self._exposure is not None:
            for name in ("delta", "gamma", "vega", "theta", "stock"):
                table.add_row(name, f"{getattr(self._exposure, name):,.0f}")
        if self._pnl is not None:
            for name in ("total", "spread", "hedging", "fees"):
                table.add_row(f"P&L {name}", f"{getattr(self._pnl, name):,.0f}")
        return table

    def _ladder(self) -> Table:
        table = Table(title="nearest the money: NBBO and ours", expand=True)
        for name in ("contract", "NBBO bid", "our bid", "our ask", "NBBO ask"):
            table.add_column(name, justify="left" if name == "contract" else "right")
        if self._chain is None or len(self._delta) != len(self._chain):
            return table
        rows = np.flatnonzero(self._ours.all(axis=0) & self._nbbo.all(axis=0))
        near = rows[np.argsort(np.abs(np.abs(self._delta[rows]) - 0.5), kind="stable")[:_ROWS]]
        for row in near.tolist():
            prices = (self._nbbo[0, row], self._ours[0, row], self._ours[1, row], self._nbbo[1, row])
            table.add_row(self._chain.contracts[row].osi, *(f"{price / _UNITS:.2f}" for price in prices))
        return table

    def summary(self, summary: dict[str, Any], folder: RunFolder) -> str:
        """The closing lines for a person."""
        pnl = summary["pnl"]
        parts = ", ".join(f"{name} {pnl[name]:,.0f}" for name in ("spread", "delta", "gamma", "vega", "theta", "rest"))
        ticks = summary["tick_to_quote_us"]
        counts = [
            f"{name.replace('_', ' ')} {summary[name]:,}" for name in ("events", "quotes_sent", "orders", "fills")
        ]
        lines = [
            summary["label"],
            "  ".join(counts),
            f"P&L {pnl['total']:,.0f}: {parts}, hedging {pnl['hedging']:,.0f}, fees {pnl['fees']:,.0f}",
            f"tick to quote p50 {ticks.get('p50', 0):,.0f} us, p99 {ticks.get('p99', 0):,.0f} us",
            f"peak memory {summary['peak_rss_mib']:,.0f} MiB, {summary['wall_seconds']:.1f} s",
            f"digest {summary['digest']}",
            f"report {folder.report}",
        ]
        return "\n".join(lines + [f"PROBLEM: {problem}" for problem in summary["problems"]])


def clock_of(ts: int) -> str:
    """New York time of day as HH:MM:SS."""
    seconds = ny_time(ts)[1] // 1_000_000_000
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
