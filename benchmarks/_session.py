"""A whole colocated session whose market the benchmark drives: the product's own loop, stages, gate, outlet, journal.

Nothing is taken out and nothing stands in: `streams.embedded` runs the session as `axiom run` does. Only the feed is
ours (a recorded or synthetic market up to an instant, then moves of the underlying), and the pace (an open-loop
schedule on the clock of the wall).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from axiom.compose import SHARD, Composer
from axiom.imports import no_positions
from axiom.launch import first_chain
from axiom.settings import Settings
from benchmarks._report import CHECKOUT
from domain.codec import Encoded
from domain.commands import OperatorCommand
from domain.events import Clearance, QuotesCleared, RunStarted, UnderlyingUpdated
from domain.events_base import Event
from domain.metrics import MetricName
from domain.price import PRICE_SCALE
from risk.limits import Limits
from streams.direct import DirectOutlet, Parcel
from streams.embedded import Control, EmbeddedRun
from streams.journal import JournalWriter, Kind
from streams.lean import open_lean
from streams.recorded import FeedItem, Recording
from streams.shard import Shard
from streams.synthetic import SyntheticMarket
from streams.synthetic_settings import SyntheticSettings

GOOG: Final = ("GOOG", dt.date(2015, 12, 24))
GOOG_CONTRACTS: Final = 2_192
SEED: Final = 1
TICK_NS: Final = 40_000_000
"""Event time between two moves: 1,300 of them fit between two NBBO updates of a minute feed."""
MOVE: Final = 0.25
"""Dollars per move. Of the one-minute moves of GOOG on that day 68 % are smaller; every one of this size changes more
than a thousand contracts."""
_CENT: Final = PRICE_SCALE // 100
_REACH: Final = 8


def shared_lean() -> Path | None:
    """The recorded LEAN folder beside the checkout (`AXIOM_SHARED` names another place), None where there is none."""
    folder = Path(os.environ.get("AXIOM_SHARED") or CHECKOUT.parent / "shared") / "data" / "lean"
    return folder if (folder / "Data" / "option" / "usa" / "minute" / "goog").is_dir() else None


def goog_or_synthetic() -> Recording:
    """The recorded GOOG chain where it is, else a synthetic chain of the same size."""
    folder = shared_lean()
    return open_lean(folder, *GOOG) if folder is not None else synthetic(GOOG_CONTRACTS)


def synthetic(contracts: int) -> Recording:
    """A synthetic minute market of that many contracts, at the price of GOOG."""
    settings = SyntheticSettings(
        contracts=contracts, spot=750.0, session_minutes=30, step_ms=60_000, tick="nickel_dime", orders_per_minute=30.0
    )
    return SyntheticMarket(settings, SEED)


def describe(recording: Recording, contracts: int) -> dict[str, object]:
    """What the market of a benchmark is, and whether it was made up."""
    return {"market": recording.name, "is_synthetic": recording.is_synthetic, "contracts": contracts}


@dataclass(slots=True)
class OpenLoop:
    """Pace: move i is due at start + i * interval, whatever became of those before. All else happens at once.

    Args:
        moves: Event times of the moves.
        intervals_ns: Wall time between each move and the one before it; 0 sends it as soon as the loop is free.
    """

    moves: Sequence[int]
    intervals_ns: Sequence[int]
    late_ns: list[int] = field(default_factory=list)
    begun_ns: list[int] = field(default_factory=list)
    _due: int = 0

    def wait(self, until_ts: int, control: Control) -> bool:  # noqa: ARG002  # the protocol of `streams.embedded.Pace`
        """Poll the clock until a move is due, as a process does that has a core of its own."""
        turn = len(self.late_ns)
        if turn >= len(self.moves) or until_ts != self.moves[turn]:
            return True
        interval, now = self.intervals_ns[turn], time.perf_counter_ns()
        is_first = turn == 0 or self.intervals_ns[turn - 1] != interval
        self._due = now if interval == 0 or is_first else self._due + interval
        while (now := time.perf_counter_ns()) < self._due:
            pass
        self.begun_ns.append(now)
        self.late_ns.append(now - self._due)
        return True


class Alone:
    """Control: nobody acts on the run."""

    should_stop = False

    def poll(self) -> Sequence[OperatorCommand]:
        """No command."""
        return ()

    def answer(self, command: OperatorCommand, outputs: Sequence[Event]) -> None:
        """Nobody asked."""


class StageTimes:
    """Metrics: seconds of each part since the last `take`."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = {}

    def count(self, name: MetricName, value: float = 1.0, label: str = "") -> None:
        """Not collected."""

    def gauge(self, name: MetricName, value: float, label: str = "") -> None:
        """Not collected."""

    def observe(self, name: MetricName, value: float, label: str = "") -> None:
        """Add the time of one stage."""
        if name == "shard.apply.seconds":
            self.add(label, value)

    def add(self, label: str, seconds: float) -> None:
        """Add the time of any part."""
        self._spent[label] = self._spent.get(label, 0.0) + seconds

    def take(self) -> dict[str, float]:
        """What was spent since the last call."""
        spent, self._spent = self._spent, {}
        return spent


class TimedOutlet(DirectOutlet):
    """The outlet, timed: verify, split by venue and message, serialise."""

    times: StageTimes

    def send(self, clearance: Clearance, now: int) -> list[Parcel]:
        """As the outlet does."""
        begun = time.perf_counter_ns()
        parcels = super().send(clearance, now)
        self.times.add("outlet", (time.perf_counter_ns() - begun) * 1e-9)
        return parcels


class TimedJournal(JournalWriter):
    """The journal, timed where it is written."""

    times: StageTimes

    def append(self, kind: Kind, source: str, offset: int, message: Encoded) -> int:
        """As the journal does."""
        begun = time.perf_counter_ns()
        sequence = super().append(kind, source, offset, message)
        self.times.add("journal", (time.perf_counter_ns() - begun) * 1e-9)
        return sequence


@dataclass(slots=True)
class Tick:
    """What one move of the underlying caused.

    Attributes:
        service_ns: From the decoded event in hand, its journaling included, to the last serialised message.
        late_ns: From the intended send time to the start of that.
        loop_ns: From the start of this move to the loop being free for the next: service, then the journal of outputs,
            the digest, the venues' side and their answers. 0 where it is not known.
        entries, contracts, messages: Of the mass quotes that left.
        stages: Seconds of each part of the service time.
    """

    service_ns: int
    late_ns: int
    loop_ns: int
    entries: int
    contracts: int
    messages: int
    stages: dict[str, float]


class Watch:
    """Sink: notes what came of each move."""

    def __init__(self, source: str, outlet: TimedOutlet, times: StageTimes) -> None:
        self.ticks: list[Tick] = []
        self.run: EmbeddedRun
        self._source = source
        self._outlet = outlet
        self._times = times
        self._messages = 0
        self.is_on = False

    def on_input(self, source: str, event: Event, outputs: Sequence[Event]) -> None:
        """Look at an input after it was acted on."""
        stages = self._times.take()
        messages, self._messages = self._outlet.quote_messages - self._messages, self._outlet.quote_messages
        if not self.is_on or source != self._source or not isinstance(event, UnderlyingUpdated):
            return
        frames = [output.frame for output in outputs if isinstance(output, QuotesCleared)]
        changed = np.unique(np.concatenate([frame.contract for frame in frames])) if frames else ()
        service = self.run.tick_to_quote_ns[-1] if frames else 0
        self.ticks.append(Tick(service, 0, 0, sum(map(len, frames)), len(changed), messages, stages))


@dataclass(slots=True)
class Session:
    """A session at the instant from which the benchmark drives it."""

    run: EmbeddedRun
    watch: Watch
    pace: OpenLoop
    spot: float

    def ticks(self) -> list[Tick]:
        """Send all moves; what each caused."""
        self.watch.is_on = True
        self.run.run(self.pace.moves[-1] + TICK_NS // 2)
        found, begun = self.watch.ticks, self.pace.begun_ns
        for turn, tick in enumerate(found):
            tick.late_ns = self.pace.late_ns[turn]
            is_free_next = turn + 1 < len(found) and self.pace.intervals_ns[turn + 1] == 0
            tick.loop_ns = begun[turn + 1] - begun[turn] if is_free_next else 0
        return found


@contextlib.contextmanager
def session(recording: Recording, intervals_ns: Sequence[int], *, minutes: int, move: float) -> Iterator[Session]:
    """A session that has seen the first minutes of a market, and the moves that it will see next.

    The underlying walks up and down by `move` dollars, seeded, within eight moves of where it was. Options do not
    move: their market is that of the last minute. Venues answer between moves.

    Args:
        recording: The market.
        intervals_ns: Wall time before each move; see `OpenLoop`.
        minutes: Minutes of the session that are applied first.
        move: Dollars per move.
    """
    settings = Settings(limits=Limits(max_entries=50_000_000, max_messages=1_000_000))
    listed = first_chain(recording)
    composer = Composer()
    ports = composer.ports(settings, listed)
    times = StageTimes()
    warm_ts = recording.open_ns + minutes * 60_000_000_000
    before: list[FeedItem] = []
    last: UnderlyingUpdated | None = None
    for item in recording.items():
        if item.event.ts_event > warm_ts:
            break
        before.append(item)
        if isinstance(item.event, UnderlyingUpdated):
            last = item.event
    if last is None:
        message = "no quote of the underlying before the first move"
        raise SystemExit(message)
    moves = _moves(last, warm_ts, len(intervals_ns), round(move * PRICE_SCALE) // _CENT * _CENT)
    source, offset = before[-1].source, before[-1].offset + 1
    feed = [*before, *(FeedItem(source, offset + turn, event) for turn, event in enumerate(moves))]
    pace = OpenLoop([event.ts_event for event in moves], intervals_ns)
    with tempfile.TemporaryDirectory(prefix="axiom-bench-") as folder:
        journal = TimedJournal(Path(folder))
        journal.times = times
        outlet = TimedOutlet(composer.ledgers(recording.underlying), ports, settings.run.max_entries)
        outlet.times = times
        watch = Watch(source, outlet, times)
        run = EmbeddedRun(
            started=RunStarted(
                ts_event=0,
                ts_init=0,
                underlying=recording.underlying,
                run="benchmark",
                seed=settings.run.seed,
                source=recording.name,
                is_synthetic=recording.is_synthetic,
                trade_date=recording.trade_date.isoformat(),
                settings=settings.to_json(),
            ),
            imported=[no_positions(recording.underlying)],
            feed=feed,
            shard=Shard(SHARD, composer.stages, times),
            outlet=outlet,
            ports=ports,
            journal=journal,
            control=Alone(),
            pace=pace,
            sinks=[watch],
            metrics=times,
        )
        watch.run = run
        run.run(warm_ts + TICK_NS // 2)
        try:
            yield Session(run, watch, pace, (last.bid + last.ask) / (2 * PRICE_SCALE))
        finally:
            journal.close()


def _moves(last: UnderlyingUpdated, after: int, count: int, step: int) -> list[UnderlyingUpdated]:
    """A seeded walk of the underlying's quote, `step` units at a time, reflected `_REACH` steps from its start."""
    rng = np.random.default_rng(SEED)
    found, place = [], 0
    for turn, sign in enumerate(rng.choice((-1, 1), count).tolist()):
        place += -sign if abs(place + sign) > _REACH else sign
        ts = after + (turn + 1) * TICK_NS + 1
        found.append(
            UnderlyingUpdated(
                ts_event=ts,
                ts_init=ts,
                underlying=last.underlying,
                bid=last.bid + place * step,
                bid_size=last.bid_size,
                ask=last.ask + place * step,
                ask_size=last.ask_size,
            )
        )
    return found
