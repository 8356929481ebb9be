"""How we reach the cache: one frozen section of the settings, which never holds a password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from domain.errors import InputError, SettingsError

_URL: Final = re.compile(
    r"(?P<scheme>rediss?)://(?:(?P<user>[^:@/]*)(?P<password>:[^@/]*)?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?(?:/(?P<db>\d{1,3})?)?"
)
DEFAULT_PORT: Final = 6379


class CacheSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The shared cache of last values (Redis).

    Attributes:
        url: `redis://[user@]host[:port][/database]`, `rediss://` for TLS; empty: there is no cache.
        password_env: Name of the environment variable that holds the password; where it is not set, none is sent.
        password_file: File that holds the password instead; it goes first.
        ca_file: PEM certificates that sign the server's; empty takes the system's.
        cert_file: PEM certificate of ours, for mutual TLS.
        key_file: PEM key of ours.
        prefix: Keys start with it: `prefix:{UNDERLYING}:kind`.
        ttl_s: A value that nobody renewed for so long vanishes.
        interval_ms: Values are written at most so often; what was superseded in between is not written at all.
        timeout_s: The server answers in so long, or is away.
    """

    url: str = ""
    password_env: str = "AXIOM_REDIS_PASSWORD"  # noqa: S105  # the name of a variable
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    prefix: str = "axiom"
    ttl_s: int = 86_400
    interval_ms: int = 50
    timeout_s: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot work. An address that holds a password is not told."""
        if self.url:
            found = _URL.fullmatch(self.url)
            if found is None or found["password"] is not None or not 0 < int(found["port"] or DEFAULT_PORT) < 65_536:
                phrase = (
                    "a password does not belong into the address: it comes from password_env or password_file"
                    if found is not None and found["password"] is not None
                    else "must be redis://[user@]host[:port][/database], or rediss:// for TLS"
                )
                told = self.url if "@" not in self.url else "not told"
                raise InputError(phrase, field="cache.url", value=told)
            if found["scheme"] == "redis" and (self.ca_file or self.cert_file):
                raise InputError("certificates need rediss://", field="cache.url", value=self.url)
        for name, low in (("ttl_s", 1), ("interval_ms", 1), ("timeout_s", 0.01)):
            if not getattr(self, name) >= low:
                raise InputError(f"must be at least {low}", field=f"cache.{name}", value=getattr(self, name))
        if bool(self.cert_file) != bool(self.key_file):
            missing = "key_file" if self.cert_file else "cert_file"
            raise InputError("certificate and key come together", field=f"cache.{missing}", value="")
        if not self.prefix or any(mark in self.prefix for mark in "{} "):
            raise InputError("must be a word without braces", field="cache.prefix", value=self.prefix)

    def password(self, environment: Mapping[str, str]) -> str:
        """The password, empty for none. Do not log it.

        Raises:
            SettingsError: Its file cannot be read or is empty.
        """
        if not self.password_file:
            return environment.get(self.password_env, "")
        try:
            found = Path(self.password_file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                "password cannot be read", field="cache.password_file", value=self.password_file, error=str(error)
            ) from error
        if not found:
            raise SettingsError("password is empty", field="cache.password_file", value=self.password_file)
        return found
