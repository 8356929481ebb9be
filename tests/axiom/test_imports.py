"""Start-of-day positions: a good file is read to the lot, a bad row is named by its number and value."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from axiom.imports import no_positions, read_positions
from domain.chain import Chain
from domain.codec import decode, encode
from domain.errors import InputError
from domain.instrument import OptionContract

HEADER = "symbol,quantity,price\n"
CALL, PUT = "XYZ   160115C00090000", "XYZ   160115P00090000"


@pytest.fixture
def chain() -> Chain:
    contracts = [
        OptionContract(root="XYZ", underlying="XYZ", expiry=dt.date(2016, 1, 15), strike=strike * 1000, right=right)
        for strike in (90, 100)
        for right in ("C", "P")
    ]
    return Chain("XYZ", dt.date(2015, 12, 24), contracts)


def write(folder: Path, text: str) -> Path:
    path = folder / "positions.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_file_gives_options_stock_and_cash(tmp_path: Path, chain: Chain) -> None:
    text = f"{HEADER}{PUT},-7,1.25\n{CALL},5,10.5\nXYZ,-300,101.5\nCASH,-1234.56,\n"
    found = read_positions(write(tmp_path, text), chain)
    held = dict(zip(found.frame.contract.tolist(), found.frame.quantity.tolist(), strict=True))
    assert held == {chain.index_of(CALL): 5, chain.index_of(PUT): -7}
    assert found.frame.contract.tolist() == sorted(held)
    assert (found.stock, found.stock_price, found.cash) == (-300, 101.5, -1234.56)
    assert found.option_prices == (10.5, 1.25)
    assert found.underlying == "XYZ"
    assert decode(*encode(found)) == found


def test_rows_of_one_contract_add_up_in_any_form_of_its_symbol(tmp_path: Path, chain: Chain) -> None:
    text = f"symbol,quantity\n{CALL},5\nXYZ160115C00090000,-2\nCASH,1\nCASH,2.5\nXYZ,1\nXYZ,2\n"
    found = read_positions(write(tmp_path, text), chain)
    assert found.frame.contract.tolist() == [chain.index_of(CALL)]
    assert found.frame.quantity.tolist() == [3]
    assert (found.stock, found.cash) == (3, 3.5)


def test_book_without_prices_has_none(tmp_path: Path, chain: Chain) -> None:
    found = read_positions(write(tmp_path, f"symbol,quantity\n{CALL},5\nXYZ,-3\n"), chain)
    assert (found.stock_price, found.option_prices) == (0.0, ())


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        pytest.param(f"{CALL},5,\nXYZ,-300,101.5", "some positions and not of all", id="of the stock alone"),
        pytest.param(f"{CALL},5,2.5\n{PUT},1,", "some positions and not of all", id="of one option"),
        pytest.param("XYZ,5,101\nXYZ,5,102", "another price", id="two of one position"),
    ],
)
def test_prices_that_would_show_half_of_a_gap_are_refused(tmp_path: Path, chain: Chain, rows: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as refused:
        read_positions(write(tmp_path, f"{HEADER}{rows}\n"), chain)
    assert "row 3" in str(refused.value)


@pytest.mark.parametrize("text", [HEADER, f"{HEADER}\n\n", "\ufeff" + HEADER])
def test_file_of_no_rows_is_an_empty_book(tmp_path: Path, chain: Chain, text: str) -> None:
    assert read_positions(write(tmp_path, text), chain) == no_positions("XYZ")


def test_mark_that_spreadsheets_write_first_is_no_part_of_the_header(tmp_path: Path, chain: Chain) -> None:
    assert read_positions(write(tmp_path, f"\ufeff{HEADER}XYZ,4,1\n"), chain).stock == 4


@pytest.mark.parametrize(
    ("row", "value", "what"),
    [
        pytest.param("XYZ,many,1", "many", "not a number", id="quantity is text"),
        pytest.param("XYZ,1.5,1", "1.5", "not a number", id="half a share"),
        pytest.param("XYZ,,1", "''", "not a number", id="no quantity"),
        pytest.param("XYZ,1,dear", "dear", "not a number", id="price is text"),
        pytest.param("XYZ,1,nan", "nan", "not a number", id="price is NaN"),
        pytest.param("XYZ,1,-2", "-2", "not a number", id="price is negative"),
        pytest.param("CASH,inf,", "inf", "not a number", id="endless cash"),
        pytest.param("CASH,money,", "money", "not a number", id="cash is text"),
        pytest.param(f"{CALL},99999999999999999999,", "99999999999999999999", "not a number", id="too many"),
        pytest.param("XYZ   160115C00095000,1,", "XYZ   160115C00095000", "unknown contract", id="not listed"),
        pytest.param("ABC,1,", "ABC", "symbol is too short", id="another underlying"),
        pytest.param(",1,", "''", "symbol is too short", id="no symbol"),
    ],
)
def test_bad_row_is_named_by_number_and_value(tmp_path: Path, chain: Chain, row: str, value: str, what: str) -> None:
    """A blank line before it still counts as a line."""
    with pytest.raises(InputError, match=what) as caught:
        read_positions(write(tmp_path, f"{HEADER}{CALL},1,\n\n{row}\n"), chain)
    assert caught.value.fields["field"] == "row 4"
    assert value in str(caught.value)


@pytest.mark.parametrize(("text", "field"), [("", "symbol"), ("XYZ,4,1\n", "symbol"), ("symbol,amount\n", "quantity")])
def test_missing_column_is_named(tmp_path: Path, chain: Chain, text: str, field: str) -> None:
    with pytest.raises(InputError, match="no such column") as caught:
        read_positions(write(tmp_path, text), chain)
    assert caught.value.fields["field"] == field


def test_file_that_cannot_be_read_is_named(tmp_path: Path, chain: Chain) -> None:
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"symbol\xff\xfe")
    for path in (tmp_path / "none.csv", tmp_path, binary):
        with pytest.raises(InputError, match="cannot be read") as caught:
            read_positions(path, chain)
        assert caught.value.fields["value"] == str(path)
