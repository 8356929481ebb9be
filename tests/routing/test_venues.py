from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from domain.errors import InputError
from routing.venues import SIMULATED, FeeRow, Protections, Venue, VenueTable, parse_venues

DAY = dt.date(2015, 12, 24)


def row(valid_from: dt.date, maker: int, taker: int, valid_to: dt.date | None = None) -> FeeRow:
    return FeeRow(
        valid_from=valid_from,
        valid_to=valid_to,
        source="a notice",
        evidence="published",
        capacity="firm",
        maker_fee=maker,
        taker_fee=taker,
    )


def test_the_simulated_table_quotes_at_two_venues_and_claims_no_exchange() -> None:
    assert [venue.kind for venue in SIMULATED] == ["option"] * 3 + ["stock"] * 2
    assert [venue.index for venue in SIMULATED.market_making] == [0, 1]
    for venue in SIMULATED:
        assert venue.mic.startswith("SIM")
        assert all(fee.evidence == "memory" and "no exchange" in fee.source for fee in venue.fees)


def test_a_fee_is_that_of_the_day_the_capacity_and_the_liquidity() -> None:
    change = dt.date(2016, 1, 4)
    venue = msgspec.structs.replace(SIMULATED[0], fees=(row(DAY, -10, 20, valid_to=change), row(change, -30, 40)))
    assert venue.fee("firm", adds=True, day=DAY) == -10
    assert venue.fee("firm", adds=False, day=change) == 40
    with pytest.raises(InputError, match="no fee in force"):
        venue.fee("firm", adds=True, day=DAY - dt.timedelta(days=1))
    with pytest.raises(InputError, match="customer"):
        venue.fee("customer", adds=True, day=DAY)


def test_plain_data_gives_the_same_table() -> None:
    assert parse_venues(msgspec.to_builtins(SIMULATED.venues)) == SIMULATED


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"mic": "sima"}, "mic"),
        ({"latency_ns": -1}, "latency_ns"),
        ({"tape_share": 0.0}, "tape_share"),
        ({"tape_share": 0.9}, "tape_share"),
        ({"index": 7}, "index"),
        ({"mic": "SIMB"}, "SIMB"),
        ({"tick": 100}, "tick"),
        ({"allocation": "lottery"}, "allocation"),
        ({"sped": 1}, "sped"),
        ({"protections": {"max_fills": 0}}, "max_fills"),
    ],
)
def test_a_bad_table_is_refused_by_the_name_of_its_field(change: dict[str, object], names: str) -> None:
    rows = list(msgspec.to_builtins(SIMULATED.venues))
    rows[0] |= change
    with pytest.raises(InputError, match=names):
        parse_venues(rows)


def test_no_quoting_at_a_stock_venue() -> None:
    with pytest.raises(InputError, match="is_market_maker"):
        msgspec.structs.replace(SIMULATED[3], is_market_maker=True).__post_init__()
    with pytest.raises(InputError, match="needs a venue"):
        VenueTable(())
    with pytest.raises(InputError, match="unknown venue"):
        SIMULATED[9]


def test_protections_default_to_something_that_rolls() -> None:
    assert Protections().window_ms > 0
    assert all(isinstance(venue, Venue) for venue in SIMULATED)
