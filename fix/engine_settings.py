"""Our settings in the engine's words: one key and value after another, without the engine."""

from __future__ import annotations

from fix.session import Role, SessionSettings


def session_pairs(settings: SessionSettings, role: Role) -> dict[str, str]:
    """Return the engine's keys and values for one session.

    Equal start and end times are 24 hours to the engine. Addresses are checked by the acceptor only; credentials never
    pass through here.
    """
    schedule = settings.schedule
    pairs = {
        "ConnectionType": role,
        "StartTime": schedule.start,
        "EndTime": schedule.end,
        "HeartBtInt": str(settings.heartbeat_s),
        "ReconnectInterval": str(settings.reconnect_s),
        "LogonTimeout": str(settings.logon_timeout_s),
        "LogoutTimeout": str(settings.logout_timeout_s),
        "CheckLatency": "Y",
        "MaxLatency": str(settings.max_clock_skew_s),
        "TimestampPrecision": str(settings.timestamp_digits),
        "ResetOnLogon": _yes_no(is_so=settings.reset_on_logon),
        "ResetOnLogout": "N",
        "ResetOnDisconnect": "N",
        "PersistMessages": _yes_no(is_so=settings.persist),
        "UseDataDictionary": "Y",
        "DataDictionary": str(settings.dictionary),
        "SocketNodelay": "Y",
        "SocketReuseAddress": "Y",
    }
    if schedule.start_day:
        pairs |= {"StartDay": schedule.start_day, "EndDay": schedule.end_day}
    if settings.store is not None:
        pairs["FileStorePath"] = str(settings.store)
    if role == "initiator":
        pairs |= {"SocketConnectHost": settings.host, "SocketConnectPort": str(settings.port)}
    else:
        pairs["SocketAcceptPort"] = str(settings.port)
        if settings.host:
            pairs["AllowedRemoteAddresses"] = settings.host
    return pairs


def _yes_no(*, is_so: bool) -> str:
    return "Y" if is_so else "N"
