"""Facts about who owns a partition; they travel on the topic through which a group of stages acts."""

from __future__ import annotations

from domain.events_base import Event


class OwnershipTaken(Event, frozen=True, kw_only=True):
    """A process owns a partition of a group from here on; what earlier owners sent after this is void.

    The offset of this record is the owner's epoch.
    """

    group: str
    partition: int
    owner: str


class InputsApplied(Event, frozen=True, kw_only=True):
    """Inputs were applied and nothing left for them; the record's header names them."""

    group: str
    partition: int
    count: int
