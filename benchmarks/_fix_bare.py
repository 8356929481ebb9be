"""The plain way with quickfix, as its documentation shows it: field objects in and out, answers in fromApp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import quickfix

from benchmarks.fix_mapping import engine_message
from domain.commands import Outbound, PlaceQuotes, SubmitOrder
from domain.errors import InputError
from fix.engine_settings import session_pairs
from fix.mapping import Mapper
from fix.messages import MsgType
from fix.session import Role, SessionSettings
from fix.tags import Tag
from fix.values import price_text
from fix.wire import SOH, Body

_alive: Final[list[object]] = []
"""The engine may not be destroyed: see `fix.application`."""


class Bare(quickfix.Application):
    """One session. `take` is called with each business message, on a thread of the engine."""

    def __init__(self, take: Callable[[Any], None]) -> None:
        super().__init__()
        self._take = take
        self.is_up = False
        self.session: Any = None

    def onCreate(self, session: Any) -> None:  # noqa: ANN401, N802  # the engine's name
        """A session exists."""
        self.session = session

    def onLogon(self, session: Any) -> None:  # noqa: ANN401, ARG002, N802  # the engine's name
        """It is up."""
        self.is_up = True

    def onLogout(self, session: Any) -> None:  # noqa: ANN401, ARG002, N802  # the engine's name
        """It is down."""
        self.is_up = False

    def toAdmin(self, *_: Any) -> None:  # noqa: ANN401, N802  # the engine's name
        """Nothing to add."""

    def fromAdmin(self, *_: Any) -> None:  # noqa: ANN401, N802  # the engine's name
        """Nothing to see."""

    def toApp(self, *_: Any) -> None:  # noqa: ANN401, N802  # the engine's name
        """Nothing to add."""

    def fromApp(self, message: Any, session: Any) -> None:  # noqa: ANN401, ARG002, N802  # the engine's name
        """A business message."""
        self._take(message)

    def send(self, message: Any) -> None:  # noqa: ANN401  # the engine ships no types
        """Send it."""
        quickfix.Session.sendToTarget(message, self.session)


def connect(role: Role, settings: SessionSettings, take: Callable[[Any], None]) -> Bare:
    """Start an engine with the same settings as ours has; it is up some time later."""
    application = Bare(take)
    given, values, defaults = quickfix.SessionSettings(), quickfix.Dictionary(), quickfix.Dictionary()
    for key, value in session_pairs(settings, role).items():
        if key in {"ConnectionType", "ReconnectInterval", "SocketNodelay"}:
            defaults.setString(key, value)
        values.setString(key, value)
    given.set(defaults)
    given.set(quickfix.SessionID(settings.begin_string, settings.sender, settings.target), values)
    kind = quickfix.SocketInitiator if role == "initiator" else quickfix.ThreadedSocketAcceptor
    connector = kind(application, quickfix.MemoryStoreFactory(), given)
    _alive.extend((application, connector, given))
    connector.start()
    return application


def _flat(body: Body) -> dict[int, str]:
    """The fields of a message that are in no group, as text."""
    pairs = (field.split("=", 1) for field in body.fields.decode().split(SOH)[:-1])
    return {int(tag): value for tag, value in pairs if int(tag) not in _GROUPED}


_GROUPED: Final = frozenset({453, 448, 447, 452, 136, 137, 138, 139, 296, 302, 311, 304, 295, 299, 132, 133, 134, 135})


class Client:
    """Writes commands by field calls: what stays the same is at hand as text."""

    def __init__(self, mapper: Mapper) -> None:
        self._mapper = mapper
        self._constant: dict[str, dict[int, str]] = {}

    def message(self, command: Outbound) -> Any:  # noqa: ANN401  # the engine ships no types
        """A NewOrderSingle or a MassQuote."""
        name = type(command).__name__
        if name not in self._constant:
            self._constant[name] = _flat(self._mapper.write(command)[0])
        if isinstance(command, PlaceQuotes):
            message = engine_message(command, self._mapper)
            changed = {117: command.quote_set_id}
            left_out = {55, 541, 201, 202, 167}
        elif isinstance(command, SubmitOrder):
            message = quickfix.Message()
            message.getHeader().setField(Tag.MSG_TYPE.value, MsgType.NEW_ORDER_SINGLE.value)
            instruments = self._mapper._binding.instruments  # noqa: SLF001  # names without making them
            changed = {tag.value: value for tag, value in instruments._fields[command.contract]}
            changed |= {11: command.clordid, 38: str(command.quantity), 44: price_text(command.price)}
            left_out = set()
        else:
            raise InputError("not measured", field="command", value=name)
        for tag, value in (self._constant[name] | changed).items():
            if tag not in left_out:
                message.setField(tag, value)
        return message


class Venue:
    """Answers by field calls, without a book."""

    def __init__(self, report: Body, acknowledgement: Body) -> None:
        self._report = _flat(report)
        self._acknowledgement = _flat(acknowledgement)

    def answer(self, message: Any) -> Any:  # noqa: ANN401  # the engine ships no types
        """Each field of an order read, or each entry of a mass quote, then the answer written."""
        answer = quickfix.Message()
        if message.getHeader().getField(Tag.MSG_TYPE.value) == MsgType.MASS_QUOTE.value:
            _read_entries(message)
            answer.getHeader().setField(Tag.MSG_TYPE.value, MsgType.MASS_QUOTE_ACKNOWLEDGEMENT.value)
            fields = self._acknowledgement | {117: message.getField(117)}
        else:
            read = {tag: message.getField(tag) for tag in (11, 38, 40, 44, 54, 55, 59, 60, 541, 201, 202)}
            answer.getHeader().setField(Tag.MSG_TYPE.value, MsgType.EXECUTION_REPORT.value)
            kept = {tag: read[tag] for tag in (11, 54, 55, 60, 541, 201, 202)}
            fields = self._report | kept | {17: "E" + read[11], 37: read[11], 151: read[38]}
        for tag, value in fields.items():
            answer.setField(tag, value)
        return answer


def _read_entries(message: Any) -> list[tuple[float, float, int, int]]:  # noqa: ANN401  # the engine ships no types
    quote_set = quickfix.Group(Tag.NO_QUOTE_SETS.value, Tag.QUOTE_SET_ID.value)
    message.getGroup(1, quote_set)
    entry = quickfix.Group(Tag.NO_QUOTE_ENTRIES.value, Tag.QUOTE_ENTRY_ID.value)
    found = []
    for number in range(1, int(quote_set.getField(Tag.NO_QUOTE_ENTRIES.value)) + 1):
        quote_set.getGroup(number, entry)
        bid, ask, bid_size, ask_size = (entry.getField(tag) for tag in (132, 133, 134, 135))
        found.append((float(bid), float(ask), int(bid_size), int(ask_size)))
    return found
