"""GOOG on 24 December 2015, whole: what the product promises of a real day is asserted on it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from axiom.compose import SHARD, Composer
from domain import events as e
from domain.chain import Chain
from domain.commands import STOCK
from hedging.bands import half_width
from hedging.settings import HedgerSettings
from risk.positions import Positions
from store.ledger import PARTS
from streams.embedded import Outcome
from streams.journal import JournalReader
from streams.replay import Replay, grouped
from streams.shard import Shard
from tests.e2e.conftest import Ran, launch_of

pytestmark = [pytest.mark.data, pytest.mark.slow]

HELD: Final = {
    "GOOG": -200,
    "GOOG  151224C00740000": 10,  # in the money at the close: exercised
    "GOOG  151224P00760000": -5,  # in the money: assigned
    "GOOG  151224C00800000": 7,  # out of the money: worthless
    "GOOG  170120C00500000": 3,
}
"""Positions of the evening before; the first expiry is the day itself."""

CASH: Final = 250_000.0


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory, lean_root: Path) -> Ran:
    """The day from open to close with imported positions, run once."""
    folder = tmp_path_factory.mktemp("recorded")
    rows = "\n".join(f"{symbol},{quantity}" for symbol, quantity in HELD.items())
    (folder / "positions.csv").write_text(f"symbol,quantity\n{rows}\nCASH,{CASH}\n")
    config: dict[str, Any] = {
        "source": "lean",
        "path": str(lean_root),
        "underlying": "GOOG",
        "trade_date": "2015-12-24",
        "positions": str(folder / "positions.csv"),
    }
    ran = Ran(launch_of(folder, **config))
    assert ran.outcome is Outcome.FINISHED
    return ran


def test_day_ends_without_a_contradiction(day: Ran) -> None:
    """No halt, no bypass, no crossed quote of ours, positions and cash equal to the venues' own books."""
    assert day.launch.shard.halted == set()
    assert day.problems == []
    assert not day.differs
    assert day.summary["crossed_own_quotes"] == 0
    assert day.summary["gate_bypasses"] == 0
    assert day.summary["positions_equal_fills"]
    assert day.events(e.EventRejected) == []


def test_quotes_are_worth_showing(day: Ran) -> None:
    quality = day.summary["quality"]
    assert quality["contracts_eligible"] > 1_000
    assert quality["share"] >= 0.5
    assert quality["median_width"] <= quality["median_width_nbbo"]
    assert 0.0 < quality["at_or_inside_share"] <= 1.0
    assert day.summary["fills"] >= 50
    assert day.summary["fills_by_kind"]["quote"] >= 50
    for horizon in ("1m", "5m", "30m"):
        assert day.summary["markouts"]["quote"][horizon]["fills"] > 0
    assert "simulated fills on minute NBBO" in day.summary["label"]


def test_parts_of_the_pnl_add_up_at_every_mark(day: Ran) -> None:
    marks = day.events(e.PnlMarked)
    assert len(marks) >= 210
    for mark in marks:
        assert sum(getattr(mark, part) for part in PARTS) == pytest.approx(mark.total, abs=1e-6)
    assert day.summary["pnl"]["total"] == marks[-1].total


def test_what_expires_is_settled_at_the_close_and_nothing_else(day: Ran) -> None:
    settled = day.events(e.PositionSettled)
    chain = _chain(day)
    close = day.launch.recording.close_ns
    assert {event.ts_event for event in settled} == {close}
    assert {chain.contracts[event.contract].expiry.isoformat() for event in settled} == {"2015-12-24"}
    outcomes = {chain.contracts[event.contract].osi: event for event in settled}
    spot = settled[0].settlement_price
    assert 740 < spot < 760
    for event in settled:
        contract = chain.contracts[event.contract]
        sign = 1 if contract.right == "C" else -1
        is_inside = sign * (spot - contract.strike_dollars) > 0
        assert (event.outcome != "worthless") == is_inside
        if is_inside:
            assert event.shares == sign * event.quantity * contract.multiplier
            assert event.cash == pytest.approx(-event.shares * contract.strike_dollars)
        else:
            assert (event.shares, event.cash) == (0, 0.0)
    assert outcomes["GOOG  151224C00740000"].outcome != "worthless"
    assert outcomes["GOOG  151224P00760000"].outcome != "worthless"
    assert outcomes["GOOG  151224C00800000"].outcome == "worthless"
    ledger = _ledger(day)
    expired = [index for index, contract in enumerate(chain.contracts) if contract.expiry.isoformat() == "2015-12-24"]
    assert not ledger.quantity[expired].any()


def test_imported_positions_are_held_on_and_add_to_fills_and_settlement(day: Ran) -> None:
    chain, ledger = _chain(day), _ledger(day)
    expected = np.append(ledger.quantity * 0, 0)
    for symbol, quantity in HELD.items():
        expected[STOCK if symbol == "GOOG" else chain.index_of(symbol)] += quantity
    for fill in day.events(e.OrderFilled):
        expected[fill.contract] += fill.quantity if fill.side == "buy" else -fill.quantity
    for event in day.events(e.PositionSettled):
        expected[event.contract] -= event.quantity
        expected[STOCK] += event.shares
    np.testing.assert_array_equal(np.append(ledger.quantity, ledger.stock), expected)
    far = "GOOG  170120C00500000"
    assert day.summary["positions"][far] == ledger.quantity[chain.index_of(far)]
    settled = sum(round(event.cash * 10_000) for event in day.events(e.PositionSettled))
    assert ledger.cash == round(CASH * 10_000) + ledger.traded_cash + settled


def test_every_row_that_was_not_taken_is_counted(day: Ran) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for event in day.events(e.FeedDegraded):
        counts[event.source, event.reason] += event.count
    assert counts["20151224_quote_american.zip", "after the close"] == 165
    assert {reason for _, reason in counts} == {"after the close", "before the open"}
    said = Counter(day.summary["feed_refused"])
    assert said == sum((Counter({reason: count}) for (_, reason), count in counts.items()), start=Counter[str]())


def test_nothing_is_quoted_outside_the_session(day: Ran) -> None:
    recording = day.launch.recording
    sent = [event.ts_event for kind in (e.QuotesCleared, e.OrderCleared) for event in day.events(kind)]
    assert recording.open_ns <= min(sent)
    assert max(sent) < recording.close_ns


def test_a_missing_minute_does_not_interrupt_quoting(day: Ran) -> None:
    """The bar of the stock that closes at 12:30 is missing in the recording."""
    changes = day.events(e.QuotingStateChanged)
    assert [event.held_by for event in changes] == [("stale",), (), ("closing",), ("closed",)]
    assert not day.events(e.ProtectionTripped)


def test_no_quote_stands_into_the_last_bar(day: Ran) -> None:
    pull = day.launch.recording.close_ns - 60_000_000_000
    assert max(event.ts_event for event in day.events(e.QuotesCleared)) < pull
    assert max(event.ts_event for event in day.events(e.OrderFilled) if event.is_quote) < pull + 1_000_000


def test_the_book_is_handed_over_inside_the_no_trade_band_and_what_is_left_has_a_reason(day: Ran) -> None:
    end = day.summary["exposure"]
    quote = day.events(e.UnderlyingUpdated)[-1]
    hedging = HedgerSettings()
    cost = ((quote.ask - quote.bid) / 20_000 + hedging.fee) / (quote.ask / 10_000)
    band = max(half_width(end["gamma"], quote.ask / 10_000, cost, hedging.risk_aversion), hedging.min_band)
    assert abs(end["delta"]) <= band
    parts = day.summary["unhedged"]
    assert sum(part["delta"] for part in parts) == pytest.approx(end["delta"], abs=2.0)
    assert {part["reason"] for part in parts} <= {
        "price known at the close only", "settlement price", "inside the band of the closing hedge"
    }  # fmt: skip


def test_replay_gives_the_digest_of_the_day(day: Ran) -> None:
    reader = JournalReader(day.launch.folder.journal)
    result = Replay(Shard(SHARD, Composer().stages)).run(grouped(reader))
    assert result.is_equal, result.difference
    assert result.digest == day.launch.run.digest.hex()


def _chain(day: Ran) -> Chain:
    listed = day.launch.listed
    return Chain(listed.underlying, day.launch.recording.trade_date, listed.contracts)


def _ledger(day: Ran) -> Any:  # noqa: ANN401  # risk.ledger.Ledger
    return next(stage for stage in day.launch.shard.stages("GOOG") if isinstance(stage, Positions)).ledger
