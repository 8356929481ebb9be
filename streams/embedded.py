"""The default runtime: the shard, the venues and the clock in one process, no broker.

One loop merges four sources by time: the recording, messages on their way to and from the venues, timers, and people.
At equal times messages in flight come first, then the market, then timers. The venues see the market before the shard
does, because their books are the market.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final, Protocol

import msgspec

from domain.codec import canonical, encode
from domain.commands import OperatorCommand
from domain.errors import DataError, InputError, ReplayDiverged
from domain.events import (
    Clearance,
    NbboUpdated,
    PositionsImported,
    QuotesCleared,
    RunEnded,
    RunStarted,
    SessionChanged,
    TradesPrinted,
    UnderlyingTraded,
    UnderlyingUpdated,
)
from domain.events_base import Event
from domain.metrics import Metrics, NoMetrics
from domain.state import pack, unpack
from streams.digest import Digest
from streams.direct import DirectOutlet, Pending, VenuePort, pack_pending, unpack_pending
from streams.journal import JournalWriter, Kind
from streams.journaled import Journaled
from streams.recorded import FeedItem
from streams.shard import Shard
from streams.timers import Timers
from streams.topology import PINNED_SCHEMAS

MARKET: Final = (UnderlyingUpdated, UnderlyingTraded, NbboUpdated, TradesPrinted, SessionChanged)
SECOND_NS: Final = 1_000_000_000
VENUE: Final = "venue."
OPS: Final = "ops"


class Sink(Protocol):
    """Sees every input and what came of it, after it was acted on. It may not change anything."""

    def on_input(self, source: str, event: Event, outputs: Sequence[Event]) -> None:
        """One input was applied."""
        ...


class Control(Protocol):
    """People who act on the run."""

    def poll(self) -> Sequence[OperatorCommand]:
        """Commands that arrived, stamped later by the run."""
        ...

    def answer(self, command: OperatorCommand, outputs: Sequence[Event]) -> None:
        """What came of a command."""
        ...

    @property
    def should_stop(self) -> bool:
        """Whether the run was asked to end early."""
        ...


class Pace(Protocol):
    """How event time is tied to the clock on the wall."""

    def wait(self, until_ts: int, control: Control) -> bool:
        """Wait until `until_ts` is due; False when a command arrived first or the run should stop."""
        ...


class Outcome(Enum):
    """How `EmbeddedRun.run` came back."""

    FINISHED = "finished"
    PAUSED = "paused"
    STOPPED = "stopped"


class EmbeddedRun:
    """One run. Create it, optionally restore a snapshot and give it the journaled inputs, then call `run`."""

    def __init__(
        self,
        *,
        started: RunStarted,
        imported: Sequence[PositionsImported],
        feed: Iterable[FeedItem],
        shard: Shard,
        outlet: DirectOutlet,
        ports: Sequence[VenuePort],
        journal: JournalWriter,
        control: Control,
        pace: Pace,
        sinks: Sequence[Sink] = (),
        metrics: Metrics | None = None,
        journaled: Journaled | None = None,
    ) -> None:
        self.digest = Digest()
        self.tick_to_quote_ns: list[int] = []  # a move of the underlying
        self.refit_to_quote_ns: list[int] = []  # new option quotes, and with them a new surface
        self.inputs_applied = 0
        self.feed_offset = 0
        self._started = started
        self._imported = imported
        self._feed = iter(feed)
        self._shard = shard
        self._outlet = outlet
        self._ports = ports
        self._journal = journal
        self._control = control
        self._pace = pace
        self._sinks = sinks
        self._metrics = metrics or NoMetrics()
        self._journaled = journaled
        self._pending: list[Pending] = []
        self._timers = Timers("1s", SECOND_NS, started.underlying)
        self._order = 0
        self._steps = 0
        self._offsets: dict[str, int] = {}
        self._now = 0
        self._is_begun = False
        self._head: FeedItem | None = None
        self.is_fed = False

    # --- the loop -----------------------------------------------------------------------------------------------------
    def run(self, until_ts: int | None = None) -> Outcome:
        """Go on until the recording ends, the run is asked to stop, or the next thing is due after `until_ts`."""
        if self._head is None and not self.is_fed:
            self._next_item()
        if not self._is_begun and self._head is not None:
            self._begin(self._head.event.ts_event)
        while True:
            self._take_commands()
            if self._control.should_stop:
                return Outcome.STOPPED
            if self._take_remote_answer():
                continue
            due = self._due()
            if due is None:
                break
            if until_ts is not None and due > until_ts:
                return Outcome.PAUSED
            if self.is_replaying or self._pace.wait(due, self._control):
                self._now = max(self._now, due)
                self._step(due)
        ended = RunEnded(
            ts_event=self._now, ts_init=self._now, underlying=self._started.underlying, reason="end of feed"
        )
        self._apply("run", 1, ended)
        return Outcome.FINISHED

    def _step(self, due: int) -> None:
        self._steps += 1
        if self._pending and self._pending[0].due == due:
            self._deliver(heapq.heappop(self._pending))
        elif self._head is not None and self._head.event.ts_event == due:
            self._take_item(self._head)
            self._next_item()
        else:
            self._apply("timer", self._timers.offset, self._timers.fire())

    def _due(self) -> int | None:
        if self._pending and self._is_venue_next():
            return self._pending[0].due
        candidates = [self._pending[0].due] if self._pending else []
        if self._head is not None:
            candidates.append(self._head.event.ts_event)
        if self._timers.due is not None:
            candidates.append(self._timers.due)
        return min(candidates, default=None)

    def _take_remote_answer(self) -> bool:
        """Apply what a venue in another process answered before a kill: the journal has it, the venue is not asked."""
        head = self._journaled.head if self._journaled is not None else None
        if head is None or not head[0].source.startswith(VENUE):
            return False
        record = head[0]
        if all(port.remote is None for port in self._ports if VENUE + port.mic == record.source):
            return False
        answer = record.event()
        self._steps += 1
        self._now = max(self._now, answer.ts_init)
        self._offsets[record.source] = record.offset
        self._apply(record.source, record.offset, answer)
        return True

    def _is_venue_next(self) -> bool:
        """Whether the journal goes on with a venue: `drain` may have run ahead of the recording."""
        head = self._journaled.head if self._journaled is not None else None
        return head is not None and head[0].source.startswith(VENUE)

    def _next_item(self) -> None:
        self._head = next(self._feed, None)
        self.is_fed = self._head is None

    def drain(self) -> None:
        """Deliver everything in flight, so that cancels reach the venues and their answers reach us."""
        while self._pending:
            self._now = max(self._now, self._pending[0].due)
            self._steps += 1
            self._deliver(heapq.heappop(self._pending))

    def command(self, command: OperatorCommand) -> list[Event]:
        """Apply an operator's command now. Its offset is the step that it follows: a resumed run applies it there."""
        stamped = msgspec.structs.replace(command, ts_event=self._now, ts_init=time.time_ns())
        return self._apply_command(self._steps, stamped)

    def _apply_command(self, offset: int, command: Event) -> list[Event]:
        self._steps += 1
        return self._apply(OPS, offset, command)

    def _begin(self, ts: int) -> None:
        self._now = ts
        self._is_begun = True
        self._apply("run", 0, msgspec.structs.replace(self._started, ts_event=ts, ts_init=ts))

    def _take_item(self, item: FeedItem) -> None:
        event = item.event
        if isinstance(event, MARKET) and not self._shard.is_late(item.source, event.ts_event):
            remotes = [port.remote for port in self._ports if port.remote is not None]
            for remote in remotes:
                remote.skip_market() if self.is_replaying else remote.begin_market(event)
            for venue, port in enumerate(self._ports):
                if port.remote is not None and self.is_replaying:
                    continue
                try:
                    self._answer(venue, port.exchange.on_market(event))
                except (InputError, DataError) as refusal:  # nothing changed there; the stages judge it for themselves
                    self._metrics.count("feed.refused", label=type(refusal).__name__)
        self.feed_offset = item.offset + 1
        self._apply(item.source, item.offset, event)
        if isinstance(event, SessionChanged) and event.state == "pre_open":
            for number, statement in enumerate(self._imported):
                stated = msgspec.structs.replace(statement, ts_event=event.ts_event, ts_init=event.ts_init)
                self._apply("positions", number, stated)
        elif isinstance(event, SessionChanged) and event.state == "open":
            self._timers.start(event.ts_event)
        elif isinstance(event, SessionChanged) and event.state == "closed":
            self._timers.stop()

    def _deliver(self, pending: Pending) -> None:
        if pending.is_answer:
            source = f"{VENUE}{self._ports[pending.venue].mic}"
            answer = msgspec.structs.replace(pending.event, ts_init=pending.due)
            self._apply(source, self._next_offset(source), answer)
        elif isinstance(pending.event, Clearance):
            self._answer(pending.venue, self._ports[pending.venue].exchange.submit(pending.event, pending.due))

    def _answer(self, venue: int, answers: Sequence[Event]) -> None:
        for answer in answers:
            due = answer.ts_event + self._ports[venue].latency_ns
            self._push(Pending(due, self._order, venue, True, answer))  # a field of the tuple

    def _push(self, pending: Pending) -> None:
        heapq.heappush(self._pending, pending)
        self._order += 1

    def _next_offset(self, source: str) -> int:
        offset = self._offsets.get(source, -1) + 1
        self._offsets[source] = offset
        return offset

    # --- one input ----------------------------------------------------------------------------------------------------
    def _apply(self, source: str, offset: int, event: Event) -> list[Event]:
        if not self._shard.is_new(source, offset):
            return self._shard.handle(source, offset, event)
        pins, is_known = self._check_journal(source, offset, event)
        started = time.perf_counter_ns()
        if not is_known:
            self._journal.append(Kind.INPUT, source, offset, encode(event))
        outputs = self._shard.handle(source, offset, event, pins)
        has_quotes = False
        for output in outputs:
            if isinstance(output, Clearance):
                has_quotes |= isinstance(output, QuotesCleared)
                for parcel in self._outlet.send(output, self._now):
                    if is_known and self._ports[parcel.venue].remote is not None:
                        continue  # it left before, or what became of it is asked for: it is not sent again
                    self._push(Pending(parcel.arrives, self._order, parcel.venue, False, parcel.clearance))
        if has_quotes:
            self._note_latency(event, time.perf_counter_ns() - started)
        if outputs and pins is None:
            self._journal.append_all(Kind.OUTPUT, source, offset, [encode(output) for output in outputs])
        self._journal.seal()
        self.digest.update(event, outputs)
        self.inputs_applied += 1
        for sink in self._sinks:
            sink.on_input(source, event, outputs)
        return outputs

    def _note_latency(self, event: Event, elapsed_ns: int) -> None:
        if isinstance(event, UnderlyingUpdated):
            self.tick_to_quote_ns.append(elapsed_ns)
            self._metrics.observe("quoting.tick_to_quote.seconds", elapsed_ns * 1e-9)
        elif isinstance(event, NbboUpdated):
            self.refit_to_quote_ns.append(elapsed_ns)
            self._metrics.observe("quoting.refit_to_quote.seconds", elapsed_ns * 1e-9)

    @property
    def is_replaying(self) -> bool:
        """Whether inputs still come from what a killed run left."""
        return self._journaled is not None and self._journaled.head is not None

    def _check_journal(self, source: str, offset: int, event: Event) -> tuple[list[Event] | None, bool]:
        """The pinned outputs that the journal holds for this input, and whether the input itself is in it."""
        if self._journaled is None or self._journaled.head is None:
            return None, False
        record, outputs = self._journaled.head
        journaled = record.event()
        if (record.source, record.offset) != (source, offset) or canonical(journaled) != canonical(event):
            raise ReplayDiverged(
                what="an input differs from the journaled one",
                sequence=record.sequence,
                journaled=f"{record.source}@{record.offset} {record.message.schema}",
                found=f"{source}@{offset} {type(event).__name__}",
            )
        is_last = record.sequence == self._journaled.last_sequence
        self._journaled.advance()
        return (
            None if is_last else [output.event() for output in outputs if output.message.schema in PINNED_SCHEMAS]
        ), True

    def _take_commands(self) -> None:
        while self._journaled is not None and self._journaled.head is not None:
            record = self._journaled.head[0]
            if record.source != OPS or record.offset > self._steps:
                break
            self._apply_command(record.offset, record.event())
        if not self.is_replaying:
            for command in self._control.poll():
                self._control.answer(command, self.command(command))

    # --- snapshots ----------------------------------------------------------------------------------------------------
    def snapshot(self) -> bytes:
        """The whole state of the run after the last input: shard, venues, messages in flight, clock, digest."""
        return pack(
            "run",
            1,
            {
                "sequence": self._journal.next_sequence,
                "shard": self._shard.snapshot(),
                "venues": [port.exchange.snapshot() for port in self._ports],
                "outlet": self._outlet.state(),
                "pending": pack_pending(self._pending),
                "timers": list(self._timers.state()),
                "order": self._order,
                "steps": self._steps,
                "offsets": self._offsets,
                "now": self._now,
                "feed_offset": self.feed_offset,
                "inputs_applied": self.inputs_applied,
                "digest": self.digest.state,
                "digest_count": self.digest.count,
            },
        )

    def restore(self, state: bytes) -> None:
        """Take over a snapshot. The feed given to the constructor starts at its `feed_offset`."""
        values = unpack("run", 1, state)
        self._shard.restore(values["shard"])
        for port, data in zip(self._ports, values["venues"], strict=True):
            port.exchange.restore(data)
        self._outlet.set_state(values["outlet"])
        self._pending = [
            pending for pending in unpack_pending(values["pending"]) if self._ports[pending.venue].remote is None
        ]  # what was on the way to or from another process is in the journal, or is asked for
        self._timers.set_state(*values["timers"])
        self._order = values["order"]
        self._steps = values["steps"]
        self._offsets = dict(values["offsets"])
        self._now = values["now"]
        self.feed_offset = values["feed_offset"]
        self.inputs_applied = values["inputs_applied"]
        self.digest = Digest(values["digest"])
        self.digest.count = values["digest_count"]
        self._is_begun = True
