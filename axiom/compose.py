"""The one place that builds everything: stages of a shard, venues, outlet."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Sequence
from typing import Final

from axiom.settings import Settings, from_json
from domain.chain import Chain
from domain.errors import InputError
from domain.events import ChainListed, RunStarted
from domain.stage import Stage
from hedging.hedger import Hedger
from pricing.fitter import Fitter
from pricing.repricer import Repricer
from quoting.obligations import Obligations
from quoting.quoter import Quoter
from risk.gate import RiskGate
from risk.pnl import Pnl
from risk.positions import Positions
from risk.seal import ClearanceLedger, Sealer
from routing.exchange import Exchange
from routing.misbehaviour import Misbehaving, Misbehaviour
from routing.order_state import OrderBook
from routing.router import Router
from routing.venues import SIMULATED, Venue, VenueTable
from streams.direct import DirectOutlet, VenuePort

SHARD: Final = "0"


class Composer:
    """Builds stages and venues of one run; gate and outlet share a key.

    Args:
        venues: The venues.
        key: The key of the seals, where gate and outlet are in different processes; None makes one that never leaves
            this process.
        chosen: Names of the stages to build; None builds all.
        by_underlying: Whether identifiers carry the underlying in the place of the shard: shards in several processes
            may not give the same one.
    """

    def __init__(
        self,
        venues: VenueTable = SIMULATED,
        *,
        key: bytes | None = None,
        chosen: frozenset[str] | None = None,
        by_underlying: bool = False,
    ) -> None:
        self.venues = venues
        self._sealer = Sealer(key or secrets.token_bytes(32))
        self._chosen = chosen
        self._by_underlying = by_underlying

    def stages(self, run: RunStarted, listed: ChainListed) -> Sequence[Stage]:
        """The stages of one underlying, in the order in which they see an event."""
        settings = from_json(run.settings)
        chain = Chain(listed.underlying, dt.date.fromisoformat(listed.trade_date), listed.contracts)
        session = listed.trade_date.replace("-", "")
        party = settings.party.party()
        quoted = tuple(venue.index for venue in self.venues if venue.is_market_maker)
        shard = listed.underlying if self._by_underlying else SHARD
        stages: tuple[Stage, ...] = (
            Fitter(chain, settings.fitter),
            Repricer(chain, settings.repricer),
            OrderBook(chain, chain.underlying, settings.orders),
            Positions(chain, chain.underlying),
            Pnl(chain, chain.underlying),
            Quoter(chain, listed.tick_classes, settings.quoting, party, quoted, session, shard),
            Obligations(chain, settings.obligations, quoted, pull_before_close_s=settings.quoting.pull_before_close_s),
            Hedger(settings.hedging, chain),
            Router(chain, listed.tick_classes, self.venues, party, settings.router, session, shard),
            RiskGate(
                chain,
                listed.tick_classes,
                settings.limits,
                self._sealer,
                gate_name(chain.underlying),
                chain.underlying,
                1 + max(quoted),
            ),
        )
        return tuple(stage for stage in stages if self._chosen is None or stage.name in self._chosen)

    def ports(self, settings: Settings, listed: ChainListed) -> tuple[VenuePort, ...]:
        """The venues in this process.

        Raises:
            InputError: `misbehaviour` names a venue that is not in the table.
        """
        chain = Chain(listed.underlying, dt.date.fromisoformat(listed.trade_date), listed.contracts)
        known = {venue.mic for venue in self.venues}
        for mic in settings.misbehaviour:
            if mic not in known:
                raise InputError(
                    "unknown venue", field=f"misbehaviour.{mic}", value=mic, known=", ".join(sorted(known))
                )
        ports = []
        for venue in self.venues:
            is_told = venue.mic in settings.misbehaviour
            port = (self.told if is_told else self.exchange)(venue, chain, settings, listed)
            ports.append(VenuePort(venue.mic, venue.is_market_maker, port.latency_ns, port))
        return tuple(ports)

    def exchange(self, venue: Venue, chain: Chain, settings: Settings, listed: ChainListed) -> Exchange:
        """One venue as pure code."""
        return Exchange(self.venues, venue.index, chain, listed.tick_classes, settings.exchange, settings.run.seed)

    def told(self, venue: Venue, chain: Chain, settings: Settings, listed: ChainListed) -> Misbehaving:
        """One venue as pure code that can be told to misbehave; by itself it does what `misbehaviour` says of it."""
        told = settings.misbehaviour.get(venue.mic, Misbehaviour())
        return Misbehaving(self.exchange(venue, chain, settings, listed), told, settings.run.seed)

    def outlet(self, settings: Settings, underlying: str, ports: Sequence[VenuePort]) -> DirectOutlet:
        """The way out: what the gate of `underlying` issued, and nothing else."""
        return DirectOutlet(self.ledgers(underlying), ports, settings.run.max_entries)

    def ledgers(self, underlying: str) -> dict[str, ClearanceLedger]:
        """What the outlet verifies with, by gate."""
        return {gate_name(underlying): ClearanceLedger(self._sealer)}


def gate_name(underlying: str) -> str:
    """Name of the gate of an underlying."""
    return f"gate.{underlying}"
