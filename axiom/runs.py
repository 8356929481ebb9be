"""The folder of a run: what it was asked to do, its journal, snapshots, log, tables and report."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from domain.errors import InputError

ROOT: Final = Path("runs")
CONFIG: Final = "run.json"
SUMMARY: Final = "summary.json"
FACTS: Final = "facts.json"
_KEPT_SNAPSHOTS: Final = 3
_PATIENCE_S: Final = 0.05
_NAME: Final = re.compile(r"(?!last$)[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run was asked to do: enough to resume it in another process.

    `positions` is what we start with, `statement` what the clearing firm says that we do. `speed` is event seconds per
    second, 0 as fast as possible. `settings` is `axiom.settings.Settings` as JSON, without connections; `cache` is
    the one to the cache, empty for none.
    """

    run: str
    source: str
    path: str
    underlying: str
    trade_date: str
    speed: float
    venues: str
    positions: str
    statement: str = ""
    settings: str
    cache: str = ""


class RunFolder:
    """Paths of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path / "journal"
        self.snapshots = path / "snapshots"
        self.tables = path / "tables"
        self.log = path / "log.jsonl"
        self.summary = path / SUMMARY
        self.facts = path / FACTS
        self.report = path / "report.html"
        self.interrupted = path / "interrupted"
        self.paused = path / "paused"
        self._lock = path / "lock"

    @classmethod
    def create(cls, root: Path, config: RunConfig) -> RunFolder:
        """A new folder that holds the configuration.

        Raises:
            InputError: A run of this name exists, or `root` cannot hold it, or the name is none for a folder. `last` is
                none: it means the newest.
        """
        if not _NAME.fullmatch(config.run):
            raise InputError("a run is named by letters, digits, '.', '_' and '-'", field="id", value=config.run)
        folder = cls(root / config.run)
        try:
            if folder.path.exists():
                raise InputError("run exists already", field="run", value=config.run)
            folder.snapshots.mkdir(parents=True)
        except OSError as error:
            raise InputError("runs cannot be kept there", field="runs", value=str(root), error=str(error)) from error
        write_atomically(folder.path / CONFIG, msgspec.json.format(msgspec.json.encode(config), indent=2))
        return folder

    @classmethod
    def find(cls, root: Path, name: str) -> RunFolder:
        """The folder of a run by its name or path; `last` is the newest.

        Raises:
            InputError: There is no such run.
        """
        if name == "last":
            runs = sorted(root.glob(f"*/{CONFIG}"), key=lambda path: path.stat().st_mtime_ns)
            if not runs:
                raise InputError("no run yet", field="run", value=str(root))
            return cls(runs[-1].parent)
        for path in (Path(name), root / name):
            if (path / CONFIG).exists():
                return cls(path)
        raise InputError("no such run", field="run", value=name, looked_in=str(root))

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Be the only process that drives the run. The claim ends with the block, or with the process, however it dies.

        Raises:
            InputError: Another process drives it.
        """
        with self._lock.open("a+", encoding="ascii") as file:
            for patience in (True, True, False):  # `is_alive` of somebody may hold it for an instant
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if not patience:
                        raise InputError("another process drives the run", field="run", value=self.path.name) from error
                    time.sleep(_PATIENCE_S)
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def is_alive(self) -> bool:
        """Whether a process drives the run."""
        try:
            with self._lock.open(encoding="ascii") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    def config(self) -> RunConfig:
        """What the run was asked to do.

        Raises:
            InputError: The file is damaged.
        """
        try:
            return msgspec.json.decode((self.path / CONFIG).read_bytes(), type=RunConfig)
        except (OSError, msgspec.MsgspecError) as error:
            raise InputError("run cannot be read", field="run", value=str(self.path), error=str(error)) from error

    def save_snapshot(self, sequence: int, state: bytes) -> None:
        """Keep a snapshot; the oldest go."""
        self.snapshots.mkdir(exist_ok=True)
        write_atomically(self.snapshots / f"{sequence:012d}.snapshot", state)
        for path in sorted(self.snapshots.glob("*.snapshot"))[:-_KEPT_SNAPSHOTS]:
            path.unlink()

    def drop_snapshots_after(self, sequence: int) -> None:
        """Remove snapshots of a state that the journal no longer reaches."""
        for path in self.snapshots.glob("*.snapshot"):
            if int(path.stem) > sequence:
                path.unlink()

    def best_snapshot(self, last_sequence: int) -> tuple[int, bytes] | None:
        """The newest snapshot taken at or before an input."""
        for path in sorted(self.snapshots.glob("*.snapshot"), reverse=True):
            if int(path.stem) <= last_sequence:
                return int(path.stem), path.read_bytes()
        return None


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that is either the old one or the new one, never half."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)
