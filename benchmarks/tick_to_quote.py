"""Tick to quote, colocated: a move of the underlying in, the last serialised mass quote out.

The clock runs from the decoded event in hand, its journaling included, through every stage (reprice the chain,
positions, P&L, quotes, hedges, risk gate and its seal) to the last mass quote that the outlet has verified, split by
venue and serialised. Not included: sockets, and what follows once quotes have left (journal of the outputs, digest, the
venues' side and their answers); the loop time states that.

Open loop: moves are sent on a fixed schedule and timed from the intended send time. Closed loop: each as soon as the
loop is free, timed alone.
"""

from __future__ import annotations

import argparse
import gc
from typing import Any

import numpy as np

from axiom.launch import first_chain
from benchmarks._report import latency, main, table
from benchmarks._session import MOVE, Tick, describe, goog_or_synthetic, session

LEAST_CHANGED = 500
"""A move counts when it changes the quotes of at least so many contracts."""


def options(parser: argparse.ArgumentParser) -> None:
    """Its own options."""
    parser.add_argument("--rate", type=float, default=20.0, help="moves per second of the open loop")
    parser.add_argument("--moves", type=int, default=900, help="moves of the open loop")
    parser.add_argument("--closed-moves", type=int, default=300, help="moves of the closed loop")
    parser.add_argument("--minutes", type=int, default=30, help="minutes of the day that are applied first")
    parser.add_argument("--move", type=float, default=MOVE, help="dollars per move of the underlying")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Both loops in one session."""
    closed, opened, minutes = arguments.closed_moves, arguments.moves, arguments.minutes
    if arguments.quick:
        closed, opened, minutes = 10, 10, 2
    interval = round(1e9 / arguments.rate)
    recording = goog_or_synthetic()
    contracts = len(first_chain(recording).contracts)
    warm_up = 10
    intervals = [0] * (warm_up + closed) + [interval] * opened
    with session(recording, intervals, minutes=minutes, move=arguments.move) as run:
        gc.collect()
        ticks = run.ticks()
    ticks = ticks[warm_up:]
    first, second = ticks[:closed], ticks[closed:]
    changed = [tick.contracts for tick in ticks]
    return {
        **describe(recording, contracts),
        "minutes_applied": minutes,
        "move_dollars": arguments.move,
        "changed_contracts": {"min": min(changed), "median": float(np.median(changed)), "max": max(changed)},
        "entries": _range([tick.entries for tick in ticks]),
        "messages": _range([tick.messages for tick in ticks]),
        "open_loop_us": {
            "offered_per_second": arguments.rate,
            **latency(tick.late_ns + tick.service_ns for tick in second if tick.service_ns),
        },
        "service_us": latency(tick.service_ns for tick in first if tick.service_ns),
        "loop_us": latency(tick.loop_ns for tick in first if tick.loop_ns),
        "saturation_per_second": round(1e9 / float(np.mean([tick.loop_ns for tick in first if tick.loop_ns])), 1),
        "stages_us": stages(first),
        "below_500_contracts": sum(count < LEAST_CHANGED for count in changed),
        "passed": arguments.quick or min(changed) >= LEAST_CHANGED,
    }


def _range(values: list[int]) -> dict[str, float]:
    return {"min": min(values), "median": float(np.median(values)), "max": max(values)}


def stages(ticks: list[Tick]) -> dict[str, float]:
    """Median microseconds of each part, slowest first; `shard and encoding` is what no part accounts for."""
    names = sorted({name for tick in ticks for name in tick.stages})
    found = {name: float(np.median([tick.stages.get(name, 0.0) for tick in ticks])) * 1e6 for name in names}
    rest = [tick.service_ns * 1e-3 - sum(tick.stages.values()) * 1e6 for tick in ticks]
    found["shard and encoding"] = float(np.median(rest))
    return {name: round(found[name], 1) for name in sorted(found, key=lambda name: -found[name])}


def markdown(result: dict[str, Any]) -> str:
    """The tables of the page."""
    columns = ("p50", "p90", "p99", "p99.9", "max", "n")
    rows = [
        [title, *(result[key][name] for name in columns)]
        for key, title in (
            ("open_loop_us", f"open loop, {result['open_loop_us']['offered_per_second']:g}/s, from intended send time"),
            ("service_us", "service time, closed loop"),
            ("loop_us", "whole loop: service, journal of outputs, digest, venues and their answers"),
        )
    ]
    kind = "synthetic" if result["is_synthetic"] else "recorded"
    changed, entries, messages = (result[name] for name in ("changed_contracts", "entries", "messages"))
    facts = (
        f"{result['market']} ({kind}), {result['contracts']:,} contracts, after {result['minutes_applied']} minutes; "
        f"moves of ${result['move_dollars']:g}. Each changes {changed['min']:,} to {changed['max']:,} contracts "
        f"(median {changed['median']:,.0f}): {entries['median']:,.0f} entries in {messages['median']:.0f} messages "
        f"(medians). The loop saturates at {result['saturation_per_second']:g} moves per second."
    )
    split = table(["part of the service time (medians)", "us"], result["stages_us"].items())
    return f"{facts}\n\n{table(['microseconds', *columns], rows)}\n\n{split}"


if __name__ == "__main__":
    raise SystemExit(main("tick_to_quote", measure, markdown, options))
