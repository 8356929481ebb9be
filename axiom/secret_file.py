"""A file that holds a new secret and that only its owner can read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from domain.errors import InputError

_BYTES: Final = 32


def make_secret(path: Path) -> Path:
    """Make a new key of random bytes; one that is there stays.

    Raises:
        InputError: The file cannot be made.
    """
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path
    except OSError as error:
        raise InputError("a key cannot be kept there", field="path", value=str(path), error=str(error)) from error
    try:
        os.write(file, secrets.token_bytes(_BYTES))
    finally:
        os.close(file)
    return path
