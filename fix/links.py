"""Sessions of one initiator, for a thread that sends and may wait for what comes back."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fix.application import Engine
from fix.session import Happened, SessionSettings
from fix.wire import Body

_RESEND: Final = b"97=Y\x01"


class Links:
    """An engine of initiators whose events are kept apart by session.

    Args:
        sessions: Their settings.
        event_log: Folder for the engine's own events.

    Raises:
        SettingsError: The engine refuses the settings.
        Unavailable: A store is in use or cannot be written.
    """

    def __init__(self, sessions: Sequence[SessionSettings], event_log: Path | None = None) -> None:
        self._wake = threading.Event()
        self._inboxes: dict[str, deque[Happened]] = {session.name: deque() for session in sessions}
        self._engine = Engine("initiator", sessions, wake=self._wake.set, event_log=event_log)

    def start(self) -> None:
        """Begin to connect, and keep trying until stopped."""
        self._engine.start()

    def stop(self, deadline_s: float = 5.0) -> bool:
        """Log out and stop. The process then has to leave by `fix.application.leave`."""
        return self._engine.stop(deadline_s)

    def is_up(self, session: str) -> bool:
        """Whether messages may be sent."""
        return self._engine.is_logged_on(session)

    def send(self, session: str, body: Body) -> int:
        """Send a message; return its sequence number.

        Raises:
            Unavailable: The session is not up; nothing was sent.
        """
        fields = _RESEND + body.fields if body.is_possible_resend else body.fields
        return self._engine.send(session, body.msg_type, fields)

    def cut(self, session: str, reason: str) -> None:
        """End a session that does not answer, and let it come up again."""
        self._engine.log_out(session, reason)
        self._engine.log_on(session)

    def take(self, session: str, wait_s: float = 0.0) -> Happened | None:
        """Return what happened next on a session, or None when nothing does within `wait_s` seconds."""
        inbox = self._inboxes[session]
        until = time.monotonic() + wait_s
        while not inbox:
            self._pump()
            if inbox:
                break
            left = until - time.monotonic()
            if left <= 0 or not self._wake.wait(left):
                self._pump()
                break
        return inbox.popleft() if inbox else None

    def _pump(self) -> None:
        self._wake.clear()
        for happened in self._engine.drain():
            if happened.session in self._inboxes:
                self._inboxes[happened.session].append(happened)
            else:  # a failure that names no session concerns all of them
                for inbox in self._inboxes.values():
                    inbox.append(happened)
