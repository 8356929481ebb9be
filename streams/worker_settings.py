"""How a worker paces itself: one frozen section of settings."""

from __future__ import annotations

from typing import Final

import msgspec

from domain.errors import InputError

_POSITIVE: Final = (
    "session_s", "heartbeat_s", "log_s", "beat_s", "snapshot_s", "stall_s", "takeover_s", "retry_s", "stop_s",
    "start_s", "wait_s", "batch", "replicas", "kept_tenures",
)  # fmt: skip


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A worker on Kafka.

    Attributes:
        session_s: A member of the group that is silent for so long loses its partitions. Brokers refuse less than six
            seconds unless their `group.min.session.timeout.ms` is lower.
        heartbeat_s: Between two signs of life to the group's coordinator.
        log_s: Applied inputs are named on the effects topic after so long at the latest.
        beat_s: Something leaves on the effects topic every so often, inputs or none: the gateway's dead-man timer.
        snapshot_s: Between two snapshots of a partition.
        stall_s: A partition that makes no progress for so long while messages wait ends the process.
        takeover_s: Reading what earlier owners did is given up after so long without a message.
        retry_s: Before a partition is tried again when the broker was away.
        stop_s: For an orderly end.
        start_s: For the broker to answer at the start.
        wait_s: How long one read waits for its first message.
        batch: Messages of one read at most; those are put in the order of their time.
        replicas: Of the topic that holds the snapshots.
        kept_tenures: Local journals of this many latest tenures of each partition are kept.
    """

    session_s: float = 6.0
    heartbeat_s: float = 1.0
    log_s: float = 0.2
    beat_s: float = 1.0
    snapshot_s: float = 5.0
    stall_s: float = 20.0
    takeover_s: float = 30.0
    retry_s: float = 1.0
    stop_s: float = 8.0
    start_s: float = 30.0
    wait_s: float = 0.05
    batch: int = 200
    replicas: int = 1
    kept_tenures: int = 5

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise InputError("must be positive", field=f"worker.{name}", value=getattr(self, name))
        if not self.heartbeat_s * 2 < self.session_s:
            raise InputError("must be less than half of session_s", field="worker.heartbeat_s", value=self.heartbeat_s)
