"""Venues as data: what they trade, what they charge, how they allocate, how far away they are.

`SIMULATED` is the default table. Its names, codes, fees, shares and latencies are parameters of a simulation: none of
them describes a real exchange.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from domain.commands import Capacity
from domain.dated import Dated, in_force
from domain.errors import InputError

VenueKind = Literal["option", "stock"]

Allocation = Literal[
    # first come, first served at a price: what matters is the size that stood there before us
    "price_time",
    # a print at a price is shared in proportion to the sizes that stand there
    "pro_rata",
]

_SHARE_TOLERANCE: Final = 1e-9
_MIC_LENGTH: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeRow(Dated):
    """What a venue charges one capacity, in 1/10,000 dollar per contract or share; negative is a rebate.

    `maker_fee` for executions that add liquidity, `taker_fee` for those that remove it.
    """

    capacity: Capacity
    maker_fee: int
    taker_fee: int


class Protections(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A venue's own market-maker protection: a rolling window over the executions of our quotes.

    It trips with the execution that brings the window to `max_fills` executions or to `max_contracts` contracts.

    Raises:
        InputError: A limit is not positive.
    """

    max_fills: int = 50
    max_contracts: int = 500
    window_ms: int = 1_000

    def __post_init__(self) -> None:
        """Refuse limits that would trip at once or never roll."""
        for name in ("max_fills", "max_contracts", "window_ms"):
            if getattr(self, name) < 1:
                raise InputError("protection must be positive", field=f"protections.{name}", value=getattr(self, name))


class Venue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One venue.

    Attributes:
        index: Position in its table; `venue` on messages.
        mic: Four capital letters or digits, unique in the table; prefixes execution identifiers.
        name: For people.
        kind: What it trades: the options of a chain, or their underlying.
        is_market_maker: Whether we may quote there (option venues only).
        fees: Dated fee rows.
        latency_ns: One way between us and the venue.
        tape_share: Its part of the printed volume of its kind, in (0, 1]; a table's shares sum to 1 per kind.
        allocation: How a print at a price is shared.
        tick: Increment of a stock venue in price units. Option venues take the increment of the class (0).
        protections: Its own market-maker protection.

    Raises:
        InputError: A field is out of range.
    """

    index: int
    mic: str
    name: str
    kind: VenueKind
    is_market_maker: bool
    fees: tuple[FeeRow, ...]
    latency_ns: int
    tape_share: float
    allocation: Allocation
    tick: int = 0
    protections: Protections = msgspec.field(default_factory=Protections)

    def __post_init__(self) -> None:
        """Refuse what cannot be a venue."""
        if len(self.mic) != _MIC_LENGTH or not (
            self.mic.isascii() and self.mic.isalnum() and self.mic == self.mic.upper()
        ):
            raise InputError("MIC must be four capital letters or digits", field="mic", value=self.mic)
        if self.latency_ns < 0:
            raise InputError("latency must not be negative", field="latency_ns", value=self.latency_ns, mic=self.mic)
        if not 0.0 < self.tape_share <= 1.0:
            raise InputError("tape share must be in (0, 1]", field="tape_share", value=self.tape_share, mic=self.mic)
        if (self.tick > 0) != (self.kind == "stock"):
            raise InputError("a stock venue, and no other, has a tick", field="tick", value=self.tick, mic=self.mic)
        if self.is_market_maker and self.kind == "stock":
            raise InputError("only option venues take quotes", field="is_market_maker", value=True, mic=self.mic)

    def fee(self, capacity: Capacity, *, adds: bool, day: dt.date) -> int:
        """Return the fee of one contract or share, in 1/10,000 dollar; negative is a rebate.

        Raises:
            InputError: No row is in force for the capacity on that day.
        """
        row = in_force((row for row in self.fees if row.capacity == capacity), day)
        if row is None:
            raise InputError("no fee in force", field="fees", value=capacity, mic=self.mic, day=day.isoformat())
        return row.maker_fee if adds else row.taker_fee


class VenueTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All venues of a run, in index order.

    Raises:
        InputError: Indices are not 0, 1, 2 ..., a MIC stands twice, or the tape shares of a kind do not sum to 1.
    """

    venues: tuple[Venue, ...]

    def __post_init__(self) -> None:
        """Check what concerns the venues together."""
        if not self.venues:
            raise InputError("a venue table needs a venue", field="venues", value=0)
        seen: dict[str, int] = {}
        for position, venue in enumerate(self.venues):
            if venue.index != position:
                raise InputError(
                    "venue index must be its position", field="index", value=venue.index, expected=position
                )
            if venue.mic in seen:
                raise InputError("MIC stands twice", field="mic", value=venue.mic)
            seen[venue.mic] = position
        kinds: tuple[VenueKind, ...] = ("option", "stock")
        for kind in kinds:
            shares = [venue.tape_share for venue in self.of_kind(kind)]
            if shares and abs(math.fsum(shares) - 1.0) > _SHARE_TOLERANCE:
                raise InputError("tape shares must sum to 1", field="tape_share", value=math.fsum(shares), kind=kind)

    def __len__(self) -> int:
        """Return the number of venues."""
        return len(self.venues)

    def __iter__(self) -> Iterator[Venue]:
        """Go through the venues in index order."""
        return iter(self.venues)

    def __getitem__(self, index: int) -> Venue:
        """Return the venue with that index.

        Raises:
            InputError: There is none.
        """
        if not 0 <= index < len(self.venues):
            raise InputError("unknown venue", field="venue", value=index)
        return self.venues[index]

    def of_kind(self, kind: VenueKind) -> tuple[Venue, ...]:
        """Return the venues that trade options, or stock."""
        return tuple(venue for venue in self.venues if venue.kind == kind)

    @property
    def market_making(self) -> tuple[Venue, ...]:
        """The venues where we may quote."""
        return tuple(venue for venue in self.venues if venue.is_market_maker)

    def tape_edges(self, kind: VenueKind) -> npt.NDArray[np.float64]:
        """Return the cumulative tape shares of a kind's venues in index order, from 0 to 1: one more than venues."""
        edges = np.concatenate(([0.0], np.cumsum([venue.tape_share for venue in self.of_kind(kind)])))
        edges[-1] = 1.0
        return edges


def parse_venues(rows: object) -> VenueTable:
    """Build a table from plain data, as a TOML array of tables gives it.

    Raises:
        InputError: A field is missing, unknown, of the wrong type or out of range; the text names it.
    """
    try:
        return msgspec.convert({"venues": rows}, VenueTable)
    except msgspec.ValidationError as error:
        raise InputError("venue table cannot be read", field="venues", value=str(error)) from error


# --- the simulated venues ---------------------------------------------------------------------------------------------

_SOURCE: Final = "parameter of the simulation, no exchange's schedule"
_EVERY_DAY: Final = dt.date(1990, 1, 1)


def _fees(*, maker: int, taker: int) -> tuple[FeeRow, ...]:
    capacities: tuple[Capacity, ...] = ("market_maker", "firm", "customer")
    return tuple(
        FeeRow(
            valid_from=_EVERY_DAY, source=_SOURCE, evidence="memory", capacity=each, maker_fee=maker, taker_fee=taker
        )
        for each in capacities
    )


SIMULATED: Final = VenueTable(
    (
        Venue(
            index=0,
            mic="SIMA",
            name="Simulated price-time options",
            kind="option",
            is_market_maker=True,
            fees=_fees(maker=-2_500, taker=5_000),
            latency_ns=200_000,
            tape_share=0.40,
            allocation="price_time",
        ),
        Venue(
            index=1,
            mic="SIMB",
            name="Simulated pro-rata options",
            kind="option",
            is_market_maker=True,
            fees=_fees(maker=1_000, taker=2_500),
            latency_ns=350_000,
            tape_share=0.35,
            allocation="pro_rata",
        ),
        Venue(
            index=2,
            mic="SIMC",
            name="Simulated options, no quoting",
            kind="option",
            is_market_maker=False,
            fees=_fees(maker=-1_000, taker=4_000),
            latency_ns=500_000,
            tape_share=0.25,
            allocation="price_time",
        ),
        Venue(
            index=3,
            mic="SIMS",
            name="Simulated maker-taker stock",
            kind="stock",
            is_market_maker=False,
            fees=_fees(maker=-20, taker=30),
            latency_ns=150_000,
            tape_share=0.60,
            allocation="price_time",
            tick=100,
        ),
        Venue(
            index=4,
            mic="SIMT",
            name="Simulated flat-fee stock",
            kind="stock",
            is_market_maker=False,
            fees=_fees(maker=10, taker=10),
            latency_ns=250_000,
            tape_share=0.40,
            allocation="price_time",
            tick=100,
        ),
    )
)
"""Five simulated venues: two where we quote, one more that trades the same options, two that trade the underlying."""
