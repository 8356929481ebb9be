"""How tick-to-quote and quote updates grow with the chain: synthetic chains of 200 to 20,000 contracts."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from axiom.launch import first_chain
from benchmarks import quote_updates, tick_to_quote
from benchmarks._report import growth, latency, main, table
from benchmarks._session import MOVE, SEED, session, synthetic
from streams.synthetic import SyntheticMarket
from streams.synthetic_settings import SyntheticSettings

SIZES = (200, 2_000, 20_000)


def options(parser: argparse.ArgumentParser) -> None:
    """Its own options."""
    parser.add_argument("--moves", type=int, default=100, help="moves of the underlying for each size")
    parser.add_argument("--frames", type=int, default=30, help="NBBO frames for each size")
    parser.add_argument("--move", type=float, default=MOVE, help="dollars per move of the underlying")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every size."""
    sizes = SIZES[:1] if arguments.quick else SIZES
    moves, frames = (10, 3) if arguments.quick else (arguments.moves, arguments.frames)
    found = [one(size, moves, frames, arguments.move) for size in sizes]
    contracts = [row["contracts"] for row in found]
    result: dict[str, Any] = {"sizes": found, "passed": True}
    if len(found) > 1:
        result["growth_of_tick_to_quote"] = round(growth(contracts, [row["service_us"]["p50"] for row in found]), 2)
        result["growth_of_fit_and_refresh"] = round(growth(contracts, [row["fit_and_refresh_ms"] for row in found]), 2)
    return result


def one(contracts: int, moves: int, frames: int, move: float) -> dict[str, Any]:
    """One size."""
    recording = synthetic(contracts)
    size = len(first_chain(recording).contracts)
    with session(recording, [0] * (moves + 5), minutes=1, move=move) as run:
        ticks = run.ticks()[5:]
    fast = SyntheticMarket(SyntheticSettings(contracts=contracts, step_ms=100, session_minutes=2), SEED)
    updates = quote_updates.rates(fast, frames)
    return {
        "contracts": size,
        "service_us": latency(tick.service_ns for tick in ticks if tick.service_ns),
        "changed_contracts": float(np.median([tick.contracts for tick in ticks])),
        "stages_us": tick_to_quote.stages(ticks),
        "updates_per_second": updates["decode_conflate_reprice_per_second"],
        "fit_and_refresh_ms": updates["milliseconds_per_fit_and_refresh"],
    }


def markdown(result: dict[str, Any]) -> str:
    """The table of the page."""
    rows = [
        [
            f"{row['contracts']:,}",
            row["changed_contracts"],
            row["service_us"]["p50"],
            row["service_us"]["p99"],
            row["service_us"]["p50"] / row["contracts"],
            row["updates_per_second"],
            row["fit_and_refresh_ms"],
        ]
        for row in result["sizes"]
    ]
    head = ("contracts", "changed", "p50 us", "p99 us", "p50 us per contract", "updates/s", "fit and refresh ms")
    text = table(head, rows)
    if "growth_of_tick_to_quote" in result:
        text += (
            f"\n\nTick-to-quote grows as contracts^{result['growth_of_tick_to_quote']:g}, a fit with its refresh as "
            f"contracts^{result['growth_of_fit_and_refresh']:g}."
        )
    return text


if __name__ == "__main__":
    raise SystemExit(main("scaling", measure, markdown, options))
