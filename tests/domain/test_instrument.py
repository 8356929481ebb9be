from __future__ import annotations

import datetime as dt
import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InputError
from domain.instrument import Deliverable, OptionContract, Right, format_osi, last_trading_day, option, parse_osi
from domain.roots_table import ROOT_TERMS

plain_roots = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=6)
numbered_roots = st.builds(
    lambda root, digit: root + digit, st.text("ABCXYZ", min_size=1, max_size=5), st.sampled_from("123456789")
)
table_roots = st.sampled_from([row.root for row in ROOT_TERMS])
contracts = st.builds(
    option,
    plain_roots | numbered_roots | table_roots,
    st.dates(dt.date(2000, 1, 1), dt.date(2099, 12, 31)),
    st.integers(1, 99_999_999),
    st.sampled_from(["C", "P"]),
)


@given(contracts)
def test_parse_undoes_format_in_every_form(contract: OptionContract) -> None:
    full, compact = format_osi(contract), format_osi(contract, compact=True)
    assert len(full) == 21
    assert " " not in compact
    assert parse_osi(full) == parse_osi(compact) == parse_osi("O:" + compact) == contract
    assert contract.osi == full


@given(contracts)
def test_a_contract_survives_json(contract: OptionContract) -> None:
    assert msgspec.json.decode(msgspec.json.encode(contract), type=OptionContract) == contract


def refusal(text: str) -> InputError | None:
    try:
        parse_osi(text)
    except InputError as refused:
        return refused
    return None


@given(st.text(max_size=24) | contracts.map(lambda c: c.osi))
def test_any_text_is_a_contract_or_an_input_error_that_names_its_field(text: str) -> None:
    refused = refusal(text)
    if refused is None:
        contract = parse_osi(text)
        assert text.removeprefix("O:") in {contract.osi, format_osi(contract, compact=True)}
    else:
        assert refused.fields["field"] in {"symbol", "root", "expiry", "right", "strike"}
        assert "value" in refused.fields


@given(contracts, st.integers(0, 20), st.characters())
def test_one_wrong_character_never_gives_another_spelling_of_a_contract(
    contract: OptionContract, position: int, other: str
) -> None:
    text = contract.osi[:position] + other + contract.osi[position + 1 :]
    assert refusal(text) is not None or parse_osi(text).osi == text


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("", "symbol", ""),
        ("AAPL", "symbol", "AAPL"),
        ("240119C00150000", "symbol", "240119C00150000"),
        ("TOOLONGX240119C00150000", "symbol", "TOOLONGX240119C00150000"),
        ("aapl  240119C00150000", "root", "aapl"),
        (" AAPL 240119C00150000", "root", " AAPL"),
        ("AA PL 240119C00150000", "root", "AA PL"),
        ("AAPL 240119C00150000", "root", "AAPL "),
        ("O:AAPL  240119C00150000", "root", "AAPL  "),
        ("BRK.B 240119C00150000", "root", "BRK.B"),
        ("2SPX  240119C00150000", "root", "2SPX"),
        ("AAPL12240119C00150000", "root", "AAPL12"),
        ("      240119C00150000", "root", ""),
        ("AAPL  24O119C00150000", "expiry", "24O119"),
        ("AAPL  240230C00150000", "expiry", "240230"),
        ("AAPL  241301C00150000", "expiry", "241301"),
        ("AAPL  240119X00150000", "right", "X"),
        ("AAPL  240119c00150000", "right", "c"),
        ("AAPL  240119C0015.000", "strike", "0015.000"),
        ("AAPL  240119C-0150000", "strike", "-0150000"),
        ("AAPL  240119C0015000\N{ARABIC-INDIC DIGIT ZERO}", "strike", "0015000\N{ARABIC-INDIC DIGIT ZERO}"),
        ("AAPL  240119C00000000", "strike", "00000000"),
    ],
)
def test_each_way_a_symbol_can_be_wrong_is_named(text: str, field: str, value: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_osi(text)
    assert (refused.value.fields["field"], refused.value.fields["value"]) == (field, value)
    assert field in str(refused.value)


def test_symbols_of_published_examples() -> None:
    # OCC symbology initiative: LAMR 17 January 2015 call 52.5.
    lamr = parse_osi("LAMR  150117C00052500")
    assert lamr == option("LAMR", dt.date(2015, 1, 17), 52_500, "C")
    assert lamr.strike_dollars == 52.5
    assert (lamr.underlying, lamr.style, lamr.delivery, lamr.multiplier) == ("LAMR", "american", "physical", 100)
    assert last_trading_day(lamr) == dt.date(2015, 1, 16)


def test_an_adjusted_root_keeps_its_underlying_and_admits_what_it_does_not_know() -> None:
    adjusted = parse_osi("AAPL1 150117C00052500")
    assert adjusted.underlying == "AAPL"
    assert adjusted.is_adjusted
    assert not adjusted.is_deliverable_known
    known = option(
        "AAPL1",
        adjusted.expiry,
        52_500,
        "C",
        deliverable=(Deliverable("AAPL", 33.0), Deliverable("USD", 12.34)),
    )
    assert known.is_deliverable_known
    assert known.osi == adjusted.osi
    assert parse_osi("BRKB1 150117C00052500").underlying == "BRK.B"


def test_a_mini_is_ten_shares_by_listing_and_not_adjusted() -> None:
    mini = parse_osi("AAPL7 140118C00500000")
    assert (mini.underlying, mini.multiplier, mini.is_mini, mini.is_adjusted) == ("AAPL", 10, True, False)


def test_terms_of_index_roots() -> None:
    day = dt.date(2022, 3, 18)
    spx, spxw, xsp, spy = (option(root, day, 400_000, "C") for root in ("SPX", "SPXW", "XSP", "SPY"))
    assert (spx.style, spx.settlement, spx.delivery) == ("european", "AM", "cash")
    assert (spxw.underlying, spxw.style, spxw.settlement, spxw.delivery) == ("SPX", "european", "PM", "cash")
    assert (xsp.style, xsp.settlement, xsp.delivery) == ("european", "PM", "cash")
    assert (spy.style, spy.settlement, spy.delivery) == ("american", "PM", "physical")
    assert option("XSP", dt.date(2010, 6, 19), 100_000, "C").settlement == "AM"


def test_the_caller_may_know_better_than_the_tables() -> None:
    assert option("SPX", dt.date(2022, 3, 18), 400_000, "C", settlement="PM").settlement == "PM"


def test_rows_of_one_root_never_overlap() -> None:
    for root in {row.root: None for row in ROOT_TERMS}:
        rows = [row for row in ROOT_TERMS if row.root == root]
        for before, after in itertools.pairwise(rows):
            assert before.valid_to is not None
            assert before.valid_to <= after.valid_from


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"root": "TOOLONG"}, "root"),
        ({"root": "a"}, "root"),
        ({"root": "ABCDEF1"}, "root"),
        ({"underlying": ""}, "underlying"),
        ({"strike": 0}, "strike"),
        ({"strike": -1}, "strike"),
        ({"strike": 100_000_000}, "strike"),
        ({"right": "X"}, "right"),
        ({"multiplier": 0}, "multiplier"),
    ],
)
def test_a_contract_that_cannot_be_listed_is_refused(change: dict[str, object], field: str) -> None:
    fields: dict[str, object] = {
        "root": "AAPL",
        "underlying": "AAPL",
        "expiry": dt.date(2024, 1, 19),
        "strike": 150_000,
        "right": "C",
    }
    with pytest.raises(InputError) as refused:
        OptionContract(**(fields | change))  # type: ignore[arg-type]
    assert refused.value.fields["field"] == field


def test_a_year_that_the_symbol_cannot_say_is_refused() -> None:
    with pytest.raises(InputError, match="2000 to 2099"):
        format_osi(option("IBM", dt.date(1999, 1, 16), 100_000, "C"))


def test_contracts_are_immutable_and_hash_by_value() -> None:
    right: Right = "C"
    one, two = (option("IBM", dt.date(2024, 1, 19), 100_000, right) for _ in range(2))
    assert {one: 1}[two] == 1
    with pytest.raises(AttributeError):
        one.strike = 1  # type: ignore[misc]
