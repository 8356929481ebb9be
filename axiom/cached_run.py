"""Keeps the shared cache up to date from a run in this process; off where no address is set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Self

import msgspec
import numpy as np
import structlog

from axiom.launch import Launch
from axiom.runs import RunConfig
from domain.commands import STOCK
from domain.errors import DataError, SettingsError, Unavailable
from domain.events_base import Event
from domain.frames import PositionFrame
from domain.metrics import Metrics
from risk.positions import Positions
from store.cache import RedisCache
from store.cache_settings import CacheSettings
from store.cache_writer import CacheWriter
from store.cached import Cache, Kind
from store.last_values import frame_of


class RunCache:
    """A sink of one run. The run never waits for the cache, and ends no later than `close` allows.

    The log of its values is the run; a value's place in it is the input that it came of, so that a run that was killed
    and goes on over its journal writes nothing that is older than what is there.
    """

    def __init__(self, cache: Cache, settings: CacheSettings, run: str, metrics: Metrics | None = None) -> None:
        self._cache = cache
        self._log = f"run/{run}"
        self._sequence: Callable[[], int] = lambda: 0
        log = structlog.get_logger()
        self.writer = CacheWriter(
            cache, settings.interval_ms * 1e-3, metrics, lambda text, fields: log.warning(text, **fields)
        )

    @classmethod
    def of(cls, config: RunConfig, environment: Mapping[str, str], metrics: Metrics | None = None) -> Self | None:
        """The cache that a run was given; None where there is none.

        Raises:
            SettingsError: Its password or a certificate cannot be read.
        """
        if not config.cache:
            return None
        settings = msgspec.json.decode(config.cache, type=CacheSettings)
        return cls(RedisCache.of(settings, environment), settings, config.run, metrics)

    def begin(self, launch: Launch) -> None:
        """Follow a run from where it stands: a new one from nothing, another from what it holds and the cache has."""
        run, underlying = launch.run, launch.listed.underlying
        self._sequence = lambda: run.inputs_applied
        self.writer.follow(underlying, self._log)
        if run.inputs_applied:
            self.writer.take(launch.listed, 0)
            self._resume(underlying, ("nbbo", "quotes"))
            for stage in launch.shard.stages(underlying):
                if isinstance(stage, Positions):
                    at = run.inputs_applied, launch.shard.last_ts
                    self.writer.resume(underlying, "positions", _held(stage), *at)
        self.writer.start()

    def on_input(self, source: str, event: Event, outputs: Sequence[Event]) -> None:  # noqa: ARG002  # the sink protocol
        """Take in one input and what came of it."""
        sequence = self._sequence()
        self.writer.take(event, sequence)
        for output in outputs:
            self.writer.take(output, sequence)

    def _resume(self, underlying: str, kinds: Sequence[Kind]) -> None:
        """Go on from what the cache has of this run. Without it these kinds fill up again as the market moves."""
        try:
            if self._cache.log_of(underlying) != self._log:
                return
            for kind in kinds:
                if (held := self._cache.get(underlying, kind)) is not None:
                    self.writer.resume(underlying, kind, frame_of(held), held.sequence, held.ts_event)
        except (Unavailable, SettingsError, DataError) as error:
            structlog.get_logger().warning("cache.not_resumed", error=str(error))

    def close(self) -> None:
        """Write what waits, and disconnect."""
        self.writer.close()
        self._cache.close()


def _held(stage: Positions) -> PositionFrame:
    ledger = stage.ledger
    contracts = np.flatnonzero(ledger.quantity)
    return PositionFrame(
        contract=np.concatenate([[STOCK], contracts]),
        quantity=np.concatenate([[ledger.stock], ledger.quantity[contracts]]),
    )
