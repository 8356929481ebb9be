"""Others on the same broker: Java's tools read what we publish and choose our partitions; encryption, a password."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Final, Protocol

import pytest

from axiom.broker_jars import jars, java
from domain.codec import decode, encode
from domain.errors import SettingsError, Unavailable
from domain.partitioning import partition_of
from domain.topics import BY_NAME
from streams.kafka_message import Place
from streams.kafka_publisher import Publisher
from streams.kafka_reader import BEGIN, Reader
from streams.kafka_settings import Cluster, KafkaSettings
from streams.kafka_topics import declare
from streams.messages import Arrived, Headers, Outgoing

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "events"
PARTITIONS: Final = 4
SYMBOLS: Final = ("GOOG", "SPY", "SPX", "BRK.B", "AAPL", "F", "MSFT", "Ψ")
TOPICS: Final = tuple(BY_NAME[name] for name in ("pricing.greeks", "market.health", "dead.letters"))


class Startable(Protocol):
    bootstrap: str

    def start(self, properties: dict[str, str]) -> None: ...

    def stop(self) -> None: ...


def tool(name: str, *arguments: str, text: str = "") -> str:
    """Run one of Kafka's own Java tools."""
    command = [java(os.environ), "-XX:TieredStopAtLevel=1", "-cp", f"{jars(os.environ, print)}/*", name, *arguments]
    done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(errors="replace")


def greeks() -> Outgoing:
    event = decode("GreeksComputed", 1, (GOLDEN / "GreeksComputed.v1").read_bytes())
    headers = Headers("reprice.1.0", 5, group="reprice", epoch=0)
    return Outgoing("pricing.greeks", None, event.underlying, headers, encode(event))


@pytest.mark.slow
def test_the_java_console_consumer_prints_the_greeks(kafka: str) -> None:
    message = greeks()

    async def publish() -> None:
        cluster = Cluster.of(KafkaSettings(bootstrap=kafka), {})
        publisher = await Publisher.open(cluster, await declare(cluster, PARTITIONS))
        await publisher.acknowledged(message)
        await publisher.close()

    asyncio.run(publish())
    printed = tool(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *("--bootstrap-server", kafka, "--topic", "pricing.greeks", "--from-beginning", "--timeout-ms", "8000"),
        *("--formatter-property", "print.headers=true", "--formatter-property", "print.key=true"),
    )
    assert "schema:GreeksComputed,version:1,content-type:application/vnd.apache.arrow.stream" in printed
    assert f"\t{message.key}\t" in printed
    assert '"spot"' in printed  # the scalars are readable JSON in the metadata of the Arrow schema


@pytest.mark.slow
def test_the_java_producer_puts_every_key_where_we_do(kafka: str) -> None:
    async def prepare() -> None:
        await declare(Cluster.of(KafkaSettings(bootstrap=kafka), {}), PARTITIONS)

    async def where() -> dict[bytes, int]:
        from aiokafka import AIOKafkaConsumer, TopicPartition

        consumer = AIOKafkaConsumer(bootstrap_servers=kafka)
        await consumer.start()
        places = [TopicPartition("market.health", number) for number in range(PARTITIONS)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        found: dict[bytes, int] = {}
        while len(found) < len(SYMBOLS):
            for place, records in (await consumer.getmany(timeout_ms=500)).items():
                found |= {record.key: place.partition for record in records if record.value == b"placed"}
        await consumer.stop()
        return found

    asyncio.run(prepare())
    tool(
        "org.apache.kafka.tools.ConsoleProducer",
        *("--bootstrap-server", kafka, "--topic", "market.health"),
        *("--reader-property", "parse.key=true", "--reader-property", "key.separator=="),
        text="".join(f"{symbol}=placed\n" for symbol in SYMBOLS),
    )
    assert asyncio.run(where()) == {symbol.encode(): partition_of(symbol, PARTITIONS) for symbol in SYMBOLS}


def certify(folder: Path) -> Path:
    """A key and a certificate for loopback, in one PEM file as Kafka takes it; the certificate alone beside it."""
    key, certificate, both = folder / "key.pem", folder / "ca.pem", folder / "broker.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    both.write_text(key.read_text() + certificate.read_text())
    return both


@pytest.mark.slow
def test_a_password_and_encryption_are_passed_to_every_client(own_kafka: Startable, tmp_path: Path) -> None:
    both = certify(tmp_path)
    plain = own_kafka.bootstrap
    secure = f"127.0.0.1:{int(plain.rpartition(':')[2]) + 1}"
    own_kafka.stop()
    controller = (tmp_path / "kafka" / "server.properties").read_text().partition("CONTROLLER://")[2].splitlines()[0]
    own_kafka.start(
        {
            "listeners": f"PLAINTEXT://{plain},SECURE://{secure},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{plain},SECURE://{secure}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(both),
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.secure.plain.sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule "
            'required user_desk="open sesame";',
        }
    )
    settings = KafkaSettings(
        bootstrap=secure,
        security_protocol="SASL_SSL",
        sasl_mechanism="PLAIN",
        username="desk",
        ca_file=str(tmp_path / "ca.pem"),
    )

    async def scenario() -> None:
        cluster = Cluster.of(settings, {"AXIOM_KAFKA_PASSWORD": "open sesame"})
        assert "sesame" not in repr(cluster)
        partitions = await declare(cluster, 1, topics=TOPICS)
        publisher = await Publisher.open(cluster, partitions)
        await publisher.acknowledged(greeks())
        reader = await Reader.open(cluster, letters=publisher)
        await reader.assign({Place("pricing.greeks", 0): BEGIN})
        messages: list[Arrived] = []
        while not messages:
            messages = (await reader.read()).messages
        assert messages[0].message == greeks().message
        await reader.close()
        await publisher.close()
        wrong = Cluster.of(settings, {"AXIOM_KAFKA_PASSWORD": "open barley"})
        with pytest.raises(Unavailable, match="cannot be reached") as refused:
            await Publisher.open(wrong, partitions, deadline_s=2.0)
        assert "barley" not in str(refused.value)

    asyncio.run(scenario())
    with pytest.raises(SettingsError, match="password is not set"):
        Cluster.of(settings, {})
