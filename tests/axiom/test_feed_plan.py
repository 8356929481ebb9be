"""Days that a feed publishes: made-up ones are named so, spread over partitions, and last as long as the recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from axiom.feed_plan import FeedPlan, keep_plan, make_plan, open_day, read_plan, synthetic_symbols
from axiom.settings import Settings, from_json
from domain.errors import InputError
from domain.partitioning import partition_of


@pytest.mark.parametrize("partitions", [1, 3, 4, 12])
@pytest.mark.parametrize("taken", [(), ("GOOG",)])
def test_underlyings_cover_the_partitions(partitions: int, taken: tuple[str, ...]) -> None:
    found = synthetic_symbols(partitions - len(taken) + 2, partitions, taken)
    assert len(set(found)) == len(found)
    assert all(name.startswith("SYN") for name in found)
    load = [partition_of(name, partitions) for name in (*taken, *found)]
    assert {load.count(number) for number in range(partitions)} <= {
        len(load) // partitions,
        len(load) // partitions + 1,
    }


def plan(synthetic: int = 2) -> FeedPlan:
    return make_plan(run="r", speed=1.0, settle_s=0.0, settings=Settings(), synthetic=synthetic, partitions=4)


def test_each_made_up_underlying_has_its_own_seed_and_says_what_it_is() -> None:
    days = [open_day(config) for config in plan().days]
    assert all(day.started.is_synthetic and day.started.source.startswith("synthetic:SYN") for day in days)
    assert len({day.started.seed for day in days}) == 2
    assert [from_json(day.started.settings).synthetic.symbol for day in days] == [d.started.underlying for d in days]


def test_made_up_days_last_as_long_as_the_recorded_one(lean_root: Path) -> None:
    made = make_plan(
        run="r", speed=1.0, settle_s=0.0, settings=Settings(), synthetic=3, partitions=4, source="lean",
        path=str(lean_root.parent), underlying="GOOG", trade_date="2015-12-24",
    )  # fmt: skip
    goog, *others = [open_day(config).recording for config in made.days]
    assert not goog.is_synthetic
    assert {partition_of(each.underlying, 4) for each in (goog, *others)} == {0, 1, 2, 3}
    assert {(each.open_ns, each.close_ns) for each in others} == {(goog.open_ns, goog.close_ns)}


def test_a_folder_belongs_to_one_plan(tmp_path: Path) -> None:
    keep_plan(tmp_path, plan())
    keep_plan(tmp_path, plan())
    assert read_plan(tmp_path) == plan()
    with pytest.raises(InputError, match="another feed"):
        keep_plan(tmp_path, plan(3))


def test_nothing_to_publish_is_refused() -> None:
    with pytest.raises(InputError, match="different underlyings"):
        plan(0)
