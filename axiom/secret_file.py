"""The key of the seals, from a file that only its owner may read."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from domain.errors import InputError, SettingsError
from risk.seal import KEY_BYTES

SEAL_KEY_FILE: Final = "AXIOM_SEAL_KEY_FILE"
"""The environment variable that names the file. Those who seal and the gateway have the same."""

_MADE_BYTES: Final = 32


def seal_key(environment: Mapping[str, str]) -> bytes:
    """Read the key.

    Raises:
        SettingsError: The variable is not set, or the file cannot be read, is open to others, or holds no key. What it
            holds is not told.
    """
    name = environment.get(SEAL_KEY_FILE, "")
    if not name:
        raise SettingsError("no file with the key of the seals", field=SEAL_KEY_FILE, value="")
    try:
        path = Path(name)
        key, mode = path.read_bytes(), path.stat().st_mode
    except OSError as error:
        raise SettingsError(
            "the key of the seals cannot be read", field=SEAL_KEY_FILE, value=name, error=str(error)
        ) from error
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise SettingsError("others may read the key of the seals", field=SEAL_KEY_FILE, value=name)
    shortest, longest = KEY_BYTES
    if not shortest <= len(key) <= longest:
        raise SettingsError(
            "the key of the seals must have 16 to 64 bytes", field=SEAL_KEY_FILE, value=name, found=len(key)
        )
    return key


def make_seal_key(path: Path) -> Path:
    """Make a new key in a file that only we may read; one that is there stays.

    Raises:
        InputError: The file cannot be made.
    """
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path
    except OSError as error:
        raise InputError("the key cannot be kept there", field="path", value=str(path), error=str(error)) from error
    try:
        os.write(file, secrets.token_bytes(_MADE_BYTES))
    finally:
        os.close(file)
    return path
