"""The jars of Apache Kafka and the Java that runs them: fetched once with Maven, kept outside the checkout."""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from domain.errors import Unavailable

VERSION: Final = "4.2.0"
ARTIFACT: Final = f"org.apache.kafka:kafka_2.13:{VERSION}"
LOG4J: Final = "2.25.3"
"""The version that this Kafka brings; without the bridge from SLF4J a broker dies in silence."""

LEAST_JAVA: Final = 17
"""Kafka 4 brokers need Java 17."""

FETCH_SECONDS: Final = 600.0
_ASKED: Final = "pom.xml"
_POM: Final = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>axiom</groupId><artifactId>kafka-jars</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{VERSION}</version></dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>{LOG4J}</version>
    </dependency>
  </dependencies>
</project>
"""


def cache(environment: Mapping[str, str]) -> Path:
    """Where the jars are kept: `$XDG_CACHE_HOME/axiom/kafka/<version>`, by default under `~/.cache`."""
    root = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME") or Path.home()) / ".cache")
    return Path(root) / "axiom" / "kafka" / VERSION


def java(environment: Mapping[str, str]) -> str:
    """The Java to run: `$JAVA_HOME/bin/java`, or `java` on the path.

    Raises:
        Unavailable: There is none, or it is too old.
    """
    home = environment.get("JAVA_HOME")
    path = environment.get("PATH", "")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java", path=path)
    if found is None:
        raise Unavailable("Java is missing: `make system` installs it", needs=f"Java {LEAST_JAVA}", java_home=home)
    said = subprocess.run([found, "-version"], capture_output=True, text=True, check=False, timeout=60).stderr
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    if version is None or int(version[1]) < LEAST_JAVA:
        raise Unavailable("Java is too old", needs=LEAST_JAVA, found=said.partition("\n")[0], path=found)
    return found


def jars(environment: Mapping[str, str], say: Callable[[str], None]) -> Path:
    """The folder of the jars, fetched when absent (55 MB, some 20 s). Safe in several processes at once.

    Raises:
        Unavailable: Maven is missing or failed: its last lines are told.
    """
    home = cache(environment)
    folder = home / "libs"
    if _is_complete(folder):
        return folder
    maven = shutil.which("mvn", path=environment.get("PATH", ""))
    if maven is None:
        raise Unavailable("Maven is missing: `make system` installs it", needed_for=ARTIFACT)
    home.mkdir(parents=True, exist_ok=True)
    with locked(home / "lock"):
        if not _is_complete(folder):
            _fetch(maven, home, environment, say)
    return folder


def _fetch(maven: str, home: Path, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    say(f"fetching {ARTIFACT} with Maven into {home} (about 55 MB)")
    part = home / "libs.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    (part / _ASKED).write_text(_POM, encoding="utf-8")
    process = subprocess.Popen(
        [
            maven,
            "--batch-mode",
            "--strict-checksums",
            f"--file={part / _ASKED}",
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={part}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(environment),
    )
    watchdog = threading.Timer(FETCH_SECONDS, process.kill)  # a stuck download ends the loop below
    watchdog.start()
    lines: list[str] = []
    count = 0
    try:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            if "Downloaded from" in line and ".jar" in line:
                count += 1
                if count % 20 == 0:
                    say(f"  {count} jars")
        code = process.wait()
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
    if code != 0 or not any(part.glob("kafka_2.13-*.jar")):
        told = [line for line in lines if "ERROR" in line][:3] or lines[-3:]
        raise Unavailable("Kafka's jars could not be fetched", artifact=ARTIFACT, exit=code, maven=" / ".join(told))
    shutil.rmtree(home / "libs", ignore_errors=True)
    part.rename(home / "libs")
    say(f"  {len(list((home / 'libs').glob('*.jar')))} jars are there")


def _is_complete(folder: Path) -> bool:
    """Whether the jars are those asked for: the folder appears when it is whole, and says what was asked."""
    asked = folder / _ASKED
    return asked.is_file() and asked.read_text(encoding="utf-8") == _POM


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file: one process at a time."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
