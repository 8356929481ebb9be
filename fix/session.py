"""What a FIX session is set to, and what happens to it: plain data, without the engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

import msgspec

from domain.errors import InputError

DIALECT: Final = Path(__file__).parent / "dictionary" / "AXIOM44.xml"
"""The data dictionary of our dialect, written by `tools/build_fix_dictionary.py`."""

Role = Literal["initiator", "acceptor"]
Day = Literal["", "mon", "tue", "wed", "thu", "fri", "sat", "sun"]

_COMP_ID: Final = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_TIME: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d")


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """User name and password of a logon, tags 553 and 554. They never show in a log, a representation or an event."""

    username: str
    password: str

    def __post_init__(self) -> None:
        """Refuse what cannot ride in a field."""
        for name in ("username", "password"):
            value = getattr(self, name)
            if not value or "\x01" in value or not value.isprintable():
                raise InputError("must be printable and not empty", field=f"credentials.{name}")

    def __repr__(self) -> str:
        return "Credentials(...)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Nothing to show."""
        return []


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the session may be up, UTC. Equal times mean all day; with days, one session from day to day.

    Attributes:
        start: HH:MM:SS.
        end: HH:MM:SS. Sequence numbers begin at 1 again after it.
        start_day: First day of a session of several days; empty for daily sessions.
        end_day: Last day.
    """

    start: str = "00:00:00"
    end: str = "00:00:00"
    start_day: Day = ""
    end_day: Day = ""

    def __post_init__(self) -> None:
        """Refuse what the engine would misread."""
        for name in ("start", "end"):
            if not _TIME.fullmatch(getattr(self, name)):
                raise InputError("must be HH:MM:SS, UTC", field=f"schedule.{name}", value=getattr(self, name))
        if bool(self.start_day) != bool(self.end_day):
            raise InputError("one day needs the other", field="schedule.end_day", value=self.end_day)


class SessionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One FIX session, as seen from our side.

    Attributes:
        sender: Our CompID.
        target: The CompID of the other side.
        port: TCP port: the peer's for an initiator, our own for an acceptor.
        host: Initiator: where the peer listens. Acceptor: the only address a peer may come from, empty for any;
            the engine always listens on every interface.
        begin_string: FIX version.
        heartbeat_s: Seconds between heartbeats; an acceptor takes those of the Logon.
        reconnect_s: Seconds between two attempts of an initiator to connect.
        logon_timeout_s: Seconds to wait for the answer to a Logon.
        logout_timeout_s: Seconds to wait for the answer to a Logout.
        max_clock_skew_s: Seconds that tag 52 may differ from our clock.
        schedule: When the session may be up.
        store: Folder for sequence numbers and messages; None keeps them in memory, for tests and simulators.
            One engine at a time may use it.
        persist: Whether sent messages are stored. Without, the engine answers every ResendRequest with one gap fill in
            bounded memory: nothing stale can be sent again.
        resends_business: Whether orders, quotes and reports may be sent again as PossDup. Only a peer that loses
            messages otherwise, such as a venue towards its clients, wants that; never order entry.
        reset_on_logon: Whether both sequence numbers begin at 1 with each Logon. Never for order entry.
        timestamp_digits: Digits of the second in tags 52 and 122.
        dictionary: Path of the data dictionary.
        accepts: Message types the application takes; others are answered with 35=j, 380=3. Empty takes all.
        credentials: Initiator: sent in the Logon. Acceptor: demanded of it. They come from the environment.
        logon_extras: Further fields of our Logon, as (tag, value): cancel on disconnect, dead-man timer.
    """

    sender: str
    target: str
    port: int
    host: str = "127.0.0.1"
    begin_string: Literal["FIX.4.2", "FIX.4.4"] = "FIX.4.4"
    heartbeat_s: int = 30
    reconnect_s: int = 1
    logon_timeout_s: int = 10
    logout_timeout_s: int = 2
    max_clock_skew_s: int = 120
    schedule: Schedule = Schedule()
    store: Path | None = None
    persist: bool = False
    resends_business: bool = False
    reset_on_logon: bool = False
    timestamp_digits: Literal[3, 6] = 6
    dictionary: Path = DIALECT
    accepts: frozenset[str] = frozenset()
    credentials: Credentials | None = None
    logon_extras: tuple[tuple[int, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        for name in ("sender", "target"):
            if not _COMP_ID.fullmatch(getattr(self, name)):
                raise InputError("must be 1 to 64 letters, digits, dots, dashes", field=name, value=getattr(self, name))
        if self.sender == self.target:
            raise InputError("must differ from sender", field="target", value=self.target)
        if not 0 < self.port < 65_536:
            raise InputError("must be 1 to 65535", field="port", value=self.port)
        for name in ("heartbeat_s", "reconnect_s", "logon_timeout_s", "logout_timeout_s", "max_clock_skew_s"):
            if getattr(self, name) < 1:
                raise InputError("must be at least 1", field=name, value=getattr(self, name))
        if self.resends_business and not self.persist:
            raise InputError("needs persist: what is not stored cannot be sent again", field="resends_business")

    @property
    def name(self) -> str:
        """Name of the session in events, logs and calls: `FIX.4.4:SENDER->TARGET`."""
        return f"{self.begin_string}:{self.sender}->{self.target}"


class _Happened(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something that the engine told us about a session.

    Attributes:
        session: Name of the session; of a failure, empty where none is known.
        at: When we saw it, ns since the epoch, UTC.
    """

    session: str
    at: int


class LoggedOn(_Happened, frozen=True, kw_only=True):
    """Both sides are logged on, the other side has followed our numbers; messages may be sent.

    Attributes:
        next_sent: Number of the next message we send.
        next_expected: Number of the next message we expect.
    """

    next_sent: int
    next_expected: int


class LoggedOut(_Happened, frozen=True, kw_only=True):
    """The session ended, in whatever way. What was under way is unknown until it is reconciled."""

    reason: str


class LogonRefused(_Happened, frozen=True, kw_only=True):
    """A logon did not come about: refused by the other side, by us, or the connection ended before the answer."""

    reason: str


class GapFound(_Happened, frozen=True, kw_only=True):
    """Messages of the peer are missing; the engine asked for them. `last` 0: all from `first` on."""

    first: int
    last: int


class ResendAsked(_Happened, frozen=True, kw_only=True):
    """The peer misses messages of ours; the engine answers it. `last` 0: all from `first` on."""

    first: int
    last: int


class SequenceReset(_Happened, frozen=True, kw_only=True):
    """The peer moved its sequence number; with `gap_fill` because the gap held nothing to send again."""

    next_expected: int
    gap_fill: bool


class Failure(_Happened, frozen=True, kw_only=True):
    """An exception of ours in a callback. The engine runs on; what the callback was about is lost: stop, reconcile."""

    where: str
    error: str


class Received(_Happened, frozen=True, kw_only=True):
    """A business message of the peer, or a session Reject (35=3) of a message of ours. It may come before LoggedOn.

    Attributes:
        msg_type: Tag 35.
        raw: The whole message, fields in the order of the dictionary.
    """

    msg_type: str
    raw: bytes


Happened = LoggedOn | LoggedOut | LogonRefused | GapFound | ResendAsked | SequenceReset | Failure | Received


class SequenceNumbers(msgspec.Struct, frozen=True):
    """Numbers of the next message of each direction."""

    next_sent: int
    next_expected: int
