"""The folder of a session's store: private to us, with space left, and used by one engine at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import Final

from domain.errors import Unavailable

MIN_FREE_BYTES: Final = 64 * 1024 * 1024
"""A store that cannot be written ends the process (engine issue 550): refuse to start well before that."""


class StoreFolder:
    """A claim on a folder. It holds until `release` or until the process ends, however it ends.

    Raises:
        Unavailable: The folder cannot be written, another engine uses it, or its disk is nearly full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._claim = os.open(path / "engine.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable("the session store cannot be written", folder=str(path), cause=str(error)) from error
        try:
            fcntl.flock(self._claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._claim)
            raise Unavailable("another engine uses the session store", folder=str(path)) from error
        self.check_space()

    def check_space(self) -> None:
        """Ask whether there is space to go on.

        Raises:
            Unavailable: Less than MIN_FREE_BYTES are left.
        """
        free = shutil.disk_usage(self.path).free
        if free < MIN_FREE_BYTES:
            raise Unavailable("the disk of the session store is nearly full", folder=str(self.path), free=free)

    def release(self) -> None:
        """Let another engine have it."""
        os.close(self._claim)
