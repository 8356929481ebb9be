"""Which Kafka a process talks to, and with which settings of its own: an address and the environment.

`AXIOM_KAFKA__ACKS=1` sets `acks` of `streams.kafka_settings.KafkaSettings`, `AXIOM_WORKER__BEAT_S=0.5` one of
`streams.worker_settings.WorkerSettings`. They are not part of a run's settings: a replay does not depend on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from domain.errors import InputError, SettingsError
from streams.kafka_settings import Cluster, KafkaSettings

S = TypeVar("S", bound=msgspec.Struct)

SEAL_KEY_FILE: Final = "AXIOM_SEAL_KEY_FILE"
"""The variable that names the file of the key with which gates seal and the gateway verifies."""


def cluster_of(bootstrap: str, environment: Mapping[str, str]) -> Cluster:
    """The cluster at `host:port`, with what the environment says of security and batches.

    Raises:
        SettingsError: A variable is unknown or its value is refused, or a certificate or password cannot be used.
    """
    return Cluster.of(
        settings_from(KafkaSettings, "KAFKA", environment, {"bootstrap": bootstrap} if bootstrap else {}), environment
    )


def settings_from(
    kind: type[S], section: str, environment: Mapping[str, str], given: Mapping[str, object] | None = None
) -> S:
    """One section of settings from `AXIOM_{section}__{NAME}` variables.

    Args:
        kind: The settings.
        section: The first part of the names.
        environment: Variables.
        given: Values that go before the environment's.

    Raises:
        SettingsError: A variable is unknown or its value is refused: it is named.
    """
    prefix = f"AXIOM_{section}__"
    found: dict[str, object] = {
        name.removeprefix(prefix).lower(): value for name, value in environment.items() if name.startswith(prefix)
    }
    try:
        return msgspec.convert(found | dict(given or {}), kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"settings: {error}", field=f"{section.lower()}", value=sorted(found)) from error
    except InputError as error:
        raise SettingsError(f"settings: {error.message}", **error.fields) from error


def seal_key(environment: Mapping[str, str]) -> bytes:
    """The key of the seals, from the file that the environment names.

    Raises:
        SettingsError: There is no such variable or file, or others can read it.
    """
    name = environment.get(SEAL_KEY_FILE, "")
    if not name:
        raise SettingsError("the file of the seal key is not named", field=SEAL_KEY_FILE, value="")
    path = Path(name)
    try:
        if path.stat().st_mode & 0o077:
            raise SettingsError("the seal key can be read by others: chmod 600", field=SEAL_KEY_FILE, value=name)
        return path.read_bytes()
    except OSError as error:
        raise SettingsError("seal key cannot be read", field=SEAL_KEY_FILE, value=name, error=str(error)) from error
