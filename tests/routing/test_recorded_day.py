"""Venues on a recorded market: the laws of `test_exchange`, where the input is real."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from domain import events as e
from domain.chain import Chain
from domain.commands import Party
from domain.frames import NbboFrame, QuoteFrame
from routing.exchange import Exchange, ExchangeSettings
from routing.nbbo import ASK, BID
from routing.venues import SIMULATED
from streams.lean import open_lean

PARTY = Party(account="A1", capacity="market_maker", clearing_firm="CF", market_maker_id="MM")
MINUTES = 45


def at_the_nbbo(frame: NbboFrame, venue: int, number: int, ts: int) -> e.QuotesCleared:
    """Join the two-sided NBBO of every contract in an update."""
    rows = np.flatnonzero((frame.bid > 0) & (frame.ask > frame.bid))
    quotes = QuoteFrame(
        venue=np.full(len(rows), venue),
        contract=frame.contract[rows],
        bid=frame.bid[rows],
        bid_size=np.full(len(rows), 5),
        ask=frame.ask[rows],
        ask_size=np.full(len(rows), 5),
    )
    return e.QuotesCleared(
        ts_event=ts,
        ts_init=ts,
        underlying="GOOG",
        gate="test",
        sequence=number,
        seal="",
        quote_set_id=f"Q{number}",
        party=PARTY,
        quote_ts=ts,
        frame=quotes,
    )


@pytest.mark.data
def test_joining_the_recorded_nbbo_fills_within_the_tape_and_books_balance(lean_root: Path) -> None:
    recording = open_lean(lean_root, "GOOG", dt.date(2015, 12, 24))
    exchanges: list[Exchange] = []
    position = np.zeros((2, 0), np.int64)
    fills = number = 0
    for item in recording.items():
        event = item.event
        if event.ts_event > recording.open_ns + MINUTES * 60_000_000_000:
            break
        if isinstance(event, e.ChainListed):
            chain = Chain("GOOG", dt.date(2015, 12, 24), event.contracts)
            exchanges = [Exchange(SIMULATED, k, chain, event.tick_classes, ExchangeSettings(), 11) for k in (0, 1)]
            position = np.zeros((2, len(chain)), np.int64)
            continue
        told = [exchange.on_market(event) for exchange in exchanges]
        if isinstance(event, e.NbboUpdated):
            number += 1
            for place, exchange in enumerate(exchanges):
                told[place] += exchange.submit(at_the_nbbo(event.frame, place, number, event.ts_event), event.ts_event)
        printed = dict.fromkeys(range(len(position[0])), 0)
        for place, answers in enumerate(told):
            for report in answers:
                assert not isinstance(report, e.QuotesAcknowledged) or len(report.frame) == 0
                if isinstance(report, e.ExecutionReported):
                    fills += 1
                    printed[report.contract] += report.last_qty
                    position[place, report.contract] += report.last_qty * (1 if report.side == "buy" else -1)
        if isinstance(event, e.TradesPrinted):
            volume = np.zeros(len(position[0]), np.int64)
            np.add.at(volume, event.frame.contract, event.frame.volume)
            assert all(printed[contract] <= volume[contract] for contract in event.frame.contract.tolist())
    assert fills >= 10
    for place, exchange in enumerate(exchanges):
        np.testing.assert_array_equal(exchange.positions()[0], position[place])
        price, size = exchange.displayed()
        two_sided = (price[BID] > 0) & (price[ASK] > 0)
        assert two_sided.sum() > 500
        assert (price[BID] < price[ASK])[two_sided].all()
        assert ((size > 0) <= (price > 0)).all()
