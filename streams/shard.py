"""The shard: the single writer for its underlyings.

It drops an input that it has seen, runs a first-in first-out queue through its stages until nothing is left, and gives
back what came of it. The runtime around it journals the input before. The shard alone decides what an error means:

- InputError, DataError, VenueError: the input is refused (EventRejected) and the shard goes on;
- anything else: the underlying halts. Its kill switch is engaged through the gate, so that quotes are pulled, and only
  the stages that book and cancel go on.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from domain.codec import decode, encode
from domain.commands import EngageKillSwitch
from domain.errors import ClockWentBackwards, DataError, InputError, InvariantError, ReplayDiverged, VenueError
from domain.events import ChainListed, Clearance, EventRejected, ExecutionReported, RunStarted, ShardHalted
from domain.events_base import Event
from domain.metrics import Metrics, NoMetrics
from domain.stage import Stage
from domain.state import pack, unpack
from streams.admission import admit
from streams.topology import GATE, PINNED, SURVIVORS, PinnedEvent, StageFactory

PIN_TOLERANCE: Final = 1e-9
"""Relative and absolute: how far a recomputed kernel result may be from the journaled one on another machine."""

_MAX_STEPS: Final = 100_000


class Shard:
    """Stages of one or more underlyings behind one queue.

    Args:
        name: Short name; part of ClOrdIDs.
        factory: Builds the stages of an underlying when its chain is listed.
        metrics: Where counts and times go.
    """

    def __init__(
        self,
        name: str,
        factory: StageFactory,
        metrics: Metrics | None = None,
    ) -> None:
        self.name = name
        self.last_ts = 0
        self.halted: set[str] = set()
        self._factory = factory
        self._metrics = metrics or NoMetrics()
        self._run: RunStarted | None = None
        self._chains: dict[str, ChainListed] = {}
        self._stages: dict[str, list[Stage]] = {}
        self._readers: dict[tuple[str, type[Event]], tuple[tuple[str, Stage], ...]] = {}
        self._offsets: dict[str, int] = {}
        self._clocks: dict[str, int] = {}

    def is_new(self, source: str, offset: int) -> bool:
        """Whether an input was not seen before. The runtime journals a new one, then has it handled."""
        return offset > self._offsets.get(source, -1)

    def is_late(self, source: str, ts_event: int) -> bool:
        """Whether an input is stamped before one that its source gave already: it will be refused."""
        return ts_event < self._clocks.get(source, 0)

    def handle(
        self,
        source: str,
        offset: int,
        event: Event,
        pins: Iterable[Event] | None = None,
        *,
        has_one_clock: bool = True,
    ) -> list[Event]:
        """Apply one input and return everything that came of it, in order.

        Args:
            source: Where the input comes from: a feed, a venue, the timers, people.
            offset: Its position there; positions of one source grow.
            event: The input.
            pins: In a replay, the pinned outputs that the journal holds for this input.
            has_one_clock: Whether the source stamps by one clock. Other stages of ours do not: what they say carries
                the time of what it came of, and that came from several venues and feeds.

        Raises:
            ReplayDiverged: A pinned output is missing, left over, or not what the journal holds.
        """
        if not self.is_new(source, offset):
            self._metrics.count("shard.duplicates", label=source)
            return []
        self._offsets[source] = offset
        self._metrics.count("shard.inputs", label=type(event).__name__)
        is_late = has_one_clock and self.is_late(source, event.ts_event)
        if is_late and not isinstance(event, ExecutionReported):  # which may move money
            error = ClockWentBackwards(source=source, offset=offset, last=self._clocks[source], received=event.ts_event)
            return [self._rejected("shard", event, error)]
        if (chain := self._chains.get(event.underlying)) is not None:
            try:
                admit(event, len(chain.contracts))
            except (InputError, DataError) as refusal:
                return [self._rejected("shard", event, refusal)]
        self._clocks[source] = max(event.ts_event, self._clocks.get(source, 0))
        self.last_ts = max(self.last_ts, event.ts_event)
        if isinstance(event, RunStarted):
            self._run = event
        elif isinstance(event, ChainListed):
            try:
                self._list(event)
            except (InputError, DataError) as refusal:
                return [self._rejected("shard", event, refusal)]
        return self._drain(event, None if pins is None else deque(pins))

    def stages(self, underlying: str) -> Sequence[Stage]:
        """The stages of one underlying."""
        return tuple(self._stages.get(underlying, ()))

    def snapshot(self) -> bytes:
        """The state of the shard and of all its stages."""
        return pack(
            "shard",
            1,
            {
                "run": encode(self._run) if self._run else None,
                "chains": [encode(chain) for chain in self._chains.values()],
                "stages": {name: [stage.snapshot() for stage in group] for name, group in self._stages.items()},
                "offsets": self._offsets,
                "clocks": self._clocks,
                "last_ts": self.last_ts,
                "halted": sorted(self.halted),
            },
        )

    def restore(self, state: bytes) -> None:
        """Take over a snapshot: the stages are built from the run and the chains that it holds.

        Raises:
            DataError: The bytes are not a snapshot of a shard with these stages.
        """
        values = unpack("shard", 1, state)
        run = decode(*values["run"]) if values["run"] else None
        self._run = run if isinstance(run, RunStarted) else None
        self._chains.clear()
        self._stages.clear()
        for message in values["chains"]:
            chain = decode(*message)
            if isinstance(chain, ChainListed):
                self._list(chain)
        found = {name: len(group) for name, group in values["stages"].items()}
        expected = {name: len(group) for name, group in self._stages.items()}
        if found != expected:
            raise DataError("snapshot is of other stages", expected=expected, found=found)
        for name, snapshots in values["stages"].items():
            for stage, data in zip(self._stages[name], snapshots, strict=True):
                stage.restore(data)
        self._offsets = dict(values["offsets"])
        self._clocks = dict(values["clocks"])
        self.last_ts = values["last_ts"]
        self.halted = set(values["halted"])

    def _list(self, chain: ChainListed) -> None:
        if self._run is None:
            raise InputError("a chain was listed before the run started", field="underlying", value=chain.underlying)
        if chain.underlying in self._chains:  # new stages would forget positions and resting quotes
            raise InputError("a chain was listed twice", field="underlying", value=chain.underlying)
        self._stages[chain.underlying] = list(self._factory(self._run, chain))
        self._chains[chain.underlying] = chain
        self._readers.clear()

    def _readers_of(self, underlying: str, kind: type[Event]) -> tuple[tuple[str, Stage], ...]:
        """The stages that read an event, each with its underlying: an event of the whole firm goes to all of them."""
        found = self._readers.get((underlying, kind))
        if found is None:
            owners = [underlying] if underlying else sorted(self._stages)
            found = tuple(
                (owner, stage) for owner in owners for stage in self._stages.get(owner, ()) if kind in stage.reads
            )
            self._readers[underlying, kind] = found
        return found

    def _drain(self, event: Event, pins: deque[Event] | None) -> list[Event]:
        emitted: list[Event] = []
        queue: deque[Event] = deque((event,))
        steps = 0
        while queue:
            current = queue.popleft()
            steps += 1
            if steps > _MAX_STEPS:
                error = InvariantError("events do not settle", event=type(current).__name__)
                queue.clear()  # what is left is the loop; the kill switch goes through the survivors
                if current.underlying in self.halted:
                    emitted.append(self._rejected("shard", current, error))
                    break
                self._halt(current.underlying, current, "shard", error, emitted, queue)
                steps = 0
                continue
            for owner, stage in self._readers_of(current.underlying, type(current)):
                if owner in self.halted and stage.name not in SURVIVORS:
                    continue
                started = time.perf_counter_ns()
                try:
                    outputs = stage.apply(current)
                    if stage.name != GATE and any(isinstance(output, Clearance) for output in outputs):
                        raise InvariantError("a stage other than the gate issued a clearance", stage=stage.name)
                except (InputError, DataError, VenueError) as refusal:
                    outputs = [self._rejected(stage.name, current, refusal)]
                except Exception as fault:  # noqa: BLE001  # the one place: an unknown fault halts the underlying
                    if owner not in self.halted:
                        self._halt(owner, current, stage.name, fault, emitted, queue)
                        continue
                    outputs = [self._rejected(stage.name, current, fault)]  # a survivor failed: say so, go on
                self._metrics.observe("shard.apply.seconds", (time.perf_counter_ns() - started) * 1e-9, stage.name)
                for output in outputs:
                    kept = self._pin(output, pins) if pins is not None and isinstance(output, PINNED) else output
                    emitted.append(kept)
                    queue.append(kept)
        if pins:
            raise ReplayDiverged(what="a journaled result was not computed", event=type(pins[0]).__name__)
        return emitted

    def _halt(
        self, owner: str, cause: Event, stage: str, error: Exception, emitted: list[Event], queue: deque[Event]
    ) -> None:
        self.halted.add(owner)
        self._metrics.count("shard.rejected", label="InvariantError")
        text = f"{type(error).__name__}: {error}"
        halted = ShardHalted(ts_event=cause.ts_event, ts_init=cause.ts_init, underlying=owner, stage=stage, error=text)
        kill = EngageKillSwitch(
            ts_event=cause.ts_event,
            ts_init=cause.ts_init,
            underlying=owner,
            user="shard",
            reason=f"halted: {text}",
        )
        emitted += (halted, kill)
        queue.appendleft(kill)

    def _rejected(self, stage: str, event: Event, error: Exception) -> EventRejected:
        family = next(
            (kind.__name__ for kind in (InputError, DataError, VenueError) if isinstance(error, kind)),
            type(error).__name__,
        )
        self._metrics.count("shard.rejected", label=family)
        return EventRejected(
            ts_event=max(event.ts_event, self.last_ts),
            ts_init=event.ts_init,
            underlying=event.underlying,
            stage=stage,
            event=type(event).__name__,
            family=family,
            error=str(error),
        )

    @staticmethod
    def _pin(computed: PinnedEvent, pins: deque[Event]) -> Event:
        if not pins:
            raise ReplayDiverged(
                what="a result was computed that the journal does not hold", event=type(computed).__name__
            )
        journaled = pins.popleft()
        column = _differs(computed, journaled)
        if column:
            raise ReplayDiverged(
                what="a result is outside the tolerance",
                event=type(computed).__name__,
                column=column,
                ts=computed.ts_event,
            )
        return journaled


def _differs(computed: PinnedEvent, journaled: Event) -> str:
    """The first column that is outside the tolerance, or an empty string."""
    if not isinstance(journaled, type(computed)) or computed.ts_event != journaled.ts_event:
        return "type or time"
    if not math.isclose(computed.spot, journaled.spot, rel_tol=PIN_TOLERANCE):
        return "spot"
    theirs = journaled.frame.columns()
    for name, mine in computed.frame.columns().items():
        other = theirs[name]
        if np.array_equal(mine, other, equal_nan=mine.dtype.kind == "f"):
            continue
        if mine.dtype.kind != "f" or mine.shape != other.shape:
            return name
        scale = max(1.0, float(np.max(np.abs(other), where=np.isfinite(other), initial=0.0)))
        if not np.allclose(mine, other, rtol=PIN_TOLERANCE, atol=PIN_TOLERANCE * scale, equal_nan=True):
            return name
    return ""
