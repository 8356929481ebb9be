"""The stage that measures quoting obligations: seconds of quoting and widths per rule, and where the day will end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from domain.chain import Chain
from domain.dated import in_force
from domain.errors import InputError
from domain.events import (
    Event,
    ObligationMeasured,
    OrderFilled,
    QuotesAcknowledged,
    QuotesCanceled,
    QuotesCleared,
    SessionChanged,
    TimerFired,
    VenueProtectionTripped,
    VenueStatusChanged,
)
from domain.price import PRICE_SCALE
from domain.state import pack, unpack
from quoting.ladder import ASK, BID
from quoting.obligation_rules import OBLIGATION_RULES, ObligationRule, in_scope
from quoting.validity import pull_ns
from quoting.working import UNTOUCHED, Indices, WorkingQuotes

Bools = npt.NDArray[np.bool_]

Answer = QuotesAcknowledged | QuotesCanceled | OrderFilled | VenueProtectionTripped | VenueStatusChanged

_ANSWERS: Final = (QuotesAcknowledged, QuotesCanceled, OrderFilled, VenueProtectionTripped, VenueStatusChanged)
_VERSION: Final = 2
_NS: Final = 1_000_000_000
_NOTHING: Final[tuple[Event, ...]] = ()
_NO_LIMIT: Final = np.iinfo(np.int64).max


class ObligationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which roles we hold where, and how often to report.

    Attributes:
        roles: Name of a rule to the venue indices where we hold that role; empty means wherever we quote.
        cadence_s: Seconds between reports; one more is made at the close.

    Raises:
        InputError: The cadence is not positive.
    """

    roles: dict[str, tuple[int, ...]] = msgspec.field(default_factory=lambda: {"nasdaq_market_maker": ()})
    cadence_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse a cadence that never comes."""
        if not self.cadence_s > 0:
            raise InputError("must be positive", field="obligations.cadence_s", value=self.cadence_s)


class _Account:
    """Time against one rule. Rows are the venues of the role, columns the contracts.

    Nothing is done per second: the number of series that count is kept, and each change first books the time since the
    one before. Sums are whole nanoseconds times series, so that no rounding gathers.
    """

    def __init__(self, rule: ObligationRule, chain: Chain, rows: Sequence[int]) -> None:
        self.rule = rule
        self.rows = list(rows)
        self.scope = in_scope(rule, chain)
        self.series = int(self.scope.sum())
        self._width = _NO_LIMIT if rule.max_width is None else round(rule.max_width * PRICE_SCALE)
        self._need = min(int(np.ceil(rule.series_share * self.series)), self.series - 2)
        shape = len(self.rows), len(chain)
        self._is_quoted: Bools = np.zeros(shape, dtype=np.bool_)
        self._is_wide: Bools = np.zeros(shape, dtype=np.bool_)
        self._count = [0] * len(self.rows)
        self._wide = 0
        self.quoted_ns = 0
        self.elapsed_ns = 0
        self.wide_ns = 0
        self._two_sided_ns = 0

    def rates(self) -> tuple[int, int]:
        """What one nanosecond adds now to the numerator and to the denominator."""
        if self.rule.measure == "collective":
            return sum(self._count), self.series * len(self.rows)
        return sum(count >= max(self._need, 0) for count in self._count), len(self.rows)

    def book_time(self, elapsed: int) -> None:
        """Book time during which nothing changed."""
        quoted, whole = self.rates()
        self.quoted_ns += quoted * elapsed
        self.elapsed_ns += whole * elapsed
        self.wide_ns += self._wide * elapsed
        self._two_sided_ns += (self._wide + sum(self._count)) * elapsed

    def follow(self, working: WorkingQuotes, row: int, at: Indices) -> None:
        """Look at changed contracts of one venue again."""
        if row not in self.rows:
            return
        mine = self.rows.index(row)
        price, size = working.book.price[row][:, at], working.book.size[row][:, at]
        two_sided = (size[BID] > 0) & (size[ASK] > 0) & self.scope[at]
        wide = two_sided & (price[ASK] - price[BID] > self._width)
        quoted = two_sided & ~wide
        self._is_quoted[mine, at] = quoted
        self._is_wide[mine, at] = wide
        self._count[mine] = int(self._is_quoted[mine].sum())
        self._wide = int(self._is_wide.sum())

    def measured(self, head: dict[str, Any], left_ns: int, quoted_ns: int) -> ObligationMeasured:
        """The state so far, and where it ends if what is quoted now is quoted for `quoted_ns` of the `left_ns`."""
        quoted, whole = self.rates()
        final, total = self.quoted_ns + quoted * quoted_ns, self.elapsed_ns + whole * left_ns
        return ObligationMeasured(
            **head,
            rule=self.rule.name,
            quoted_seconds=self.quoted_ns / _NS,
            required_share=self.rule.required_share,
            elapsed_seconds=self.elapsed_ns / _NS,
            share=self.quoted_ns / self.elapsed_ns if self.elapsed_ns else 0.0,
            forecast_share=final / total if total else 0.0,
            shortfall_seconds=max(self.rule.required_share * total - final, 0.0) / _NS,
            wide_share=self.wide_ns / self._two_sided_ns if self._two_sided_ns else 0.0,
        )

    def state(self) -> dict[str, Any]:
        """What a snapshot keeps."""
        return {name: getattr(self, name) for name in _ACCOUNT}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        for name in _ACCOUNT:
            setattr(self, name, state[name])


_ACCOUNT: Final = (
    "_is_quoted", "_is_wide", "_count", "_wide", "quoted_ns", "elapsed_ns", "wide_ns", "_two_sided_ns"
)  # fmt: skip


class Obligations:
    """Measures each role's obligation over the open session, to the nanosecond of the events that it sees.

    A quote counts from a venue's acknowledgement until it is canceled, filled away or lost with the venue; a series
    counts while both sides are there and not wider than the rule allows. Time counts while the session is open: a halt
    is in neither numerator nor denominator. `quoted_seconds` and `elapsed_seconds` of a collective rule are seconds
    times series and venues. The forecast assumes that what is quoted now is quoted until quotes are pulled before the
    close, and nothing from then on.

    Args:
        chain: The contracts of the underlying.
        settings: Roles and cadence.
        venues: Indices of the venues where we quote.
        rules: Dated rows; the row of a role's name that is in force on the chain's trade date is measured.
        pull_before_close_s: How long before the scheduled close quotes are pulled, seconds.

    Raises:
        InputError: No row of a role is in force on the trade date.
    """

    reads: frozenset[type[Event]] = frozenset({TimerFired, SessionChanged, QuotesCleared, *_ANSWERS})

    def __init__(
        self,
        chain: Chain,
        settings: ObligationSettings,
        venues: Sequence[int] = (),
        rules: Sequence[ObligationRule] = OBLIGATION_RULES,
        pull_before_close_s: float = 0.0,
    ) -> None:
        roles = {name: tuple(role) or tuple(venues) for name, role in settings.roles.items()}
        measured = sorted({venue for role in roles.values() for venue in role})
        self._chain = chain
        self._cadence_ns = round(settings.cadence_s * _NS)
        self._pull_before_close_s = pull_before_close_s
        self._pull_ns = 0
        self._working = WorkingQuotes(measured, len(chain))
        self._accounts: list[_Account] = []
        for name, role in roles.items():
            rule = in_force((row for row in rules if row.name == name), chain.trade_date)
            if rule is None:
                day = chain.trade_date.isoformat()
                raise InputError("no rule of that name in force", field="obligations.roles", value=name, date=day)
            account = _Account(rule, chain, [measured.index(venue) for venue in role])
            if account.series and account.rows:
                self._accounts.append(account)
        self._is_open = False
        self._close_ts = 0
        self._booked_to = 0
        self._next_report = 0

    @property
    def name(self) -> str:
        """Short and unique in a shard."""
        return "obligations"

    def apply(self, event: Event) -> Sequence[Event]:
        """Apply one event; return a measurement per rule when one is due."""
        if event.underlying and event.underlying != self._chain.underlying:
            return _NOTHING
        if isinstance(event, TimerFired):
            return self._on_timer(event)
        if isinstance(event, SessionChanged):
            return self._on_session(event)
        if isinstance(event, QuotesCleared):
            self._working.send(event.quote_set_id, event.frame)
        elif isinstance(event, _ANSWERS):
            self._book(event.ts_event)
            self._follow(event.venue, self._change(event))
        return _NOTHING

    def _on_timer(self, event: TimerFired) -> Sequence[Event]:
        if not self._is_open or event.ts_event < self._next_report:
            return _NOTHING
        self._book(event.ts_event)
        self._next_report = event.ts_event + self._cadence_ns
        return self._report(event)

    def _change(self, event: Answer) -> Indices:
        """Let an answer of a venue change what works there; return the contracts that it touched."""
        working = self._working
        match event:
            case QuotesAcknowledged():
                return working.acknowledge(event.venue, event.quote_set_id, event.accepted, event.frame)
            case QuotesCanceled():
                return working.remove(event.venue, event.contracts)
            case VenueProtectionTripped():
                return working.remove(event.venue, ())
            case VenueStatusChanged():
                return UNTOUCHED if event.is_up else working.remove(event.venue, ())
            case OrderFilled():
                if not event.is_quote:
                    return UNTOUCHED
                return working.fill(event.venue, event.contract, event.side, event.quantity, event.price)

    def _on_session(self, event: SessionChanged) -> Sequence[Event]:
        self._book(event.ts_event)
        was_open, self._is_open = self._is_open, event.state == "open"
        self._close_ts = event.close_ts
        self._pull_ns = pull_ns(self._pull_before_close_s, event.open_ts, event.close_ts)
        if self._is_open and not was_open:
            self._booked_to = event.ts_event
            self._next_report = event.ts_event + self._cadence_ns
        return self._report(event) if was_open and event.state == "closed" else _NOTHING

    def _book(self, ts: int) -> None:
        """Book the time up to an event, never beyond the scheduled close."""
        if not self._is_open:
            return
        until = min(ts, self._close_ts)
        if (elapsed := until - self._booked_to) > 0:
            for account in self._accounts:
                account.book_time(elapsed)
            self._booked_to = until

    def _follow(self, venue: int, at: Indices) -> None:
        row = self._working.row_of(venue)
        if row is None or not len(at):
            return
        for account in self._accounts:
            account.follow(self._working, row, at)

    def _report(self, event: Event) -> Sequence[Event]:
        left = max(self._close_ts - self._booked_to, 0) if self._is_open else 0
        head = {"ts_event": event.ts_event, "ts_init": event.ts_init, "underlying": self._chain.underlying}
        return [account.measured(head, left, max(left - self._pull_ns, 0)) for account in self._accounts]

    def snapshot(self) -> bytes:
        """The whole state."""
        return pack(self.name, _VERSION, {
            "working": self._working.state(),
            "accounts": [account.state() for account in self._accounts],
            "is_open": self._is_open,
            "close_ts": self._close_ts,
            "pull_ns": self._pull_ns,
            "booked_to": self._booked_to,
            "next_report": self._next_report,
        })  # fmt: skip

    def restore(self, state: bytes) -> None:
        """Take over the state that `snapshot` gave.

        Raises:
            DataError: The bytes are of another stage or version.
        """
        found = unpack(self.name, _VERSION, state)
        self._working.restore(found["working"])
        for account, saved in zip(self._accounts, found["accounts"], strict=True):
            account.restore(saved)
        self._is_open, self._close_ts, self._pull_ns = found["is_open"], found["close_ts"], found["pull_ns"]
        self._booked_to, self._next_report = found["booked_to"], found["next_report"]
