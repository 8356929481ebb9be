"""Values as FIX writes them: prices, whole numbers, times, identifiers and free text.

What we write is refused with InputError where FIX cannot carry it; what we read is refused with DataError. Both name
the tag and the value.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import re
from decimal import Decimal
from typing import Final

from domain.errors import DataError, InputError
from domain.price import PRICE_SCALE
from fix.tags import BY_NUMBER, Tag

MAX_UNITS: Final = 10**14 - 1
"""The largest price that is written, ten digits of dollars: above it a price is a mistake."""

MAX_INT64: Final = 2**63 - 1
NS: Final = 1_000_000_000

_PRICE: Final = re.compile(r"([0-9]{1,10})(?:\.([0-9]{0,4})0*)?", re.ASCII)
_TIME: Final = re.compile(r"([0-9]{8})-([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?", re.ASCII)
_SIGNED: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_CACHED: Final = 1 << 16
_SHOWN: Final = 64


def bad(message: str, tag: int, value: str) -> DataError:
    """Return the refusal of a field that was read; a long value is cut."""
    known = BY_NUMBER.get(tag)
    return DataError(message, tag=int(tag), name="" if known is None else known.fix_name, value=value[:_SHOWN])


def unwritable(message: str, tag: Tag, value: object) -> InputError:
    """Return the refusal of a value that FIX cannot carry."""
    return InputError(message, field=tag.fix_name, value=value, tag=tag.value)


# --- prices -----------------------------------------------------------------------------------------------------------


def price_text(units: int) -> str:
    """Return units of 1/10,000 dollar as dollars, with no more decimals than needed: 10,500 is 1.05."""
    dollars, rest = divmod(units, PRICE_SCALE)
    return f"{dollars}.{rest:04d}".rstrip("0") if rest else str(dollars)


def price_units(text: str, tag: int) -> int:
    """Return dollars as units of 1/10,000 dollar.

    Raises:
        DataError: No decimal number of at most ten digits, negative, or no multiple of 0.0001.
    """
    found = _PRICE.fullmatch(text)
    if found is None:
        raise bad("price must be a decimal, a multiple of 0.0001", tag, text)
    dollars, rest = found.groups()
    return int(dollars) * PRICE_SCALE + int((rest or "").ljust(4, "0"))


def amount_text(units: int) -> str:
    """Return signed units of 1/10,000 dollar as dollars."""
    return f"-{price_text(-units)}" if units < 0 else price_text(units)


def amount_units(text: str, tag: int) -> int:
    """Return dollars, with a sign where negative, as units. Raises DataError as `price_units` does."""
    return -price_units(text[1:], tag) if text[:1] == "-" else price_units(text, tag)


def average_text(units: float) -> str:
    """Return an average price in units as dollars, in the shortest decimal that gives the same float back."""
    if not math.isfinite(units):
        raise unwritable("average price must be finite", Tag.AVG_PX, units)
    return f"{Decimal(repr(units)).scaleb(-4):f}" if units else "0"


def average_units(text: str) -> float:
    """Return dollars as float units of 1/10,000 dollar.

    Raises:
        DataError: No decimal number.
    """
    if re.fullmatch(r"-?[0-9]{1,310}(?:\.[0-9]{1,400})?", text, re.ASCII) is None:
        raise bad("price must be a decimal", Tag.AVG_PX, text)
    return float(Decimal(text).scaleb(4))


class FieldTexts(dict[int, str]):
    """Number to a whole field, `132=1.05` with its end mark, made once for each number; -1 gives no field at all.

    Bounded: it is emptied when it holds 65,536.
    """

    def __init__(self, tag: Tag, *, is_price: bool) -> None:
        super().__init__({-1: ""})
        self._head, self._is_price = f"{tag.value}=", is_price

    def __missing__(self, number: int) -> str:
        """Write one."""
        if len(self) >= _CACHED:
            self.clear()
            self[-1] = ""
        text = self[number] = f"{self._head}{price_text(number) if self._is_price else number}\x01"
        return text


class FieldNumbers(dict[str, int]):
    """A whole field, `132=1.05`, to its number, read once for each text. Bounded as `FieldTexts` is.

    Raises:
        DataError: Another tag, or no such number.
    """

    def __init__(self, tag: Tag, *, is_price: bool) -> None:
        super().__init__()
        self._tag, self._head, self._is_price = tag, f"{tag.value}=", is_price

    def __missing__(self, field: str) -> int:
        """Read one."""
        if not field.startswith(self._head):
            raise bad("another field was expected", self._tag, field)
        if len(self) >= _CACHED:
            self.clear()
        text = field[len(self._head) :]
        number = self[field] = price_units(text, self._tag) if self._is_price else size(text, self._tag)
        return number


# --- whole numbers ----------------------------------------------------------------------------------------------------


def natural(text: str, tag: int) -> int:
    """Return a whole number from 0 to 2^63 - 1.

    Raises:
        DataError: It is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 19) or (number := int(text)) > MAX_INT64:
        raise bad("number must be whole and not negative", tag, text)
    return number


def size(text: str, tag: int) -> int:
    """Return a size of a quote side: a whole number below 2^31, zeros behind a decimal point allowed.

    Raises:
        DataError: It is none.
    """
    number = quantity(text, tag)
    if number >= 1 << 31:
        raise bad("size must be below 2^31", tag, text)
    return number


def quantity(text: str, tag: int) -> int:
    """Return a quantity: a whole number, zeros behind a decimal point allowed, as FIX types it.

    Raises:
        DataError: It is none.
    """
    whole, point, rest = text.partition(".")
    if point and rest.strip("0"):
        raise bad("quantity must be whole", tag, text)
    return natural(whole, tag)


def signed(text: str, tag: int) -> int:
    """Return a whole number between -(2^63 - 1) and 2^63 - 1.

    Raises:
        DataError: It is none.
    """
    if _SIGNED.fullmatch(text) is None or abs(number := int(text)) > MAX_INT64:
        raise bad("number must be whole", tag, text)
    return number


def natural_text(number: int, tag: Tag) -> str:
    """Return a whole number as text.

    Raises:
        InputError: Negative, or above 2^63 - 1.
    """
    if not 0 <= number <= MAX_INT64:
        raise unwritable("number must not be negative", tag, number)
    return str(number)


def limit_text(units: int, tag: Tag) -> str:
    """Return a price in dollars.

    Raises:
        InputError: Negative, or above ten digits of dollars.
    """
    if not 0 <= units <= MAX_UNITS:
        raise unwritable("price is out of range", tag, units)
    return price_text(units)


# --- times ------------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def _second_text(second: int) -> str:
    return dt.datetime.fromtimestamp(second, dt.UTC).strftime("%Y%m%d-%H:%M:%S")


def time_text(ns: int) -> str:
    """Return UTC time to the millisecond, cut, as tag 60 has it.

    Raises:
        InputError: Before 1970 or after 2262.
    """
    if not 0 <= ns <= MAX_INT64:
        raise unwritable("time must be from 1970 to 2262", Tag.TRANSACT_TIME, ns)
    second, rest = divmod(ns, NS)
    return f"{_second_text(second)}.{rest // 1_000_000:03d}"


def time_ns(text: str, tag: int) -> int:
    """Return ns since the epoch of UTC time with up to nine decimals of a second.

    Raises:
        DataError: It is none, or outside 1970 to 2262.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise bad("time must be YYYYMMDD-HH:MM:SS with a fraction", tag, text)
    day, clock, rest = found.groups()
    try:
        moment = dt.datetime.strptime(f"{day}-{clock}", "%Y%m%d-%H:%M:%S").replace(tzinfo=dt.UTC)
    except ValueError as error:
        raise bad("time does not exist", tag, text) from error
    ns = int(moment.timestamp()) * NS + int((rest or "").ljust(9, "0"))
    if not 0 <= ns <= MAX_INT64:
        raise bad("time must be from 1970 to 2262", tag, text)
    return ns


# --- text -------------------------------------------------------------------------------------------------------------


def identifier(text: str, tag: Tag) -> str:
    """Return an identifier as it is.

    Raises:
        InputError: Empty, or not printable ASCII.
    """
    if not text:
        raise unwritable("identifier must not be empty", tag, text)
    if not (text.isascii() and text.isprintable()):
        raise unwritable("identifier must be printable ASCII", tag, text)
    return text


def plain_text(text: str) -> tuple[str, str]:
    """Return free text for tag 58, and for tag 355 where 58 cannot say it all.

    A control character becomes a blank in both: a reason never keeps a message from leaving.
    """
    if text.isascii() and text.isprintable():
        return text, ""
    clean = "".join(" " if ord(each) < 32 or ord(each) == 127 else each for each in text)
    clean = clean.encode("utf-8", "replace").decode()
    return "".join(each if " " <= each <= "~" else "?" for each in clean), "" if clean.isascii() else clean
