"""Commits positions under a name that nobody is a member of, so that Kafka's own tools show how far a group is.

Recovery does not rest on them: positions that count are in the snapshots.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams.kafka_message import Place
from streams.kafka_reader import Reader
from streams.kafka_settings import Cluster


class Commits:
    """One connection for the partitions of one tenure; it is made when the first positions come.

    It is not the one that reads: the coordination of aiokafka does not bear a second `assign`.

    Args:
        cluster: Where.
        group: The name.
    """

    def __init__(self, cluster: Cluster, group: str) -> None:
        self._cluster = cluster
        self._group = group
        self._reader: Reader | None = None

    async def commit(self, positions: Mapping[Place, int]) -> None:
        """Note the next offset of each partition; those that begin are left out.

        Raises:
            Unavailable: The broker did not answer in time.
        """
        known = {place: offset for place, offset in positions.items() if offset > 0}
        if self._reader is None:
            self._reader = await Reader.open(self._cluster, letters=None, group=self._group)
            await self._reader.assign(dict(positions))
            self._reader.pause(positions)
        await self._reader.commit(known)

    async def close(self) -> None:
        """Disconnect."""
        if self._reader is not None:
            await self._reader.close(1.0)
