"""Local journals of tenures: what an owner of a partition applied and what came of it, for replays and inquests.

    DATA/GROUP/PARTITION/TENURE/tenure.json     group, partition, owner
    DATA/GROUP/PARTITION/TENURE/snapshot        the state that it began with, where it did not begin from nothing
    DATA/GROUP/PARTITION/TENURE/journal         as of any run

They are not what recovery rests on: that is on the broker.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from axiom.compose import Composer
from axiom.runs import write_atomically
from domain.errors import InputError
from domain.metrics import Metrics
from domain.partitioning import partition_of
from streams.groups import GROUPS, Group
from streams.journal import JournalWriter
from streams.ownership import Partition
from streams.shard import Shard

FACTS: Final = "tenure.json"
SNAPSHOT: Final = "snapshot"


class TenureFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose tenure it was."""

    group: str
    partition: int
    partitions: int
    owner: str


def composer_of(group: Group, key: bytes | None = None) -> Composer:
    """Builds the stages of a group; identifiers differ by underlying, because other processes give some too."""
    return Composer(key=key, chosen=group.stages, by_underlying=True)


class Tenures:
    """The folder of the tenures of one worker.

    Args:
        data: Folder of the worker.
        group: Its group.
        partitions: Of every topic that shares keys.
        owner: Name of the process.
        key: The key of the seals.
        kept: How many tenures of each partition are kept.
        metrics: Where counts and times go.
    """

    def __init__(
        self, data: Path, group: Group, partitions: int, owner: str, key: bytes | None, kept: int, metrics: Metrics
    ) -> None:
        self._data = data
        self._group = group
        self._partitions = partitions
        self._owner = owner
        self._composer = composer_of(group, key)
        self._kept = kept
        self._metrics = metrics

    @contextmanager
    def begin(self, number: int, state: bytes | None) -> Iterator[Partition]:
        """A partition, restored from a snapshot where there is one, whose journal ends with the context.

        Raises:
            DataError: The snapshot cannot be read.
            InvariantError: It is of another partition.
            Unavailable: The disk is full or gone.
        """
        parent = self._data / self._group.name / str(number)
        folder = parent / f"{time.time_ns():020d}"
        folder.mkdir(parents=True)
        facts = TenureFacts(group=self._group.name, partition=number, partitions=self._partitions, owner=self._owner)
        write_atomically(folder / FACTS, msgspec.json.format(msgspec.json.encode(facts)))
        if state:
            write_atomically(folder / SNAPSHOT, state)
        journal = JournalWriter(folder / "journal", metrics=self._metrics)
        shard = Shard(f"{self._group.name}.{number}", self._composer.stages, self._metrics)
        partition = Partition(self._group, number, shard, journal, partition_of("", self._partitions))
        try:
            if state:
                partition.restore(state)
            yield partition
        finally:
            journal.close()
            for old in sorted(parent.iterdir())[: -self._kept]:
                shutil.rmtree(old, ignore_errors=True)


def is_tenure(folder: Path) -> bool:
    """Whether a folder is one of a tenure."""
    return (folder / FACTS).is_file()


def shard_at_the_beginning(folder: Path) -> Shard:
    """The shard with which a tenure began, to be given the inputs of its journal again.

    Raises:
        DataError: Its snapshot cannot be read.
        InputError: The folder is damaged.
    """
    try:
        facts = msgspec.json.decode((folder / FACTS).read_bytes(), type=TenureFacts)
        group = GROUPS[facts.group]
    except (OSError, msgspec.MsgspecError, KeyError) as error:
        raise InputError("tenure cannot be read", field="tenure", value=str(folder), error=str(error)) from error
    shard = Shard(f"{group.name}.{facts.partition}", composer_of(group).stages)
    snapshot = folder / SNAPSHOT
    if snapshot.exists():
        partition = Partition(group, facts.partition, shard)
        partition.restore(snapshot.read_bytes())
    return shard
