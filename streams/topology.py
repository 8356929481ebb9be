"""Which stages share a shard, which of their outputs are pinned by the journal, and which survive a halt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from domain.events import ChainListed, ForwardImplied, GreeksComputed, RunStarted, SurfaceFitted
from domain.stage import Stage

PinnedEvent = ForwardImplied | SurfaceFitted | GreeksComputed
PINNED: Final = (ForwardImplied, SurfaceFitted, GreeksComputed)
"""Results of numerical kernels. A replay takes them from the journal: decisions do not depend on the machine."""

PINNED_SCHEMAS: Final = frozenset(kind.__name__ for kind in PINNED)

GATE: Final = "gate"
"""The one stage that may issue clearances."""

SURVIVORS: Final = frozenset({"gate", "orders", "positions"})
"""Stages that go on after a halt: cancels must leave, and late fills must be booked."""


class StageFactory(Protocol):
    """Builds the stages of one underlying, in the order in which they see an event."""

    def __call__(self, run: RunStarted, chain: ChainListed, /) -> Sequence[Stage]:
        """The stages of `chain.underlying`."""
        ...
