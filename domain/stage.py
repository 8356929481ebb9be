"""The Stage protocol: what a shard runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from domain.events import Event


@runtime_checkable
class Stage(Protocol):
    """One step of the pipeline: pure, single-threaded, replayable.

    `apply` may read nothing but its own state and the event; time is `event.ts_event`. It raises InputError or
    DataError before it changes state, and never catches our errors: the shard decides. `restore(snapshot())` gives a
    stage that answers every later event as the original would.
    """

    @property
    def name(self) -> str:
        """Short and unique in a shard; seeds the stage's random numbers."""
        ...

    @property
    def reads(self) -> frozenset[type[Event]]:
        """The event and command types that `apply` accepts."""
        ...

    def apply(self, event: Event) -> Sequence[Event]:
        """Apply one event and return what follows from it, in order."""
        ...

    def snapshot(self) -> bytes:
        """The whole state."""
        ...

    def restore(self, state: bytes) -> None:
        """Take over the state that `snapshot` gave.

        Raises:
            DataError: The bytes are of another stage or version.
        """
        ...
