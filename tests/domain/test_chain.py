from __future__ import annotations

import datetime as dt
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar import expiry_instant, ny_ns
from domain.chain import NO_PARTNER, Chain
from domain.errors import InputError, UnknownContract
from domain.instrument import OptionContract, format_osi, option, parse_osi

DAY = dt.date(2022, 3, 14)
listings = st.lists(
    st.builds(
        option,
        st.sampled_from(["SPX", "SPXW"]),
        st.dates(DAY, dt.date(2024, 12, 31)),
        st.integers(1, 10).map(lambda n: n * 500_000),
        st.sampled_from(["C", "P"]),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda contract: contract.osi,
)
COLUMNS = [
    "strike",
    "strike_thousandths",
    "sign",
    "multiplier",
    "is_american",
    "is_adjusted",
    "partner",
    "expiry_index",
    "expiry_ns",
    "expiry_start",
]


@given(listings, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_the_order_of_listing(listing: list[OptionContract], shuffler: object) -> None:
    shuffled = listing.copy()
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    chain, again = Chain("SPX", DAY, listing), Chain("SPX", DAY, shuffled)
    assert chain.contracts == again.contracts
    assert list(chain.contracts) == sorted(listing, key=lambda c: c.sort_key)
    for name in COLUMNS:
        assert np.array_equal(getattr(chain, name), getattr(again, name)), name


@given(listings)
def test_columns_say_what_the_contracts_say(listing: list[OptionContract]) -> None:
    chain = Chain("SPX", DAY, listing)
    assert len(chain) == len(listing)
    for position, contract in enumerate(chain.contracts):
        assert chain.strike[position] == contract.strike / 1000
        assert chain.strike_thousandths[position] == contract.strike
        assert chain.sign[position] == (1.0 if contract.right == "C" else -1.0)
        assert chain.multiplier[position] == contract.multiplier
        assert chain.is_american[position] == (contract.style == "american")
        expiry = int(chain.expiry_index[position])
        assert chain.expiries[expiry] == (contract.root, contract.expiry)
        assert chain.expiry_ns[expiry] == expiry_instant(contract)
        assert chain.expiry_slice(expiry).start <= position < chain.expiry_slice(expiry).stop
        for name in (contract, contract.osi, format_osi(contract, compact=True)):
            assert chain.index_of(name) == position


@given(listings)
def test_partners_are_mutual_and_differ_only_in_right(listing: list[OptionContract]) -> None:
    chain = Chain("SPX", DAY, listing)
    for position, other in enumerate(chain.partner.tolist()):
        mine = chain.contracts[position]
        if other == NO_PARTNER:
            twin = option(mine.root, mine.expiry, mine.strike, "P" if mine.right == "C" else "C")
            assert twin not in listing
        else:
            theirs = chain.contracts[other]
            assert chain.partner[other] == position
            assert (mine.sort_key[:3], mine.right) != (theirs.sort_key[:3], theirs.right)
            assert mine.sort_key[:3] == theirs.sort_key[:3]


def test_one_date_under_two_roots_is_two_expiries() -> None:
    day = dt.date(2022, 3, 18)
    chain = Chain("SPX", DAY, [option(root, day, 4_000_000, "C") for root in ("SPXW", "SPX")])
    assert chain.expiries == (("SPX", day), ("SPXW", day))
    assert chain.expiry_ns.tolist() == [ny_ns(day, 9 * 3600 + 1800), ny_ns(day, 16 * 3600)]


def test_every_column_is_read_only() -> None:
    chain = Chain("AAPL", DAY, [option("AAPL", dt.date(2022, 3, 18), 150_000, "C")])
    for name in COLUMNS:
        with pytest.raises(ValueError, match="read-only"):
            getattr(chain, name)[0] = 0


def test_adjusted_contracts_are_marked() -> None:
    day = dt.date(2022, 3, 18)
    chain = Chain("AAPL", DAY, [option(root, day, 150_000, "C") for root in ("AAPL", "AAPL1")])
    assert chain.is_adjusted.tolist() == [False, True]


def test_what_a_chain_refuses() -> None:
    contract = option("AAPL", dt.date(2022, 3, 18), 150_000, "C")
    with pytest.raises(InputError, match="needs a contract"):
        Chain("AAPL", DAY, [])
    with pytest.raises(InputError, match="another underlying"):
        Chain("MSFT", DAY, [contract])
    with pytest.raises(InputError, match="listed twice"):
        Chain("AAPL", DAY, [contract, contract])
    morning = option("AAPL", contract.expiry, 160_000, "C", settlement="AM")
    with pytest.raises(InputError, match="both AM and PM"):
        Chain("AAPL", DAY, [contract, morning])


def test_an_unlisted_contract_is_unknown_and_a_wrong_symbol_is_refused() -> None:
    chain = Chain("AAPL", DAY, [option("AAPL", dt.date(2022, 3, 18), 150_000, "C")])
    other = option("AAPL", dt.date(2022, 3, 18), 150_000, "P")
    for name in (other, other.osi):
        with pytest.raises(UnknownContract) as refused:
            chain.index_of(name)
        assert refused.value.fields["osi"] == other.osi
    with pytest.raises(InputError, match="too short"):
        chain.index_of("AAPL")


def test_a_contract_is_found_by_its_symbol_whatever_the_caller_believes_of_its_terms() -> None:
    contract = option("AAPL", dt.date(2022, 3, 18), 150_000, "C")
    chain = Chain("AAPL", DAY, [contract])
    assert chain.index_of(option("AAPL", contract.expiry, 150_000, "C", multiplier=10)) == 0


def test_twenty_thousand_contracts() -> None:
    first = dt.date(2022, 3, 18)
    expiries = [first + dt.timedelta(days=7 * week) for week in range(50)]
    listing = [option("SPXW", e, 1000 * k, r) for e in expiries for k in range(2000, 4000, 10) for r in ("P", "C")]
    chain = Chain("SPX", DAY, listing)
    assert len(chain) == 20_000
    assert (chain.partner != NO_PARTNER).all()
    assert np.diff(chain.expiry_start).tolist() == [400] * 50


def test_the_recorded_goog_chain(lean_root: Path) -> None:
    listing = []
    archive = lean_root / "option" / "usa" / "minute" / "goog" / "20151224_quote_american.zip"
    with zipfile.ZipFile(archive) as bundle:
        for member in bundle.namelist():
            *_, right, strike, expiry = member.removesuffix(".csv").split("_")
            day = dt.datetime.strptime(expiry, "%Y%m%d").replace(tzinfo=dt.UTC).date()
            listing.append(option("GOOG", day, int(strike) // 10, "C" if right == "call" else "P"))
    chain = Chain("GOOG", dt.date(2015, 12, 24), listing)
    assert (len(chain), len(chain.expiries), len(set(chain.strike.tolist()))) == (2_192, 12, 188)
    assert (chain.partner != NO_PARTNER).all()
    assert chain.expiry_ns[0] == ny_ns(dt.date(2015, 12, 24), 13 * 3600)
    assert all(parse_osi(contract.osi) == contract for contract in chain.contracts)
