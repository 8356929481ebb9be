"""The summary: what it must hold, that it is JSON, and that its figures are those of the events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from domain import events as e
from store.day import Item, read_day
from store.ledger import PARTS, Ledger
from store.record import RunFacts, record_of
from store.summary import LABEL, SYNTHETIC_LABEL, percentiles, summarize, unhedged

if TYPE_CHECKING:
    from tests.store.conftest import Tape

FACTS = RunFacts(run="r1", digest="ab12", peak_rss_mib=300.0, tick_to_quote_us=tuple(float(n) for n in range(1, 1001)))
ASKED = (
    "events quotes_sent orders fills rejects positions pnl crossed_own_quotes gate_bypasses tick_to_quote_us "
    "peak_rss_mib digest quality markouts label"
)


@pytest.fixture
def summary(small_day: list[Item], venues: tuple[str, ...]) -> dict[str, Any]:
    return summarize(record_of(read_day(small_day, venues), FACTS))


def test_it_is_strict_json_and_holds_what_is_asked_of_a_run(summary: dict[str, Any]) -> None:
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert [key for key in ASKED.split() if key not in summary] == []
    assert set(summary["pnl"]) == {"total", *PARTS}


def test_its_counts_are_those_of_the_events(summary: dict[str, Any], small_day: list[Item]) -> None:
    events = [event for _, _, event in small_day]
    assert summary["events"] == len(events)
    assert summary["fills"] == sum(isinstance(event, e.OrderFilled) for event in events)
    assert summary["orders"] == sum(isinstance(event, e.OrderCleared) for event in events)
    assert summary["quotes_sent"] == sum(len(event.frame) for event in events if isinstance(event, e.QuotesCleared))
    assert summary["rejects"]["ours"] == {"collar": 8}
    assert summary["rejects"]["venues"] == {"off_tick": 5}


def test_positions_are_recounted_from_the_fills(summary: dict[str, Any], small_day: list[Item]) -> None:
    assert summary["positions_equal_fills"] is True
    lying = [item for item in small_day if not (isinstance(item[2], e.OrderFilled) and item[2].fill_id == "f3")]
    assert summarize(record_of(read_day(lying), FACTS))["positions_equal_fills"] is False


def test_the_parts_add_up_to_the_whole(summary: dict[str, Any]) -> None:
    assert sum(summary["pnl"][part] for part in PARTS) == pytest.approx(summary["pnl"]["total"])


def test_what_a_fill_earned_has_two_names_and_each_its_definition(summary: dict[str, Any]) -> None:
    """Against the theo that it was quoted on, and against the mark at which it entered the book."""
    assert set(summary["definitions"]) == {"edge_to_theo", "pnl.spread"}
    assert set(summary["edge_to_theo"]) == set(summary["fills_by_kind"])
    assert sum(kind["fills"] for kind in summary["edge_to_theo"].values()) <= summary["fills"]
    assert "edge" not in summary
    for name, definition in summary["definitions"].items():
        assert "\n" not in definition, name


def test_what_stayed_unhedged_adds_up_to_the_last_delta_and_has_reasons() -> None:
    close, ledger = 1_000, Ledger()

    def expose(ts: int, delta: float, cause: str) -> None:
        names = ledger.exposures.schema.names
        ledger.exposures.add(*(dict.fromkeys(names, 0.0) | {"ts": ts, "delta": delta, "cause": cause}).values())

    def mark(ts: int) -> None:
        ledger.pnl.add(*(dict.fromkeys(ledger.pnl.schema.names, 0) | {"ts": ts}).values())

    expose(900, 400.0, "greeks")
    mark(900)
    assert unhedged(ledger, close) == []
    assert unhedged(ledger, 0) == []
    expose(1_000, 410.0, "greeks")
    ledger.hedges.add(1_000, 60.0, 10.0, 0.0, 0, "price known at the close only")
    mark(1_000)
    expose(1_000, 55.0, "settlement")
    expose(1_001, -45.0, "fill")
    assert unhedged(ledger, close) == [
        {"delta": 60.0, "reason": "price known at the close only"},
        {"delta": -100.0, "reason": "filled after the close"},
        {"delta": -5.0, "reason": "settlement price"},
    ]


def test_percentiles_are_observed_values() -> None:
    found = percentiles(FACTS.tick_to_quote_us)
    assert found == {"count": 1000, "p50": 500.0, "p90": 900.0, "p99": 990.0, "p99.9": 999.0, "max": 1000.0}
    assert percentiles(()) == {"count": 0}


@pytest.mark.parametrize(("is_synthetic", "label"), [(False, LABEL), (True, SYNTHETIC_LABEL)])
def test_the_label_says_what_the_fills_are(tape: Tape, is_synthetic: bool, label: str) -> None:  # noqa: FBT001
    tape.begin(is_synthetic=is_synthetic)
    tape.end(60_000_000_000)
    assert summarize(record_of(read_day(tape.items), FACTS))["label"] == label
