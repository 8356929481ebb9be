"""What every test may ask for: the recorded data, a browser, a broker, and how hard properties are tried."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from axiom import broker, broker_jars
from domain.errors import Unavailable
from streams.kafka import answers

_SHARED_BROKER: Final = "AXIOM_TESTS_KAFKA"
CHECKOUT = Path(__file__).resolve().parent.parent

# The same examples on every machine: a red test is red for everyone. The search for new ones is `make fuzz`.
settings.register_profile("ci", derandomize=True, max_examples=50, deadline=None)
settings.register_profile(
    "fuzz",
    max_examples=2_000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def absent(requirement: str, variable: str) -> NoReturn:
    """Skip a test whose requirement this machine lacks; fail it where the environment says it must be there."""
    if os.environ.get(variable) == "1":
        pytest.fail(f"{requirement} ({variable}=1 makes its absence a failure)", pytrace=False)
    pytest.skip(requirement)


@pytest.fixture(scope="session")
def shared_root() -> Path:
    """The folder of recorded data and reference tables: AXIOM_SHARED, by default `../shared` beside the checkout."""
    root = Path(os.environ.get("AXIOM_SHARED") or CHECKOUT.parent / "shared")
    if not (root / "data").is_dir():
        absent(f"no recorded data: {root / 'data'} is not a folder; set AXIOM_SHARED", "AXIOM_REQUIRE_DATA")
    return root


@pytest.fixture(scope="session")
def shared_data(shared_root: Path) -> Path:
    """The folder of recorded market data."""
    return shared_root / "data"


@pytest.fixture(scope="session")
def lean_root(shared_data: Path) -> Path:
    """A LEAN data folder that holds GOOG on 24 Dec 2015 (minute quotes, trades, open interest, underlying)."""
    root = shared_data / "lean" / "Data"
    if not (root / "option" / "usa" / "minute" / "goog").is_dir():
        absent(f"no LEAN minute archives of GOOG under {root}", "AXIOM_REQUIRE_DATA")
    return root


@pytest.fixture(scope="session")
def acceptance_definitions(shared_root: Path) -> Path:
    """The folder of FIX session definitions: `fix42`, `fix44` and `fields.fmt`."""
    folder = shared_root / "fix" / "acceptance"
    if not (folder / "fields.fmt").is_file():
        absent(f"no FIX acceptance definitions in {folder}", "AXIOM_REQUIRE_DATA")
    return folder


class LocalBroker:
    """An Apache Kafka of the tests' own, to stop, kill, freeze and start again on the same port."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._broker: broker.Broker | None = None

    @property
    def bootstrap(self) -> str:
        """`host:port`, also while it is away."""
        assert self._broker is not None
        return self._broker.bootstrap

    def start(self, properties: Mapping[str, str] | None = None) -> None:
        """Start it, with more settings where given; the port stays."""
        self._broker = broker.start(
            self._data,
            environment=os.environ,
            is_ready=lambda bootstrap: asyncio.run(answers(bootstrap)),
            properties=properties,
            port=self._broker.port if self._broker else 0,
        )

    def stop(self) -> None:
        """Ask it to stop, and wait."""
        broker.stop(self._data)

    def kill(self) -> None:
        """Kill it with -9, and wait."""
        broker.stop(self._data, deadline_s=0.0)

    def signal(self, number: signal.Signals) -> None:
        """Freeze it with SIGSTOP, thaw it with SIGCONT."""
        assert self._broker is not None
        os.kill(self._broker.pid, number)


@pytest.fixture(scope="session")
def kafka_is_there() -> None:
    """Java, and the jars of Kafka, which are fetched where they are absent."""
    try:
        broker_jars.java(os.environ)
        broker_jars.jars(os.environ, lambda _: None)
    except Unavailable as error:
        absent(f"no Apache Kafka: {error}", "AXIOM_REQUIRE_BROKERS")


@pytest.fixture(scope="session")
def kafka(kafka_is_there: None) -> str:
    """`host:port` of one Apache Kafka that all tests and all processes of a test run share."""
    shared = LocalBroker(Path(os.environ[_SHARED_BROKER]))
    shared.start()
    return shared.bootstrap


@pytest.fixture
def own_kafka(tmp_path: Path, kafka_is_there: None) -> Iterator[LocalBroker]:
    """An Apache Kafka for one test, running."""
    own = LocalBroker(tmp_path / "kafka")
    own.start()
    yield own
    own.kill()


class LocalRedis:
    """A redis-server of one test, to kill, freeze and start again on the same port; it keeps nothing on disk."""

    def __init__(self, folder: Path, program: str, *options: str) -> None:
        self._folder = folder
        self._program = program
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    @property
    def url(self) -> str:
        """Its address, also while it is away."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        self._process = subprocess.Popen(
            [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *self._options],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )
        until = time.monotonic() + 10.0
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, "redis-server ended"
            assert time.monotonic() < until, "redis-server does not listen"
            time.sleep(0.01)

    def kill(self) -> None:
        """Kill it with -9, and wait."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Freeze it with SIGSTOP, thaw it with SIGCONT."""
        assert self._process is not None
        self._process.send_signal(number)


@pytest.fixture(scope="session")
def redis_program() -> str:
    """Path of redis-server."""
    found = shutil.which("redis-server")
    if found is None:
        absent("no redis-server: `make system` installs it", "AXIOM_REQUIRE_BROKERS")
    return found


@pytest.fixture
def redis_servers(tmp_path: Path, redis_program: str) -> Iterator[Callable[..., LocalRedis]]:
    """Starts redis-servers for one test, with more options where given."""
    started: list[LocalRedis] = []

    def start(*options: str) -> LocalRedis:
        started.append(LocalRedis(tmp_path, redis_program, *options))
        started[-1].start()
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def redis_server(redis_servers: Callable[..., LocalRedis]) -> LocalRedis:
    """A redis-server for one test, running."""
    return redis_servers()


@pytest.fixture(scope="session")
def node_modules() -> Callable[[Path], Path]:
    """Installs what a folder's package-lock.json names, once, into a cache outside the checkout; gives the modules."""

    def install(folder: Path) -> Path:
        npm = shutil.which("npm")
        if npm is None or shutil.which("node") is None:
            absent("no Node.js with npm", "AXIOM_REQUIRE_BROKERS")
        lock = (folder / "package-lock.json").read_bytes()
        cache = broker_jars.cache(os.environ).parents[1] / "npm" / hashlib.sha256(lock).hexdigest()[:16]
        modules = cache / "node_modules"
        cache.mkdir(parents=True, exist_ok=True)
        with broker_jars.locked(cache / "lock"):
            if not (cache / "complete").exists():
                for name in ("package.json", "package-lock.json"):
                    shutil.copy(folder / name, cache)
                done = subprocess.run(
                    [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
                    cwd=cache,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if done.returncode:
                    absent(
                        f"packages of {folder.name} cannot be fetched: {done.stderr[-200:]}", "AXIOM_REQUIRE_BROKERS"
                    )
                (cache / "complete").touch()
        return modules

    return install


def pytest_configure(config: pytest.Config) -> None:
    """Say where the shared broker lives, before the processes of pytest-xdist inherit the environment."""
    if not hasattr(config, "workerinput"):
        os.environ[_SHARED_BROKER] = tempfile.mkdtemp(prefix="axiom-kafka-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the shared broker when the last process of the run is done."""
    if not hasattr(config, "workerinput"):
        data = Path(os.environ.pop(_SHARED_BROKER))
        broker.stop(data, deadline_s=0.0)
        shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The installed Chromium or Chrome; AXIOM_CHROMIUM names another one."""
    names = (os.environ.get("AXIOM_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        absent("no Chromium: `make system` installs it", "AXIOM_REQUIRE_BROWSER")
    return Path(found)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end why a complete run is red when a test did not run."""
    if _skips_are_failures() and (skipped := len(terminalreporter.stats.get("skipped", []))):
        terminalreporter.write_line(f"{skipped} skipped: AXIOM_NO_SKIPS=1 makes that a failure", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that skipped anything, where the environment says that nothing may be skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if _skips_are_failures() and reporter is not None and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _skips_are_failures() -> bool:
    return os.environ.get("AXIOM_NO_SKIPS") == "1"
