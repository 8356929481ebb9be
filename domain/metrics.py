"""Metric names, and the protocol through which the runtimes report them."""

from __future__ import annotations

from typing import Literal, Protocol

MetricName = Literal[
    # counter: inputs applied, by event type
    "shard.inputs",
    # counter: inputs seen before (source, offset) and dropped
    "shard.duplicates",
    # counter: inputs that a stage refused, by family
    "shard.rejected",
    # histogram, seconds: one stage's apply, by stage
    "shard.apply.seconds",
    # histogram, seconds: a move of the underlying until its last clearance was serialised
    "quoting.tick_to_quote.seconds",
    # histogram, seconds: new option quotes, which are fitted first, until the last clearance was serialised
    "quoting.refit_to_quote.seconds",
    # counter: quote entries sent, by venue
    "quoting.quotes_sent",
    # counter: orders sent
    "orders.sent",
    # counter: fills
    "orders.fills",
    # counter: refusals, by reason
    "risk.refusals",
    # gauge, dollars: P&L of the day
    "risk.pnl.total",
    # gauge, shares: net delta
    "risk.exposure.delta",
    # counter, bytes: journal
    "journal.bytes",
    # counter: feed records refused, by reason
    "feed.refused",
    # gauge, seconds since the epoch: event time reached
    "run.event_time",
    # counter: messages that a broker acknowledged, by topic
    "kafka.published",
    # counter: messages whose place a newer one took while the broker was slow, by topic
    "kafka.superseded",
    # counter: messages that had to wait for room in memory, by topic
    "kafka.blocked",
    # gauge, bytes: messages that wait for the broker or its acknowledgement
    "kafka.queued_bytes",
    # histogram, seconds: from the publication of a batch's first message to its acknowledgement, by topic
    "kafka.publish.seconds",
    # counter: messages read, by topic
    "kafka.received",
    # counter: messages put on the topic of dead letters, by reason
    "kafka.dead_letters",
    # counter: messages that expired before they were read, by topic
    "kafka.expired",
    # gauge: partitions that the worker owns, by group
    "worker.owned",
    # gauge: partitions that the worker was given and cannot own, by group
    "worker.halted",
    # gauge: messages that wait to be read, by partition
    "worker.lag",
    # histogram, seconds: from the start of a takeover until the partition is owned
    "worker.takeover.seconds",
    # counter: partitions that another process took over while this one held them
    "worker.replaced",
    # counter: values that the shared cache took, or refused as late or of a foreign log, by outcome
    "cache.values",
    # counter: writes that the shared cache did not answer or refused, by error
    "cache.failures",
    # histogram, seconds: one write of an underlying's values to the shared cache
    "cache.write.seconds",
]


class Metrics(Protocol):
    """Where the runtimes report. Stages do not: the shard times and counts them."""

    def count(self, name: MetricName, value: float = 1.0, label: str = "") -> None:
        """Add to a counter."""
        ...

    def gauge(self, name: MetricName, value: float, label: str = "") -> None:
        """Set a gauge."""
        ...

    def observe(self, name: MetricName, value: float, label: str = "") -> None:
        """Record one value of a histogram."""
        ...


class NoMetrics:
    """Reports to nobody: replays and tests."""

    def count(self, name: MetricName, value: float = 1.0, label: str = "") -> None:
        """Do nothing."""

    def gauge(self, name: MetricName, value: float, label: str = "") -> None:
        """Do nothing."""

    def observe(self, name: MetricName, value: float, label: str = "") -> None:
        """Do nothing."""
