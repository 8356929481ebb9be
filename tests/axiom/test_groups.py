"""The groups of stages are what the stages themselves say, and what they emit in a session."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import pytest

from axiom.compose import Composer
from axiom.launch import first_chain
from axiom.settings import Settings
from domain import commands as c
from domain import events as e
from domain.events_base import Event
from domain.stage import Stage
from domain.topics import BY_NAME, TOPIC_OF
from streams.groups import COLOCATED, GROUPS, LISTING, SPLIT, Group
from streams.synthetic import SyntheticMarket

OUTSIDE = frozenset(
    kind
    for name in ("reference.chains", "market.underlying", "market.nbbo", "market.trades", "market.health",
                 "time.timers", "orders.reports", "ops.commands")
    for kind in BY_NAME[name].carries
)  # fmt: skip
"""Feeds, venues and people."""

_REPRICE = frozenset[type[Event]]((e.ForwardImplied, e.SurfaceFitted, e.GreeksComputed))
_HEDGE = frozenset[type[Event]]((e.HedgeDecided, c.RequestOrder))
PRODUCED: dict[str, frozenset[type[Event]]] = {
    "reprice": _REPRICE,
    "hedge": _HEDGE,
    "quote": frozenset(TOPIC_OF) - OUTSIDE - _REPRICE - _HEDGE,
}
"""Of the groups of the split topology."""


@pytest.fixture(scope="module")
def built() -> dict[str, Stage]:
    settings = Settings()
    market = SyntheticMarket(settings.synthetic, 1)
    started = e.RunStarted(
        ts_event=0, ts_init=0, underlying=market.underlying, run="r", seed=1, source=market.name, is_synthetic=True,
        trade_date=market.trade_date.isoformat(), settings=settings.to_json(),
    )  # fmt: skip
    stages: Sequence[Stage] = Composer().stages(started, first_chain(market))
    return {stage.name: stage for stage in stages}


@pytest.mark.parametrize("groups", [SPLIT, COLOCATED], ids=["split", "colocated"])
def test_every_stage_is_in_exactly_one_group(groups: tuple[Group, ...], built: dict[str, Stage]) -> None:
    placed = [name for group in groups for name in group.stages]
    assert sorted(placed) == sorted(built)


@pytest.mark.parametrize("group", GROUPS.values(), ids=lambda group: group.name)
def test_a_group_reads_what_its_stages_read_and_others_produce(group: Group, built: dict[str, Stage]) -> None:
    wanted = {kind for name in group.stages for kind in built[name].reads}
    assert group.reads - LISTING <= wanted
    elsewhere = {kind for other in SPLIT if other.stages.isdisjoint(group.stages) for kind in PRODUCED[other.name]}
    assert wanted & (OUTSIDE | elsewhere) == group.reads - LISTING


@pytest.mark.parametrize("group", GROUPS.values(), ids=lambda group: group.name)
def test_a_group_acts_on_a_topic_that_carries_what_it_produces(group: Group) -> None:
    assert BY_NAME[group.effects].is_co_partitioned
    assert all(BY_NAME[topic].is_co_partitioned for topic in group.topics)


def test_what_stages_emit_is_what_the_table_says(built: dict[str, Stage]) -> None:
    """A synthetic market through all stages: each output comes from the group that the table names."""
    settings = Settings()
    market = SyntheticMarket(settings.synthetic, 1)
    found: defaultdict[str, set[type[Event]]] = defaultdict(set)
    home = {name: group.name for group in SPLIT for name in group.stages}
    for item in market.items():
        queue: list[Event] = [item.event]
        while queue:
            current = queue.pop(0)
            for name, stage in built.items():
                if type(current) in stage.reads:
                    outputs = list(stage.apply(current))
                    found[home[name]] |= {type(output) for output in outputs}
                    queue += outputs
        if item.offset > 200:
            break
    for name, kinds in found.items():
        assert kinds <= PRODUCED[name], name
    assert all(kind in TOPIC_OF for kinds in PRODUCED.values() for kind in kinds)
