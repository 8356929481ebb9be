"""The Kafka form on one machine: broker, topics, venues, gateway, workers and feed, watched from start to end.

`Up.run` starts everything in its folder, starts again what dies, waits until every run has ended and what the venues
executed has been counted, ends all in order, and compares: fills with the venues' books, clearances with their numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from axiom import broker
from axiom.audit import TOPICS, Audit
from axiom.cluster import SEAL_KEY_FILE, cluster_of
from axiom.feed_plan import PLAN, FeedPlan, keep_plan
from axiom.fleet import free_port
from axiom.secret_file import make_secret
from axiom.supervisor import Member, Supervisor, end_remains
from axiom.venue_folder import VENUES
from domain.errors import InputError, Unavailable
from routing.venues import SIMULATED
from streams.groups import COLOCATED, SPLIT
from streams.kafka import answers
from streams.kafka_message import Place
from streams.kafka_reader import BEGIN, Reader
from streams.kafka_settings import Cluster
from streams.kafka_topics import declare

_TURN_S: Final = 0.1
_SAY_S: Final = 2.0
_QUIET_S: Final = 3.0
_END_S: Final = 8.0
_CHECK_BROKER_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """What is to run.

    Attributes:
        folder: Where everything lies.
        plan: What the feed publishes.
        bootstrap: Of an existing cluster; empty starts one of our own.
        partitions: Of the topics that share keys.
        workers: Of each group.
        is_colocated: Whether one group has all stages.
        settings: Environment of the processes beside ours.
        settle_limit_s: How long executions may take to be counted after the runs have ended.
    """

    folder: Path
    plan: FeedPlan
    bootstrap: str = ""
    partitions: int = 4
    workers: int = 2
    is_colocated: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    settle_limit_s: float = 60.0


class Up:
    """Everything, once.

    Args:
        options: What is to run.
        say: Tells people how it goes.
    """

    def __init__(self, options: UpOptions, say: Callable[[str], None]) -> None:
        self.should_stop = False
        self._options = options
        self._folder = options.folder
        self._say = say
        self._broker_restarts = 0
        self._audit = Audit()
        self._log = structlog.get_logger()

    async def run(self) -> dict[str, Any]:
        """Run to the end, or until `should_stop`; return the summary, whose `problems` are empty where all is well.

        Raises:
            InputError: The cluster holds another run, or the folder is of another feed.
            SettingsError: Topics are not as declared.
            Unavailable: Something does not come up, or dies again and again.
        """
        begun = time.monotonic()
        self._folder.mkdir(parents=True, exist_ok=True)
        is_new = not (self._folder / "feed" / PLAN).exists()
        keep_plan(self._folder / "feed", self._options.plan)
        end_remains(self._folder)
        bootstrap = await self._start_broker()
        cluster = cluster_of(bootstrap, os.environ)
        try:
            await declare(cluster, self._options.partitions)
            if is_new:
                await self._refuse_other_runs(cluster)
            supervisor = Supervisor(self._folder, self._members(bootstrap))
            try:
                supervisor.start()
                self._reader = await self._open_reader(cluster)
                await self._until_settled(supervisor)
            finally:
                is_clean = await self._end(supervisor)
            summary = await self._summary(cluster, supervisor)
            summary["is_clean_end"] = is_clean
            summary["wall_seconds"] = round(time.monotonic() - begun, 1)
            if not is_clean:
                summary["problems"].append("a process had to be killed at the end")
            return summary
        finally:
            if not self._options.bootstrap:
                await asyncio.to_thread(broker.stop, self._broker_folder)

    # --- the broker ---------------------------------------------------------------------------------------------------
    @property
    def _broker_folder(self) -> Path:
        return self._folder / "kafka"

    async def _start_broker(self) -> str:
        if self._options.bootstrap:
            return self._options.bootstrap
        started = await asyncio.to_thread(
            broker.start,
            self._broker_folder,
            environment=os.environ,
            is_ready=lambda bootstrap: asyncio.run(answers(bootstrap)),
            say=self._say,
        )
        return started.bootstrap

    async def _keep_broker(self) -> None:
        """Start our own broker again where it died; what it held it still holds."""
        while not self._options.bootstrap:
            await asyncio.sleep(_CHECK_BROKER_S)
            if broker.status(self._broker_folder) is None:
                self._log.warning("broker.died")
                self._broker_restarts += 1
                await self._start_broker()

    async def _refuse_other_runs(self, cluster: Cluster) -> None:
        reader = await Reader.open(cluster, letters=None)
        await reader.assign(self._places(("reference.chains",)))
        waiting = sum((await reader.lag()).values())
        await reader.close(1.0)
        if waiting:
            raise InputError(
                "the cluster holds another run: take its folder, or an empty cluster",
                field="bootstrap",
                value=self._options.bootstrap or str(self._broker_folder),
            )

    # --- the processes ------------------------------------------------------------------------------------------------
    def _members(self, bootstrap: str) -> list[Member]:
        folder, options = self._folder, self._options
        environment = {**options.settings, SEAL_KEY_FILE: str(make_secret(folder / "seal.key").resolve())}
        ports = {venue.mic: free_port() for venue in SIMULATED}
        common = ("--bootstrap", bootstrap)

        def member(name: str, *arguments: str, ends: bool = False) -> Member:
            port = free_port()
            return Member(
                name=name,
                arguments=(*arguments, *common, "--health-port", str(port)),
                environment=environment,
                log=folder / "logs" / f"{name}.log",
                health_port=port,
                ends=ends,
            )

        members = [
            member(mic, "venue", mic, "--port", str(port), "--data", str(folder), "--parent", str(os.getpid()))
            for mic, port in ports.items()
        ]
        named = [part for mic, port in ports.items() for part in ("--venue", f"{mic}=127.0.0.1:{port}")]
        members.append(member("gateway", "gateway", *named, "--data", str(folder / "gateway")))
        for group in COLOCATED if options.is_colocated else SPLIT:
            for number in range(1, options.workers + 1):
                name = f"{group.name}-{number}"
                own = ("--partitions", str(options.partitions), "--data", str(folder / "workers" / name))
                members.append(member(name, "worker", group.name, *own, "--name", name))
        members.append(member("feed", "feed", "--data", str(folder / "feed"), ends=True))
        return members

    # --- while it runs ------------------------------------------------------------------------------------------------
    async def _until_settled(self, supervisor: Supervisor) -> None:
        keeping = asyncio.create_task(self._keep_broker())
        said = quiet_since = ended_at = 0.0
        try:
            while not self.should_stop:
                await supervisor.turn()
                if keeping.done():
                    keeping.result()
                now = time.monotonic()
                if await self._follow():
                    quiet_since = now
                if now - said >= _SAY_S:
                    said = now
                    self._say(self._progress(supervisor))
                if not supervisor.is_done("feed"):
                    continue
                ended_at = ended_at or now
                is_over = all(account.has_ended for account in self._audit.accounts.values())
                if is_over and now - quiet_since >= _QUIET_S and not self._audit.missing_fills(self._books()):
                    return
                if now - ended_at > self._options.settle_limit_s:
                    self._log.warning("up.unsettled", seconds=self._options.settle_limit_s)
                    return
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping

    async def _open_reader(self, cluster: Cluster) -> Reader:
        reader = await Reader.open(cluster, letters=None)
        await reader.assign(self._places(TOPICS))
        return reader

    def _places(self, topics: tuple[str, ...]) -> dict[Place, int]:
        return {Place(topic, number): BEGIN for topic in topics for number in range(self._options.partitions)}

    async def _follow(self) -> int:
        """Take what is on the topics; return how many venues' answers and fills were among it."""
        try:
            messages = (await self._reader.read(2_000, _TURN_S)).messages
        except Unavailable:
            return 1
        for arrived in messages:
            self._audit.take(arrived)
        return sum(arrived.topic in {"orders.reports", "orders.fills"} for arrived in messages)

    def _progress(self, supervisor: Supervisor) -> str:
        counts = [
            f"{name} {len(account.fills)} fills {len(account.orders)} orders"
            for name, account in sorted(self._audit.accounts.items())
        ]
        again = sum(supervisor.restarts.values()) + self._broker_restarts
        return "; ".join(counts or ["starting"]) + (f"; {again} restarts" if again else "")

    def _books(self) -> dict[str, Any]:
        """What each venue says that it holds; absent where it has said nothing yet."""
        found: dict[str, Any] = {}
        for venue in SIMULATED:
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                found[venue.mic] = msgspec.json.decode((self._folder / VENUES / venue.mic / "book.json").read_bytes())
        return found

    # --- the end ------------------------------------------------------------------------------------------------------
    async def _end(self, supervisor: Supervisor) -> bool:
        """End all: who brings in, who decides, who sends (it pulls the quotes), who holds the books."""
        names = [member.name for member in supervisor.members]
        venues = [venue.mic for venue in SIMULATED]
        workers = [name for name in names if name not in {*venues, "gateway", "feed"}]
        is_clean = True
        for together in (["feed"], workers, ["gateway"], venues):
            is_clean &= await supervisor.stop(together, _END_S)
        return is_clean

    async def _summary(self, cluster: Cluster, supervisor: Supervisor) -> dict[str, Any]:
        while any((await self._reader.lag()).values()):
            await self._follow()
        await self._reader.close(1.0)
        summary = self._audit.summary(self._books(), is_whole=not self.should_stop)
        dead = await _count(cluster, Place("dead.letters", 0))
        if dead:
            summary["problems"].append(f"{dead} dead letters")
        missing = [venue.mic for venue in SIMULATED if venue.mic not in self._books()]
        if missing:
            summary["problems"].append(f"no book of {', '.join(missing)}")
        restarts = {name: count for name, count in supervisor.restarts.items() if count}
        if self._broker_restarts:
            restarts["kafka"] = self._broker_restarts
        return {
            "run": self._options.plan.run,
            "folder": str(self._folder),
            "topology": "colocated" if self._options.is_colocated else "split",
            "workers": self._options.workers,
            "speed": self._options.plan.speed,
            "is_interrupted": self.should_stop,
            "restarts": restarts,
            **summary,
        }


async def _count(cluster: Cluster, place: Place) -> int:
    """How many messages a partition holds."""
    reader = await Reader.open(cluster, letters=None)
    await reader.assign({place: BEGIN})
    waiting = sum((await reader.lag()).values())
    await reader.close(1.0)
    return waiting
