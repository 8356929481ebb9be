"""What a killed run left behind, for a run that is resumed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from streams.journal import Record


@dataclass(slots=True)
class Journaled:
    """What a killed run left behind: its input records with their output records, in order."""

    inputs: Iterator[tuple[Record, list[Record]]]
    last_sequence: int
    head: tuple[Record, list[Record]] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Look at the first."""
        self.advance()

    def advance(self) -> None:
        """Go to the next input."""
        self.head = next(self.inputs, None)
