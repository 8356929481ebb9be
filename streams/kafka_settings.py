"""How we reach Kafka: one frozen section of the settings, which never holds a password."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

import msgspec

from domain.errors import InputError, SettingsError
from domain.topics import MAX_MESSAGE_BYTES

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})")
_LEAST: Final = {
    "linger_ms": 0,
    "batch_bytes": 1,
    "buffer_bytes": MAX_MESSAGE_BYTES,
    "request_timeout_s": 0.1,
    "publish_deadline_s": 0.001,
    "retry_backoff_ms": 1,
    "fetch_wait_ms": 1,
}


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Clients of Kafka.

    Attributes:
        bootstrap: `host:port` of one or more brokers, with commas between.
        client_id: What brokers call us in their logs and quotas.
        security_protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
        sasl_mechanism: Used with SASL.
        username: Used with SASL.
        password_env: Name of the environment variable that holds the password.
        password_file: File that holds the password instead; it goes first.
        ca_file: PEM certificates that sign the brokers'; empty takes the system's.
        cert_file: PEM certificate of ours, for mutual TLS.
        key_file: PEM key of ours.
        acks: `all` waits for the in-sync replicas and sends each batch once (idempotent producer); `1` waits for the
            leader alone: a retry may then repeat a batch, and a batch may be lost with its leader.
        compression: Of batches. On one machine none is fastest; zstd and lz4 shrink a Greeks frame to about two thirds.
        linger_ms: How long a batch waits for more; 0 sends at once.
        batch_bytes: A batch closes at this size; a larger message travels alone.
        buffer_bytes: Messages that wait for a slow broker, beside quotes, which supersede each other.
        publish_deadline_s: How long a message waits for room in that memory.
        request_timeout_s: A request without an answer for so long is made again.
        retry_backoff_ms: Between two attempts.
        fetch_wait_ms: How long a broker holds an empty fetch.
    """

    bootstrap: str = "127.0.0.1:9092"
    client_id: str = "axiom"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str = ""
    password_env: str = "AXIOM_KAFKA_PASSWORD"  # noqa: S105  # the name of a variable
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    acks: Literal["all", "1"] = "all"
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "none"
    linger_ms: int = 0
    batch_bytes: int = 1024 * 1024
    buffer_bytes: int = 64 * 1024 * 1024
    publish_deadline_s: float = 5.0
    request_timeout_s: float = 10.0
    retry_backoff_ms: int = 100
    fetch_wait_ms: int = 500

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        for host in self.bootstrap.split(","):
            found = _HOST.fullmatch(host.strip())
            if found is None or not 0 < int(found[2]) < 65_536:
                raise InputError("must be host:port, comma between", field="kafka.bootstrap", value=self.bootstrap)
        for name, low in _LEAST.items():
            if not getattr(self, name) >= low:
                raise InputError(f"must be at least {low}", field=f"kafka.{name}", value=getattr(self, name))
        if bool(self.cert_file) != bool(self.key_file):
            missing = "key_file" if self.cert_file else "cert_file"
            raise InputError("certificate and key come together", field=f"kafka.{missing}", value="")
        if self.uses_sasl and not self.username:
            raise InputError("SASL needs a user name", field="kafka.username", value="")
        if not self.uses_tls and (self.ca_file or self.cert_file):
            raise InputError("certificates need TLS", field="kafka.security_protocol", value=self.security_protocol)

    @property
    def uses_sasl(self) -> bool:
        """Whether we log on with a name and a password."""
        return self.security_protocol.startswith("SASL")

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.security_protocol.endswith("SSL")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where Kafka is and how to log on. Its text does not hold the password."""

    settings: KafkaSettings
    _security: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, settings: KafkaSettings, environment: Mapping[str, str]) -> Self:
        """Read certificates and password once.

        Raises:
            SettingsError: One of them cannot be used.
        """
        return cls(settings, security_options(settings, environment))

    def options(self) -> dict[str, Any]:
        """What every client is given."""
        return {
            "bootstrap_servers": [host.strip() for host in self.settings.bootstrap.split(",")],
            "client_id": self.settings.client_id,
            "request_timeout_ms": round(self.settings.request_timeout_s * 1e3),
            "retry_backoff_ms": self.settings.retry_backoff_ms,
            **self._security,
        }


def security_options(settings: KafkaSettings, environment: Mapping[str, str]) -> dict[str, Any]:
    """What clients need to connect: the only place where the password is read. Do not log the result.

    Raises:
        SettingsError: A file cannot be read or is no certificate, or there is no password. The password is not told.
    """
    options: dict[str, Any] = {"security_protocol": settings.security_protocol}
    if settings.uses_tls:
        options["ssl_context"] = _context(settings)
    if settings.uses_sasl:
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.username,
            "sasl_plain_password": _password(settings, environment),
        }
    return options


def _context(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            "certificates cannot be used", field="kafka.ca_file", value=settings.ca_file, error=str(error)
        ) from error
    if settings.cert_file:
        try:
            context.load_cert_chain(settings.cert_file, settings.key_file)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                "certificate or key cannot be used",
                field="kafka.cert_file",
                value=settings.cert_file,
                key_file=settings.key_file,
                error=str(error),
            ) from error
    return context


def _password(settings: KafkaSettings, environment: Mapping[str, str]) -> str:
    if settings.password_file:
        try:
            found = Path(settings.password_file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                "password cannot be read", field="kafka.password_file", value=settings.password_file, error=str(error)
            ) from error
        if not found:
            raise SettingsError("password is empty", field="kafka.password_file", value=settings.password_file)
        return found
    found = environment.get(settings.password_env, "")
    if not found:
        raise SettingsError("password is not set", field="kafka.password_env", value=settings.password_env)
    return found
