"""The journal of a run: append-only segments of checked records, numbered and hash-chained.

An input is written before it is applied; what came of it is written after it was acted on. One `write` hands a record
to the operating system: it survives the death of the process, not a power cut (`fsync` buys that).

Record, little-endian:

    u32 length of the body | u32 crc32 of the body | u32 crc32 of these eight bytes
    | u64 sequence | u8 kind | u8 version | u8 length of schema name | u8 length of source | i64 offset | 16 bytes chain
    | schema | source | payload

The body begins with the sequence number. The prefix has a checksum of its own, so that a damaged length is not taken
for a record that was cut off: what a killed process leaves is short, never altered.

`chain` is the hash of the record before. It is computed by `seal`, after the outputs have left, so that hashing stays
off the path from tick to quote; a record that is altered, removed or moved breaks every later one.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple, Self

from domain.codec import Encoded, decode
from domain.errors import DataError, InputError, JournalCorrupt, Unavailable
from domain.events_base import Event
from domain.metrics import Metrics, NoMetrics

_LENGTH: Final = struct.Struct("<II")
_PREFIX: Final = struct.Struct("<III")
_HEAD: Final = struct.Struct("<QBBBBq16s")
_CHAIN_BYTES: Final = 16
GENESIS: Final = b"\0" * _CHAIN_BYTES
MAX_PAYLOAD: Final = 64 * 1024 * 1024
SUFFIX: Final = ".journal"


class Kind(IntEnum):
    """What a record is."""

    INPUT = 1
    OUTPUT = 2


class Record(NamedTuple):
    """One record as read back. `end` is the file position after it."""

    sequence: int
    kind: Kind
    source: str
    offset: int
    message: Encoded
    segment: Path
    start: int
    end: int
    chain: bytes

    def event(self) -> Event:
        """The decoded event."""
        return decode(self.message.schema, self.message.version, self.message.payload)


def _link(chain: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHAIN_BYTES, key=chain).digest()


class JournalWriter:
    """Appends records. One writer per journal."""

    def __init__(
        self,
        folder: Path,
        *,
        next_sequence: int = 0,
        chain: bytes = GENESIS,
        segment_bytes: int = 64 * 1024 * 1024,
        fsync: bool = False,
        metrics: Metrics | None = None,
    ) -> None:
        """Continue after the last record of `folder`, or start an empty journal in it; count the bytes in `metrics`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._fsync = fsync
        self._chain = chain
        self._unsealed: list[bytes] = []
        self.next_sequence = next_sequence
        self._metrics = metrics or NoMetrics()
        existing = segments(folder)
        path = existing[-1] if existing else folder / f"{0:06d}{SUFFIX}"
        self._index = int(path.stem)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._size = os.fstat(self._file).st_size

    def append(self, kind: Kind, source: str, offset: int, message: Encoded) -> int:
        """Write one record and return its sequence number."""
        return self.append_all(kind, source, offset, (message,))

    def append_all(self, kind: Kind, source: str, offset: int, messages: Sequence[Encoded]) -> int:
        """Write several records with one call to the operating system; return the last sequence number.

        Raises:
            InputError: A record is longer than a reader accepts. Nothing was written.
            Unavailable: The disk is full or gone. What stands there of the records is cut when the run is resumed.
        """
        if (longest := max((len(message.payload) for message in messages), default=0)) > MAX_PAYLOAD:
            raise InputError("journal record is too long", field="payload", value=longest, limit=MAX_PAYLOAD)
        parts: list[bytes] = []
        for message in messages:
            self.seal()
            body = self._body(kind, source, offset, message)
            lengths = _LENGTH.pack(len(body), zlib.crc32(body))
            parts.append(lengths + zlib.crc32(lengths).to_bytes(4, "little"))
            parts.append(body)
            self._unsealed.append(body)
            self.next_sequence += 1
        data = parts[0] + parts[1] if len(parts) == 2 else b"".join(parts)
        self._write(data)
        return self.next_sequence - 1

    def seal(self) -> None:
        """Hash the records written since the last call into the chain."""
        for body in self._unsealed:
            self._chain = _link(self._chain, body)
        self._unsealed.clear()

    def close(self) -> None:
        """Seal and close."""
        self.seal()
        os.close(self._file)

    def _body(self, kind: Kind, source: str, offset: int, message: Encoded) -> bytes:
        schema, origin = message.schema.encode(), source.encode()
        head = _HEAD.pack(self.next_sequence, kind, message.version, len(schema), len(origin), offset, self._chain)
        return b"".join((head, schema, origin, message.payload))

    def _write(self, data: bytes) -> None:
        try:
            if self._size >= self._segment_bytes:
                self._roll()
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
            if self._fsync:
                os.fsync(self._file)
        except OSError as error:
            raise Unavailable("journal cannot be written", folder=str(self._folder), error=str(error)) from error
        self._size += len(data)
        self._metrics.count("journal.bytes", len(data))

    def _roll(self) -> None:
        os.close(self._file)
        self._index += 1
        path = self._folder / f"{self._index:06d}{SUFFIX}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._size = 0


class JournalReader:
    """Reads a journal in order and checks every record.

    A record that is cut off at the very end is what a killed process leaves: reading stops before it and `torn_bytes`
    says how much was there. Any other damage raises JournalCorrupt.
    """

    def __init__(self, folder: Path) -> None:
        if not segments(folder):
            raise DataError("journal has no segments", folder=str(folder))
        self._folder = folder
        self._segment = 0
        self._position = 0
        self._sequence = 0
        self._chain = GENESIS
        self.torn_bytes = 0

    def __iter__(self) -> Iterator[Record]:
        """The records not yet read: of a new reader, all of them."""
        return self.more()

    def more(self) -> Iterator[Record]:
        """Records that follow those read before, checked: length, checksum, sequence, chain."""
        self.torn_bytes = 0
        while True:
            files = segments(self._folder)
            path, start = files[self._segment], self._position
            with path.open("rb") as file:
                file.seek(start)
                data = file.read()
            is_last = self._segment == len(files) - 1
            while self._position - start < len(data):
                record = self._parse(path, data, start, is_last=is_last)
                if record is None:
                    return
                self._take(record, data[record.start - start + _PREFIX.size : record.end - start])
                yield record
            if self._segment + 1 >= len(segments(self._folder)):
                return
            self._segment, self._position = self._segment + 1, 0

    def _take(self, record: Record, body: bytes) -> None:
        if record.sequence != self._sequence or record.chain != self._chain:
            raise JournalCorrupt(
                segment=record.segment.name,
                position=record.start,
                expected=self._sequence,
                found=record.sequence,
                what="chain or sequence",
            )
        self._position = record.end
        self._sequence += 1
        self._chain = _link(record.chain, body)

    def _parse(self, path: Path, data: bytes, begin: int, *, is_last: bool) -> Record | None:
        """The next record of a segment whose bytes from `begin` on are `data`; None where a killed process stopped."""
        position = self._position
        at = position - begin
        remaining = len(data) - at
        if remaining < _PREFIX.size:
            self._tear(path, position, remaining, is_last=is_last)
            return None
        length, crc, prefix_crc = _PREFIX.unpack_from(data, at)
        if zlib.crc32(data[at : at + _LENGTH.size]) != prefix_crc:
            raise JournalCorrupt(segment=path.name, position=position, what="checksum of the prefix")
        start = at + _PREFIX.size
        stop = start + length
        if stop > len(data):
            self._tear(path, position, remaining, is_last=is_last)
            return None
        body = data[start:stop]
        if zlib.crc32(body) != crc:
            raise JournalCorrupt(segment=path.name, position=position, what="checksum")
        try:
            sequence, kind, version, schema_size, source_size, offset, chain = _HEAD.unpack_from(body)
            schema_end = _HEAD.size + schema_size
            source_end = schema_end + source_size
            schema, source = body[_HEAD.size : schema_end].decode(), body[schema_end:source_end].decode()
            message = Encoded(schema, version, body[source_end:])
            return Record(sequence, Kind(kind), source, offset, message, path, position, begin + stop, chain)
        except (struct.error, ValueError) as error:
            raise JournalCorrupt(segment=path.name, position=position, what="head", error=str(error)) from error

    def _tear(self, path: Path, position: int, remaining: int, *, is_last: bool) -> None:
        if not is_last:
            raise JournalCorrupt(segment=path.name, position=position, what="record cut off before the last segment")
        self.torn_bytes = remaining


class JournalTail(NamedTuple):
    """Where a journal can be continued."""

    next_sequence: int
    chain: bytes

    @classmethod
    def cut_after_last_input(cls, folder: Path) -> tuple[Record, Self, int]:
        """Drop what follows the last input record: its outputs may be incomplete and are derived again.

        Returns:
            The last input, the tail that follows it, and the number of bytes that were cut.
        """
        last: Record | None = None
        reader = JournalReader(folder)
        for record in reader:
            if record.kind is Kind.INPUT:
                last = record
        if last is None:
            raise DataError("journal holds no input", folder=str(folder))
        cut = 0
        for path in reversed(segments(folder)):  # from the end: a kill in between leaves a shorter journal, not a gap
            if path > last.segment:
                cut += path.stat().st_size
                path.unlink()
        cut += last.segment.stat().st_size - last.end
        os.truncate(last.segment, last.end)
        with last.segment.open("rb") as file:
            file.seek(last.start + _PREFIX.size)
            body = file.read(last.end - last.start - _PREFIX.size)
        return last, cls(last.sequence + 1, _link(last.chain, body)), cut


def segments(folder: Path) -> list[Path]:
    """The segment files of a journal, in order."""
    return sorted(folder.glob(f"*{SUFFIX}"))
