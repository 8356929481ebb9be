"""The last value of each kind and underlying: what is kept, the rules of writing, and the stand-in in this process.

A value names the log that it comes from and its place there. The rules, which every cache keeps:

- one log at a time counts for an underlying: the one that claimed it last. A claim removes what another log left,
  so that nobody reads two runs mixed;
- a value replaces one of the same log only from a higher sequence: late writes change nothing, and
  a repetition only renews it;
- a value that nobody renews vanishes after a stated time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol, get_args

from domain.errors import InputError

Kind = Literal["session", "chain", "underlying", "nbbo", "greeks", "quotes", "positions", "exposure", "pnl"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

MAX_SEQUENCE: Final = 2**53 - 1
"""Sequences are compared as doubles where the server compares them."""


class Cached(NamedTuple):
    """One value.

    Attributes:
        underlying: Whose.
        kind: What.
        sequence: Its place in the log; grows within a kind and underlying.
        ts_event: When it was so, ns since the epoch, UTC.
        schema: Event type (`domain.codec`), or the frame type of what was put together from many events.
        version: Of the schema.
        content_type: JSON or an Arrow IPC stream.
        payload: As it travels on topics.
    """

    underlying: str
    kind: Kind
    sequence: int
    ts_event: int
    schema: str
    version: int
    content_type: str
    payload: bytes


class Written(NamedTuple):
    """What became of values that were put: taken, older than what is there, or of a log that does not count now."""

    taken: int = 0
    late: int = 0
    foreign: int = 0

    def __add__(self, other: object) -> Written:
        """Both together."""
        if not isinstance(other, Written):
            return NotImplemented
        return Written(self.taken + other.taken, self.late + other.late, self.foreign + other.foreign)


class Cache(Protocol):
    """A last-value cache. Every call answers within a deadline or raises Unavailable."""

    def claim(self, underlying: str, log: str) -> None:
        """Let `log` count for an underlying from now on, and remove what another one left.

        Raises:
            Unavailable: The cache did not answer; whether it took the claim is not known. A claim may be repeated.
        """
        ...

    def put(self, log: str, values: Sequence[Cached]) -> Written:
        """Write values of a log. Values of one underlying are written together, all at once.

        Raises:
            InputError: A sequence is out of range.
            Unavailable: The cache did not answer; what it took is not known. They may be put again.
        """
        ...

    def get(self, underlying: str, kind: Kind) -> Cached | None:
        """The last value, or None where there is none.

        Raises:
            Unavailable: The cache did not answer.
        """
        ...

    def log_of(self, underlying: str) -> str | None:
        """The log that counts for an underlying.

        Raises:
            Unavailable: The cache did not answer.
        """
        ...

    def check(self) -> None:
        """Show that it is there and takes writes from us.

        Raises:
            SettingsError: It refuses us: user, password or rights.
            Unavailable: It did not answer.
        """
        ...

    def close(self) -> None:
        """Disconnect."""
        ...


def by_underlying(values: Sequence[Cached]) -> Mapping[str, list[Cached]]:
    """Values in order, grouped, with the newest of each kind alone.

    Raises:
        InputError: A sequence is negative or beyond what a server compares exactly.
    """
    newest: dict[str, dict[Kind, Cached]] = {}
    for value in values:
        if not 0 <= value.sequence <= MAX_SEQUENCE:
            raise InputError("sequence is out of range", field="sequence", value=value.sequence, highest=MAX_SEQUENCE)
        kinds = newest.setdefault(value.underlying, {})
        if value.kind not in kinds or kinds[value.kind].sequence < value.sequence:
            kinds[value.kind] = value
    return {underlying: list(kinds.values()) for underlying, kinds in newest.items()}


class MemoryCache:
    """The stand-in of the embedded form: this process alone, lost with it. Values do not expire."""

    def __init__(self) -> None:
        self._logs: dict[str, str] = {}
        self._values: dict[tuple[str, Kind], Cached] = {}

    def claim(self, underlying: str, log: str) -> None:
        """See `Cache`."""
        if self._logs.get(underlying, log) != log:
            for kind in KINDS:
                self._values.pop((underlying, kind), None)
        self._logs[underlying] = log

    def put(self, log: str, values: Sequence[Cached]) -> Written:
        """See `Cache`."""
        written = Written()
        for underlying, group in by_underlying(values).items():
            if self._logs.setdefault(underlying, log) != log:
                written += Written(foreign=len(group))
                continue
            for value in group:
                held = self._values.get((underlying, value.kind))
                if held is not None and held.sequence >= value.sequence:
                    written += Written(late=1)
                    continue
                self._values[underlying, value.kind] = value
                written += Written(taken=1)
        return written

    def get(self, underlying: str, kind: Kind) -> Cached | None:
        """See `Cache`."""
        return self._values.get((underlying, kind))

    def log_of(self, underlying: str) -> str | None:
        """See `Cache`."""
        return self._logs.get(underlying)

    def check(self) -> None:
        """See `Cache`."""

    def close(self) -> None:
        """See `Cache`."""
