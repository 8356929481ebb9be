"""Start a run, or go on with one that was killed."""

from __future__ import annotations

import datetime as dt
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from axiom.compose import SHARD, Composer
from axiom.imports import no_positions, read_positions
from axiom.interrupts import operator
from axiom.pace import MaxSpeed, Paced
from axiom.runs import RunConfig, RunFolder
from axiom.settings import Settings, from_json
from domain.chain import Chain
from domain.commands import PauseQuoting
from domain.errors import DataError, InputError
from domain.events import ChainListed, RunStarted
from domain.metrics import Metrics
from domain.state import unpack
from streams.direct import DirectOutlet, VenuePort
from streams.embedded import Control, EmbeddedRun, Outcome, Sink
from streams.journal import GENESIS, JournalReader, JournalTail, JournalWriter, segments
from streams.journaled import Journaled
from streams.lean import open_lean
from streams.massive_files import open_massive_files
from streams.recorded import Recording
from streams.replay import grouped
from streams.shard import Shard
from streams.synthetic import SyntheticMarket

if TYPE_CHECKING:
    from axiom.fix_venues import FixVenues

MINUTE_NS = 60_000_000_000


def open_recording(config: RunConfig, settings: Settings) -> Recording:
    """The market that a configuration names.

    Raises:
        InputError: The source is unknown, or has no such day.
        DataError: A file is damaged.
    """
    if config.source == "synthetic":
        return SyntheticMarket(settings.synthetic, settings.run.seed)
    date = dt.date.fromisoformat(config.trade_date)
    if config.source == "lean":
        return open_lean(Path(config.path), config.underlying, date)
    if config.source == "massive-files":
        return open_massive_files(Path(config.path), config.underlying, date, settings.massive)
    raise InputError("unknown source", field="source", value=config.source, known="lean, massive-files, synthetic")


def run_started(config: RunConfig, settings: Settings, recording: Recording) -> RunStarted:
    """The first event of a run, stamped when it begins."""
    return RunStarted(
        ts_event=0,
        ts_init=0,
        underlying=recording.underlying,
        run=config.run,
        seed=settings.run.seed,
        source=recording.name,
        is_synthetic=recording.is_synthetic,
        trade_date=recording.trade_date.isoformat(),
        settings=config.settings,
    )


@dataclass(slots=True)
class Launch:
    """A run that is ready to go, and what its end needs."""

    folder: RunFolder
    recording: Recording
    listed: ChainListed
    run: EmbeddedRun
    shard: Shard
    ports: Sequence[VenuePort]
    outlet: DirectOutlet
    journal: JournalWriter
    snapshot_ns: int
    remote: FixVenues | None = None

    def go(self, on_snapshot: Callable[[], None] | None = None) -> Outcome:
        """Run to the end, or until stopped: then quotes are pulled, answers awaited, and a snapshot kept."""
        outcome = Outcome.PAUSED
        until = None if not self.snapshot_ns else self.recording.open_ns + self.snapshot_ns
        while outcome is Outcome.PAUSED:
            outcome = self.run.run(until)
            if outcome is Outcome.PAUSED and until is not None:
                if not self.run.is_replaying:
                    self.keep_snapshot()
                    if on_snapshot is not None:
                        on_snapshot()
                until += self.snapshot_ns
        if outcome is Outcome.STOPPED and not self.run.is_replaying:
            self.run.command(operator(PauseQuoting, self.recording.underlying, "interrupted"))
            self.run.drain()
            self.keep_snapshot()
        return outcome

    def keep_snapshot(self) -> None:
        """Save the state of the run."""
        self.folder.save_snapshot(self.journal.next_sequence, self.run.snapshot())

    def close(self) -> None:
        """Release the journal, and end the venue processes."""
        self.journal.close()
        if self.remote is not None:
            self.remote.stop()


def start(folder: RunFolder, control: Control, sinks: Sequence[Sink] = (), metrics: Metrics | None = None) -> Launch:
    """Prepare a new run in its folder."""
    return _prepare(folder, control, sinks, metrics, journaled=None, snapshot=None, tail=JournalTail(0, GENESIS))


def resume(folder: RunFolder, control: Control, sinks: Sequence[Sink] = (), metrics: Metrics | None = None) -> Launch:
    """Prepare a killed or interrupted run to go on: from its best snapshot, through its journal, to the recording.

    Raises:
        InputError: The run has ended.
        JournalCorrupt: The journal is damaged before its torn tail.
    """
    if not segments(folder.journal) or next(iter(JournalReader(folder.journal)), None) is None:
        for path in segments(folder.journal):  # killed before its first record was whole
            path.unlink()
        folder.drop_snapshots_after(-1)
        return start(folder, control, sinks, metrics)
    last, tail, cut = JournalTail.cut_after_last_input(folder.journal)
    if last.message.schema == "RunEnded" and folder.facts.exists():
        raise InputError("the run has ended: there is nothing to resume", field="run", value=folder.path.name)
    folder.facts.unlink(missing_ok=True)  # of an interrupt: from now on they are not those of the end
    structlog.get_logger().info("run.resumed", sequence=last.sequence, cut_bytes=cut)
    folder.drop_snapshots_after(last.sequence)
    found = folder.best_snapshot(last.sequence)
    sequence, snapshot = found if found is not None else (0, None)
    groups = grouped(JournalReader(folder.journal), sequence)
    journaled = Journaled(groups, last.sequence)
    return _prepare(folder, control, sinks, metrics, journaled=journaled, snapshot=snapshot, tail=tail)


def _prepare(
    folder: RunFolder,
    control: Control,
    sinks: Sequence[Sink],
    metrics: Metrics | None,
    *,
    journaled: Journaled | None,
    snapshot: bytes | None,
    tail: JournalTail,
) -> Launch:
    config = folder.config()
    settings = from_json(config.settings)
    recording = open_recording(config, settings)
    listed = first_chain(recording)
    chain = Chain(listed.underlying, recording.trade_date, listed.contracts)
    composer = Composer()
    remote = _fix_venues(folder, settings, listed) if config.venues == "fix" else None
    ports = composer.ports(settings, listed) if remote is None else remote.ports(is_resumed=journaled is not None)
    started = run_started(config, settings, recording)
    imported = [read_positions(Path(config.positions), chain) if config.positions else no_positions(chain.underlying)]
    if config.statement:
        imported.append(read_positions(Path(config.statement), chain))
    journal = JournalWriter(
        folder.journal,
        next_sequence=tail.next_sequence,
        chain=tail.chain,
        segment_bytes=settings.run.segment_mib * 1024 * 1024,
        fsync=settings.run.fsync,
        metrics=metrics,
    )
    outlet = composer.outlet(settings, recording.underlying, ports)
    shard = Shard(SHARD, composer.stages, metrics)
    feed_offset = unpack("run", 1, snapshot)["feed_offset"] if snapshot is not None else 0
    run = EmbeddedRun(
        started=started,
        imported=imported,
        feed=recording.items(feed_offset),
        shard=shard,
        outlet=outlet,
        ports=ports,
        journal=journal,
        control=control,
        pace=Paced(config.speed) if config.speed > 0 else MaxSpeed(),
        sinks=sinks,
        metrics=metrics,
        journaled=journaled,
    )
    if snapshot is not None:
        run.restore(snapshot)
    return Launch(
        folder=folder,
        recording=recording,
        listed=listed,
        run=run,
        shard=shard,
        ports=ports,
        outlet=outlet,
        journal=journal,
        snapshot_ns=settings.run.snapshot_minutes * MINUTE_NS,
        remote=remote,
    )


def _fix_venues(folder: RunFolder, settings: Settings, listed: ChainListed) -> FixVenues:
    on_interrupt = signal.getsignal(signal.SIGINT)
    from axiom.fix_venues import FixVenues  # the engine is large: a run without FIX does without it

    signal.signal(signal.SIGINT, on_interrupt)  # importing the engine sets it to end the process at once
    return FixVenues(folder, settings, listed)


def first_chain(recording: Recording) -> ChainListed:
    """The chain of a recording, which lists it before anything else that needs it.

    Raises:
        DataError: It lists none.
    """
    for item in recording.items():
        if isinstance(item.event, ChainListed):
            return item.event
    raise DataError("recording lists no chain", recording=recording.name)
