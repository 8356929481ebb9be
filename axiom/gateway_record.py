"""What the gateway keeps so that its death costs nothing: what it sent, whose word counts, what the desk was told.

- *Clearances*: every one is noted before it is sent. After a death none of them is sent again.
- *Owners*: the highest epoch of each group and partition, so that a lower one is refused after a restart too.
- *Answers*: what is on `orders.reports` is the truth about what the desk was told. It is read at the start, from a
  checkpoint on, so that venues are asked for what came after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from axiom.notes import Notes
from axiom.runs import write_atomically
from domain.codec import Encoded
from domain.errors import InputError
from domain.events import Clearance, ExecutionReported
from domain.events_base import Event
from fix.gateway import Owner
from fix.mapping import command_of
from fix.refusals import reference_of
from fix.venue_line import Known
from streams.kafka_message import Place
from streams.kafka_reader import BEGIN
from streams.messages import Arrived, Headers
from streams.ownership import Fence

OWN: Final = "gateway"
"""The cause of what the gateway says in a venue's name."""

_SCHEMA: Final = "GatewayNote"
_COUNT_BITS: Final = 36
_NOTHING: Final = Known("", 0)
_OWNER: Final = "owner."


class _Checkpoint(msgspec.Struct, kw_only=True):
    """What was on `orders.reports` at some moment."""

    starts: int = 0
    positions: dict[str, int] = {}
    known: dict[str, dict[str, tuple[str, int]]] = {}


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    """A clearance that was sent: for people, who look up what became of an order."""

    kind: str
    subject: str
    partition: int
    offset: int


class GatewayRecord:
    """The folder of a gateway.

    Args:
        folder: Where it lies; made when absent.

    Raises:
        InputError: Another gateway works with it.
    """

    def __init__(self, folder: Path) -> None:
        self._notes = Notes(folder / "sent")
        self._path = folder / "checkpoint.json"
        self.is_new = self._notes.is_new
        self.last: dict[str, int] = {}
        self.fences: dict[int, Fence] = {}
        for record in self._notes.records():
            if record.source.startswith(_OWNER):
                group, _, partition = record.source.removeprefix(_OWNER).rpartition(".")
                self.fence(int(partition)).raise_to(group, record.offset)
            else:
                self.last[record.source] = record.offset
        self._checkpoint = self._read()
        self.known: dict[str, dict[str, Known]] = {
            underlying: {mic: Known(*values) for mic, values in found.items()}
            for underlying, found in self._checkpoint.known.items()
        }
        self._starts = self._checkpoint.starts
        self._count = 0

    def fence(self, partition: int) -> Fence:
        """Whose word counts on a partition of `orders.cleared`."""
        return self.fences.setdefault(partition, Fence())

    # --- what is sent -------------------------------------------------------------------------------------------------
    def sending(self, clearance: Clearance, arrived: Arrived) -> None:
        """Keep for good that a clearance is sent now."""
        subject = reference_of(command_of(clearance))
        note = _Note(kind=type(clearance).__name__, subject=subject, partition=arrived.partition, offset=arrived.offset)
        self._notes.note(clearance.gate, clearance.sequence, Encoded(_SCHEMA, 1, msgspec.json.encode(note)))

    def owned(self, owner: Owner, epoch: int) -> None:
        """Keep for good that a partition has a new owner."""
        self.fence(owner.partition).raise_to(owner.group, epoch)
        self._notes.note(f"{_OWNER}{owner.group}.{owner.partition}", epoch, Encoded(_SCHEMA, 1, b"{}"))

    # --- what the desk was told ---------------------------------------------------------------------------------------
    def start(self, place: Place) -> int:
        """Where to read `orders.reports` on from."""
        return self._checkpoint.positions.get(str(place), BEGIN)

    def told(self, arrived: Arrived) -> None:
        """Take an answer that is on `orders.reports`."""
        prefix, _, rest = arrived.headers.source.partition(".")
        mic, _, underlying = rest.partition(".")
        if prefix == "venue" and underlying:
            self._starts = max(self._starts, arrived.headers.sequence >> _COUNT_BITS)
            self._heard(underlying, mic, arrived.event, is_own=arrived.headers.cause == OWN)

    def begin(self) -> int:
        """Begin: number the start of this process, for good, and return the number."""
        self._starts += 1
        self._checkpoint.starts = self._starts
        self._write()
        return self._starts

    def headers(self, mic: str, event: Event, *, is_own: bool) -> Headers:
        """Name the next answer. Counts grow over restarts: the number of the start is in front."""
        self._count += 1
        self._heard(event.underlying, mic, event, is_own=is_own)
        sequence = self._starts << _COUNT_BITS | self._count
        return Headers(f"venue.{mic}.{event.underlying}", sequence, cause=OWN if is_own else "")

    def capture(self) -> dict[str, dict[str, tuple[str, int]]]:
        """What the desk has been told, as far as this process has published it."""
        return {
            name: {mic: (known.last_exec_id, known.ts) for mic, known in found.items()}
            for name, found in self.known.items()
        }

    def save(self, captured: dict[str, dict[str, tuple[str, int]]], positions: Mapping[Place, int]) -> None:
        """Keep a checkpoint: all of `captured` is on the broker; what is not in it lies behind `positions`."""
        self._checkpoint.known = captured
        self._checkpoint.positions = {str(place): offset for place, offset in positions.items()}
        self._write()

    def close(self) -> None:
        """Close the record."""
        self._notes.close()

    def _heard(self, underlying: str, mic: str, event: Event, *, is_own: bool) -> None:
        of_venues = self.known.setdefault(underlying, {})
        before = of_venues.get(mic, _NOTHING)
        last = event.exec_id if isinstance(event, ExecutionReported) and not is_own else before.last_exec_id
        of_venues[mic] = Known(last, max(before.ts, event.ts_event))

    def _read(self) -> _Checkpoint:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Checkpoint)
        except FileNotFoundError:
            return _Checkpoint()
        except (OSError, msgspec.MsgspecError) as error:
            raise InputError(
                "checkpoint cannot be read", field="data", value=str(self._path), error=str(error)
            ) from error

    def _write(self) -> None:
        write_atomically(self._path, msgspec.json.encode(self._checkpoint))
