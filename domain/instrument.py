"""Option contracts and their OSI symbols.

A contract is what a symbol says (root, expiry, right, strike) and what it does not say: underlying, exercise style,
settlement, multiplier and deliverable. The latter come from dated tables and can be overridden by the caller who has a
better source, such as a clearing house file.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final, Literal, TypedDict, Unpack

import msgspec

from domain import calendar
from domain.dated import grouped, in_force
from domain.errors import InputError
from domain.roots_table import ROOT_TERMS, Delivery, RootTerms, Settlement, Style

Right = Literal["C", "P"]

STRIKE_SCALE: Final = 1000
"""Strikes are integer thousandths of a dollar, as in the OSI symbol. Never a float: 0.1 + 0.2 is not a strike."""

MAX_STRIKE: Final = 99_999_999
ROOT_WIDTH: Final = 6
_TAIL: Final = 15  # YYMMDD, right, eight digits of strike
_ROOT: Final = re.compile(r"[A-Z]{1,6}[0-9]?", re.ASCII)


class Deliverable(msgspec.Struct, frozen=True):
    """One part of what a contract delivers on exercise: `quantity` shares of an asset, or dollars where it is `USD`."""

    asset: str
    quantity: float


class OptionContract(msgspec.Struct, frozen=True, cache_hash=True, kw_only=True):
    """A listed option.

    Attributes:
        root: OSI root: capital letters, with a digit at the end where the contract was adjusted or is a mini.
        underlying: Symbol of the underlying, `BRK.B` for root `BRKB`, `SPX` for root `SPXW`.
        expiry: Expiration date as the symbol says it. A Saturday for most standard contracts before February 2015.
        strike: Thousandths of a dollar, 1 to 99,999,999.
        right: C or P.
        style: Exercise style.
        settlement: AM: the opening prices of the expiry day settle it. PM: the close does.
        delivery: Shares or cash.
        multiplier: Dollars per point of premium. Not always the number of shares: see `deliverable`.
        deliverable: What exercise delivers. Empty means `multiplier` shares of the underlying, or cash.

    Raises:
        InputError: A field is out of range.
    """

    root: str
    underlying: str
    expiry: dt.date
    strike: int
    right: Right
    style: Style = "american"
    settlement: Settlement = "PM"
    delivery: Delivery = "physical"
    multiplier: int = 100
    deliverable: tuple[Deliverable, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no listed contract can be."""
        if _ROOT.fullmatch(self.root) is None or len(self.root) > ROOT_WIDTH:
            raise InputError(
                "root must be 1 to 6 capital letters and at most one final digit", field="root", value=self.root
            )
        if not self.underlying:
            raise InputError("underlying must not be empty", field="underlying", value=self.underlying)
        if not 1 <= self.strike <= MAX_STRIKE:
            raise InputError("strike must be 1 to 99,999,999 thousandths", field="strike", value=self.strike)
        if self.right not in ("C", "P"):
            raise InputError("right must be C or P", field="right", value=self.right)
        if self.multiplier < 1:
            raise InputError("multiplier must be positive", field="multiplier", value=self.multiplier)

    @property
    def osi(self) -> str:
        """The 21-character OSI symbol."""
        return format_osi(self)

    @property
    def is_call(self) -> bool:
        """Whether it is a call."""
        return self.right == "C"

    @property
    def is_mini(self) -> bool:
        """Whether its root is that of a mini option: 10 shares by listing, not by adjustment."""
        terms = _terms(self.root, self.expiry)
        return terms is not None and terms.multiplier == 10

    @property
    def is_adjusted(self) -> bool:
        """Whether a corporate action changed the contract: its root ends in a digit and it is no mini."""
        return self.root[-1].isdigit() and not self.is_mini

    @property
    def is_deliverable_known(self) -> bool:
        """Whether exercise is fully described. An adjusted symbol alone does not say what it delivers."""
        return bool(self.deliverable) or not self.is_adjusted

    @property
    def strike_dollars(self) -> float:
        """The strike in dollars, for arithmetic."""
        return self.strike / STRIKE_SCALE

    @property
    def sort_key(self) -> tuple[str, dt.date, int, str]:
        """Order of a chain: root, expiry, strike, calls before puts."""
        return self.root, self.expiry, self.strike, self.right


def last_trading_day(contract: OptionContract) -> dt.date:
    """Return the last trade date in regular hours: the session before the expiry day where settlement is AM."""
    return calendar.last_trading_day(contract)


_TERMS: Final = grouped(ROOT_TERMS, lambda row: row.root)


def _terms(root: str, expiry: dt.date) -> RootTerms | None:
    rows = _TERMS.get(root)
    return None if rows is None else in_force(rows, expiry)


class Terms(TypedDict, total=False):
    """The fields of a contract that its symbol does not say."""

    underlying: str
    style: Style
    settlement: Settlement
    delivery: Delivery
    multiplier: int
    deliverable: tuple[Deliverable, ...]


def option(root: str, expiry: dt.date, strike: int, right: Right, **override: Unpack[Terms]) -> OptionContract:
    """Build a contract from what its symbol says, the rest from the tables of roots.

    Args:
        root: OSI root.
        expiry: Expiration date.
        strike: Thousandths of a dollar.
        right: C or P.
        override: The fields that the caller knows better than the tables.

    Raises:
        InputError: A field is out of range.
    """
    terms = _terms(root, expiry)
    plain = root[:-1] if len(root) > 1 and root[-1].isdigit() else root
    if terms is None and plain != root:
        base = _terms(plain, expiry)
        fields: Terms = {"underlying": plain if base is None else base.underlying}
    elif terms is None:
        fields = {"underlying": root}
    else:
        fields = {
            "underlying": terms.underlying,
            "style": terms.style,
            "settlement": terms.settlement,
            "delivery": terms.delivery,
            "multiplier": terms.multiplier,
        }
    fields.update(override)
    return OptionContract(root=root, expiry=expiry, strike=strike, right=right, **fields)


def parse_osi(text: str) -> OptionContract:
    """Read an OSI symbol.

    Accepts the 21-character form (`AAPL  240119C00150000`), the compact form (`AAPL240119C00150000`) and the compact
    form behind the prefix of Massive and Polygon (`O:AAPL240119C00150000`). Two-digit years are 2000 to 2099: the
    symbology began in 2010.

    Raises:
        InputError: The symbol is wrong; `field` names the part and `value` is what stood there.

    Source: OCC Options Symbology Initiative.
    """
    if not isinstance(text, str):
        raise InputError("symbol must be text", field="symbol", value=text)
    body = text.removeprefix("O:")
    if len(body) <= _TAIL:
        raise InputError("symbol is too short", field="symbol", value=text, length=len(text))
    if len(body) > ROOT_WIDTH + _TAIL:
        raise InputError("symbol is too long", field="symbol", value=text, length=len(text))
    head, date, right, strike = body[:-_TAIL], body[-_TAIL:-9], body[-9], body[-8:]
    root = head.rstrip(" ")
    if root != head and (len(head) != ROOT_WIDTH or body is not text):
        raise InputError("root must be padded to 6 characters or not at all", field="root", value=head, symbol=text)
    if _ROOT.fullmatch(root) is None:
        raise InputError(
            "root must be capital letters and at most one final digit", field="root", value=root, symbol=text
        )
    if not (date.isascii() and date.isdigit()):
        raise InputError("expiry must be six digits", field="expiry", value=date, symbol=text)
    if right not in ("C", "P"):
        raise InputError("right must be C or P", field="right", value=right, symbol=text)
    if not (strike.isascii() and strike.isdigit()):
        raise InputError("strike must be eight digits", field="strike", value=strike, symbol=text)
    try:
        expiry = dt.date(2000 + int(date[:2]), int(date[2:4]), int(date[4:]))
    except ValueError as e:
        raise InputError("expiry must be a date", field="expiry", value=date, symbol=text) from e
    if int(strike) == 0:
        raise InputError("strike must be positive", field="strike", value=strike, symbol=text)
    return option(root, expiry, int(strike), "C" if right == "C" else "P")


def format_osi(contract: OptionContract, *, compact: bool = False) -> str:
    """Return the 21-character OSI symbol, or the form without padding.

    Raises:
        InputError: The expiry lies outside 2000 to 2099, which the symbol cannot say.
    """
    expiry = contract.expiry
    if not 2000 <= expiry.year <= 2099:
        raise InputError("an OSI symbol holds the years 2000 to 2099", field="expiry", value=expiry.isoformat())
    root = contract.root if compact else f"{contract.root:<6}"
    date = f"{expiry.year - 2000:02}{expiry.month:02}{expiry.day:02}"
    return f"{root}{date}{contract.right}{contract.strike:08}"
