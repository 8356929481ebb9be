"""The live terminal view of a run, and the counters that its metrics show."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console, Group
from rich.live import Live

from axiom.live_state import LiveState
from axiom.runs import RunFolder
from axiom.screen import draw
from domain.events import (
    ChainListed,
    ExposureChanged,
    OrderCleared,
    OrderFilled,
    OrderRefused,
    PnlMarked,
    QuotesCleared,
    QuotesRefused,
    UnderlyingUpdated,
)
from domain.events_base import Event
from domain.metrics import Metrics
from streams.recorded import Recording

_REFRESH_S: Final = 0.2


class LiveView:
    """Counts what happens for the metrics; where it is shown, also keeps a screen up to date, five times a second.

    Args:
        is_shown: Whether somebody looks.
        metrics: Where counts go.
        console: The terminal.
    """

    def __init__(self, *, is_shown: bool, metrics: Metrics, console: Console | None = None) -> None:
        self.state = LiveState()
        self._is_shown = is_shown
        self._metrics = metrics
        self._console = console or Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._drawn = 0.0
        self._ticks_ns: Sequence[int] = ()

    def begin(self, recording: Recording, listed: ChainListed, ticks_ns: Sequence[int]) -> None:
        """Know what will run, and where its tick-to-quote latencies gather."""
        self.state.begin(recording, listed)
        self._ticks_ns = ticks_ns

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
            with contextlib.suppress(OSError):
                self._live.stop()

    def on_input(self, source: str, event: Event, outputs: Sequence[Event]) -> None:  # noqa: ARG002  # the sink protocol
        """Take in one input and what came of it."""
        self._count(event)
        for output in outputs:
            self._count(output)
        if not self._is_shown:
            return
        self.state.take(event)
        for output in outputs:
            self.state.take(output)
        if time.monotonic() - self._drawn > _REFRESH_S:
            self._drawn = time.monotonic()
            try:
                self._live.update(self.render(), refresh=True)
            except OSError:  # the terminal is gone: the run goes on
                self._is_shown = False

    def _count(self, event: Event) -> None:
        metrics = self._metrics
        match event:
            case UnderlyingUpdated():
                metrics.gauge("run.event_time", event.ts_event * 1e-9)
            case QuotesCleared(frame=quotes):
                metrics.count("quoting.quotes_sent", len(quotes))
            case QuotesRefused(frame=refused):
                metrics.count("risk.refusals", len(refused), "quote")
            case OrderCleared():
                metrics.count("orders.sent")
            case OrderRefused():
                metrics.count("risk.refusals", 1, event.reason)
            case OrderFilled():
                metrics.count("orders.fills")
            case ExposureChanged():
                metrics.gauge("risk.exposure.delta", event.delta)
            case PnlMarked():
                metrics.gauge("risk.pnl.total", event.total)
            case _:
                pass

    def render(self) -> Group:
        """The screen as it is now."""
        width, height = self._console.size
        return draw(self.state, self._ticks_ns, width=width, height=height)

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
        if refused := summary["feed_refused"]:
            said = ", ".join(f"{reason} {count:,}" for reason, count in refused.items())
            lines.append(f"left out of the feed: {said}; `axiom tail {folder.path.name} market.health` says which")
        return "\n".join(lines + [f"PROBLEM: {problem}" for problem in summary["problems"]])
