"""Quote updates per second on one core: decode, conflate, reprice, each alone and together.

One update is one row of an NBBO frame. A feed of 100 ms windows lets the fitter conflate (it fits once a second of
event time); the recorded minute feed does not: every frame brings a fit and a full American refresh.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from axiom.launch import first_chain
from benchmarks._report import main, table
from benchmarks._session import GOOG_CONTRACTS, SEED, describe, goog_or_synthetic
from domain.chain import Chain
from domain.codec import Encoded, decode, encode
from domain.events import NbboUpdated, SessionChanged, SurfaceFitted, UnderlyingUpdated
from domain.events_base import Event
from pricing.fitter import Fitter, FitterSettings
from pricing.repricer import Repricer
from streams.recorded import Recording
from streams.synthetic import SyntheticMarket
from streams.synthetic_settings import SyntheticSettings

T = TypeVar("T")
READ = (SessionChanged, UnderlyingUpdated, NbboUpdated)
NEVER_MS = 1_000_000_000


def options(parser: argparse.ArgumentParser) -> None:
    """Its own options."""
    parser.add_argument("--frames", type=int, default=120, help="NBBO frames of each feed")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Both feeds."""
    frames = 4 if arguments.quick else arguments.frames
    recorded = goog_or_synthetic()
    settings = SyntheticSettings(contracts=GOOG_CONTRACTS // 4 * 4, step_ms=100, session_minutes=2)
    fast = SyntheticMarket(settings, SEED)
    return {
        "minute_feed": rates(recorded, frames),
        "feed_of_100_ms": rates(fast, frames),
        "passed": True,
    }


def rates(recording: Recording, frames: int) -> dict[str, Any]:
    """Updates per second of one feed."""
    listed = first_chain(recording)
    chain = Chain(listed.underlying, recording.trade_date, listed.contracts)
    messages, updates = messages_of(recording, frames)
    decoded, decode_s = timed(lambda: [decode(*message) for message in messages])
    conflating = Fitter(chain, FitterSettings(interval_ms=NEVER_MS))
    _, conflate_s = timed(lambda: through([conflating], decoded))
    stages: list[Fitter | Repricer] = [Fitter(chain), Repricer(chain)]
    fits, all_s = timed(lambda: through(stages, [decode(*message) for message in messages]))
    return {
        **describe(recording, len(chain)),
        "frames": frames,
        "updates": updates,
        "fits": fits,
        "decode_per_second": round(updates / decode_s),
        "conflate_per_second": round(updates / conflate_s),
        "decode_conflate_reprice_per_second": round(updates / all_s),
        "milliseconds_per_fit_and_refresh": round(1e3 * (all_s - decode_s - conflate_s) / max(fits, 1), 2),
    }


def messages_of(recording: Recording, frames: int) -> tuple[list[Encoded], int]:
    """Encoded inputs up to a number of NBBO frames, and the rows of these."""
    found, seen, rows = [], 0, 0
    for item in recording.items():
        if isinstance(item.event, READ):
            found.append(encode(item.event))
        if isinstance(item.event, NbboUpdated):
            seen, rows = seen + 1, rows + len(item.event.frame)
            if seen == frames:
                break
    return found, rows


def through(stages: Sequence[Fitter | Repricer], events: Sequence[Event]) -> int:
    """Run events and what follows from them through stages, in order; return the number of fits."""
    fits = 0
    for event in events:
        queue = [event]
        while queue:
            current = queue.pop(0)
            for stage in stages:
                if type(current) in stage.reads:
                    outputs = stage.apply(current)
                    fits += sum(isinstance(output, SurfaceFitted) for output in outputs)
                    queue.extend(outputs)
    return fits


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """A result and the CPU seconds that it took."""
    began = time.process_time()
    result = work()
    return result, time.process_time() - began


def markdown(result: dict[str, Any]) -> str:
    """The table of the page."""
    columns = (
        ("updates", "updates"),
        ("decode_per_second", "decode/s"),
        ("conflate_per_second", "conflate/s"),
        ("decode_conflate_reprice_per_second", "all/s"),
        ("fits", "fits"),
        ("milliseconds_per_fit_and_refresh", "ms per fit and refresh"),
    )
    rows = [
        [
            f"{result[key]['market']}, {result[key]['contracts']:,} contracts",
            *(result[key][name] for name, _ in columns),
        ]
        for key in ("minute_feed", "feed_of_100_ms")
    ]
    return table(["feed", *(title for _, title in columns)], rows)


if __name__ == "__main__":
    raise SystemExit(main("quote_updates", measure, markdown, options))
