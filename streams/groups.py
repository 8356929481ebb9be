"""Which stages share a worker, what each group reads, and through which topic it acts.

Every event type has one producer: outside (feeds, venues, people), or one stage. A group reads what its stages read and
other groups or the outside produce. The tables are checked against the stages themselves in `tests/streams`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain import commands as c
from domain import events as e
from domain.events_base import Event
from domain.topics import TOPIC_OF

LISTING: Final[frozenset[type[Event]]] = frozenset({e.RunStarted, e.ChainListed})
"""Every shard reads these: its stages are built from them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Stages that share a shard.

    Attributes:
        name: Short name; part of sources and of consumer groups.
        stages: Their names.
        reads: What it takes from topics.
        effects: The topic through which it acts, which is its write-ahead log.
    """

    name: str
    stages: frozenset[str]
    reads: frozenset[type[Event]]
    effects: str

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that it reads, sorted: references count them by place."""
        return tuple(sorted({TOPIC_OF[kind].name for kind in self.reads}))


_MARKET: Final[frozenset[type[Event]]] = frozenset({e.UnderlyingUpdated, e.NbboUpdated, e.SessionChanged, e.TimerFired})
_ANSWERS: Final[frozenset[type[Event]]] = frozenset(
    {
        e.QuotesAcknowledged,
        e.QuotesCanceled,
        e.ExecutionReported,
        e.CancelRejected,
        e.VenueProtectionTripped,
        e.VenueStatusChanged,
    }
)
_OPERATOR: Final[frozenset[type[Event]]] = frozenset(
    {
        c.EngageKillSwitch,
        c.ReleaseKillSwitch,
        c.PauseQuoting,
        c.ResumeQuoting,
        c.Flatten,
        c.ResetProtection,
        c.ChangeLimits,
        c.StopRun,
    }
)
_DESK: Final[frozenset[type[Event]]] = (
    LISTING | _MARKET | _ANSWERS | _OPERATOR | {e.UnderlyingTraded, e.PositionsImported, e.RunEnded}
)

REPRICE: Final = Group(
    name="reprice", stages=frozenset({"fitter", "repricer"}), reads=LISTING | _MARKET, effects="pricing.greeks"
)
HEDGE: Final = Group(
    name="hedge",
    stages=frozenset({"hedger"}),
    reads=LISTING
    | {
        e.ExposureChanged,
        e.GreeksComputed,
        e.KillSwitchEngaged,
        e.KillSwitchReleased,
        e.OrderFilled,
        e.OrderRefused,
        e.OrderRouted,
        e.OrderStateChanged,
        e.PositionChanged,
        e.SessionChanged,
        e.TimerFired,
        e.UnderlyingUpdated,
        c.Flatten,
        c.ResumeQuoting,
        c.SubmitOrder,
    },
    effects="orders.intents",
)
QUOTE: Final = Group(
    name="quote",
    stages=frozenset({"orders", "positions", "pnl", "quoter", "obligations", "router", "gate"}),
    reads=_DESK | {e.GreeksComputed, c.RequestOrder},
    effects="orders.cleared",
)
DESK: Final = Group(
    name="desk", stages=REPRICE.stages | HEDGE.stages | QUOTE.stages, reads=_DESK, effects="orders.cleared"
)

SPLIT: Final = (REPRICE, QUOTE, HEDGE)
"""Each group scales on its own and meets the others on topics."""

COLOCATED: Final = (DESK,)
"""One shard does all; the topics carry a copy."""

GROUPS: Final[dict[str, Group]] = {group.name: group for group in (REPRICE, QUOTE, HEDGE, DESK)}
