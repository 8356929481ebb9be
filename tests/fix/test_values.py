"""Prices, numbers, times and text come back from FIX as they went, and nothing else is taken for them."""

from __future__ import annotations

import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DataError, InputError
from fix import values
from fix.tags import Tag

TAG = Tag.PRICE


@given(st.integers(0, values.MAX_UNITS))
def test_prices_come_back(units: int) -> None:
    text = values.price_text(units)
    assert values.price_units(text, TAG) == units
    assert not text.endswith(".")
    assert "." not in text or text[-1] != "0"
    assert values.price_units(f"{text}000000" if "." in text else f"{text}.000", TAG) == units
    assert values.amount_units(values.amount_text(-units), TAG) == -units


@pytest.mark.parametrize(("units", "text"), [(0, "0"), (1, "0.0001"), (10_500, "1.05"), (7_480_000, "748")])
def test_prices_are_written_short(units: int, text: str) -> None:
    assert values.price_text(units) == text


@pytest.mark.parametrize("text", ["", ".5", "-1", "+1", "1e3", "1,5", "nan", "1.00001", "1 ", "12345678901", "１.5"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="tag=44 name='Price'"):
        values.price_units(text, TAG)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_average_prices_come_back_to_the_bit(units: float) -> None:
    text = values.average_text(units)
    assert values.average_units(text) == units
    assert math.isclose(float(text) * 10_000, units, rel_tol=1e-12, abs_tol=1e-300) or abs(units) > 1e300


@pytest.mark.parametrize("units", [math.nan, math.inf])
def test_an_average_price_is_finite(units: float) -> None:
    with pytest.raises(InputError, match="AvgPx"):
        values.average_text(units)


@pytest.mark.parametrize("text", ["", "-", "1e5", "inf", "1.", ".1", "1_0", "٣"])
def test_what_is_no_average_price_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="AvgPx"):
        values.average_units(text)


@given(st.integers(0, values.MAX_INT64))
def test_numbers_come_back(number: int) -> None:
    assert values.natural(values.natural_text(number, TAG), TAG) == number
    assert values.quantity(f"{number}.00", TAG) == number
    assert values.signed(str(-number), TAG) == -number


@pytest.mark.parametrize("text", ["", "-1", "1.5", "9223372036854775808", "1" * 5_000, "1e2", "²", "0x1", " 1"])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    for read in (values.natural, values.quantity, values.size):
        with pytest.raises(DataError, match="Price"):
            read(text, TAG)


def test_a_long_wrong_value_is_cut_in_the_message() -> None:
    with pytest.raises(DataError) as refused:
        values.natural("x" * 10_000, TAG)
    assert len(str(refused.value)) < 200


@given(st.integers(0, values.MAX_INT64))
def test_times_come_back_to_the_millisecond(ns: int) -> None:
    text = values.time_text(ns)
    assert values.time_ns(text, Tag.TRANSACT_TIME) == ns // 1_000_000 * 1_000_000
    moment = dt.datetime.strptime(text, "%Y%m%d-%H:%M:%S.%f").replace(tzinfo=dt.UTC)
    assert math.floor(moment.timestamp()) == ns // values.NS


def test_times_are_read_to_the_nanosecond() -> None:
    assert values.time_ns("19700101-00:00:01.000000007", Tag.TRANSACT_TIME) == values.NS + 7
    assert values.time_ns("19700101-00:00:01", Tag.TRANSACT_TIME) == values.NS


@pytest.mark.parametrize(
    "text",
    ["", "20151224", "20151324-00:00:00", "20151224-24:00:00", "20151224-14:30:60", "20151224 14:30:00",
     "19691231-23:59:59", "99991231-23:59:59", "00000101-00:00:00", "20151224-14:30:00.",
     "20151224-14:30:00.1234567890"],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="TransactTime"):
        values.time_ns(text, Tag.TRANSACT_TIME)


@given(st.text(max_size=30))
def test_free_text_is_never_refused_and_never_ends_a_field(text: str) -> None:
    shown, whole = values.plain_text(text)
    assert shown.isascii()
    assert "\x01" not in shown + whole
    assert len(whole or shown) == len(text)
    assert whole or all(b in (a, " ") for a, b in zip(text, shown, strict=True))
