"""Identifiers of mass quotes and their cancels: derived, so that a replay gives the same ones."""

from __future__ import annotations


class Identifiers:
    """Counts what we send: `{session}-{shard}-Q0000001` for mass quotes, `-P0000001` for cancels.

    Attributes:
        sets: Mass quotes so far.
        cancels: Cancels so far.
    """

    def __init__(self, session: str, shard: str) -> None:
        self._prefix = f"{session}-{shard}"
        self.sets = 0
        self.cancels = 0

    def next_set(self) -> str:
        """The identifier of another mass quote; its number is `sets`."""
        self.sets += 1
        return f"{self._prefix}-Q{self.sets:07d}"

    def next_cancel(self) -> str:
        """The identifier of another cancel; its number is `cancels`."""
        self.cancels += 1
        return f"{self._prefix}-P{self.cancels:07d}"

    def set_number(self, identifier: str) -> int:
        """Number of a mass quote of ours, -1 of anybody else's."""
        return self._number(identifier, "Q")

    def cancel_number(self, identifier: str) -> int:
        """Number of a cancel of ours, -1 of anybody else's."""
        return self._number(identifier, "P")

    def _number(self, identifier: str, letter: str) -> int:
        prefix, _, number = identifier.rpartition(f"-{letter}")
        return int(number) if prefix == self._prefix and number.isdecimal() else -1
