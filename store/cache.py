"""The only door to redis: last values on a server that many processes share.

For each underlying there is one hash for each kind, and one key that names the log that counts. All of one underlying
carry the same hash tag, so they lie on one node of a cluster. Comparison and write are one script on the server: no
other client comes in between. A hash holds `log`, `sequence`, `ts_event`, `schema`, `version`, `content_type`,
`payload`, and `written_ms`, the server's clock at the write, from which a reader sees how old a value is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, NoScriptError, RedisError
from redis.retry import Retry

from domain.errors import DataError, InputError, SettingsError, Unavailable
from store.cache_settings import CacheSettings
from store.cached import KINDS, Cached, Kind, Written, by_underlying

T = TypeVar("T")
_FIELDS: Final = ("sequence", "ts_event", "schema", "version", "content_type", "payload")

_PUT: Final = """
local log = ARGV[1]
local counting = redis.call('GET', KEYS[1])
local result = {}
if counting and counting ~= log then
    for i = 2, #KEYS do result[i - 1] = -1 end
    return result
end
redis.call('SET', KEYS[1], log, 'PX', ARGV[2])
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
for i = 2, #KEYS do
    local at = 3 + (i - 2) * 6
    local held = redis.call('HMGET', KEYS[i], 'log', 'sequence')
    if held[1] == log and tonumber(held[2]) >= tonumber(ARGV[at]) then
        result[i - 1] = 0
        if held[2] == ARGV[at] then redis.call('PEXPIRE', KEYS[i], ARGV[2]) end
    else
        redis.call('HSET', KEYS[i], 'log', log, 'sequence', ARGV[at], 'ts_event', ARGV[at + 1],
            'schema', ARGV[at + 2], 'version', ARGV[at + 3], 'content_type', ARGV[at + 4], 'payload', ARGV[at + 5],
            'written_ms', string.format('%.0f', ms))
        redis.call('PEXPIRE', KEYS[i], ARGV[2])
        result[i - 1] = 1
    end
end
return result
"""
"""1 taken, 0 late, -1 of a log that does not count; for each value in order."""

_CLAIM: Final = """
local counting = redis.call('GET', KEYS[1])
if counting ~= ARGV[1] then
    for i = 2, #KEYS do redis.call('DEL', KEYS[i]) end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""


class RedisCache:
    """The cache on a Redis server. One thread uses it.

    Args:
        settings: Where and how.
        client: The connection.
    """

    def __init__(self, settings: CacheSettings, client: redis.Redis) -> None:
        self._settings = settings
        self._client = client
        self._ttl_ms = settings.ttl_s * 1_000
        self._put = _Script(client, _PUT)
        self._claim = _Script(client, _CLAIM)

    @classmethod
    def of(cls, settings: CacheSettings, environment: Mapping[str, str]) -> Self:
        """A cache that connects when it is first used, and anew after each failure.

        Raises:
            InputError: There is no address.
            SettingsError: The password or a certificate cannot be read.
        """
        if not settings.url:
            raise InputError("there is no address of a cache", field="cache.url", value="")
        options: dict[str, Any] = {
            "socket_timeout": settings.timeout_s,
            "socket_connect_timeout": settings.timeout_s,
            "client_name": "axiom",
            "retry": Retry(NoBackoff(), 0),  # the caller decides when to try again
        }
        if password := settings.password(environment):
            options["password"] = password
        if settings.url.startswith("rediss:"):
            options |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
            named = {"ssl_ca_certs": "ca_file", "ssl_certfile": "cert_file", "ssl_keyfile": "key_file"}
            for option, name in named.items():
                if value := getattr(settings, name):
                    _readable(name, value)
                    options[option] = value
        return cls(settings, redis.Redis.from_url(settings.url, **options))

    def claim(self, underlying: str, log: str) -> None:
        """See `store.cached.Cache`."""
        keys = [self.log_key(underlying), *(self.key(underlying, kind) for kind in KINDS)]
        self._asked(lambda: self._claim(keys, [log, self._ttl_ms]), "claim")

    def put(self, log: str, values: Sequence[Cached]) -> Written:
        """See `store.cached.Cache`. One round trip for each underlying."""
        written = Written()
        for underlying, group in by_underlying(values).items():
            keys = [self.log_key(underlying), *(self.key(underlying, value.kind) for value in group)]
            given: list[str | int | bytes] = [log, self._ttl_ms]
            for value in group:
                given += (getattr(value, name) for name in _FIELDS)
            answers = self._asked(lambda keys=keys, given=given: self._put(keys, given), "put")  # type: ignore[misc]  # bound now
            written += Written(answers.count(1), answers.count(0), answers.count(-1))
        return written

    def get(self, underlying: str, kind: Kind) -> Cached | None:
        """See `store.cached.Cache`.

        Raises:
            DataError: What is there was not written by us.
        """
        key = self.key(underlying, kind)
        found: Any = self._asked(lambda: self._client.hmget(key, list(_FIELDS)), "get")
        if all(value is None for value in found):
            return None
        try:
            sequence, ts_event, schema, version, content_type, payload = found
            return Cached(
                underlying=underlying,
                kind=kind,
                sequence=int(sequence),
                ts_event=int(ts_event),
                schema=schema.decode(),
                version=int(version),
                content_type=content_type.decode(),
                payload=payload,
            )
        except (AttributeError, TypeError, ValueError) as error:
            raise DataError("cached value is damaged", key=key) from error

    def log_of(self, underlying: str) -> str | None:
        """See `store.cached.Cache`."""
        found: Any = self._asked(lambda: self._client.get(self.log_key(underlying)), "get")
        return None if found is None else str(found, "utf-8")

    def check(self) -> None:
        """See `store.cached.Cache`."""
        self._asked(self._client.ping, "ping")
        self._asked(lambda: self._put([self.log_key("")], ["", 1]), "write")

    def close(self) -> None:
        """See `store.cached.Cache`."""
        self._client.close()

    def key(self, underlying: str, kind: Kind) -> str:
        """The key of a value."""
        return f"{self._settings.prefix}:{{{underlying}}}:{kind}"

    def log_key(self, underlying: str) -> str:
        """The key that names the log that counts."""
        return f"{self._settings.prefix}:{{{underlying}}}:log"

    def _asked(self, work: Callable[[], T], what: str) -> T:
        """Ask the server; its silences and refusals become errors of ours. Of a refused logon nothing is told."""
        place = self._settings.url.rpartition("@")[2].removeprefix("redis://").removeprefix("rediss://")
        try:
            return work()
        except (AuthenticationError, NoPermissionError) as error:
            raise SettingsError(
                "cache refuses us: user, password or rights", field="cache.password_env",
                value=self._settings.password_env, cache=place, what=what,
            ) from error  # fmt: skip
        except RedisError as error:
            raise Unavailable(
                "cache did not answer", cache=place, what=what, error=f"{type(error).__name__}: {error}"
            ) from error


class _Script:
    """A script that the server knows by its digest; it is sent again where the server has forgotten it."""

    def __init__(self, client: redis.Redis, text: str) -> None:
        self._client = client
        self._text = text
        self._digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()  # what EVALSHA goes by

    def __call__(self, keys: Sequence[str], values: Sequence[str | int | bytes]) -> list[int]:
        try:
            answer: Any = self._client.evalsha(self._digest, len(keys), *keys, *values)
        except NoScriptError:
            answer = self._client.eval(self._text, len(keys), *keys, *values)
        return answer if isinstance(answer, list) else [answer]


def _readable(name: str, path: str) -> None:
    try:
        with open(path, "rb"):  # noqa: PTH123  # only whether it opens
            pass
    except OSError as error:
        raise SettingsError(
            "certificate or key cannot be read", field=f"cache.{name}", value=path, error=str(error)
        ) from error
