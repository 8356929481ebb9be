"""Mass quotes (35=i) and quote cancels (35=Z), both ways.

An entry is written as one text: the contract's, made when the chain was known, and four fields out of caches. What this
module wrote it reads back the same way, an entry at a time; anything else goes field by field and is refused with the
field that is wrong.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.commands import CancelQuotes, PlaceQuotes
from domain.errors import DataError, UnknownContract
from domain.frames import QuoteFrame
from fix.binding import Binding
from fix.messages import MESSAGES, Item, MsgType
from fix.tags import Tag
from fix.values import (
    MAX_UNITS,
    FieldNumbers,
    FieldTexts,
    bad,
    identifier,
    natural_text,
    size,
    unwritable,
)
from fix.wire import SOH, Body, Layout, Record, layout, read, read_as

_ENTRY: Final = f"{SOH}{Tag.QUOTE_ENTRY_ID.value}="
_ENTRY_HEAD: Final = _ENTRY[1:]
_COUNT: Final = f"{SOH}{Tag.NO_QUOTE_ENTRIES.value}="
_SIDES: Final = f"{SOH}13"
"""How the first field after an instrument begins: 132 to 135."""

_ACKNOWLEDGE_ALL: Final = "2"
_LISTED, _OF_UNDERLYING, _ALL = "1", "3", "4"
_ABSENT: Final = -1

Row = tuple[int, int, int, int, int]


class QuoteFragment(NamedTuple):
    """A part of a mass quote whose set comes in several messages.

    Attributes:
        quotes: The rows of this message.
        total: Rows of the whole set.
        is_last: Whether the set ends with it.
    """

    quotes: PlaceQuotes
    total: int
    is_last: bool


class Quotes:
    """Mass quotes of one chain at one venue."""

    def __init__(self, binding: Binding, max_entries: int) -> None:
        self._binding = binding
        self._max_entries = max_entries
        self._bid = FieldTexts(Tag.BID_PX, is_price=True)
        self._offer = FieldTexts(Tag.OFFER_PX, is_price=True)
        self._bid_size = FieldTexts(Tag.BID_SIZE, is_price=False)
        self._offer_size = FieldTexts(Tag.OFFER_SIZE, is_price=False)
        self._bid_of = FieldNumbers(Tag.BID_PX, is_price=True)
        self._offer_of = FieldNumbers(Tag.OFFER_PX, is_price=True)
        self._bid_size_of = FieldNumbers(Tag.BID_SIZE, is_price=False)
        self._offer_size_of = FieldNumbers(Tag.OFFER_SIZE, is_price=False)

    # --- to the wire --------------------------------------------------------------------------------------------------
    def write(self, command: PlaceQuotes) -> list[Body]:
        """Return the messages of a mass quote: the rows of this venue, in fragments where they are many.

        A side with price 0 and size 0 is not written at all.

        Raises:
            InputError: A contract is not in the chain, or a value cannot be written.
        """
        frame = command.frame
        mine = frame.venue == self._binding.venue
        if not mine.all():
            frame = frame.take(mine)
        total = len(frame)
        entries = self._entries(frame) if total else []
        step = self._max_entries
        bodies = []
        for start in range(0, total, step):
            some = entries[start : start + step]
            last = "" if total <= step else "893=Y\x01" if start + step >= total else "893=N\x01"
            bodies.append(self._message(command, "".join(some), len(some), total, last))
        return bodies

    def _message(self, command: PlaceQuotes, entries: str, n: int, total: int, last: str) -> Body:
        binding = self._binding
        writer = binding.stamped(command)
        writer.put(Tag.QUOTE_ID, identifier(command.quote_set_id, Tag.QUOTE_ID))
        writer.put(Tag.QUOTE_RESPONSE_LEVEL, _ACKNOWLEDGE_ALL)
        writer.put(Tag.QUOTE_TS, natural_text(command.quote_ts, Tag.QUOTE_TS))
        binding.put_party(writer, command.party)
        name = binding.underlying
        head = f"302={name}\x01311={name}\x01304={total}\x01{last}295={n}\x01"
        writer.put_entries(Tag.NO_QUOTE_SETS, 1, head + entries)
        return writer.body(MsgType.MASS_QUOTE)

    def _entries(self, frame: QuoteFrame) -> list[str]:
        contract = frame.contract
        names = self._binding.instruments.entries
        if contract.min() < 0 or contract.max() >= len(names):
            wrong = contract[(contract < 0) | (contract >= len(names))]
            raise UnknownContract(contract=int(wrong[0]), underlying=self._binding.underlying)
        bid, bid_size = _side(frame.bid, frame.bid_size, Tag.BID_PX)
        ask, ask_size = _side(frame.ask, frame.ask_size, Tag.OFFER_PX)
        bids, offers, bid_sizes, offer_sizes = self._bid, self._offer, self._bid_size, self._offer_size
        return [
            f"{names[row]}{bids[b]}{offers[a]}{bid_sizes[n]}{offer_sizes[m]}"
            for row, b, a, n, m in zip(
                contract.tolist(), bid.tolist(), ask.tolist(), bid_size.tolist(), ask_size.tolist(), strict=True
            )
        ]

    def write_cancel(self, cancel: CancelQuotes) -> Body:
        """Return the message of a quote cancel.

        Raises:
            InputError: A contract is not in the chain, the venue another, or a value cannot be written.
        """
        binding = self._binding
        writer = binding.stamped(cancel)
        binding.address(writer, cancel.venue, or_all=True)
        writer.put(Tag.QUOTE_ID, identifier(cancel.cancel_id, Tag.QUOTE_ID))
        writer.put(Tag.QUOTE_CANCEL_TYPE, _LISTED if cancel.contracts else _OF_UNDERLYING)
        known, blocks = binding.instruments.known, binding.instruments.blocks
        writer.put_group(Tag.NO_QUOTE_ENTRIES, [blocks[known(contract)] for contract in cancel.contracts])
        writer.put_text(cancel.reason)
        return writer.body(MsgType.QUOTE_CANCEL)

    # --- from the wire ------------------------------------------------------------------------------------------------
    def read(self, raw: str) -> PlaceQuotes | QuoteFragment:
        """Return the command of a mass quote.

        Raises:
            DataError: A field is wrong or missing, an instrument unknown, or a count lies.
        """
        found = self._read_own(raw)
        if found is not None:
            return self._command(*found)
        record = read(raw)
        rows = [
            self._row(entry)
            for each in record.group(Tag.NO_QUOTE_SETS)
            for entry in self._set(each).group(Tag.NO_QUOTE_ENTRIES)
        ]
        columns = np.array(rows, np.int64).reshape(len(rows), 5).T
        return self._command(record, list(columns))

    def _command(self, record: Record, columns: list[Any]) -> PlaceQuotes | QuoteFragment:
        stamps = self._binding.stamps(record)
        contract, bid, ask, bid_size, ask_size = columns
        quotes = PlaceQuotes(
            **stamps,
            quote_set_id=record.must(Tag.QUOTE_ID),
            party=self._binding.party(record),
            quote_ts=record.natural(Tag.QUOTE_TS, stamps["ts_event"]),
            frame=QuoteFrame(
                venue=np.full(len(contract), self._binding.venue, np.int16),
                contract=contract,
                bid=bid,
                bid_size=bid_size,
                ask=ask,
                ask_size=ask_size,
            ),
        )
        sets = record.group(Tag.NO_QUOTE_SETS)
        total = sum(each.natural(Tag.TOT_NO_QUOTE_ENTRIES) for each in sets)
        is_last = all(each.is_set(Tag.LAST_FRAGMENT) or Tag.LAST_FRAGMENT not in each.values for each in sets)
        if total < len(contract) or (total != len(contract) and not any(Tag.LAST_FRAGMENT in s.values for s in sets)):
            raise bad("entries are not as many as the set says", Tag.TOT_NO_QUOTE_ENTRIES, str(total))
        return quotes if is_last and total == len(contract) else QuoteFragment(quotes, total, is_last)

    def _set(self, record: Record) -> Record:
        name = record.must(Tag.UNDERLYING_SYMBOL)
        if name != self._binding.underlying:
            raise bad("quote set is of another underlying", Tag.UNDERLYING_SYMBOL, name)
        return record

    def _row(self, entry: Record) -> Row:
        return (
            self._binding.instruments.option_of(entry),
            entry.price(Tag.BID_PX, 0),
            entry.price(Tag.OFFER_PX, 0),
            size(entry.values.get(Tag.BID_SIZE, "0"), Tag.BID_SIZE),
            size(entry.values.get(Tag.OFFER_SIZE, "0"), Tag.OFFER_SIZE),
        )

    def _read_own(self, raw: str) -> tuple[Record, list[Any]] | None:
        """Read a mass quote as this module writes it, None where it is written otherwise, or wrong.

        The entries are cut out and looked up; every character of them is accounted for by the lookups.
        """
        chunks = raw.split(_ENTRY)
        if len(chunks) == 1:
            return None
        last, n = chunks[-1], len(chunks) - 1
        at = last.find(_SIDES)
        if at < 0 or not chunks[0].endswith(f"{_COUNT}{n}"):
            return None
        end = at
        while last.startswith(_SIDES, end) and last[end + 3 : end + 5] in _QUOTE_FIELDS:
            end = last.find(SOH, end + 1)
        rest, chunks[-1] = last[end:], last[:end]
        try:
            columns = self._columns(chunks)
        except (KeyError, DataError):
            return None
        record = read_as(f"{chunks[0]}{rest}", _WITHOUT_ENTRIES)
        sets = record.group(Tag.NO_QUOTE_SETS)
        if len(sets) != 1:
            return None
        self._set(sets[0])
        return record, columns

    def _columns(self, chunks: list[str]) -> list[npt.NDArray[np.int64]]:
        """Return contract, bid, offer and sizes of entries.

        Raises:
            KeyError: An instrument is not written as we write it.
            DataError: A field is not the one expected, or no number.
        """
        by_entry = self._binding.instruments.by_entry
        bid_of, offer_of, bid_size_of, offer_size_of = (
            self._bid_of,
            self._offer_of,
            self._bid_size_of,
            self._offer_size_of,
        )
        contract, bid, offer, bid_size, offer_size = [], [], [], [], []
        for chunk in chunks[1:]:
            at = chunk.find(_SIDES)
            contract.append(by_entry[f"{_ENTRY_HEAD}{chunk[:at]}{SOH}" if at >= 0 else f"{_ENTRY_HEAD}{chunk}{SOH}"])
            fields = chunk[at + 1 :].split(SOH) if at >= 0 else ()
            if len(fields) == 4:
                b, a, n, m = fields
                bid.append(bid_of[b])
                offer.append(offer_of[a])
                bid_size.append(bid_size_of[n])
                offer_size.append(offer_size_of[m])
            elif len(fields) == 2 and fields[0].startswith("132="):
                bid.append(bid_of[fields[0]])
                offer.append(0)
                bid_size.append(bid_size_of[fields[1]])
                offer_size.append(0)
            elif len(fields) == 2:
                bid.append(0)
                offer.append(offer_of[fields[0]])
                bid_size.append(0)
                offer_size.append(offer_size_of[fields[1]])
            elif fields:
                raise KeyError(chunk)
            else:
                for column in (bid, offer, bid_size, offer_size):
                    column.append(0)
        return [np.array(values, np.int64) for values in (contract, bid, offer, bid_size, offer_size)]

    def read_cancel(self, record: Record) -> CancelQuotes:
        """Return the command of a quote cancel.

        Raises:
            DataError: A field is wrong or missing, or an instrument unknown.
        """
        kind = record.must(Tag.QUOTE_CANCEL_TYPE)
        entries = record.group(Tag.NO_QUOTE_ENTRIES)
        if kind not in (_LISTED, _OF_UNDERLYING, _ALL) or (kind == _LISTED) != bool(entries):
            raise bad("entries and type of a quote cancel do not agree", Tag.QUOTE_CANCEL_TYPE, kind)
        return CancelQuotes(
            **self._binding.stamps(record),
            cancel_id=record.must(Tag.QUOTE_ID),
            venue=self._binding.addressed(record),
            contracts=tuple(self._binding.instruments.option_of(entry) for entry in entries),
            reason=record.free_text(),
        )


class Assembly:
    """Joins the fragments of quote sets of one session. A session keeps order, so one set is open at a time."""

    def __init__(self) -> None:
        self._parts: list[QuoteFragment] = []

    def add(self, fragment: QuoteFragment) -> PlaceQuotes | None:
        """Take the next fragment.

        Returns:
            The whole mass quote with the last fragment, None before it.

        Raises:
            DataError: It is of another set than the one that is open, or the rows are not as many as the set says;
                what was open is dropped.
        """
        first = self._parts[0] if self._parts else fragment
        name = fragment.quotes.quote_set_id
        rows = len(fragment.quotes.frame) + sum(len(part.quotes.frame) for part in self._parts)
        if name != first.quotes.quote_set_id or fragment.total != first.total:
            self._parts.clear()
            raise bad("another quote set was not finished", Tag.QUOTE_ID, name)
        if rows > first.total or (rows == first.total) != fragment.is_last:
            self._parts.clear()
            raise bad("entries are not as many as the set says", Tag.TOT_NO_QUOTE_ENTRIES, str(first.total))
        self._parts.append(fragment)
        if not fragment.is_last:
            return None
        frames = [part.quotes.frame.columns() for part in self._parts]
        self._parts.clear()
        columns = {column: np.concatenate([frame[column] for frame in frames]) for column in QuoteFrame.dtypes}
        quotes = fragment.quotes
        return PlaceQuotes(
            ts_event=quotes.ts_event,
            ts_init=quotes.ts_init,
            underlying=quotes.underlying,
            quote_set_id=name,
            party=quotes.party,
            quote_ts=quotes.quote_ts,
            frame=QuoteFrame(**columns),
        )

    def clear(self) -> None:
        """Forget what is open: the session is gone."""
        self._parts.clear()


def _side(price: npt.NDArray[Any], sizes: npt.NDArray[Any], tag: Tag) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return price and size of a side, -1 where it is absent."""
    if price.min() < 0 or price.max() > MAX_UNITS or sizes.min() < 0:
        wrong = np.flatnonzero((price < 0) | (price > MAX_UNITS) | (sizes < 0))[0]
        raise unwritable("quote side is out of range", tag, (int(price[wrong]), int(sizes[wrong])))
    absent = (price == 0) & (sizes == 0)
    if not absent.any():
        return price, sizes
    return np.where(absent, _ABSENT, price), np.where(absent, _ABSENT, sizes)


def _without_entries() -> Layout:
    """The layout of a mass quote from which the entries were cut out, their count left."""

    def cut(item: Item) -> Item:
        entries = () if item.tag == Tag.NO_QUOTE_ENTRIES else tuple(cut(inner) for inner in item.entries)
        return item._replace(entries=entries)

    return layout(tuple(cut(item) for item in MESSAGES[MsgType.MASS_QUOTE].items))


_WITHOUT_ENTRIES: Final = _without_entries()
_QUOTE_FIELDS: Final = ("2=", "3=", "4=", "5=")
