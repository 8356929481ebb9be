"""Reads messages of partitions that it is given, batch by batch; what cannot be read goes to the dead letters.

Promised: within one assignment every message of a partition is given once and in order, or is on the topic of dead
letters before `read` returns, or is named by a gap. After `assign` and after a restart the caller decides where to go
on; he knows from his snapshot, or from what he committed. So reading is at least once, and the caller drops
repetitions by source and sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, Protocol, Self

from domain.codec import SCHEMAS
from domain.errors import DataError, InputError, InvariantError
from domain.metrics import Metrics, NoMetrics
from streams.kafka import START_S, STOP_S, Expired, Fetcher
from streams.kafka_message import DeadLetter, Gap, Place, RawHeaders, unpack
from streams.kafka_settings import Cluster
from streams.messages import Arrived

BEGIN: Final = -2
"""The oldest message that the broker keeps."""

END: Final = -1
"""What comes after now."""

ANSWER_S: Final = 5.0


class Batch(NamedTuple):
    """What one `read` gave.

    Attributes:
        messages: In order within each partition.
        gaps: Messages that expired before they were read; the partition goes on after them.
        buried: How many were put on the topic of dead letters.
    """

    messages: list[Arrived]
    gaps: list[Gap]
    buried: int


class Buries(Protocol):
    """Takes what cannot be read: a publisher puts it on the topic of dead letters; others only say so."""

    async def bury(self, letters: Iterable[DeadLetter], /) -> None:
        """Take letters. When it returns, they are dealt with."""
        ...


class Reader:
    """Reads through one connection; one task uses it.

    Args:
        cluster: Where.
        fetcher: The connection.
        letters: Takes what cannot be read; None ends the reading at the first message that cannot be read.
        metrics: Where counts go.
    """

    def __init__(
        self, cluster: Cluster, fetcher: Fetcher, letters: Buries | None, metrics: Metrics | None = None
    ) -> None:
        self._cluster = cluster
        self._fetcher = fetcher
        self._letters = letters
        self._metrics = metrics or NoMetrics()
        self._paused: dict[Place, None] = {}
        self.positions: dict[Place, int] = {}
        """The next offset of each partition that is read."""
        self.wanted: frozenset[str] | None = None
        """The schemas that are decoded; messages of others, if we know them, are passed over. None decodes all."""

    @classmethod
    async def open(
        cls,
        cluster: Cluster,
        *,
        letters: Buries | None,
        group: str | None = None,
        metrics: Metrics | None = None,
        deadline_s: float = START_S,
    ) -> Self:
        """Connect.

        Args:
            cluster: Where.
            letters: Takes what cannot be read.
            group: Under which name positions are committed; nobody may be a member of a consumer group of that name.
            metrics: Where counts go.
            deadline_s: For the connection.

        Raises:
            Unavailable: No broker answered in time.
        """
        return cls(cluster, await Fetcher.open(cluster, group, deadline_s), letters, metrics)

    async def assign(self, starts: Mapping[Place, int], deadline_s: float = ANSWER_S) -> None:
        """Read these partitions and no others; those that are read already go on where `starts` says.

        Args:
            starts: The first offset of each, or BEGIN or END.
            deadline_s: For finding those two.

        Raises:
            Unavailable: The broker did not answer in time. The assignment is as before.
        """
        wanted = dict(starts)
        if unknown := [place for place, offset in wanted.items() if offset < 0]:
            bounds = await self._fetcher.bounds(unknown, deadline_s)
            for place in unknown:
                wanted[place] = bounds[place][0 if wanted[place] == BEGIN else 1]
        self._fetcher.assign(wanted)
        self.positions = wanted
        self._paused = {place: None for place in self._paused if place in wanted}
        self._fetcher.pause(self._paused)

    async def read(self, limit: int = 1_000, wait_s: float = 0.2) -> Batch:
        """Take what is there, up to `limit` messages; wait for the first no longer than `wait_s`.

        It either gives everything that it took, dead letters acknowledged, or raises and has taken nothing.

        Raises:
            Unavailable: The broker refused, or did not acknowledge dead letters in time.
            DeadLetterUnwanted: A message cannot be read and nobody publishes dead letters.
            InvariantError: A topic is shorter than what was read of it.
        """
        try:
            found = await self._fetcher.fetch(limit, wait_s)
        except Expired as expired:
            return Batch([], await self._skip(expired.places), 0)
        messages: list[Arrived] = []
        letters: list[DeadLetter] = []
        positions = dict(self.positions)
        for place, records in found.items():
            if place not in positions:  # was fetched before the assignment changed
                continue
            for record in records:
                if record.offset < positions[place]:
                    continue
                if self.wanted is not None and _is_passed_over(record.headers, self.wanted):
                    positions[place] = record.offset + 1
                    continue
                understood = unpack(place, record.offset, record.key, record.value, record.headers)
                positions[place] = record.offset + 1
                if isinstance(understood, DeadLetter):
                    letters.append(understood)
                else:
                    messages.append(understood)
        if letters:
            await self._bury(letters, [place for place in found if place in positions])
        self.positions = {place: positions[place] for place in self.positions}
        for place, records in found.items():
            self._metrics.count("kafka.received", len(records), place.topic)
        return Batch(messages, [], len(letters))

    def pause(self, places: Iterable[Place]) -> None:
        """Give nothing more of these partitions, and keep their positions.

        Raises:
            InputError: One is not read.
        """
        chosen = self._known(places)
        self._fetcher.pause(chosen)
        self._paused |= dict.fromkeys(chosen)

    def resume(self, places: Iterable[Place]) -> None:
        """Go on with paused partitions.

        Raises:
            InputError: One is not read.
        """
        chosen = self._known(places)
        self._fetcher.pause(chosen, is_paused=False)
        self._paused = {place: None for place in self._paused if place not in chosen}

    async def lag(self, deadline_s: float = ANSWER_S) -> dict[Place, int]:
        """How many messages of each partition were not read yet: what a watchdog looks at, and proof of a broker.

        Raises:
            Unavailable: The broker did not answer in time.
        """
        bounds = await self._fetcher.bounds(self.positions, deadline_s)
        return {place: max(bounds[place][1] - position, 0) for place, position in self.positions.items()}

    async def committed(self, places: Iterable[Place], deadline_s: float = ANSWER_S) -> dict[Place, int]:
        """Where the group goes on: the committed position of each partition that has one.

        Raises:
            Unavailable: The broker did not answer in time.
        """
        return await self._fetcher.committed(places, deadline_s)

    async def commit(self, positions: Mapping[Place, int], deadline_s: float = ANSWER_S) -> bool:
        """Commit what was dealt with: the next offset of each partition. Those not ours any more are left out.

        Returns:
            Whether everything was committed. False: some are not ours, or the group has members of its own.

        Raises:
            Unavailable: The broker did not answer in time.
        """
        ours = {place: offset for place, offset in positions.items() if place in self.positions}
        is_done = await self._fetcher.commit(ours, deadline_s) if ours else True
        return is_done and len(ours) == len(positions)

    async def close(self, deadline_s: float = STOP_S) -> None:
        """Disconnect. Nothing is committed."""
        await self._fetcher.close(deadline_s)

    def _known(self, places: Iterable[Place]) -> list[Place]:
        chosen = list(places)
        if unknown := [place for place in chosen if place not in self.positions]:
            raise InputError("partition is not read", field="places", value=str(unknown[0]))
        return chosen

    async def _bury(self, letters: list[DeadLetter], places: Iterable[Place]) -> None:
        try:
            if self._letters is None:
                first = letters[0]
                raise DeadLetterUnwanted(
                    place=str(first.place), offset=first.offset, reason=first.reason, error=first.error
                )
            await self._letters.bury(letters)
        except BaseException:  # whatever it was: what was taken was not given, so it is taken again
            for place in places:
                self._fetcher.seek(place, self.positions[place])
            raise

    async def _skip(self, places: Iterable[Place]) -> list[Gap]:
        """Go on behind what expired."""
        chosen = [place for place in places if place in self.positions]
        bounds = await self._fetcher.bounds(chosen, ANSWER_S)
        gaps: list[Gap] = []
        for place in chosen:
            begin, end = bounds[place]
            expected = self.positions[place]
            if expected > end:
                raise InvariantError(
                    "topic is shorter than what was read", place=str(place), expected=expected, end=end
                )
            if expected < begin:
                gaps.append(Gap(place, expected, begin))
                self._metrics.count("kafka.expired", begin - expected, place.topic)
                self.positions[place] = begin
            self._fetcher.seek(place, self.positions[place])
        return gaps


def _is_passed_over(headers: RawHeaders, wanted: frozenset[str]) -> bool:
    """Whether a message says that it is of a schema that we know and do not want: it is not even decoded."""
    schema = next((value.decode(errors="replace") for name, value in headers if name == "schema" and value), "")
    return schema in SCHEMAS and schema not in wanted


class DeadLetterUnwanted(DataError):
    """A message cannot be read, and there is nowhere to put it."""

    def __init__(self, **fields: object) -> None:
        super().__init__("message cannot be read", **fields)
