"""The router: parent orders in, children for venues out, each with the reason for its venue.

A stage. It sees the NBBO, not the venues' books: who shows how much of it is estimated by tape share. It prices every
venue that is up net of its fee for our capacity, takes the best first and moves on to the next where the estimated size
ends. Linkage between venues (intermarket sweeps, trade-through checks against protected quotes of each venue) needs a
feed with venues and is not done here: children are limit orders at or inside the NBBO and the router's collar.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from domain.chain import Chain
from domain.commands import STOCK, Party, RequestOrder, SaleMarking, SubmitOrder, clordid
from domain.errors import InputError
from domain.events import (
    Event,
    NbboUpdated,
    OrderRefused,
    OrderRouted,
    OrderStateChanged,
    PositionChanged,
    UnderlyingTraded,
    UnderlyingUpdated,
    VenueStatusChanged,
    VenueTrustChanged,
)
from domain.price import TickClass
from domain.state import pack, unpack
from routing.nbbo import ASK, BID, TopOfBook
from routing.order_table import TERMINAL
from routing.reports import Stamps
from routing.sale_marking import MarkedPart, SaleRules, mark
from routing.venue_book import chain_ticks
from routing.venues import Venue, VenueTable

_KIND: Final = "routing.router"
_VERSION: Final = 2


class RouterSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How orders are priced and when they are refused.

    Attributes:
        max_age_ms: Oldest NBBO on which an order is routed. As old as the gate lets it be (`limits.stale_ms`): a hedge
            stops no earlier than the quotes that need it.
        collar_bps: How far through the NBBO a child of a request without a limit may trade, 1/100 of a percent.
        collar_ticks: The same in ticks; the wider of the two holds.
        sale: Rules for selling stock.

    Raises:
        InputError: A value is out of range.
    """

    max_age_ms: int = 150_000
    collar_bps: float = 5.0
    collar_ticks: int = 1
    sale: SaleRules = msgspec.field(default_factory=SaleRules)

    def __post_init__(self) -> None:
        """Refuse collars that point the wrong way."""
        if self.max_age_ms < 1:
            raise InputError("must be positive", field="router.max_age_ms", value=self.max_age_ms)
        if not 0.0 <= self.collar_bps < 1_000.0:
            raise InputError("must be in [0, 1000)", field="router.collar_bps", value=self.collar_bps)
        if self.collar_ticks < 0:
            raise InputError("must not be negative", field="router.collar_ticks", value=self.collar_ticks)


class RankedVenue(NamedTuple):
    """A venue with its net price in units and the size that it is estimated to show."""

    venue: Venue
    net: int
    size: int


class _Child(NamedTuple):
    venue: Venue
    quantity: int
    price: int
    marking: SaleMarking
    rule: str


class Router:
    """Stage: turns `RequestOrder` into `SubmitOrder` children for the venues with the best net price.

    A venue counts as up only after `VenueStatusChanged` said so; one that is not trusted gets nothing.
    """

    name = "router"
    reads: frozenset[type[Event]] = frozenset(
        {
            RequestOrder,
            NbboUpdated,
            UnderlyingUpdated,
            UnderlyingTraded,
            VenueStatusChanged,
            VenueTrustChanged,
            PositionChanged,
            OrderStateChanged,
            OrderRefused,
        }
    )

    def __init__(
        self,
        chain: Chain,
        tick_classes: dict[str, TickClass],
        venues: VenueTable,
        party: Party,
        settings: RouterSettings,
        session: str,
        shard: str,
    ) -> None:
        """Start with no market, no venue up and no position.

        Args:
            chain: The contracts.
            tick_classes: By root, as in `ChainListed`.
            venues: All venues.
            party: In whose name orders go; its capacity picks the fees.
            settings: Prices and refusals.
            session: Trading date as YYYYMMDD, for ClOrdIDs.
            shard: Short name of the shard, for ClOrdIDs.
        """
        self._chain, self._venues, self._party, self._settings = chain, venues, party, settings
        self._session, self._shard = session, shard
        self._market = TopOfBook(len(chain))
        stock = venues.of_kind("stock")
        self._ticks = chain_ticks(chain, tick_classes, stock[0].tick if stock else 1)
        self._taker = self._fees(adds=False)
        self._maker = self._fees(adds=True)
        self._is_up: dict[int, bool] = {}
        self._is_trusted: dict[int, bool] = {}
        self._is_restricted = settings.sale.is_restricted
        self._stock = 0
        self._selling: dict[str, int] = {}
        self._counter = 0

    def _fees(self, *, adds: bool) -> dict[int, int]:
        """Return the fee of each venue that serves our capacity on the trade date."""
        fees: dict[int, int] = {}
        for venue in self._venues:
            try:
                fees[venue.index] = venue.fee(self._party.capacity, adds=adds, day=self._chain.trade_date)
            except InputError:
                continue  # does not serve us: never considered
        return fees

    def apply(self, event: Event) -> Sequence[Event]:
        """Apply one event.

        Raises:
            InputError: A market update is malformed, or a request names a contract outside the chain.
        """
        match event:
            case RequestOrder():
                return self._route(event)
            case NbboUpdated() | UnderlyingUpdated():
                self._market.apply(event)
            case UnderlyingTraded():
                self._is_restricted |= self._settings.sale.triggers(event.low)
            case VenueStatusChanged():
                self._is_up[event.venue] = event.is_up
            case VenueTrustChanged():
                self._is_trusted[event.venue] = event.is_trusted
            case PositionChanged() if event.contract == STOCK:
                self._stock = event.quantity
            case OrderStateChanged() if event.clordid in self._selling:
                self._follow_sale(event.clordid, 0 if event.after in TERMINAL else event.leaves_qty)
            case OrderRefused() if event.clordid in self._selling:
                self._follow_sale(event.clordid, 0)
            case _:
                pass
        return ()

    def _follow_sale(self, order: str, leaves: int) -> None:
        if leaves:
            self._selling[order] = leaves
        else:
            del self._selling[order]

    # --- one request --------------------------------------------------------------------------------------------------
    def _route(self, request: RequestOrder) -> list[Event]:
        if not STOCK <= request.contract < len(self._chain):
            raise InputError("unknown contract", field="contract", value=request.contract)
        if request.quantity < 1:
            raise InputError("must be positive", field="quantity", value=request.quantity)
        reason = self._market_refusal(request)
        if reason:
            return [self._refused(request, reason)]
        price = request.limit or self._collared(request)
        is_marketable = self._is_marketable(request, price)
        ranked = self._rank(request, price, is_marketable=is_marketable)
        if not ranked:
            return [self._refused(request, "no venue is up")]
        parts = self._marked(request)
        reason = self._sale_refusal(request, parts, price)
        if reason:
            return [self._refused(request, reason)]
        left = {each.venue.index: each.size for each in ranked}
        children: list[_Child] = []
        for part in parts:
            if self._is_price_tested(part) and price <= self._bid(request.contract):
                floor = self._bid(request.contract) + self._tick(request.contract, self._bid(request.contract))
                posting = self._rank(request, floor, is_marketable=False)[0].venue
                children.append(_Child(posting, part.quantity, floor, part.marking, "above the bid: price test"))
            else:
                rule = "best net price" if is_marketable else "best net price, posting"
                children += self._allocate(part, price, ranked, left, rule)
        considered = {each.venue.mic: each.net for each in ranked}
        routed: list[Event] = []
        orders: list[Event] = []
        for child in children:
            explained, order = self._emit(request, child, considered)
            routed.append(explained)
            orders.append(order)
        return routed + orders

    def _market_refusal(self, request: RequestOrder) -> str:
        contract = request.contract
        if min(self._market.price[:, contract]) <= 0:
            return "one-sided market"
        age = request.ts_event - int(self._market.ts[contract])
        return "stale market" if age > self._settings.max_age_ms * 1_000_000 else ""

    def _marked(self, request: RequestOrder) -> tuple[MarkedPart, ...]:
        if request.contract != STOCK or request.side == "buy":
            return (MarkedPart("", request.quantity),)
        offered = sum(self._selling.values())
        rules = self._settings.sale
        return mark(request.quantity, self._stock - offered, rules, is_restricted=self._is_restricted)

    def _sale_refusal(self, request: RequestOrder, parts: tuple[MarkedPart, ...], price: int) -> str:
        is_short = any(part.marking in ("short", "short_exempt") for part in parts)
        if is_short and not self._settings.sale.can_sell_short:
            return "no locate"
        if request.tif == "ioc" and price <= self._bid(request.contract) and any(map(self._is_price_tested, parts)):
            return "short sale restricted"
        return ""

    def _is_price_tested(self, part: MarkedPart) -> bool:
        return self._is_restricted and part.marking == "short"

    def _bid(self, contract: int) -> int:
        return int(self._market.price[BID, contract])

    def _tick(self, contract: int, price: int) -> int:
        """Increment at a price of a contract; 3 dollars is the break, and on both grids."""
        ticks = self._ticks.below if price < 30_000 else self._ticks.above
        return int(ticks[contract])

    def _collared(self, request: RequestOrder) -> int:
        """Return the limit of a request that gave none: the opposite NBBO and the collar, on the tick."""
        is_buy = request.side == "buy"
        best = int(self._market.price[ASK if is_buy else BID, request.contract])
        tick = self._tick(request.contract, best)
        room = max(int(best * self._settings.collar_bps / 10_000), self._settings.collar_ticks * tick)
        limit = best + room if is_buy else max(best - room, tick)
        tick = self._tick(request.contract, limit)
        return limit - limit % tick if is_buy else limit + -limit % tick

    def _is_marketable(self, request: RequestOrder, price: int) -> bool:
        best = int(self._market.price[ASK if request.side == "buy" else BID, request.contract])
        return price >= best if request.side == "buy" else price <= best

    def _rank(self, request: RequestOrder, price: int, *, is_marketable: bool) -> list[RankedVenue]:
        """Return the venues that are up, best net price first, the larger tape share where two are equal.

        The price is the opposite NBBO, where we take; or our own, where we post. Fees of options are per contract and
        prices per share, so they meet over the multiplier.
        """
        contract = request.contract
        side = ASK if request.side == "buy" else BID
        base = int(self._market.price[side, contract]) if is_marketable else price
        per_share = 1.0 if contract == STOCK else 1.0 / float(self._chain.multiplier[contract])
        fees = self._taker if is_marketable else self._maker
        shown = int(self._market.size[side, contract])
        sign = 1 if request.side == "buy" else -1
        ranked = [
            RankedVenue(
                venue, base + sign * round(fees[venue.index] * per_share), max(1, round(shown * venue.tape_share))
            )
            for venue in self._venues.of_kind("stock" if contract == STOCK else "option")
            if venue.index in fees and self._is_up.get(venue.index, False) and self._is_trusted.get(venue.index, True)
        ]
        return sorted(ranked, key=lambda each: (sign * each.net, -each.venue.tape_share, each.venue.index))

    @staticmethod
    def _allocate(
        part: MarkedPart, price: int, ranked: list[RankedVenue], left: dict[int, int], rule: str
    ) -> list[_Child]:
        """Fill the estimated sizes in rank order; what is above all of them goes to the best venue."""
        quantities: dict[int, int] = {}
        todo = part.quantity
        for each in ranked:
            quantity = min(todo, left[each.venue.index])
            if quantity:
                quantities[each.venue.index] = quantity
                left[each.venue.index] -= quantity
                todo -= quantity
        if todo:
            best = ranked[0].venue.index
            quantities[best] = quantities.get(best, 0) + todo
        is_split = len(quantities) > 1
        return [
            _Child(
                each.venue,
                quantities[each.venue.index],
                price,
                part.marking,
                f"{rule}, split by estimated size" if is_split else rule,
            )
            for each in ranked
            if each.venue.index in quantities
        ]

    def _emit(
        self, request: RequestOrder, child: _Child, considered: dict[str, int]
    ) -> tuple[OrderRouted, SubmitOrder]:
        self._counter += 1
        name = clordid(self._session, self._shard, self._counter)
        is_short = child.marking in ("short", "short_exempt")
        is_exempt = is_short and self._settings.sale.is_market_maker_exempt
        if child.marking:
            self._selling[name] = child.quantity
        routed = OrderRouted(
            **_stamps(request),
            request_id=request.request_id,
            clordid=name,
            venue=child.venue.index,
            considered=considered,
            rule=child.rule,
        )
        order = SubmitOrder(
            **_stamps(request),
            clordid=name,
            request_id=request.request_id,
            venue=child.venue.index,
            contract=request.contract,
            side=request.side,
            quantity=child.quantity,
            order_type="limit",
            price=child.price,
            tif=request.tif,
            intent=request.intent,
            party=self._party,
            sale_marking=child.marking,
            locate_id=self._settings.sale.locate_id if is_short and not is_exempt else "",
            market_maker_exempt=is_exempt,
        )
        return routed, order

    @staticmethod
    def _refused(request: RequestOrder, reason: str) -> OrderRefused:
        detail = f"{request.side} {request.quantity} of contract {request.contract}"
        return OrderRefused(**_stamps(request), clordid="", request_id=request.request_id, reason=reason, detail=detail)

    # --- snapshots ----------------------------------------------------------------------------------------------------
    def snapshot(self) -> bytes:
        """Return the whole state."""
        return pack(
            _KIND,
            _VERSION,
            {
                "market": self._market.state(),
                "is_up": list(self._is_up.items()),
                "is_trusted": list(self._is_trusted.items()),
                "is_restricted": self._is_restricted,
                "stock": self._stock,
                "selling": self._selling,
                "counter": self._counter,
            },
        )

    def restore(self, state: bytes) -> None:
        """Take over what `snapshot` gave.

        Raises:
            DataError: Damaged, or of another stage or version.
        """
        found = unpack(_KIND, _VERSION, state)
        self._market.take_over(found["market"])
        self._is_up, self._is_trusted = dict(found["is_up"]), dict(found["is_trusted"])
        self._is_restricted, self._stock = found["is_restricted"], found["stock"]
        self._selling, self._counter = found["selling"], found["counter"]


def _stamps(event: Event) -> Stamps:
    return {"ts_event": event.ts_event, "ts_init": event.ts_init, "underlying": event.underlying}
