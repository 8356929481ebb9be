"""Commands and events to FIX and back: CPU per message and per quote entry, beside the engine's own field objects.

The peer is quickfix in the same process on the same quotes and orders: its Group and setField calls to write, its parse
by our data dictionary and getGroup and getField to read, values turned into numbers as ours are. Session work (sequence
numbers, stores, sockets) is in neither. Prices differ from message to message, as they do when the market moves.
"""

from __future__ import annotations

import argparse
import datetime as dt
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import quickfix

from benchmarks._report import main, spread, table
from domain.chain import Chain
from domain.commands import Intent, Party, PlaceQuotes, SubmitOrder
from domain.events import ExecType, ExecutionReported, OrdStatus
from domain.frames import QuoteFrame
from domain.instrument import Right, option
from fix.mapping import Mapper
from fix.messages import MESSAGES, MsgType
from fix.session import DIALECT
from fix.tags import Tag
from fix.values import price_text
from fix.wire import SOH, Body

VENUE: Final = 0
DAY: Final = dt.date(2015, 12, 24)
TS: Final = 1_450_967_400_123_456_789
EXPIRIES: Final = 20
CONTRACTS: Final = 2_192
RIGHTS: Final[tuple[Right, Right]] = ("C", "P")
SIZES: Final = (20, 200, 1_000)
PARTY: Final = Party(account="AXIOM01", capacity="market_maker", clearing_firm="000", market_maker_id="AXM")
STAMPS: Final[dict[str, Any]] = {"ts_event": TS, "ts_init": TS, "underlying": "GOOG"}
ENTRY_ORDER: Final = [item.tag.value for item in MESSAGES[MsgType.MASS_QUOTE].group(Tag.NO_QUOTE_ENTRIES)]
SET_ORDER: Final = [item.tag.value for item in MESSAGES[MsgType.MASS_QUOTE].group(Tag.NO_QUOTE_SETS)]


def options(parser: argparse.ArgumentParser) -> None:
    """Its own options."""
    parser.add_argument("--messages", type=int, default=40, help="different messages of each kind")
    parser.add_argument("--rounds", type=int, default=7, help="times that each is measured")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Mass quotes of each size, then an order and its report."""
    messages, rounds = (3, 2) if arguments.quick else (arguments.messages, arguments.rounds)
    chain = chain_of(CONTRACTS)
    mapper = Mapper(chain, VENUE, max_entries=max(SIZES))
    dictionary = quickfix.DataDictionary(str(DIALECT))
    return {
        "contracts": len(chain),
        "messages": messages,
        "rounds": rounds,
        "mass_quotes": [mass_quotes(mapper, dictionary, chain, n, messages, rounds) for n in SIZES],
        "orders": orders(mapper, dictionary, messages, rounds),
    }


def chain_of(contracts: int) -> Chain:
    """A chain of as many contracts as GOOG had on the recorded day."""
    strikes = -(-contracts // (2 * EXPIRIES))
    listed = [
        option("GOOG", DAY + dt.timedelta(weeks=1 + week), 600_000 + 2_500 * strike, right)
        for week in range(EXPIRIES)
        for strike in range(strikes)
        for right in RIGHTS
    ]
    return Chain("GOOG", DAY, listed[:contracts])


def quotes_of(chain: Chain, n: int, number: int) -> PlaceQuotes:
    """Two-sided quotes of n contracts on a five-cent grid, a little elsewhere in each message."""
    rows = (np.arange(n) * 7 + number) % len(chain)
    bid = 500 * (20 + (rows * 13 + number) % 1_500)
    frame = QuoteFrame(
        venue=np.full(n, VENUE),
        contract=np.sort(rows),
        bid=bid,
        bid_size=10 + rows % 40,
        ask=bid + 500 * (1 + rows % 8),
        ask_size=10 + rows % 37,
    )
    return PlaceQuotes(**STAMPS, quote_set_id=f"20151224-Q-{number:07d}", party=PARTY, quote_ts=TS, frame=frame)


def whole(body: Body) -> str:
    """The message as the engine gives it to us."""
    head = f"8=FIX.4.4{SOH}9=0{SOH}35={body.msg_type}{SOH}34=2{SOH}49=A{SOH}52=20151224-14:30:00.200{SOH}56=B{SOH}"
    return f"{head}{body.fields.decode()}10=000{SOH}"


def timed(work: Callable[[Any], object], inputs: Sequence[Any], rounds: int) -> dict[str, float]:
    """CPU ns of one call: median, smallest and largest of the rounds; the first round warms caches and is left out."""
    found = []
    for _ in range(rounds + 1):
        began = time.process_time_ns()
        for each in inputs:
            work(each)
        found.append((time.process_time_ns() - began) / len(inputs))
    return spread(found[1:])


def mass_quotes(
    mapper: Mapper, dictionary: quickfix.DataDictionary, chain: Chain, n: int, messages: int, rounds: int
) -> dict[str, Any]:
    """One size, both ways, both ways of writing and reading; all four give the same message."""
    quotes = [quotes_of(chain, n, number) for number in range(messages)]
    raws = [whole(mapper.write(each)[0]) for each in quotes]
    if mapper.read(raws[0]) != quotes[0]:
        raise SystemExit("a mass quote did not survive the mapping")
    if engine_read(raws[0], dictionary) != frame_numbers(quotes[0]):
        raise SystemExit("the engine reads other numbers than were written")
    figures = {
        "write": timed(mapper.write, quotes, rounds),
        "read": timed(mapper.read, raws, rounds),
        "hand_over": timed(lambda raw: quickfix.Message(raw, dictionary, False), raws, rounds),
        "engine_write": timed(lambda each: engine_write(each, mapper), quotes, rounds),
        "engine_read": timed(lambda raw: engine_read(raw, dictionary), raws, rounds),
    }
    return {"entries": n, "bytes": len(raws[0]), **figures}


def frame_numbers(quotes: PlaceQuotes) -> list[tuple[int, int, int, int]]:
    """Prices in units and sizes of each row."""
    frame = quotes.frame
    columns = (frame.bid, frame.ask, frame.bid_size, frame.ask_size)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def int_array(values: Sequence[int]) -> quickfix.IntArray:
    """Field order of a group, ended by 0."""
    array = quickfix.IntArray(len(values) + 1)
    for place, value in enumerate([*values, 0]):
        array[place] = value
    return array


def engine_write(quotes: PlaceQuotes, mapper: Mapper) -> str:
    """The same message by the engine's field calls, as text."""
    text: str = engine_message(quotes, mapper).toString()
    return text


def engine_message(quotes: PlaceQuotes, mapper: Mapper) -> quickfix.Message:
    """The same message by the engine's field calls; what names a contract is taken from our table."""
    message = quickfix.Message()
    message.getHeader().setField(Tag.MSG_TYPE.value, MsgType.MASS_QUOTE.value)
    message.setField(Tag.QUOTE_ID.value, quotes.quote_set_id)
    quote_set = quickfix.Group(Tag.NO_QUOTE_SETS.value, Tag.QUOTE_SET_ID.value, int_array(SET_ORDER))
    quote_set.setField(Tag.QUOTE_SET_ID.value, "GOOG")
    quote_set.setField(Tag.UNDERLYING_SYMBOL.value, "GOOG")
    quote_set.setField(Tag.TOT_NO_QUOTE_ENTRIES.value, str(len(quotes.frame)))
    order = int_array(ENTRY_ORDER)
    instruments = mapper._binding.instruments  # noqa: SLF001  # the peer gets the same names without making them
    frame = quotes.frame
    for contract, numbers in zip(frame.contract.tolist(), frame_numbers(quotes), strict=True):
        entry = quickfix.Group(Tag.NO_QUOTE_ENTRIES.value, Tag.QUOTE_ENTRY_ID.value, order)
        entry.setField(Tag.QUOTE_ENTRY_ID.value, instruments.entry_ids[contract])
        for tag, value in instruments._fields[contract]:
            entry.setField(tag.value, value)
        bid, ask, bid_size, ask_size = numbers
        entry.setField(132, price_text(bid))
        entry.setField(133, price_text(ask))
        entry.setField(134, str(bid_size))
        entry.setField(135, str(ask_size))
        quote_set.addGroup(entry)
    message.addGroup(quote_set)
    return message


def engine_read(raw: str, dictionary: quickfix.DataDictionary) -> list[tuple[int, int, int, int]]:
    """Prices and sizes by the engine's parse and group calls; which contract it is comes on top, and is not charged."""
    message = quickfix.Message(raw, dictionary, False)
    quote_set = quickfix.Group(Tag.NO_QUOTE_SETS.value, Tag.QUOTE_SET_ID.value)
    message.getGroup(1, quote_set)
    entry = quickfix.Group(Tag.NO_QUOTE_ENTRIES.value, Tag.QUOTE_ENTRY_ID.value)
    found = []
    for number in range(1, int(quote_set.getField(Tag.NO_QUOTE_ENTRIES.value)) + 1):
        quote_set.getGroup(number, entry)
        bid, ask, bid_size, ask_size = (entry.getField(tag) for tag in (132, 133, 134, 135))
        found.append((round(float(bid) * 1e4), round(float(ask) * 1e4), int(bid_size), int(ask_size)))
    return found


def orders(mapper: Mapper, dictionary: quickfix.DataDictionary, messages: int, rounds: int) -> list[dict[str, Any]]:
    """A NewOrderSingle and an ExecutionReport of a trade, both ways."""
    sent = [
        SubmitOrder(
            **STAMPS, clordid=f"20151224-A-{number:07d}", request_id="20151224-R-0000003", venue=VENUE,
            contract=number % CONTRACTS, side="buy", quantity=5, order_type="limit", price=184_500 + 500 * number,
            tif="ioc", intent=Intent.HEDGE, party=PARTY, sale_marking="", locate_id="", market_maker_exempt=False,
        )
        for number in range(messages)
    ]  # fmt: skip
    reports = [
        ExecutionReported(
            **STAMPS, venue=VENUE, clordid=order.clordid, orig_clordid="", quote_set_id="", exec_id=f"XSIM-{number}",
            exec_ref_id="", exec_type=ExecType.TRADE, ord_status=OrdStatus.FILLED, contract=order.contract, side="buy",
            last_qty=5, last_px=order.price, cum_qty=5, leaves_qty=0, fee=2_350, adds_liquidity=False, text="",
        )
        for number, order in enumerate(sent)
    ]  # fmt: skip
    found = []
    for name, values in (("NewOrderSingle", sent), ("ExecutionReport", reports)):
        bodies = [mapper.write(each)[0] for each in values]
        raws = [whole(body) for body in bodies]
        fields = [[field.split("=", 1) for field in body.fields.decode().split(SOH)[:-1]] for body in bodies]
        flat = [[(int(tag), value) for tag, value in each] for each in fields]
        tags = [tag for tag, _ in flat[0] if tag not in {453, 448, 447, 452, 136, 137, 138, 139}]
        found.append(
            {
                "message": name,
                "bytes": len(raws[0]),
                "write": timed(mapper.write, values, rounds),
                "read": timed(mapper.read, raws, rounds),
                "engine_write": timed(engine_set, flat, rounds),
                "engine_read": timed(functools.partial(engine_get, dictionary, tags), raws, rounds),
            }
        )
    return found


def engine_set(fields: list[tuple[int, str]]) -> str:
    """The same fields by setField, values at hand as text, groups laid flat."""
    message = quickfix.Message()
    for tag, value in fields:
        message.setField(tag, value)
    return message.toString()


def engine_get(dictionary: quickfix.DataDictionary, tags: Sequence[int], raw: str) -> list[str]:
    """The same fields by getField, as text, groups left out."""
    message = quickfix.Message(raw, dictionary, False)
    return [message.getField(tag) for tag in tags]


def markdown(result: dict[str, Any]) -> str:
    """The tables of the page."""
    names = ("write", "read", "hand_over", "engine_write", "engine_read")
    titles = ("write", "read", "hand to the engine", "quickfix Group write", "quickfix parse and read")
    entries = [
        [
            f"mass quote of {each['entries']:,}",
            each["bytes"],
            *(each[name]["median"] / each["entries"] for name in names),
        ]
        for each in result["mass_quotes"]
    ]
    single = [
        [each["message"], each["bytes"], *(each[name]["median"] / 1e3 for name in ("write", "read", *names[3:]))]
        for each in result["orders"]
    ]
    return "\n\n".join(
        [
            table(["ns of CPU per entry", "bytes", *titles], entries),
            table(
                ["us of CPU per message", "bytes", *titles[:2], "quickfix setField", "quickfix parse and getField"],
                single,
            ),
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main("fix_mapping", measure, markdown, options))
