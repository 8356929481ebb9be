"""The only door to quickfix, with `fix.callbacks`: sessions in, events out, raw messages through.

The engine keeps its sessions up on threads of its own. What happens there comes out of `Engine.drain` on the owner's
thread, and messages go in by `Engine.send`. Messages are never logged here.

How to stop: `Engine.stop`, then `leave`. Python's own way out destroys the engine's objects in an order that crashes.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

import quickfix as fix

from domain.errors import InputError, SettingsError, Unavailable
from fix.callbacks import PROBE, Callbacks, Item, Probe, looked_up, message_type, numbers_of
from fix.engine_settings import session_pairs
from fix.event_log import EventLog
from fix.session import Happened, LoggedOn, LoggedOut, LogonRefused, Received, Role, SequenceNumbers, SessionSettings
from fix.store_folder import StoreFolder

_SOH: Final = "\x01"
_SESSION_TYPES: Final = frozenset("012345A")
_CUT_S: Final = 8.0
"""Seconds that the engine itself may take to end its threads once its sessions are down: its own limit is 5."""

_alive: Final[list[object]] = []
"""Engines of this process. Destroying one crashes now and then, so none ever is."""


class Engine:
    """Sessions of one role, and the threads that keep them up.

    Args:
        role: Who connects. An initiator keeps trying until it is stopped.
        sessions: Their settings, with different names.
        wake: Called once when the inbox has something, and again only after `drain`; on a thread of the engine, so it
            must do no more than signal: `loop.call_soon_threadsafe`, `Event.set`, a byte to a pipe.
        event_log: Folder for the engine's own events, one file for each session; with it, reasons are more telling.

    Raises:
        InputError: No session, or two of one name.
        SettingsError: The engine refuses the settings or a dictionary; the message names it.
        Unavailable: A store is in use by another engine, cannot be written, or its disk is full.
    """

    callbacks: type[Callbacks] = Callbacks
    """What the engine calls."""

    def __init__(
        self,
        role: Role,
        sessions: Sequence[SessionSettings],
        *,
        wake: Callable[[], None] = lambda: None,
        event_log: Path | None = None,
    ) -> None:
        if not sessions or len({session.name for session in sessions}) != len(sessions):
            raise InputError("an engine needs sessions of different names", sessions=[s.name for s in sessions])
        kept = [session.store is not None for session in sessions]
        if any(kept) != all(kept):
            raise InputError("either all sessions of an engine have a store or none", field="store")
        self._ids = {s.name: fix.SessionID(s.begin_string, s.sender, s.target) for s in sessions}
        self._dictionaries = {s.name: _dictionary(s) for s in sessions}
        self._begin = {s.name: f"8={s.begin_string}{_SOH}9=0{_SOH}35=" for s in sessions}
        self._callbacks = self.callbacks(sessions, role, wake)
        self._log = EventLog(event_log, tuple(sessions)) if event_log is not None else None
        self._stopped = False
        self._stores = [StoreFolder(path) for path in sorted({s.store for s in sessions if s.store is not None})]
        self._connector = self._connect(role, sessions)
        _alive.append(self)

    def _connect(self, role: Role, sessions: Sequence[SessionSettings]) -> fix.Connector:
        settings = fix.SessionSettings()
        defaults = fix.Dictionary()
        # The engine reads these for all of its sessions, and nowhere else.
        for key, value in session_pairs(sessions[0], role).items():
            if key in {"ConnectionType", "ReconnectInterval", "SocketNodelay"}:
                defaults.setString(key, value)
        settings.set(defaults)
        for session in sessions:
            values = fix.Dictionary()
            for key, value in session_pairs(session, role).items():
                values.setString(key, value)
            settings.set(self._ids[session.name], values)
        stores = fix.FileStoreFactory(settings) if self._stores else fix.MemoryStoreFactory()
        kind = fix.SocketInitiator if role == "initiator" else fix.ThreadedSocketAcceptor
        try:
            if self._log is None:
                return kind(self._callbacks, stores, settings)
            return kind(self._callbacks, stores, settings, fix.FileLogFactory(str(self._log.folder)))
        except (fix.ConfigError, fix.RuntimeError) as error:
            self._release()
            raise SettingsError("the engine refuses the settings", sessions=[*self._ids], cause=str(error)) from error

    def start(self) -> None:
        """Connect, or listen.

        Raises:
            Unavailable: The port of an acceptor is taken.
        """
        try:
            self._connector.start()
        except (fix.ConfigError, fix.RuntimeError) as error:
            self._release()
            raise Unavailable("the engine cannot start", sessions=[*self._ids], cause=str(error)) from error

    def drain(self) -> list[Happened]:
        """Take what happened since the last call, oldest first. Sessions come up only where the owner drains."""
        inbox = self._callbacks.inbox
        self._callbacks.armed = False
        happened = []
        for _ in range(len(inbox)):
            item = inbox.popleft()
            if isinstance(item, Probe):
                self._probe(item.session)
            else:
                happened.append(self._told(item))
        return happened

    def _probe(self, session: str) -> None:
        """Ask whether the other side follows. The session's lock keeps the question behind a gap fill under way."""
        if session in self._callbacks.behind:
            question = fix.Message(f"{self._begin[session]}1{_SOH}112={PROBE}{_SOH}10=000{_SOH}", False)
            fix.Session.sendToTarget(question, self._ids[session])

    def _told(self, item: Item) -> Happened:
        if isinstance(item, tuple):
            session, at, text = item
            raw = text.encode("utf-8", "surrogateescape")
            return Received(session=session, at=at, msg_type=message_type(text), raw=raw)
        if isinstance(item, LoggedOut | LogonRefused):
            news = self._log.news(item.session) if self._log is not None else ""
            reason = "; ".join(part for part in (item.reason, news) if part) or "the connection was lost"
            return type(item)(session=item.session, at=item.at, reason=reason)
        if isinstance(item, LoggedOn) and self._log is not None:
            self._log.news(item.session)
        return item

    def send(self, session: str, msg_type: str, body: bytes, *, is_possible_resend: bool = False) -> int:
        """Send a business message on a session that is up.

        Args:
            session: Name of the session.
            msg_type: Tag 35.
            body: `tag=value<SOH>` fields. The engine writes the header and the trailer, and puts the body in ascending
                order of tags, groups in the dictionary's.
            is_possible_resend: Whether the header says 97=Y: this content may have been sent before.

        Returns:
            Its sequence number, by which a session Reject would name it.

        Raises:
            InputError: No such session, a session message, or the fields are no message.
            Unavailable: The session is not up. Nothing was sent, nothing will be later.

        A number is no promise of arrival: only an answer is. What is unanswered when the session ends is unknown.
        """
        if msg_type in _SESSION_TYPES:
            raise InputError("session messages are sent by the engine", msg_type=msg_type)
        flag = f"97=Y{_SOH}" if is_possible_resend else ""
        try:
            text = f"{self._begin[session]}{msg_type}{_SOH}{flag}{body.decode()}10=000{_SOH}"
            message = fix.Message(text, self._dictionaries[session], False)
        except KeyError:
            raise InputError("unknown session", session=session) from None
        except (fix.InvalidMessage, UnicodeDecodeError) as error:
            raise InputError("no FIX message", msg_type=msg_type, cause=str(error)) from error
        if not fix.Session.sendToTarget(message, self._ids[session]):
            raise Unavailable("the session is not up", session=session)
        number: int = self._callbacks.sent.number
        return number

    def is_logged_on(self, session: str) -> bool:
        """Whether messages may be sent."""
        return session in self._callbacks.logged_on

    def sequence_numbers(self, session: str) -> SequenceNumbers:
        """Numbers of the next message of each direction."""
        return numbers_of(self._ids[session])

    def log_out(self, session: str, reason: str = "") -> None:
        """End a session and keep it down until `log_on`; within about a second."""
        looked_up(self._ids[session]).logout(reason)

    def log_on(self, session: str) -> None:
        """Let a session come up again: an initiator connects at its next attempt."""
        looked_up(self._ids[session]).logon()

    def check_stores(self) -> None:
        """Ask whether the disks of the stores have space; worth a call now and then.

        Raises:
            Unavailable: One is nearly full. The engine would end the process if it could not write.
        """
        for store in self._stores:
            store.check_space()

    def stop(self, deadline_s: float = 5.0, reason: str = "") -> bool:
        """Log out of every session, then end the engine's threads. What happened meanwhile is in the inbox.

        Args:
            deadline_s: Seconds for the other sides to answer; then the connections are cut.
            reason: Text of our Logout.

        Returns:
            Whether every session logged out and the threads ended. Either way the process leaves by `leave`.
        """
        if self._stopped:
            return True
        self._stopped = True
        until = time.monotonic() + deadline_s
        for session in self._ids.values():
            looked_up(session).logout(reason)
        while self._callbacks.logged_on and time.monotonic() < until:
            time.sleep(0.01)
        logged_out = not self._callbacks.logged_on
        ending = threading.Thread(target=self._connector.stop, args=(True,), daemon=True, name="fix-stop")
        ending.start()
        ending.join(_CUT_S)
        if not ending.is_alive():
            self._release()
        return logged_out and not ending.is_alive()

    def _release(self) -> None:
        for store in self._stores:
            store.release()
        self._stores = []


def has_run() -> bool:
    """Whether this process made an engine, and so has to end by `leave`."""
    return bool(_alive)


def leave(code: int) -> NoReturn:
    """End the process at once, after what was printed is out. The only safe way once an engine has run."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _dictionary(settings: SessionSettings) -> fix.DataDictionary:
    path = settings.dictionary
    try:
        dictionary = fix.DataDictionary(str(path))
    except (fix.ConfigError, fix.FIXException) as error:
        raise SettingsError(
            "no FIX data dictionary", session=settings.name, path=str(path), cause=str(error)
        ) from error
    if dictionary.getVersion() != settings.begin_string:
        raise SettingsError(
            "the data dictionary is of another FIX version",
            session=settings.name,
            path=str(path),
            version=dictionary.getVersion(),
        )
    return dictionary
