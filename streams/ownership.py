"""One partition of one group of stages: what its owner applies, what leaves for it, and how a new owner takes over.

No broker here: messages come in and go out as values (`streams.messages`), `streams.worker` carries them. The rules are
those of `docs/decisions/0004-ownership-and-recovery-on-kafka.md`: whatever leaves on the effects topic names the inputs
that led to it, so that the next owner repeats them in the same order and reaches the same state before it acts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from domain.codec import canonical, encode
from domain.errors import InvariantError
from domain.events_base import Event
from domain.ownership_events import InputsApplied, OwnershipTaken
from domain.state import pack, unpack
from domain.topics import TOPIC_OF
from streams.groups import Group
from streams.journal import JournalWriter, Kind
from streams.kafka_message import Place
from streams.messages import Arrived, Headers, Outgoing
from streams.references import Applied, Reference, decode_applied, encode_applied
from streams.shard import Shard
from streams.topology import PINNED

MAX_UNLOGGED: Final = 256
"""Inputs applied without an effect after which an `InputsApplied` names them, however short the time."""

FIRM: Final = "ops.commands"
"""The topic that also carries what concerns the whole firm, under an empty key: every partition applies that."""

FIRM_STREAM: Final = f"{FIRM}#firm"
"""What a partition calls the messages for the whole firm, where another partition of `FIRM` holds them."""

_VERSION: Final = 1


class Fence:
    """Keeps the highest epoch of each group and refuses what an earlier owner says."""

    def __init__(self, epochs: Mapping[str, int] | None = None) -> None:
        self.epochs = dict(epochs or {})
        self.refused = 0

    def raise_to(self, group: str, epoch: int) -> None:
        """Note that a group has a new owner."""
        self.epochs[group] = max(epoch, self.epochs.get(group, -1))

    def admits(self, headers: Headers) -> bool:
        """Whether a message counts. What comes from outside any group always does."""
        if not headers.group:
            return True
        if headers.epoch < self.epochs.get(headers.group, -1):
            self.refused += 1
            return False
        self.epochs[headers.group] = headers.epoch
        return True


class Tenure(NamedTuple):
    """What one owner applied: the inputs in order, and the effects that each of them had, by its ordinal."""

    epoch: int
    references: list[Reference]
    effects: dict[int, list[Event]]


class Partition:
    """One partition of one group, and the shard that it feeds.

    Args:
        group: Which stages, and what they read.
        number: The partition.
        shard: The shard, with the stages of the group.
        journal: Local journal of what is applied, for replays and inquests; None keeps none.
        firm: The partition of the empty key, where messages for the whole firm are; None reads no other than its own.

    Attributes:
        streams: What it reads, by the name under which references and `positions` know it.
    """

    def __init__(
        self, group: Group, number: int, shard: Shard, journal: JournalWriter | None = None, firm: int | None = None
    ) -> None:
        self.group = group
        self.number = number
        self.streams = {topic: Place(topic, number) for topic in group.topics}
        if firm is not None and firm != number and FIRM in self.streams:
            self.streams[FIRM_STREAM] = Place(FIRM, firm)
        self.shard = shard
        self.fence = Fence()
        self.epoch = -1
        self.applied = 0
        self.effects_position = 0
        self.positions: dict[str, int] = {}
        self._journal = journal
        self._topics = (*group.topics, FIRM_STREAM)
        self._unlogged: list[Reference] = []
        self._sent: dict[str, int] = {}

    # --- while it is ours ---------------------------------------------------------------------------------------------
    def take(self, arrived: Arrived) -> list[Outgoing]:
        """Apply one message and return what leaves for it, effects first; nothing for one that does not count."""
        self.positions[self._stream(arrived)] = arrived.offset + 1
        if not self._is_input(arrived):
            return []
        effects, copies = self._sorted(self._apply(arrived))
        leaving = [self._effect(event) for event in effects]
        leaving += [self._copy(event, self.epoch) for event in copies]
        if len(self._unlogged) >= MAX_UNLOGGED:
            leaving += self.log(arrived.event.ts_event)
        return leaving

    def log(self, ts: int) -> list[Outgoing]:
        """Name the inputs that no effect has named yet, if there are any. To be called every now and then."""
        return [self.beat(ts)] if self._unlogged else []

    @property
    def unlogged(self) -> int:
        """Inputs applied that no effect has named yet."""
        return len(self._unlogged)

    def beat(self, ts: int) -> Outgoing:
        """Name the inputs that no effect has named yet, even if there are none: it says that the owner lives."""
        event = InputsApplied(
            ts_event=ts,
            ts_init=ts,
            underlying="",
            group=self.group.name,
            partition=self.number,
            count=len(self._unlogged),
        )
        return self._effect(event)

    def acknowledged(self, offset: int) -> None:
        """Note that the broker holds our effects up to an offset."""
        self.effects_position = max(self.effects_position, offset + 1)

    # --- taking over --------------------------------------------------------------------------------------------------
    def claim(self, owner: str, ts: int) -> Outgoing:
        """The record that makes `owner` the owner: its offset is the epoch. Nothing may leave before it is written."""
        event = OwnershipTaken(
            ts_event=ts, ts_init=ts, underlying="", group=self.group.name, partition=self.number, owner=owner
        )
        headers = Headers(f"claim.{owner}", ts, self.group.name)
        return Outgoing(self.group.effects, self.number, "", headers, encode(event))

    def tenures(self, log: Iterable[Arrived], claim: int) -> list[Tenure]:
        """What earlier owners applied since the snapshot, by the effects topic; void messages are left out.

        Args:
            log: The effects topic from `effects_position` on, in order; nothing from the claim on is looked at.
            claim: Offset of our claim.

        Raises:
            InvariantError: The log has a gap.
        """
        found = [Tenure(self.epoch, [], {})]
        known = self.applied
        for arrived in log:
            headers = arrived.headers
            if arrived.offset >= claim:
                break
            if headers.group != self.group.name:
                continue
            if isinstance(arrived.event, OwnershipTaken):
                found.append(Tenure(arrived.offset, [], {}))
                continue
            if headers.epoch != found[-1].epoch:  # of an owner who was replaced before this record
                continue
            stretch = decode_applied(headers.applied, self._topics)
            if stretch.first > known:
                raise InvariantError(
                    "log of inputs has a gap", group=self.group.name, expected=known, found=stretch.first
                )
            fresh = stretch.references[known - stretch.first :]
            found[-1].references.extend(fresh)
            known += len(fresh)
            ordinal = stretch.first + len(stretch.references)
            if ordinal > self.applied and not isinstance(arrived.event, InputsApplied):
                found[-1].effects.setdefault(ordinal, []).append(arrived.event)
        return found

    def repeat(self, tenures: Sequence[Tenure], inputs: Mapping[Reference, Arrived], claim: int) -> list[Outgoing]:
        """All of `repeating`: what leaves, effects first."""
        *copies, effects = self.repeating(tenures, inputs, claim)
        return [*effects, *(message for part in copies for message in part)]

    def repeating(
        self, tenures: Sequence[Tenure], inputs: Mapping[Reference, Arrived], claim: int
    ) -> Iterator[list[Outgoing]]:
        """Apply what earlier owners applied, check their effects against the log, and own the partition.

        Args:
            tenures: Of `tenures`.
            inputs: The messages that they name.
            claim: Offset of our claim: our epoch.

        Yields:
            After each input, what its owner may not have got out: copies of all it did, under their own names, so that
            a reader who has them drops them. Last, the effects of the last input that the log lacks, which leave first.

        Raises:
            InvariantError: An input is gone, or an effect in the log is not what its inputs give.
        """
        rest: list[Event] = []
        for tenure in tenures:
            if tenure.epoch != self.epoch:
                self.epoch = tenure.epoch
                self._sent.clear()
            for reference in tenure.references:
                if rest:
                    raise InvariantError("the log lacks effects", group=self.group.name, ordinal=self.applied)
                arrived = inputs.get(reference)
                if arrived is None:
                    raise InvariantError("an applied input is gone", topic=reference.topic, offset=reference.offset)
                stream = reference.topic
                self.positions[stream] = max(self.positions.get(stream, 0), arrived.offset + 1)
                self.fence.admits(arrived.headers)
                effects, copies = self._sorted(self._apply(arrived))
                rest = effects
                leaving = [self._copy(event, claim) for event in copies]
                rest = self._unsent(rest, tenure.effects.get(self.applied, []))
                yield leaving
            if rest and (late := self._later(tenures, tenure)):
                rest = self._unsent(rest, late)
        self._unlogged.clear()
        self._sent.clear()
        self.epoch = claim
        self.effects_position = claim + 1
        yield [self._effect(event) for event in rest]

    def _later(self, tenures: Sequence[Tenure], tenure: Tenure) -> list[Event]:
        """Effects of the input just applied that the owner after its own got out."""
        after = tenures[tenures.index(tenure) + 1 :]
        return [event for later in after for event in later.effects.get(self.applied, [])]

    # --- snapshots ----------------------------------------------------------------------------------------------------
    def snapshot(self) -> bytes:
        """The whole state. Everything that left must be logged and acknowledged before.

        Raises:
            InvariantError: Inputs were applied that no message on the effects topic names yet.
        """
        if self._unlogged:
            raise InvariantError("snapshot before the log", group=self.group.name, unlogged=len(self._unlogged))
        return pack(
            f"partition.{self.group.name}",
            _VERSION,
            {
                "number": self.number,
                "shard": self.shard.snapshot(),
                "applied": self.applied,
                "epoch": self.epoch,
                "epochs": self.fence.epochs,
                "sent": self._sent,
                "positions": self.positions,
                "effects_position": self.effects_position,
            },
        )

    def restore(self, state: bytes) -> None:
        """Take over a snapshot of this partition.

        Raises:
            DataError: It is of another group.
            InvariantError: It is of another partition.
        """
        values = unpack(f"partition.{self.group.name}", _VERSION, state)
        if values["number"] != self.number:
            raise InvariantError("snapshot of another partition", expected=self.number, found=values["number"])
        self.shard.restore(values["shard"])
        self.applied = values["applied"]
        self.epoch = values["epoch"]
        self.fence = Fence(values["epochs"])
        self._sent = dict(values["sent"])
        self.positions = dict(values["positions"])
        self.effects_position = values["effects_position"]

    # --- inside -------------------------------------------------------------------------------------------------------
    def _is_input(self, arrived: Arrived) -> bool:
        headers = arrived.headers
        if isinstance(arrived.event, OwnershipTaken):
            self.fence.raise_to(headers.group, arrived.offset)
        return (
            headers.group != self.group.name
            and type(arrived.event) in self.group.reads
            and self.fence.admits(headers)
            and (arrived.partition == self.number or not arrived.event.underlying)
            and self.shard.is_new(self._source(arrived), headers.sequence)
        )

    def _apply(self, arrived: Arrived) -> list[Event]:
        source, sequence = self._source(arrived), arrived.headers.sequence
        if self._journal is not None:
            self._journal.append(Kind.INPUT, source, sequence, arrived.message)
        outputs = self.shard.handle(source, sequence, arrived.event, has_one_clock=not arrived.headers.group)
        if self._journal is not None and outputs:
            self._journal.append_all(Kind.OUTPUT, source, sequence, [encode(output) for output in outputs])
        self.applied += 1
        self._unlogged.append(Reference(self._stream(arrived), arrived.offset))
        return outputs

    def _sorted(self, outputs: Sequence[Event]) -> tuple[list[Event], list[Event]]:
        """Effects, and what else is published."""
        effects: list[Event] = []
        copies: list[Event] = []
        for output in outputs:
            (effects if TOPIC_OF[type(output)].name == self.group.effects else copies).append(output)
        return effects, copies

    def _unsent(self, effects: Sequence[Event], logged: Sequence[Event]) -> list[Event]:
        """The effects of one input that the log lacks: those after the logged ones, which must be the first."""
        if len(logged) > len(effects):
            raise InvariantError(
                "the log has more effects than its inputs give",
                group=self.group.name,
                ordinal=self.applied,
                logged=len(logged),
                repeated=len(effects),
            )
        for mine, theirs in zip(effects, logged, strict=False):
            is_equal = type(mine) is type(theirs) if isinstance(mine, PINNED) else canonical(mine) == canonical(theirs)
            if not is_equal:
                raise InvariantError(
                    "an effect in the log does not follow from its inputs",
                    group=self.group.name,
                    ordinal=self.applied,
                    logged=type(theirs).__name__,
                    repeated=type(mine).__name__,
                )
        return list(effects[len(logged) :])

    def _effect(self, event: Event) -> Outgoing:
        """A message on the effects topic; it names the inputs since the last one."""
        first = self.applied - len(self._unlogged)
        applied = encode_applied(Applied(first, tuple(self._unlogged)), self._topics)
        self._unlogged.clear()
        return self._message(self.group.effects, event, self.epoch, applied)

    def _copy(self, event: Event, epoch: int) -> Outgoing:
        """A message on any other topic."""
        return self._message(TOPIC_OF[type(event)].name, event, epoch, b"")

    def _message(self, topic: str, event: Event, epoch: int, applied: bytes) -> Outgoing:
        sequence = self._sent.get(topic, -1) + 1
        self._sent[topic] = sequence
        source = f"{self.group.name}.{self.number}.{self.epoch}"
        headers = Headers(source, sequence, self.group.name, epoch, applied)
        return Outgoing(topic, self.number, event.underlying, headers, encode(event))

    def _stream(self, arrived: Arrived) -> str:
        return arrived.topic if arrived.partition == self.number else FIRM_STREAM

    def _source(self, arrived: Arrived) -> str:
        return f"{self._stream(arrived)}|{arrived.headers.source}"
