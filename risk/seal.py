"""The seal on a clearance: nothing reaches a venue that the risk gate did not issue.

The gate seals each clearance with a key that only the gate and the outlet hold; the outlet verifies the seal and keeps
a ledger of sequence numbers. A message without a seal, with a foreign one, with a field changed after sealing, or sent
a second time is refused with `ClearanceRefused`, which halts the shard: it can only be a mistake in the program or
worse.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, TypeVar

import msgspec

from domain.codec import canonical
from domain.errors import ClearanceRefused, InputError
from domain.events import Clearance, Event

C = TypeVar("C", bound=Clearance)

SEAL_BYTES: Final = 16
"""128 bits: a guess succeeds once in 3e38."""

KEY_BYTES: Final = (16, 64)
"""Shortest key accepted, and the longest that blake2b takes."""


class Sealer:
    """Seals and verifies clearances with keyed blake2b over their canonical form.

    The canonical form leaves out `ts_init` and the seal itself. It has no ambiguous encoding: the type's name, a JSON
    array of the scalar fields, and columns of fixed types and of one length.

    Source: BLAKE2, RFC 7693, keyed mode.
    """

    def __init__(self, key: bytes) -> None:
        """Take the key. It comes from the shell that builds gate and outlet and never leaves the process.

        Raises:
            InputError: The key is shorter than 16 or longer than 64 bytes.
        """
        shortest, longest = KEY_BYTES
        if not shortest <= len(key) <= longest:
            raise InputError("seal key must have 16 to 64 bytes", field="key", value=f"{len(key)} bytes")
        self._begun = hashlib.blake2b(key=key, digest_size=SEAL_BYTES)

    def seal(self, clearance: Clearance) -> str:
        """Return the seal of a clearance, whatever seal it carries now. 32 hexadecimal digits."""
        digest = self._begun.copy()
        for part in canonical(clearance):
            digest.update(part)
        return digest.hexdigest()

    def sealed(self, clearance: C) -> C:
        """Return the clearance with its seal in place."""
        return msgspec.structs.replace(clearance, seal=self.seal(clearance))

    def verify(self, clearance: Event) -> None:
        """Check that the event is a clearance with a seal made by this key over its content as it is now.

        Raises:
            ClearanceRefused: It is no clearance, or the seal does not fit.
        """
        if not isinstance(clearance, Clearance):
            raise ClearanceRefused(why="no clearance", type=type(clearance).__name__)
        if not hmac.compare_digest(clearance.seal.encode(), self.seal(clearance).encode()):
            raise ClearanceRefused(
                why="seal does not fit",
                type=type(clearance).__name__,
                gate=clearance.gate,
                sequence=clearance.sequence,
            )


class ClearanceLedger:
    """The outlet's side: takes each clearance of each gate once and in the order of issue.

    A gate numbers its clearances 1, 2, 3, ... and one outlet reads them all, so the only number that can come is the
    next one: a lower one was seen before, a higher one means that a clearance was lost or never issued.
    """

    def __init__(self, sealer: Sealer) -> None:
        """Start with no gate known."""
        self._sealer = sealer
        self._last: dict[str, int] = {}

    def admit(self, clearance: Event) -> None:
        """Verify the seal and take the sequence number. A refused clearance changes nothing.

        Raises:
            ClearanceRefused: No clearance, seal does not fit, number repeated, or number not issued yet.
        """
        self._sealer.verify(clearance)
        assert isinstance(clearance, Clearance)  # noqa: S101 - verify has refused everything else
        expected = self._last.get(clearance.gate, 0) + 1
        if clearance.sequence != expected:
            raise ClearanceRefused(
                why="sequence repeated" if clearance.sequence < expected else "sequence not issued",
                gate=clearance.gate,
                sequence=clearance.sequence,
                expected=expected,
            )
        self._last[clearance.gate] = expected

    def last(self, gate: str) -> int:
        """Return the last sequence number taken from a gate, 0 before the first."""
        return self._last.get(gate, 0)

    def resume(self, gate: str, last: int) -> None:
        """Go on after a sequence number that a snapshot holds.

        Raises:
            InputError: The number is negative.
        """
        if last < 0:
            raise InputError("sequence number must not be negative", field="last", value=last, gate=gate)
        self._last[gate] = last
