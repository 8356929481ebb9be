"""The engine's own account of its sessions, a file of events: why a session ended, in its words.

The engine writes two files for each session: events, and every message. The messages would cost time and would hold the
passwords of logons, so their file leads nowhere.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from fix.session import SessionSettings

_EVERYDAY: Final = (
    "Created session",
    "Connecting to",
    "Allows connections",
    "Initiated logon request",
    "Received logon",
    "Responding to logon request",
    "Sent test request",
    "Initiated logout request",
    "Received logout",
    "Sending logout response",
    "Disconnecting",
    "Processing QUEUED",
    "Resending Message",
)
"""How lines begin that say nothing about a reason."""

_MOST_LINES: Final = 3


class EventLog:
    """Event files of the sessions of one engine, in a folder."""

    def __init__(self, folder: Path, sessions: tuple[SessionSettings, ...]) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._files = {}
        for stem, name in [("GLOBAL", ""), *((_stem(session), session.name) for session in sessions)]:
            messages = folder / f"{stem}.messages.current.log"
            if not messages.is_symlink():
                messages.unlink(missing_ok=True)
                messages.symlink_to(os.devnull)
            self._files[name] = folder / f"{stem}.event.current.log"
        self._read = {name: _size(path) for name, path in self._files.items()}

    def news(self, session: str) -> str:
        """What the engine wrote about a session since the last call and is no everyday event; empty if nothing."""
        path, begin = self._files[session], self._read[session]
        try:
            with path.open("rb") as file:
                file.seek(begin)
                text = file.read()
        except OSError:
            return ""
        self._read[session] = begin + len(text)
        lines = [line.partition(" : ")[2] for line in text.decode(errors="replace").splitlines()]
        telling = [line for line in lines if line and not line.startswith(_EVERYDAY)]
        return "; ".join(telling[-_MOST_LINES:])


def _stem(session: SessionSettings) -> str:
    return f"{session.begin_string}-{session.sender}-{session.target}"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
