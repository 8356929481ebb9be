"""An append-only record of a process, written before it acts, read when it begins again."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from domain.codec import Encoded
from domain.errors import InputError
from streams.journal import JournalReader, JournalTail, JournalWriter, Kind, Record, segments


def claimed(folder: Path) -> IO[str]:
    """Be the only process of a folder for as long as the file is open; it is made when absent.

    Raises:
        InputError: Another process works with it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it ends with the process, however that dies
    except BlockingIOError as error:
        lock.close()
        raise InputError("another process works with the folder", field="data", value=str(folder)) from error
    return lock


class Notes:
    """A journal whose records are all inputs. A record that a kill cut off is dropped: nothing was done about it.

    Args:
        folder: Where it lies; made when absent.

    Raises:
        InputError: Another process works with it.
        JournalCorrupt: It is damaged before its end.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = claimed(folder)
        self._has_records = bool(segments(folder)) and next(iter(JournalReader(folder)), None) is not None
        if not self._has_records:
            for path in segments(folder):  # killed before its first record was whole
                path.unlink()
            self._writer = JournalWriter(folder)
            return
        _, tail, self.cut_bytes = JournalTail.cut_after_last_input(folder)
        self._writer = JournalWriter(folder, next_sequence=tail.next_sequence, chain=tail.chain)

    cut_bytes: int = 0

    @property
    def is_new(self) -> bool:
        """Whether nothing was noted before this process began."""
        return not self._has_records

    def records(self) -> Iterator[Record]:
        """What was noted, in order.

        Raises:
            JournalCorrupt: It is damaged before its end.
        """
        return iter(JournalReader(self.folder)) if segments(self.folder) else iter(())

    def note(self, source: str, offset: int, message: Encoded) -> None:
        """Keep a record. When it returns, the death of the process does not lose it.

        Raises:
            Unavailable: The disk is full or gone.
        """
        self._writer.append(_KIND, source, offset, message)
        self._writer.seal()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
        self._lock.close()


_KIND: Final = Kind.INPUT
