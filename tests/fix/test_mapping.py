"""Every command and event survives FIX exactly; what is damaged is refused by name, and nothing crashes."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import commands as c
from domain import events as e
from domain.errors import DataError, InputError, UnknownContract
from domain.frames import QuoteFrame
from fix.control import BookReport
from fix.mapping import Mapper, command_of, underlying_of
from fix.quotes import Assembly, QuoteFragment
from fix.refusals import Refusal
from fix.reports import MassCancelReport
from fix.wire import Body
from tests.fix.dialect import (
    CHAIN,
    GOLDEN,
    MAPPER,
    ORDER,
    QUOTES,
    SAMPLES,
    SOH,
    TS,
    VENUE,
    N,
    body_of,
    golden_text,
    messages,
    only,
    outbound,
    whole,
)

# --- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(messages))
def test_reading_inverts_writing(name: str) -> None:
    @given(messages[name])
    def check(message: Any) -> None:  # noqa: ANN401
        raw = whole(only(message))
        assert MAPPER.read(raw) == message
        assert MAPPER.read(raw.encode()) == message
        assert underlying_of(raw) == "GOOG"

    check()


def test_the_strategies_cover_all_that_travels() -> None:
    travels = {*(kind.__name__ for kind in MAPPER._write), "PlaceQuotes"}
    controls = {"ClockAdvance", "ClockReached", "ExecutionsRequest", "ExecutionsDone", "BookRequest", "BookReport"}
    assert travels == {*messages, *controls}
    assert {kind.__name__ for kind in c.Outbound.__args__} == set(outbound)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_golden_bytes_stay(name: str) -> None:
    text = (GOLDEN / f"{name}.fix").read_text(encoding="utf-8")
    assert golden_text(only(SAMPLES[name])) == text
    assert MAPPER.read(whole(body_of(text))) == SAMPLES[name]


def test_every_golden_file_has_its_sample() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.fix")) == sorted(SAMPLES)


# --- mass quotes ------------------------------------------------------------------------------------------------------
@given(messages["PlaceQuotes"], st.randoms(use_true_random=False))
def test_another_order_of_the_fields_reads_the_same(quotes: c.PlaceQuotes, chance: random.Random) -> None:
    """A peer that writes an entry in another order is read field by field, with the same result."""
    raw = whole(only(quotes))
    head, *entries = raw.split(f"{SOH}299=")
    first, marker, tail = entries[-1].partition(f"{SOH}301=2")
    entries[-1] = first
    shuffled = []
    for entry in entries:
        name, *fields = entry.split(SOH)
        chance.shuffle(fields)
        shuffled.append(SOH.join([name, *fields]))
    assert MAPPER.read(f"{SOH}299=".join([head, *shuffled]) + marker + tail) == quotes


@given(messages["PlaceQuotes"], st.integers(1, 7))
def test_fragments_join_to_the_whole(quotes: c.PlaceQuotes, most: int) -> None:
    mapper, assembly = Mapper(CHAIN, VENUE, max_entries=most), Assembly()
    joined: list[c.PlaceQuotes] = []
    bodies = mapper.write(quotes)
    assert len(bodies) == -(-len(quotes.frame) // most)
    for body in bodies:
        found = mapper.read(whole(body))
        assert isinstance(found, c.PlaceQuotes | QuoteFragment)
        whole_set = assembly.add(found) if isinstance(found, QuoteFragment) else found
        joined += [] if whole_set is None else [whole_set]
    assert joined == [quotes]


def test_a_lost_fragment_is_noticed() -> None:
    mapper = Mapper(CHAIN, VENUE, max_entries=2)
    parts = [mapper.read(whole(body)) for body in mapper.write(QUOTES)]
    assert all(isinstance(part, QuoteFragment) for part in parts)
    assembly = Assembly()
    assembly.add(parts[0])  # type: ignore[arg-type]
    with pytest.raises(DataError, match="TotNoQuoteEntries"):
        assembly.add(parts[2])  # type: ignore[arg-type]
    other = msgspec.structs.replace(QUOTES, quote_set_id="another")
    assembly.add(parts[0])  # type: ignore[arg-type]
    with pytest.raises(DataError, match="not finished"):
        assembly.add(mapper.read(whole(mapper.write(other)[0])))  # type: ignore[arg-type]
    assembly.add(parts[0])  # type: ignore[arg-type]
    assembly.clear()
    assert assembly.add(parts[0]) is None  # type: ignore[arg-type]


def test_only_the_rows_of_the_venue_are_written() -> None:
    frame = QUOTES.frame
    venue = np.array([VENUE, 0, VENUE, 1, 2])
    mixed = QuoteFrame(**{**frame.columns(), "venue": venue})
    found = MAPPER.read(whole(only(msgspec.structs.replace(QUOTES, frame=mixed))))
    assert found == msgspec.structs.replace(QUOTES, frame=frame.take(venue == VENUE))
    assert MAPPER.write(msgspec.structs.replace(QUOTES, frame=frame.take(slice(0, 0)))) == []
    assert Mapper(CHAIN, 9).write(QUOTES) == []


def test_prices_that_were_cached_are_forgotten_and_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fix.values._CACHED", 3)
    mapper = Mapper(CHAIN, VENUE)
    rows = np.arange(N)
    frame = QuoteFrame(
        venue=np.full(N, VENUE), contract=rows, bid=rows * 100, bid_size=rows + 1, ask=rows * 500 + 700, ask_size=rows
    )
    quotes = msgspec.structs.replace(QUOTES, frame=frame)
    assert [mapper.read(whole(body)) for body in mapper.write(quotes)] == [quotes]
    assert len(mapper._quotes._bid) <= 4


# --- instruments ------------------------------------------------------------------------------------------------------
def test_adjusted_contracts_and_minis_keep_their_names_apart() -> None:
    texts = {whole(only(msgspec.structs.replace(ORDER, contract=contract))) for contract in range(N)}
    assert len(texts) == N
    adjusted = msgspec.structs.replace(ORDER, contract=CHAIN.index_of("GOOG1160115C00750000"))
    assert b"206=1\x01" in only(adjusted).fields
    mini = msgspec.structs.replace(ORDER, contract=CHAIN.index_of("GOOG7160115C00750000"))
    assert b"231=10\x01" in only(mini).fields


def test_an_order_of_a_plain_peer_is_read_without_our_own_tags() -> None:
    fields = [
        "1=X", "11=o1", "38=10.0", "40=2", "44=18.450", "54=5", "55=GOOG", "60=20151224-14:30:00.123456", "167=OPT",
        "201=1", "202=742.50", "528=A", "541=20160115",
    ]  # fmt: skip
    found = MAPPER.read(whole(Body("D", "".join(field + SOH for field in fields).encode())))
    assert isinstance(found, c.SubmitOrder)
    assert (found.quantity, found.price, found.side, found.sale_marking) == (10, 184_500, "sell", "short")
    assert (found.ts_event, found.ts_init) == (TS // 1_000 * 1_000, TS // 1_000 * 1_000)
    assert found.contract == ORDER.contract
    assert (found.party.capacity, found.tif) == ("customer", "day")


def test_a_plain_sale_is_long_for_stock_and_unmarked_for_options() -> None:
    for contract, marking, told in ((c.STOCK, "long", b""), (0, "", b""), (c.STOCK, "", b"N"), (0, "long", b"L")):
        sale = msgspec.structs.replace(ORDER, contract=contract, side="sell", sale_marking=marking)
        fields = only(sale).fields
        assert b"\x0154=2\x01" in fields
        assert (b"\x019509=" + told + b"\x01" in fields) == bool(told)
        assert MAPPER.read(whole(only(sale))) == sale


# --- refusals ---------------------------------------------------------------------------------------------------------
def body_without(name: str, tag: int) -> Body:
    """A sample without one of its fields."""
    body = only(SAMPLES[name])
    kept = [field for field in body.fields.split(b"\1") if not field.startswith(b"%d=" % tag)]
    return Body(body.msg_type, b"\1".join(kept))


def body_with(name: str, old: str, new: str) -> Body:
    """A sample with one of its fields changed."""
    body = only(SAMPLES[name])
    fields = body.fields.decode()
    assert f"{SOH}{old}{SOH}" in f"{SOH}{fields}"
    return Body(body.msg_type, f"{SOH}{fields}".replace(f"{SOH}{old}{SOH}", f"{SOH}{new}{SOH}", 1)[1:].encode())


@pytest.mark.parametrize(
    ("name", "tag"),
    [("new_order", 11), ("new_order", 44), ("new_order", 202), ("mass_quote", 117), ("mass_quote", 295),
     ("mass_quote", 304), ("execution", 17), ("execution", 151), ("cancel_request", 41), ("quotes_acknowledged", 297),
     ("clock_advance", 9520), ("mass_cancel_request", 311), ("quotes_partly_refused", 368)],
)  # fmt: skip
def test_a_missing_field_is_named(name: str, tag: int) -> None:
    with pytest.raises(DataError) as refused:
        MAPPER.read(whole(body_without(name, tag)))
    assert refused.value.fields["tag"] in (tag, 296, 295)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("new_order", "44=18.45", "44=18.45005"),
        ("new_order", "44=18.45", "44=-18.45"),
        ("new_order", "44=18.45", "44=1e3"),
        ("new_order", "44=18.45", "44=nan"),
        ("new_order", "44=18.45", "44=\u0661\u0668"),
        ("new_order", "38=5", "38=5.5"),
        ("new_order", "38=5", "38=99999999999999999999"),
        ("new_order", "54=1", "54=9"),
        ("new_order", "40=2", "40=7"),
        ("new_order", "59=3", "59=6"),
        ("new_order", "528=P", "528=Q"),
        ("new_order", "60=20151224-14:30:00.123", "60="),
        ("new_order", "9501=1450967400123456789", "9501=x"),
        ("new_order", "9500=GOOG", "9500=MSFT"),
        ("new_order", "55=GOOG", "55=MSFT"),
        ("new_order", "202=742.5", "202=742.5005"),
        ("new_order", "167=OPT", "167=FUT"),
        ("new_order_short", "55=GOOG", "55=GOOG1"),
        ("new_order_long", "9508=Y", "9509=S"),
        ("new_order_short", "9507=LOC-9", "9509=L"),
        ("mass_quote", "132=18.45", "132=18.45001"),
        ("mass_quote", "134=10", "134=2147483648"),
        ("mass_quote", "134=10", "134=-1"),
        ("mass_quote", "295=5", "295=4"),
        ("mass_quote", "295=5", "295=6"),
        ("mass_quote", "295=5", "295=999999999"),
        ("mass_quote", "304=5", "304=4"),
        ("mass_quote", "304=5", "304=6"),
        ("mass_quote", "202=742.5", "202=743"),
        ("mass_quote", "206=1", "206=2"),
        ("mass_quote", "231=10", "231=100"),
        ("mass_quote", "299=GOOG160115C00742500", "299=GOOG160115P00742500"),
        ("mass_quote", "311=GOOG", "311=MSFT"),
        ("mass_quote", "453=2", "453=3"),
        ("mass_quote", "452=66", "452=4"),
        ("quote_cancel_listed", "295=2", "295=1"),
        ("quote_cancel_listed", "298=1", "298=3"),
        ("quote_cancel_all", "298=3", "298=1"),
        ("quote_cancel_all", "354=16", "354=17"),
        ("quote_cancel_all", "9504=Y", "9504=X"),
        ("execution", "150=F", "150=Z"),
        ("execution", "39=1", "39=Z"),
        ("execution", "137=0.94", "137=0.94001"),
        ("execution", "136=1", "136=2"),
        ("execution", "851=2", "851=3"),
        ("execution", "6=0", "6=1e5"),
        ("quotes_acknowledged", "297=0", "297=2"),
        ("quotes_partly_refused", "368=2", "368=200"),
        ("quotes_partly_refused", "304=2", "304=3"),
        ("quotes_canceled_listed", "297=1", "297=3"),
        ("venue_up", "340=2", "340=9"),
        ("mass_cancel_request", "530=2", "530=1"),
        ("mass_cancel_request", "311=GOOG", "311=MSFT"),
    ],
)
def test_a_wrong_value_is_refused_with_tag_and_value(name: str, old: str, new: str) -> None:
    with pytest.raises(DataError) as refused:
        MAPPER.read(whole(body_with(name, old, new)))
    assert {"tag", "value"} <= set(refused.value.fields)


def test_a_field_that_stands_twice_or_outside_its_group_is_refused() -> None:
    for extra in ("11=again", "299=GOOG160115C00742500", "297=0"):
        body = only(ORDER)
        with pytest.raises(DataError, match=extra.partition("=")[0]):
            MAPPER.read(whole(Body("D", body.fields + f"{extra}{SOH}".encode())))


def test_session_messages_say_nothing_here() -> None:
    for kind in ("0", "A", "5", "zz"):
        with pytest.raises(DataError, match="35"):
            MAPPER.read(whole(Body(kind, b"108=30\x01")))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"clordid": ""}, "ClOrdID"),
        ({"clordid": "a\x01b"}, "ClOrdID"),
        ({"clordid": "é"}, "ClOrdID"),
        ({"price": -1}, "Price"),
        ({"price": 10**14}, "Price"),
        ({"quantity": -1}, "OrderQty"),
        ({"ts_event": -1}, "TransactTime"),
        ({"underlying": "MSFT"}, "AxiomUnderlying"),
        ({"venue": 0}, "venue"),
        ({"sale_marking": "long"}, "Side"),
    ],
)
def test_what_fix_cannot_carry_is_refused_before_it_leaves(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        MAPPER.write(msgspec.structs.replace(ORDER, **change))


def test_unknown_contracts_never_leave() -> None:
    for contract in (N, -2):
        with pytest.raises(UnknownContract):
            MAPPER.write(msgspec.structs.replace(ORDER, contract=contract))
        columns = {name: values[:1] for name, values in QUOTES.frame.columns().items()}
        frame = QuoteFrame(**{**columns, "contract": np.array([contract])})
        with pytest.raises(UnknownContract):
            MAPPER.write(msgspec.structs.replace(QUOTES, frame=frame))


@pytest.mark.parametrize("name", ["bid", "bid_size", "ask", "ask_size"])
def test_quote_sides_below_zero_never_leave(name: str) -> None:
    columns = {**QUOTES.frame.columns(), name: np.array([1, 1, -1, 1, 1])}
    with pytest.raises(InputError, match="out of range"):
        MAPPER.write(msgspec.structs.replace(QUOTES, frame=QuoteFrame(**columns)))


def test_a_control_character_never_keeps_a_cancel_from_leaving() -> None:
    cancel = SAMPLES["cancel_request"]
    body = only(msgspec.structs.replace(cancel, reason="line\x01two\né\x7f"))
    assert MAPPER.read(whole(body)) == msgspec.structs.replace(cancel, reason="line two é ")


def test_what_does_not_travel_is_refused() -> None:
    with pytest.raises(InputError, match="RequestOrder"):
        MAPPER.write(
            c.RequestOrder(
                ts_event=0, ts_init=0, underlying="GOOG", request_id="r", contract=0, side="buy", quantity=1, limit=0,
                tif="ioc", intent=c.Intent.HEDGE,
            )  # type: ignore[arg-type]
        )  # fmt: skip


# --- damage -----------------------------------------------------------------------------------------------------------
@pytest.mark.fuzz
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_give_a_message_or_a_data_error(data: bytes | str) -> None:
    with pytest.raises(DataError):
        MAPPER.read(data)


@pytest.mark.fuzz
@settings(max_examples=max(settings().max_examples, 300))
@given(st.sampled_from(sorted(SAMPLES)), st.lists(st.tuples(st.integers(0, 2_000), st.binary(max_size=4)), max_size=4))
def test_a_mutated_message_gives_a_message_or_a_data_error(name: str, cuts: list[tuple[int, bytes]]) -> None:
    data = whole(only(SAMPLES[name])).encode()
    for at, piece in cuts:
        place = at % len(data)
        data = data[:place] + piece + data[place + (at % 3) :]
    with contextlib.suppress(DataError):
        MAPPER.read(data)


@pytest.mark.fuzz
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_fields_that_change_places_give_a_message_or_a_data_error(name: str, data: st.DataObject) -> None:
    fields = whole(only(SAMPLES[name])).rstrip(SOH).split(SOH)
    mixed = data.draw(st.permutations(fields[3:]))
    kept = data.draw(st.integers(0, len(mixed)))
    with contextlib.suppress(DataError):
        MAPPER.read(SOH.join([*fields[:3], *mixed[:kept], ""]))


# --- refused messages of ours -----------------------------------------------------------------------------------------
REJECT = Body("3", f"45=7{SOH}58=Value is incorrect{SOH}371=44{SOH}372=D{SOH}373=5{SOH}".encode())
BUSINESS_REJECT = Body("j", f"45=7{SOH}58=no such service{SOH}372=D{SOH}379=o1{SOH}380=3{SOH}".encode())


@pytest.mark.parametrize("body", [REJECT, BUSINESS_REJECT])
@pytest.mark.parametrize("name", sorted(outbound))
def test_a_refused_message_is_settled(body: Body, name: str) -> None:
    sent = next(sample for sample in SAMPLES.values() if type(sample).__name__ == name)
    refusal = MAPPER.read(whole(body))
    assert isinstance(refusal, Refusal)
    assert refusal.sequence == 7
    (event,) = MAPPER.rejection(refusal, sent)
    assert MAPPER.rejection(whole(body), sent) == [event]
    assert (event.ts_event, event.ts_init, event.underlying) == (refusal.sent_at, sent.ts_init, "GOOG")
    match event:
        case e.QuotesAcknowledged():
            assert event.accepted == 0
            assert event.frame.contract.tolist() == sent.frame.contract.tolist()
        case e.ExecutionReported():
            assert (event.exec_type, event.clordid) == (e.ExecType.REJECTED, sent.clordid)
        case e.CancelRejected():
            assert (event.clordid, event.orig_clordid) == (sent.clordid, sent.orig_clordid)
        case _:
            assert isinstance(event, e.ReconciliationNeeded)
            assert event.subject in (getattr(sent, "cancel_id", ""), getattr(sent, "clordid", ""))


def test_a_mass_quote_that_was_refused_unread_is_settled() -> None:
    fields = f"58=unknown symbol{SOH}60=20151224-14:30:00{SOH}117={QUOTES.quote_set_id}{SOH}297=5{SOH}300=1{SOH}"
    refusal = MAPPER.read(whole(Body("b", fields.encode())))
    assert isinstance(refusal, Refusal)
    assert refusal.ref_id == QUOTES.quote_set_id
    (event,) = MAPPER.rejection(refusal, QUOTES)
    assert isinstance(event, e.QuotesAcknowledged)
    assert len(event.frame) == len(QUOTES.frame)


def test_what_refuses_nothing_settles_nothing() -> None:
    with pytest.raises(DataError, match="refuses nothing"):
        MAPPER.rejection(whole(only(ORDER)), ORDER)


# --- the rest ---------------------------------------------------------------------------------------------------------
def test_a_refused_cancel_says_what_was_refused() -> None:
    rejected = SAMPLES["cancel_reject"]
    for about, code in ((SAMPLES["cancel_request"], b"434=1"), (SAMPLES["replace_request"], b"434=2")):
        (body,) = MAPPER.write_answer(rejected, about)
        assert code in body.fields.split(b"\1")
        assert MAPPER.read(whole(body)) == rejected


def test_a_mass_cancel_is_reported_with_its_orders() -> None:
    cancel = SAMPLES["mass_cancel_request"]
    gone = msgspec.structs.replace(
        SAMPLES["execution"], exec_type=e.ExecType.CANCELED, ord_status=e.OrdStatus.CANCELED, last_qty=0, last_px=0
    )
    report = MAPPER.read(whole(MAPPER.write_mass_cancel(cancel, [gone, SAMPLES["execution"]], TS + 5)))
    assert report == MassCancelReport(cancel.cancel_id, True, (ORDER.clordid,), "")
    refused = MAPPER.read(whole(MAPPER.write_mass_cancel(cancel, [], TS + 5, "too often")))
    assert refused == MassCancelReport(cancel.cancel_id, False, (), "too often")


@given(st.lists(st.integers(-(10**9), 10**9), min_size=N, max_size=N), st.integers(-(10**12), 10**12))
def test_the_book_of_a_venue_travels(positions: list[int], cash: int) -> None:
    report = BookReport("R-9", np.array(positions), -300, cash)
    found = MAPPER.read(whole(only(report)))
    assert isinstance(found, BookReport)
    assert found.positions.tolist() == positions
    assert (found.request_id, found.stock, found.cash) == ("R-9", -300, cash)


def test_clearances_travel_without_the_gate() -> None:
    stamps: dict[str, Any] = {"ts_event": TS, "ts_init": TS, "underlying": "GOOG"}
    gate: dict[str, Any] = {**stamps, "gate": "secret-gate", "sequence": 91, "seal": "secret-seal"}
    quotes = {name: getattr(QUOTES, name) for name in ("quote_set_id", "party", "quote_ts", "frame")}
    cleared: list[tuple[e.Clearance, c.Outbound]] = [
        (e.QuotesCleared(**gate, **quotes), msgspec.structs.replace(QUOTES, **stamps)),
        (e.OrderCleared(**gate, order=ORDER), ORDER),
        (e.QuoteCancelCleared(**gate, cancel=SAMPLES["quote_cancel_all"]), SAMPLES["quote_cancel_all"]),
        (e.OrderCancelCleared(**gate, cancel=SAMPLES["cancel_request"]), SAMPLES["cancel_request"]),
        (e.OrderReplaceCleared(**gate, replace=SAMPLES["replace_request"]), SAMPLES["replace_request"]),
        (e.OrderStatusCleared(**gate, request=SAMPLES["status_request"]), SAMPLES["status_request"]),
        (e.OrdersCancelCleared(**gate, cancel=SAMPLES["mass_cancel_request"]), SAMPLES["mass_cancel_request"]),
    ]
    for clearance, command in cleared:
        assert command_of(clearance) == command
        for body in MAPPER.write_cleared(clearance):
            assert b"secret" not in body.fields
            assert MAPPER.read(whole(body)) == command
    with pytest.raises(InputError, match="clearance"):
        command_of(e.Clearance(**gate))


def test_a_mapper_needs_room_for_an_entry() -> None:
    with pytest.raises(InputError, match="max_entries"):
        Mapper(CHAIN, VENUE, max_entries=0)
