"""What the engine calls: guarded, copying, brief.

The engine calls on threads of its own, and an exception that it does not expect ends the process from there. So each
callback is guarded, copies what it is given (the engine owns it), appends it to one inbox and wakes the owner once.

A session that sends nothing again comes up in two steps. Right after the logons the other side may ask for what it
missed, and the answer is a gap fill up to the next number, over anything sent in between: an order sent at once would
be skipped without a word. So a TestRequest goes first, again after each gap fill, and only its Heartbeat proves that
the other side has followed; until then nothing is sent. FIX 4.4, volume 2, recommends the same after a logon.
"""

from __future__ import annotations

import contextlib
import functools
import hmac
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import quickfix as fix

from domain.errors import InputError
from fix.session import (
    Failure,
    GapFound,
    Happened,
    LoggedOn,
    LoggedOut,
    LogonRefused,
    ResendAsked,
    Role,
    SequenceNumbers,
    SequenceReset,
    SessionSettings,
)

_ALLOWED: Final[dict[str, tuple[type[Exception], ...]]] = {
    "toApp": (fix.DoNotSend,),
    "fromAdmin": (fix.FieldNotFound, fix.IncorrectDataFormat, fix.IncorrectTagValue, fix.RejectLogon),
    "fromApp": (fix.FieldNotFound, fix.IncorrectDataFormat, fix.IncorrectTagValue, fix.UnsupportedMessageType),
}
"""What the binding lets through; anything else ends the process from the engine's thread."""

_SOH: Final = "\x01"
PROBE: Final = "IN-STEP"
"""Tag 112 of our own TestRequests; the engine's say TEST."""

Item = Happened | tuple[str, int, str]
"""What the inbox holds: something that happened, or a message: session, time in ns, text."""


def guarded(callback: Callable[..., None]) -> Callable[..., None]:
    """Keep an exception that the engine does not expect away from it, and record it as a Failure."""
    name = callback.__name__
    allowed = _ALLOWED.get(name, ())

    @functools.wraps(callback)
    def call(self: Callbacks, *arguments: Any) -> None:  # noqa: ANN401 - whatever the engine gives
        try:
            callback(self, *arguments)
        except allowed:
            raise
        except BaseException as error:  # noqa: BLE001 - it would end the process without a word
            self.fail(name, error)

    return call


class Probe(NamedTuple):
    """The owner shall ask the other side whether it has followed."""

    session: str


class Callbacks(fix.Application):
    """What the engine calls, on its own threads; of sends, on the sender's.

    Attributes:
        inbox: What happened, oldest first. Any thread appends, the owner takes.
        armed: Whether the owner was woken and has not drained since.
        logged_on: Sessions that are up. One leaves it under the session's lock, which the engine also holds around
            `toApp`: a message is sent on a session that is up, or not at all.
        behind: Sessions whose logons are done and where the other side has not proved that it follows.
        sent: Sequence number of the last message, for each sending thread.
    """

    def __init__(self, sessions: Sequence[SessionSettings], role: Role, wake: Callable[[], None]) -> None:
        super().__init__()
        self.inbox: deque[Item | Probe] = deque()
        self.logged_on: dict[str, None] = {}
        self.behind: dict[str, None] = {}
        self.armed = False
        self.sent = threading.local()
        self._sessions = {session.name: session for session in sessions}
        self._role = role
        self._wake = wake
        self._last_words: dict[str, str] = {}

    @guarded
    def onCreate(self, session: fix.SessionID) -> None:  # noqa: N802
        """A session exists. Nothing to do: it is known from the settings."""

    @guarded
    def onLogon(self, session: fix.SessionID) -> None:  # noqa: N802
        """Both sides are logged on."""
        name = session.toString()
        self._last_words.pop(name, None)
        if self._sessions[name].resends_business:
            self._come_up(name, session)
        else:
            self.behind[name] = None
            self._tell(Probe(name))

    @guarded
    def onLogout(self, session: fix.SessionID) -> None:  # noqa: N802
        """The connection of a session ended, logged on or not."""
        name = session.toString()
        words = self._last_words.pop(name, "")
        self.behind.pop(name, None)
        if self.logged_on.pop(name, self) is self:
            self._tell(LogonRefused(session=name, at=time.time_ns(), reason=words))
        else:
            self._tell(LoggedOut(session=name, at=time.time_ns(), reason=words))

    @guarded
    def toAdmin(self, message: fix.Message, session: fix.SessionID) -> None:  # noqa: N802
        """A session message leaves: complete the Logon, note what tells why a session ends."""
        kind = message.getHeader().getField(35)
        name = session.toString()
        if kind == "A":
            self._complete_logon(message, self._sessions[name])
        elif kind == "5" and message.isSetField(58):
            self._last_words[name] = f"we logged out: {message.getField(58)}"
        elif kind == "4" and name in self.behind:
            self._tell(Probe(name))
        elif kind == "2":
            first, last = int(message.getField(7)), int(message.getField(16))
            self._tell(GapFound(session=name, at=time.time_ns(), first=first, last=last))

    @guarded
    def toApp(self, message: fix.Message, session: fix.SessionID) -> None:  # noqa: N802
        """A business message leaves, on the sender's thread; sent again, on the engine's."""
        header = message.getHeader()
        name = session.toString()
        if name not in self.logged_on:
            raise fix.DoNotSend
        if not header.isSetField(43):
            self.sent.number = int(header.getField(34))
        elif not self._sessions[name].resends_business:
            raise fix.DoNotSend

    @guarded
    def fromAdmin(self, message: fix.Message, session: fix.SessionID) -> None:  # noqa: N802
        """A session message arrived."""
        kind = message.getHeader().getField(35)
        name, at = session.toString(), time.time_ns()
        if kind == "0":
            if name in self.behind and message.isSetField(112) and message.getField(112) == PROBE:
                self._come_up(name, session)
        elif kind == "3":
            self._tell((name, at, message.toString()))
        elif kind == "5":
            words = message.getField(58) if message.isSetField(58) else "without a reason"
            self._last_words[name] = f"the peer logged out: {words}"
        elif kind == "4":
            fills = message.isSetField(123) and message.getField(123) == "Y"
            self._tell(SequenceReset(session=name, at=at, next_expected=int(message.getField(36)), gap_fill=fills))
        elif kind == "2":
            first, last = int(message.getField(7)), int(message.getField(16))
            self._tell(ResendAsked(session=name, at=at, first=first, last=last))
        elif kind == "A" and self._role == "acceptor" and not _may_enter(message, self._sessions[name]):
            self._tell(LogonRefused(session=name, at=at, reason="wrong user name or password"))
            raise fix.RejectLogon

    @guarded
    def fromApp(self, message: fix.Message, session: fix.SessionID) -> None:  # noqa: N802
        """A business message arrived."""
        name, text = session.toString(), message.toString()
        accepts = self._sessions[name].accepts
        if accepts and message_type(text) not in accepts:
            raise fix.UnsupportedMessageType
        self._tell((name, time.time_ns(), text))

    def fail(self, where: str, error: BaseException) -> None:
        """Record what went wrong in a callback."""
        with contextlib.suppress(Exception):  # the owner's own wake-up may be what went wrong
            self._tell(Failure(session="", at=time.time_ns(), where=where, error=repr(error)))

    def _come_up(self, name: str, session: fix.SessionID) -> None:
        numbers = numbers_of(session)
        self.behind.pop(name, None)
        self.logged_on[name] = None
        self._tell(
            LoggedOn(session=name, at=time.time_ns(), next_sent=numbers.next_sent, next_expected=numbers.next_expected)
        )

    def _tell(self, item: Item | Probe) -> None:
        self.inbox.append(item)
        if not self.armed:
            self.armed = True
            try:
                self._wake()
            except BaseException:
                self.armed = False
                raise

    def _complete_logon(self, logon: fix.Message, settings: SessionSettings) -> None:
        if self._role == "initiator" and settings.credentials is not None:
            logon.setField(553, settings.credentials.username)
            logon.setField(554, settings.credentials.password)
        for tag, value in settings.logon_extras:
            logon.setField(tag, value)


def message_type(text: str) -> str:
    """Tag 35 of a message as the engine writes it: the third field."""
    begin = text.index("\x0135=") + 4
    return text[begin : text.index(_SOH, begin)]


def _may_enter(logon: fix.Message, settings: SessionSettings) -> bool:
    wanted = settings.credentials
    if wanted is None:
        return True
    given = [logon.getField(tag) if logon.isSetField(tag) else "" for tag in (553, 554)]
    # Both are compared, in a time that does not tell which one is wrong.
    is_user = hmac.compare_digest(given[0].encode("utf-8", "replace"), wanted.username.encode())
    is_password = hmac.compare_digest(given[1].encode("utf-8", "replace"), wanted.password.encode())
    return is_user and is_password


def looked_up(session: fix.SessionID) -> fix.Session:
    """Find a session of this process. Each time anew: what stands behind the name may be replaced.

    Raises:
        InputError: There is none of that name.
    """
    found = fix.Session.lookupSession(session)
    if found is None:
        raise InputError("unknown session", session=session.toString())
    return found


def numbers_of(session: fix.SessionID) -> SequenceNumbers:
    """Numbers of the next message of each direction."""
    found = looked_up(session)
    return SequenceNumbers(next_sent=found.getExpectedSenderNum(), next_expected=found.getExpectedTargetNum())
