"""The digest of a run: a hash chain over every input and output, the same for the same decisions on any machine.

`ts_init`, the run's id and the seals of clearances are left out (`domain.codec.canonical`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from domain.codec import canonical
from domain.events_base import Event


class Digest:
    """Thirty-two bytes that stand for all events so far."""

    def __init__(self, state: bytes = b"\0" * 32) -> None:
        self.state = state
        self.count = 0

    def update(self, event: Event, outputs: Sequence[Event]) -> None:
        """Add one input and what came of it."""
        hasher = hashlib.blake2b(self.state, digest_size=32)
        for part in canonical(event):
            hasher.update(part)
        for output in outputs:
            for part in canonical(output):
                hasher.update(part)
        self.state = hasher.digest()
        self.count += 1 + len(outputs)

    def hex(self) -> str:
        """The digest as text."""
        return self.state.hex()
