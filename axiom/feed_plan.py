"""Which days a feed publishes: the recorded one, synthetic ones beside it, and symbols that spread over partitions."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Final

import msgspec

from axiom.imports import no_positions
from axiom.launch import open_recording, run_started
from axiom.runs import RunConfig, write_atomically
from axiom.settings import Settings, from_json
from domain.errors import InputError
from domain.partitioning import partition_of
from streams.publishing import Day

VENUES: Final = "kafka"
_MINUTE_NS: Final = 60_000_000_000
_STEPS: Final = 450
"""Publications of a synthetic day beside a recorded one: it lasts as long, and is not finer than it would be alone."""

_PREFIX: Final = "SYN"
PLAN: Final = "plan.json"


class FeedPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a feed publishes.

    Attributes:
        run: Name of the run.
        speed: Event seconds per second; 0 as fast as possible.
        settle_s: Seconds between the close and the end of a run, in which venues answer what they are asked.
        days: One for each underlying.
    """

    run: str
    speed: float
    settle_s: float
    days: tuple[RunConfig, ...]

    def __post_init__(self) -> None:
        """Refuse what cannot be published."""
        names = [day.underlying for day in self.days]
        if not names or len(set(names)) != len(names):
            raise InputError("a feed needs days of different underlyings", field="days", value=", ".join(names))
        if self.speed < 0 or self.settle_s < 0:
            raise InputError("must not be negative", field="speed", value=self.speed)


def synthetic_symbols(count: int, partitions: int, taken: tuple[str, ...]) -> list[str]:
    """Names for made-up underlyings, on partitions that have the fewest so far."""
    load = [0] * partitions
    for symbol in taken:
        load[partition_of(symbol, partitions)] += 1
    found: list[str] = []
    while len(found) < count:
        free = [f"{_PREFIX}{letter}" for letter in string.ascii_uppercase]
        free += [f"{_PREFIX}{a}{b}" for a in string.ascii_uppercase for b in string.ascii_uppercase]
        free = [name for name in free if name not in found and name not in taken]
        if not free:
            raise InputError("too many underlyings", field="synthetic", value=count)
        best = min(free, key=lambda name: (load[partition_of(name, partitions)], len(name)))
        load[partition_of(best, partitions)] += 1
        found.append(best)
    return found


def make_plan(
    *,
    run: str,
    speed: float,
    settle_s: float,
    settings: Settings,
    synthetic: int,
    partitions: int,
    source: str = "synthetic",
    path: str = "",
    underlying: str = "",
    trade_date: str = "",
) -> FeedPlan:
    """Plan one recorded day, if there is one, and `synthetic` made-up ones beside it.

    Args:
        run: Name of the run.
        speed: Event seconds per second.
        settle_s: Seconds between the close and the end of each run.
        settings: Of all of them; each made-up one has its own seed and symbol.
        synthetic: How many underlyings are made up; at least one where nothing is recorded.
        partitions: Over which they are spread.
        source: Of the recorded day; `synthetic` is none.
        path: Its folder.
        underlying: Its symbol.
        trade_date: Its date.

    Raises:
        InputError: There is no such day, or nothing to publish.
    """
    days: list[RunConfig] = []
    made_up = settings.synthetic
    if source != "synthetic":
        recorded = _day(run, speed, settings, source, path, underlying, trade_date)
        days.append(recorded)
        recording = open_recording(recorded, settings)
        minutes = max((recording.close_ns - recording.open_ns) // _MINUTE_NS, 1)
        step_ms = max(made_up.step_ms, min(minutes * 60_000 // _STEPS // 1_000 * 1_000, 60_000))
        made_up = msgspec.structs.replace(made_up, trade_date=trade_date, session_minutes=minutes, step_ms=step_ms)
    taken = tuple(day.underlying for day in days)
    for number, symbol in enumerate(synthetic_symbols(synthetic, partitions, taken), start=1):
        own = msgspec.structs.replace(
            settings,
            run=msgspec.structs.replace(settings.run, seed=settings.run.seed + number),
            synthetic=msgspec.structs.replace(made_up, symbol=symbol),
        )
        days.append(_day(run, speed, own, "synthetic", "", symbol, made_up.trade_date))
    return FeedPlan(run=run, speed=speed, settle_s=settle_s, days=tuple(days))


def keep_plan(folder: Path, plan: FeedPlan) -> None:
    """Keep a plan in the folder of its feed.

    Raises:
        InputError: The folder is of another feed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / PLAN).exists() and read_plan(folder) != plan:
        raise InputError("the folder is of another feed", field="data", value=str(folder))
    write_atomically(folder / PLAN, msgspec.json.format(msgspec.json.encode(plan)))


def read_plan(folder: Path) -> FeedPlan:
    """The plan of a folder.

    Raises:
        InputError: There is none, or it is damaged.
    """
    try:
        return msgspec.json.decode((folder / PLAN).read_bytes(), type=FeedPlan)
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError("feed has no plan", field="data", value=str(folder), error=str(error)) from error


def open_day(config: RunConfig) -> Day:
    """The day that a configuration names.

    Raises:
        InputError: There is no such day.
        DataError: A file is damaged.
    """
    settings = from_json(config.settings)
    recording = open_recording(config, settings)
    return Day(run_started(config, settings, recording), recording, (no_positions(recording.underlying),))


def _day(
    run: str, speed: float, settings: Settings, source: str, path: str, underlying: str, trade_date: str
) -> RunConfig:
    return RunConfig(
        run=run,
        source=source,
        path=path,
        underlying=underlying,
        trade_date=trade_date,
        speed=speed,
        venues=VENUES,
        positions="",
        settings=settings.to_json(),
    )
