"""What gateway and venue say to each other beside orders and quotes: the clock, missed executions, the venue's book.

These are messages of our own (U1 to U6): they hold a recorded run in order and let both sides compare their books.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fix.binding import Binding
from fix.messages import MsgType
from fix.tags import Tag
from fix.values import bad, identifier, natural_text
from fix.wire import SOH, Body, Record, Writer


class ClockAdvance(NamedTuple):
    """To a venue: apply the recorded market up to `sequence`, report what it did, then answer `ClockReached`."""

    sequence: int
    ts: int


class ClockReached(NamedTuple):
    """From a venue: the market up to `sequence` is applied and everything that it caused has been sent."""

    sequence: int
    ts: int


class ExecutionsRequest(NamedTuple):
    """To a venue: repeat the execution reports after `last_exec_id`, all where it is empty."""

    request_id: str
    last_exec_id: str


class ExecutionsDone(NamedTuple):
    """From a venue: `repeated` reports came again, the last of them `last_exec_id` (empty where there was none)."""

    request_id: str
    last_exec_id: str
    repeated: int


class BookRequest(NamedTuple):
    """To a venue: what do you hold of us?"""

    request_id: str


class BookReport(NamedTuple):
    """From a venue: what its own book says of us.

    Attributes:
        request_id: Name of the question.
        positions: Contracts by position in the chain, signed, int64, shape (n,).
        stock: Shares, signed.
        cash: What all executions paid us, fees taken off, in 1/10,000 dollar.
    """

    request_id: str
    positions: npt.NDArray[np.int64]
    stock: int
    cash: int


Control = ClockAdvance | ClockReached | ExecutionsRequest | ExecutionsDone | BookRequest | BookReport


class Controls:
    """Control messages about one chain at one venue."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    def write(self, message: Control) -> Body:
        """Return a control message.

        Raises:
            InputError: A value cannot be written.
        """
        writer = Writer()
        writer.put(Tag.OWN_UNDERLYING, self._binding.underlying)
        match message:
            case ClockAdvance(sequence, ts) | ClockReached(sequence, ts):
                writer.put(Tag.MARKET_SEQUENCE, natural_text(sequence, Tag.MARKET_SEQUENCE))
                writer.put(Tag.TS_EVENT, natural_text(ts, Tag.TS_EVENT))
                return writer.body(
                    MsgType.CLOCK_ADVANCE if isinstance(message, ClockAdvance) else MsgType.CLOCK_REACHED
                )
            case ExecutionsRequest(request_id, last):
                writer.put(Tag.REQUEST_ID, identifier(request_id, Tag.REQUEST_ID))
                writer.put(Tag.LAST_EXEC_ID, identifier(last, Tag.LAST_EXEC_ID) if last else "")
                return writer.body(MsgType.EXECUTIONS_REQUEST)
            case ExecutionsDone(request_id, last, repeated):
                writer.put(Tag.REQUEST_ID, identifier(request_id, Tag.REQUEST_ID))
                writer.put(Tag.LAST_EXEC_ID, identifier(last, Tag.LAST_EXEC_ID) if last else "")
                writer.put(Tag.REPEATED_REPORTS, natural_text(repeated, Tag.REPEATED_REPORTS))
                return writer.body(MsgType.EXECUTIONS_DONE)
            case BookRequest(request_id):
                writer.put(Tag.REQUEST_ID, identifier(request_id, Tag.REQUEST_ID))
                return writer.body(MsgType.BOOK_REQUEST)
            case BookReport():
                return self._book_report(writer, message)

    def _book_report(self, writer: Writer, message: BookReport) -> Body:
        writer.put(Tag.REQUEST_ID, identifier(message.request_id, Tag.REQUEST_ID))
        writer.put(Tag.CASH, str(message.cash))
        writer.put(Tag.STOCK_POSITION, str(message.stock))
        blocks, known = self._binding.instruments.blocks, self._binding.instruments.known
        writer.put_group(
            Tag.NO_POSITIONS,
            [
                f"{blocks[known(row)]}{_NET}{int(message.positions[row])}{SOH}"
                for row in np.flatnonzero(message.positions).tolist()
            ],
        )
        return writer.body(MsgType.BOOK_REPORT)

    def read(self, record: Record) -> Control:
        """Return a control message.

        Raises:
            DataError: It is none, about another underlying, or a field is wrong or missing.
        """
        kind, named = record.msg_type, record.must(Tag.OWN_UNDERLYING)
        if named != self._binding.underlying:
            raise bad("message is about another underlying", Tag.OWN_UNDERLYING, named)
        if kind == MsgType.CLOCK_ADVANCE:
            return ClockAdvance(record.natural(Tag.MARKET_SEQUENCE), record.natural(Tag.TS_EVENT))
        if kind == MsgType.CLOCK_REACHED:
            return ClockReached(record.natural(Tag.MARKET_SEQUENCE), record.natural(Tag.TS_EVENT))
        request_id = record.must(Tag.REQUEST_ID)
        if kind == MsgType.EXECUTIONS_REQUEST:
            return ExecutionsRequest(request_id, record.text(Tag.LAST_EXEC_ID))
        if kind == MsgType.EXECUTIONS_DONE:
            return ExecutionsDone(request_id, record.text(Tag.LAST_EXEC_ID), record.natural(Tag.REPEATED_REPORTS))
        if kind == MsgType.BOOK_REQUEST:
            return BookRequest(request_id)
        if kind != MsgType.BOOK_REPORT:
            raise bad("no control message", Tag.MSG_TYPE, kind)
        positions = np.zeros(len(self._binding.instruments.blocks), np.int64)
        for entry in record.group(Tag.NO_POSITIONS):
            positions[self._binding.instruments.option_of(entry)] = entry.signed(Tag.NET_POSITION)
        return BookReport(request_id, positions, record.signed(Tag.STOCK_POSITION), record.signed(Tag.CASH))


_NET: Final = f"{Tag.NET_POSITION.value}="
