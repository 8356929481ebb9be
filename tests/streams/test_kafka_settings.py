"""Settings of the clients are refused by name, and a password is never told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain.errors import InputError, SettingsError
from streams.kafka_settings import Cluster, KafkaSettings


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"bootstrap": ""}, "kafka.bootstrap"),
        ({"bootstrap": "broker"}, "kafka.bootstrap"),
        ({"bootstrap": "broker:9092,:1"}, "kafka.bootstrap"),
        ({"bootstrap": "broker:65536"}, "kafka.bootstrap"),
        ({"linger_ms": -1}, "kafka.linger_ms"),
        ({"buffer_bytes": 1}, "kafka.buffer_bytes"),
        ({"request_timeout_s": float("nan")}, "kafka.request_timeout_s"),
        ({"security_protocol": "SASL_SSL"}, "kafka.username"),
        ({"security_protocol": "SSL", "cert_file": "c"}, "kafka.key_file"),
        ({"ca_file": "ca.pem"}, "kafka.security_protocol"),
    ],
)
def test_a_bad_value_is_refused_by_name(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as refused:
        KafkaSettings(**changed)
    assert refused.value.fields["field"] == field


def test_unknown_names_and_choices_are_refused() -> None:
    for tree in ({"bootstraps": "a:1"}, {"compression": "brotli"}, {"acks": "0"}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(tree, KafkaSettings)


def test_a_password_comes_from_a_file_first_and_is_not_in_any_text(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("open sesame\n")
    settings = KafkaSettings(security_protocol="SASL_PLAINTEXT", username="desk", password_file=str(file))
    cluster = Cluster.of(settings, {"AXIOM_KAFKA_PASSWORD": "another"})
    assert cluster.options()["sasl_plain_password"] == "open sesame"  # noqa: S105  # of this test alone
    assert "sesame" not in repr(cluster)
    assert b"sesame" not in msgspec.json.encode(settings)


@pytest.mark.parametrize(("content", "why"), [(None, "cannot be read"), ("", "is empty")])
def test_a_password_file_that_is_of_no_use_is_named(tmp_path: Path, content: str | None, why: str) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    settings = KafkaSettings(security_protocol="SASL_PLAINTEXT", username="desk", password_file=str(file))
    with pytest.raises(SettingsError, match=why) as refused:
        Cluster.of(settings, {})
    assert refused.value.fields["field"] == "kafka.password_file"


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError) as refused:
        Cluster.of(KafkaSettings(security_protocol="SSL", ca_file=str(file)), {})
    assert refused.value.fields["field"] == "kafka.ca_file"
