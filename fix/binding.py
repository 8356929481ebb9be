"""What every message of one venue and underlying shares: who it is about, when, and for whose account."""

from __future__ import annotations

from typing import Final, TypedDict

from domain.chain import Chain
from domain.commands import Capacity, Party, Side
from domain.errors import InputError
from domain.events_base import Event
from fix.instrument import Instruments
from fix.tags import Tag
from fix.values import bad, identifier, natural_text, time_text, unwritable
from fix.wire import SOH, Record, Writer

ALL_VENUES: Final = -1
_CLEARING_FIRM, _MARKET_MAKER = "4", "66"
_PROPRIETARY: Final = "D"
_ACTING_AS_MARKET_MAKER: Final = "5"
_CAPACITY_CODES: Final[dict[Capacity, tuple[str, str]]] = {
    "market_maker": ("P", _ACTING_AS_MARKET_MAKER),
    "firm": ("P", ""),
    "customer": ("A", ""),
}
_CAPACITIES: Final[dict[tuple[str, str], Capacity]] = {codes: name for name, codes in _CAPACITY_CODES.items()}


class Stamps(TypedDict):
    """What every event and command carries."""

    ts_event: int
    ts_init: int
    underlying: str


class Binding:
    """A chain at a venue: which underlying messages must name, and which venue they are implied to be for.

    Attributes:
        instruments: The contracts.
        underlying: Symbol of the underlying.
        venue: Index of the venue at the other end of the session.
    """

    def __init__(self, chain: Chain, venue: int) -> None:
        self.instruments = Instruments(chain)
        self.underlying = chain.underlying
        self.venue = venue

    # --- to the wire --------------------------------------------------------------------------------------------------
    def stamped(self, event: Event) -> Writer:
        """Begin the message of an event or command.

        Raises:
            InputError: It is about another underlying, or a time is out of range.
        """
        if event.underlying != self.underlying:
            raise unwritable("message is about another underlying", Tag.OWN_UNDERLYING, event.underlying)
        writer = Writer()
        writer.put(Tag.TRANSACT_TIME, time_text(event.ts_event))
        writer.put(Tag.OWN_UNDERLYING, self.underlying)
        writer.put(Tag.TS_EVENT, str(event.ts_event))
        writer.put(Tag.TS_INIT, natural_text(event.ts_init, Tag.TS_INIT))
        return writer

    def address(self, writer: Writer, venue: int, *, or_all: bool = False) -> None:
        """Check that a message is for, or from, this venue; the session says so, the message does not.

        Raises:
            InputError: It is of another venue.
        """
        if or_all and venue == ALL_VENUES:
            writer.put(Tag.ALL_VENUES, "Y")
        elif venue != self.venue:
            raise InputError("message is of another venue", field="venue", value=venue, expected=self.venue)

    def put_party(self, writer: Writer, party: Party) -> None:
        """Add account, capacity and parties.

        Raises:
            InputError: An identifier cannot be written.
        """
        capacity, restrictions = _CAPACITY_CODES[party.capacity]
        writer.put(Tag.ACCOUNT, identifier(party.account, Tag.ACCOUNT))
        writer.put(Tag.ORDER_CAPACITY, capacity)
        writer.put(Tag.ORDER_RESTRICTIONS, restrictions)
        writer.put_group(
            Tag.NO_PARTY_IDS,
            [
                f"448={identifier(name, Tag.PARTY_ID)}{SOH}447={_PROPRIETARY}{SOH}452={role}{SOH}"
                for name, role in ((party.clearing_firm, _CLEARING_FIRM), (party.market_maker_id, _MARKET_MAKER))
                if name
            ],
        )

    # --- from the wire ------------------------------------------------------------------------------------------------
    def stamps(self, record: Record) -> Stamps:
        """Return what every event and command carries; a peer without our own tags gives milliseconds.

        Raises:
            DataError: It is about another underlying, or a time is wrong.
        """
        named = record.text(Tag.OWN_UNDERLYING)
        if named and named != self.underlying:
            raise bad("message is about another underlying", Tag.OWN_UNDERLYING, named)
        ts_event = record.time(Tag.TS_EVENT, Tag.TRANSACT_TIME)
        return {
            "ts_event": ts_event,
            "ts_init": record.natural(Tag.TS_INIT, ts_event),
            "underlying": self.underlying,
        }

    def addressed(self, record: Record) -> int:
        """Return the venue of a cancel: this one, or all of them."""
        return ALL_VENUES if record.is_set(Tag.ALL_VENUES) else self.venue

    def party(self, record: Record) -> Party:
        """Return who sends.

        Raises:
            DataError: The capacity is unknown, or a role stands twice.
        """
        codes = record.must(Tag.ORDER_CAPACITY), record.text(Tag.ORDER_RESTRICTIONS)
        capacity = _CAPACITIES.get(codes)
        if capacity is None:
            raise bad("capacity is unknown", Tag.ORDER_CAPACITY, " ".join(codes).rstrip())
        names: dict[str, str] = {}
        for entry in record.group(Tag.NO_PARTY_IDS):
            role = entry.must(Tag.PARTY_ROLE)
            if role in names:
                raise bad("party role stands twice", Tag.PARTY_ROLE, role)
            names[role] = entry.must(Tag.PARTY_ID)
        return Party(
            account=record.must(Tag.ACCOUNT),
            capacity=capacity,
            clearing_firm=names.get(_CLEARING_FIRM, ""),
            market_maker_id=names.get(_MARKET_MAKER, ""),
        )


SIDE_CODES: Final[dict[Side, str]] = {"buy": "1", "sell": "2"}
SIDES: Final[dict[str, Side]] = {"1": "buy", "2": "sell", "5": "sell", "6": "sell"}
