"""A local Apache Kafka for development and tests: one KRaft node on loopback, run from its jars.

It has no replicas and no security: a cluster for production is somebody's own. A broker belongs to its data folder,
which holds its log, its settings and the file that says which process it is.
"""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from axiom.broker_jars import VERSION, jars, java, locked
from domain.errors import AxiomError, InputError, Unavailable
from domain.topics import MAX_MESSAGE_BYTES

HOST: Final = "127.0.0.1"
LOG_LINES: Final = 12
"""So much of a dead broker's log is told."""

_STATE: Final = "broker.json"
_LOG: Final = "broker.log"
_POLL_S: Final = 0.05
_QUICK: Final = "-XX:TieredStopAtLevel=1"
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}
"""Brokers that this process started: a child that died is only gone once it was waited for."""

_LOGGING: Final = """\
<Configuration status="WARN">
  <Appenders>
    <RollingFile name="file" fileName="broker.log" filePattern="broker.%i.log">
      <PatternLayout pattern="%d %p %c{1}: %m%n"/>
      <SizeBasedTriggeringPolicy size="10MB"/>
      <DefaultRolloverStrategy max="2"/>
    </RollingFile>
  </Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="file"/></Root></Loggers>
</Configuration>
"""


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """A broker that was started.

    Attributes:
        bootstrap: `host:port` for clients.
        controller: Port of the controller's listener.
        data: Its folder.
        pid: Its process.
        born: What tells the process from a later one with the same number.
        version: Of Apache Kafka.
    """

    bootstrap: str
    controller: int
    data: str
    pid: int
    born: str
    version: str

    @property
    def port(self) -> int:
        """Of the clients' listener."""
        return int(self.bootstrap.rpartition(":")[2])

    @property
    def is_alive(self) -> bool:
        """Whether the process is there and is the one that was started."""
        if (child := _CHILDREN.get(self.pid)) is not None:
            return child.poll() is None
        return bool(self.born) and _born(self.pid) == self.born


def start(
    data: Path,
    *,
    environment: Mapping[str, str],
    is_ready: Callable[[str], bool],
    port: int = 0,
    heap_mib: int = 512,
    has_full_jit: bool = False,
    properties: Mapping[str, str] | None = None,
    deadline_s: float = 60.0,
    say: Callable[[str], None] = lambda _: None,
) -> Broker:
    """Start the broker of a data folder and wait until it answers. One that runs already is returned.

    Args:
        data: Its folder; made when absent. A stopped broker goes on with what the folder holds.
        environment: Where PATH, HOME, JAVA_HOME and XDG_CACHE_HOME are looked up.
        is_ready: Whether a broker answers at `host:port`.
        port: Of the clients' listener; 0 takes the one that the folder had before, or any free one.
        heap_mib: Heap of the JVM.
        has_full_jit: The optimising compiler too: better latency once warm, a slower start.
        properties: Kafka settings that are added or replaced.
        deadline_s: How long it may take to answer, once its jars are there.
        say: Told what is being done.

    Raises:
        InputError: The port is taken, or the folder's broker runs on another one.
        Unavailable: Java or Maven is missing, the jars cannot be fetched, or the broker died or did not answer in time.
    """
    data = data.resolve()
    program = [java(environment), f"-Xmx{heap_mib}m", "-XX:+UseSerialGC", "-cp", f"{jars(environment, say)}/*"]
    program.append("-Dlog4j2.configurationFile=log4j2.xml")
    data.mkdir(parents=True, exist_ok=True)
    with locked(data / "start.lock"):
        before = _read(data)
        if before is not None and before.is_alive:
            if port not in {0, before.port}:
                raise InputError("broker runs on another port", field="port", value=port, bootstrap=before.bootstrap)
            return before
        ports = _ports(port, before)
        _write(data / "server.properties", _settings(*ports) | dict(properties or {}))
        (data / "log4j2.xml").write_text(_LOGGING, encoding="utf-8")
        if not (data / "log" / "meta.properties").exists():
            _format([*program, _QUICK], data, deadline_s)
        say(f"starting Apache Kafka {VERSION} on {HOST}:{ports[0]}")
        broker = _spawn([*program, *([] if has_full_jit else [_QUICK])], data, ports)
        try:
            _wait_until_ready(broker, is_ready, deadline_s)
        except BaseException:
            stop(data, deadline_s=0.0)
            raise
        return broker


def status(data: Path) -> Broker | None:
    """The broker that runs on a data folder, if one does."""
    found = _read(data.resolve())
    return found if found is not None and found.is_alive else None


def stop(data: Path, *, deadline_s: float = 30.0) -> bool:
    """Stop the broker of a data folder: asked first, killed at the deadline (at once with 0).

    Returns:
        Whether it went by itself. Also true where none ran.

    Raises:
        Unavailable: It is there even after it was killed.
    """
    broker = status(data)
    if broker is None:
        return True
    if deadline_s > 0:
        os.kill(broker.pid, signal.SIGTERM)
        if _gone(broker, deadline_s):
            return True
    os.kill(broker.pid, signal.SIGKILL)
    if not _gone(broker, 10.0):
        raise Unavailable("broker cannot be killed", pid=broker.pid)
    return False


def last_words(data: Path, lines: int = LOG_LINES) -> Sequence[str]:
    """The last lines of what a broker printed and logged."""
    said: list[str] = []
    for name in (_LOG, "broker.out"):
        path = data / name
        if path.exists():
            text = path.read_text(encoding="utf-8", errors="replace").splitlines()
            said += _without_stacks(text)[-lines:]
    return said[-lines:]


def _without_stacks(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line.strip() and not line.lstrip().startswith(("at ", "... "))]


def _settings(clients: int, controller: int) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{clients},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{clients}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": "log",
        "auto.create.topics.enable": "false",
        "message.max.bytes": str(MAX_MESSAGE_BYTES),
        "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
        "group.initial.rebalance.delay.ms": "0",
        # After a kill the controller waits for the end of the old session: 9 s by default, where a start takes 4.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
        # One node: internal topics have one replica.
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }


def _write(path: Path, settings: Mapping[str, str]) -> None:
    path.write_text("".join(f"{name}={settings[name]}\n" for name in sorted(settings)), encoding="utf-8")


def _read(data: Path) -> Broker | None:
    try:
        return msgspec.json.decode((data / _STATE).read_bytes(), type=Broker)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError:  # torn by a kill while it was written
        return None


def _ports(wanted: int, before: Broker | None) -> tuple[int, int]:
    """Ports of clients and controller: those of before where they are free, so that clients find the broker again."""
    if wanted and not _is_free(wanted):
        raise InputError("port is taken", field="port", value=wanted)
    clients = wanted or (before.port if before and _is_free(before.port) else _free_port())
    keeps = before is not None and before.controller != clients and _is_free(before.controller)
    controller = before.controller if before is not None and keeps else _free_port()
    return clients, controller


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as the broker does: remnants of connections are no owner
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _format(program: Sequence[str], data: Path, deadline_s: float) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[:22]
    command = [*program, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", "server.properties"]
    try:
        done = subprocess.run(command, cwd=data, capture_output=True, text=True, check=False, timeout=deadline_s)
    except subprocess.TimeoutExpired as error:
        raise Unavailable("Kafka's log folder was not formatted in time", data=str(data), seconds=deadline_s) from error
    if done.returncode != 0:
        told = _without_stacks((done.stderr or done.stdout).splitlines())[-LOG_LINES:]
        raise Unavailable("Kafka's log folder could not be formatted", data=str(data), log=told)


def _spawn(program: Sequence[str], data: Path, ports: tuple[int, int]) -> Broker:
    with (data / "broker.out").open("wb") as out:
        process = subprocess.Popen(
            [*program, "kafka.Kafka", "server.properties"],
            cwd=data,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the one who started it
        )
    _CHILDREN[process.pid] = process
    pid, (clients, controller) = process.pid, ports
    broker = Broker(
        bootstrap=f"{HOST}:{clients}", controller=controller, data=str(data), pid=pid, born=_born(pid), version=VERSION
    )
    (data / _STATE).write_bytes(msgspec.json.encode(broker))
    return broker


def _wait_until_ready(broker: Broker, is_ready: Callable[[str], bool], deadline_s: float) -> None:
    until = time.monotonic() + deadline_s
    while time.monotonic() < until:
        if not broker.is_alive:
            raise Unavailable("broker died at its start", data=broker.data, log=last_words(Path(broker.data)))
        if _is_open(broker.port):
            try:
                if is_ready(broker.bootstrap):
                    return
            except AxiomError:
                pass
        time.sleep(_POLL_S)
    log = last_words(Path(broker.data))
    raise Unavailable("broker did not answer in time", bootstrap=broker.bootstrap, seconds=deadline_s, log=log)


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


def _gone(broker: Broker, deadline_s: float) -> bool:
    until = time.monotonic() + deadline_s
    while broker.is_alive:
        if time.monotonic() >= until:
            return False
        time.sleep(_POLL_S)
    if (child := _CHILDREN.pop(broker.pid, None)) is not None:
        child.wait()
    return True


def _born(pid: int) -> str:
    """When a process started, in the system's own words; empty where there is none, or only its remains."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in {"Z", "X"} else fields[19]
    said = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S607  # as the path has it
    state, _, begun = said.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else begun.strip()
