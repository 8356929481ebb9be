"""Every topic: name, key, retention, compaction, and the events that it carries. One table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain import commands as c
from domain import events as e
from domain.events_base import Event

MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
"""A message with its key and headers: brokers, producers and consumers agree on it."""

MAX_PAYLOAD_BYTES: Final = MAX_MESSAGE_BYTES - 64 * 1024
"""What is left for the payload."""

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic. The key is always the underlying; the co-partitioned ones have the same partition count."""

    name: str
    about: str
    carries: tuple[type[Event], ...]
    retention_ms: int = DAY_MS
    is_compacted: bool = False
    is_co_partitioned: bool = True


TOPICS: Final[tuple[Topic, ...]] = (
    Topic(
        name="reference.chains",
        about="Runs, chains, sessions and start-of-day positions",
        carries=(e.RunStarted, e.ChainListed, e.SessionChanged, e.PositionsImported, e.RunEnded),
        # Not compacted: the key is the underlying, so a session's change would erase the chain before it.
        retention_ms=7 * DAY_MS,
    ),
    Topic(
        name="market.underlying",
        about="Quotes and prints of underlyings",
        carries=(e.UnderlyingUpdated, e.UnderlyingTraded),
    ),
    Topic(name="market.nbbo", about="Best bids and offers of options", carries=(e.NbboUpdated,)),
    Topic(name="market.trades", about="Prints of options", carries=(e.TradesPrinted, e.OpenInterestPublished)),
    Topic(name="market.health", about="Refused feed records", carries=(e.FeedDegraded,)),
    Topic(name="time.timers", about="Timers", carries=(e.TimerFired,), retention_ms=HOUR_MS),
    Topic(name="pricing.forwards", about="Forwards and discounts from parity", carries=(e.ForwardImplied,)),
    Topic(name="pricing.surfaces", about="Volatility slices", carries=(e.SurfaceFitted,)),
    Topic(name="pricing.greeks", about="Theos and Greeks of whole chains", carries=(e.GreeksComputed,)),
    Topic(
        name="orders.intents",
        about="What quoters and hedgers want; nothing here has passed the gate",
        carries=(
            c.RequestOrder,
            c.PlaceQuotes,
            c.CancelQuotes,
            c.SubmitOrder,
            c.CancelOrder,
            c.ReplaceOrder,
            c.CancelAllOrders,
            c.RequestOrderStatus,
            e.HedgeDecided,
            e.OrderRouted,
            e.QuotingStateChanged,
        ),
    ),
    Topic(
        name="orders.cleared",
        about="What the risk gate let through",
        carries=(
            e.QuotesCleared,
            e.QuoteCancelCleared,
            e.OrderCleared,
            e.OrderCancelCleared,
            e.OrderReplaceCleared,
            e.OrdersCancelCleared,
            e.OrderStatusCleared,
        ),
        retention_ms=7 * DAY_MS,
    ),
    Topic(
        name="orders.reports",
        about="What venues answered",
        carries=(
            e.QuotesAcknowledged,
            e.QuotesCanceled,
            e.ExecutionReported,
            e.CancelRejected,
            e.VenueProtectionTripped,
            e.VenueStatusChanged,
        ),
        retention_ms=7 * DAY_MS,
    ),
    Topic(
        name="orders.fills",
        about="Order states and executions, each counted once",
        carries=(
            e.OrderStateChanged,
            e.ReconciliationNeeded,
            e.ReconciliationEnded,
            e.VenueTrustChanged,
            e.OrderFilled,
            e.FillBusted,
            e.FillCorrected,
        ),
        retention_ms=7 * DAY_MS,
    ),
    Topic(
        name="risk.events",
        about="Refusals, breaches, protections, kill switch",
        carries=(
            e.QuotesRefused,
            e.OrderRefused,
            e.LimitBreached,
            e.KillSwitchEngaged,
            e.KillSwitchReleased,
            e.ProtectionTripped,
            e.ProtectionReset,
            e.ShardHalted,
            e.EventRejected,
            e.ObligationMeasured,
        ),
        retention_ms=7 * DAY_MS,
    ),
    Topic(
        name="risk.positions",
        about="Positions, settlements, reconciliation",
        carries=(e.PositionChanged, e.PositionSettled, e.ReconciliationBroken),
        retention_ms=7 * DAY_MS,
    ),
    Topic(name="risk.exposure", about="Net Greeks", carries=(e.ExposureChanged,)),
    Topic(name="risk.pnl", about="P&L and its parts", carries=(e.PnlMarked,), retention_ms=7 * DAY_MS),
    Topic(
        name="ops.commands",
        about="What people told the system to do",
        carries=(
            c.EngageKillSwitch,
            c.ReleaseKillSwitch,
            c.PauseQuoting,
            c.ResumeQuoting,
            c.Flatten,
            c.ResetProtection,
            c.ChangeLimits,
            c.StopRun,
        ),
        retention_ms=7 * DAY_MS,
    ),
    Topic(
        name="ops.events",
        about="What came of it, and the run's latencies",
        carries=(e.CommandApplied, e.CommandRefused, e.LatencyMeasured),
        retention_ms=7 * DAY_MS,
        is_co_partitioned=False,
    ),
    Topic(
        name="dead.letters",
        about="Messages that nobody could read, as they came; headers `dead.*` say where they were and why",
        carries=(),
        retention_ms=7 * DAY_MS,
        is_co_partitioned=False,
    ),
)

CONTROL: Final[tuple[type[Event], ...]] = (e.OwnershipTaken, e.InputsApplied)
"""On every topic through which a group of stages acts: see decision 0004."""

TOPIC_OF: Final[dict[type[Event], Topic]] = {kind: topic for topic in TOPICS for kind in topic.carries}
DEAD_LETTERS: Final = TOPICS[-1]
BY_NAME: Final[dict[str, Topic]] = {topic.name: topic for topic in TOPICS}
