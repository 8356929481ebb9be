"""Checks of one order or replacement. The first that fails names the refusal."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from domain.commands import STOCK, ReplaceOrder, Side, SubmitOrder
from domain.price import BREAK, PRICE_SCALE
from risk.checks import Breach
from risk.orders import OpenOrder
from risk.resting import FAR
from risk.view import View
from risk.worst_case import CHECKS, added_load, over_held, stock_load

STOCK_TICKS = (1, 100)
"""Price units below one dollar and from it. Source: Regulation NMS, Rule 612, until its amended tick sizes apply."""


def order_breaches(order: SubmitOrder, view: View) -> Iterator[Breach]:
    """Yield what speaks against an order, first the cheap and the certain.

    An order that brings the held book closer to flat is not held up by limits on Greeks or notional, only by those on
    size, price and position: the hedge must be able to leave when risk is largest.
    """
    if not STOCK <= order.contract < len(view.position):
        yield Breach("unknown_contract", float(order.contract), float(len(view.position) - 1), 1)
        return
    if order.venue < 0 or not view.market.is_reachable(order.venue):
        yield Breach("venue_down", float(order.venue), 0.0, 1)
    if not view.market.is_trusted(order.venue):
        yield Breach("venue_disputed", float(order.venue), 0.0, 1)
    if view.market.is_restricted(order.contract):
        yield Breach("restricted", 1.0, 0.0, 1)
    yield from _size(order.contract, order.quantity, view)
    if order.order_type == "market":
        if not view.limits.allow_market_orders:
            yield Breach("market_order", 1.0, 0.0, 1)
    else:
        yield from _price(order.contract, order.side, order.price, view)
    price = _price_at_risk(order)
    yield from _self_trade(order.contract, order.side, price, view)
    yield from _sale(order, view)
    yield from _aggregate(order.contract, order.side, order.quantity, order.quantity, price, view)


def replace_breaches(replace: ReplaceOrder, original: OpenOrder, view: View) -> Iterator[Breach]:
    """Yield what speaks against a replacement, judged as what it could add to its original."""
    if (replace.contract, replace.side) != (original.contract, original.side):
        yield Breach("replace_terms", float(replace.contract), float(original.contract), 1)
        return
    if replace.venue < 0 or not view.market.is_reachable(replace.venue):
        yield Breach("venue_down", float(replace.venue), 0.0, 1)
    if not view.market.is_trusted(replace.venue):
        yield Breach("venue_disputed", float(replace.venue), 0.0, 1)
    if view.market.is_restricted(replace.contract):
        yield Breach("restricted", 1.0, 0.0, 1)
    yield from _size(replace.contract, replace.quantity, view)
    yield from _price(replace.contract, replace.side, replace.price, view)
    yield from _self_trade(replace.contract, replace.side, replace.price, view)
    leaves = replace.quantity - original.cum
    if replace.contract == STOCK and replace.side == "sell":
        free = view.stock - view.orders.leaves(STOCK, "sell") + original.leaves
        if not original.is_short and leaves > free:
            yield Breach("sale_marking", float(leaves), float(max(free, 0)), 1)
        if original.is_short and view.limits.short_sale_restricted and replace.price <= view.market.bid:
            yield _restricted_short(replace.price, view)
    added = max(leaves - original.leaves, 0)
    if added:
        yield from _aggregate(replace.contract, replace.side, added, leaves, replace.price, view)


def _size(contract: int, quantity: int, view: View) -> Iterator[Breach]:
    limit = view.limits.max_stock_order if contract == STOCK else view.limits.max_order_size
    if not 1 <= quantity <= limit:
        yield Breach("size", float(quantity), float(limit), 1)


def _price(contract: int, side: Side, price: int, view: View) -> Iterator[Breach]:
    market = view.market
    if contract == STOCK:
        high, low = market.stock_bounds(view.limits)
        tick = STOCK_TICKS[price >= PRICE_SCALE]
    else:
        if not market.has_theo[contract]:
            yield Breach("no_theo", 1.0, 0.0, 1)
        high, low = market.order_bounds(contract)
        tick = int((market.tick_below if price < BREAK else market.tick_above)[contract])
    if price <= 0 or price % tick:
        yield Breach("tick", price / PRICE_SCALE, tick / PRICE_SCALE, 1)
    if (price > high) if side == "buy" else (price < low):
        limit = high if side == "buy" else low
        yield Breach("collar", price / PRICE_SCALE, limit / PRICE_SCALE, 1)


def _price_at_risk(order: SubmitOrder) -> int:
    """Return the limit, or for a market order the price that meets everything on the other side."""
    if order.order_type == "limit":
        return order.price
    return int(FAR) - 1 if order.side == "buy" else 1


def _self_trade(contract: int, side: Side, price: int, view: View) -> Iterator[Breach]:
    """An order may not reach what we bid or offer anywhere ourselves, in quotes or in orders."""
    bid, ask = (0, int(FAR)) if contract == STOCK else view.quotes.best(contract)
    buying, selling = view.orders.best(contract)
    bid, ask = max(bid, buying), ask if selling is None else min(ask, selling)
    if side == "buy" and price >= ask:
        yield Breach("self_trade", price / PRICE_SCALE, ask / PRICE_SCALE, 1)
    if side == "sell" and price <= bid:
        yield Breach("self_trade", price / PRICE_SCALE, bid / PRICE_SCALE, 1)


def _sale(order: SubmitOrder, view: View) -> Iterator[Breach]:
    """Marking, locate and price of a stock sale.

    A sale is long only if the shares held, less those in open sell orders, cover it. A child may carry the short
    marking of its parent where they do not cover the whole parent.

    Source: Regulation SHO, Rules 200(g) (marking), 203(b) (locate and its market-maker exception), 201 (price test).
    """
    if order.contract != STOCK or order.side != "sell":
        return
    selling = view.orders.leaves(STOCK, "sell")
    siblings = sum(o.leaves for o in view.orders if o.request_id == order.request_id and o.side == "sell")
    covers = view.stock - selling >= order.quantity
    parent = max(view.requested.get(order.request_id, 0), order.quantity + siblings)
    covers_parent = view.stock - selling + siblings >= parent
    is_short = order.sale_marking in {"short", "short_exempt"}
    is_right = (covers and order.sale_marking == "long") or (is_short and not (covers and covers_parent))
    if not is_right:
        yield Breach("sale_marking", float(order.quantity), float(max(view.stock - selling, 0)), 1)
    if is_short and not (order.locate_id or order.market_maker_exempt):
        yield Breach("locate", float(order.quantity), 0.0, 1)
    under_test = order.sale_marking == "short" and view.limits.short_sale_restricted
    if under_test and (order.order_type == "market" or order.price <= view.market.bid):
        yield _restricted_short(order.price, view)


def _restricted_short(price: int, view: View) -> Breach:
    return Breach("short_sale_restricted", price / PRICE_SCALE, view.market.bid / PRICE_SCALE, 1)


def _aggregate(contract: int, side: Side, added: int, leaves: int, price: int, view: View) -> Iterator[Breach]:
    """Limits on what is held and may trade.

    Args:
        contract: Option, or STOCK.
        side: Of the order.
        added: Contracts or shares that it adds to what may trade.
        leaves: Contracts or shares of the order that may trade; more than `added` for a replacement.
        price: Limit, units.
        view: The gate's picture.
    """
    is_buy, limits = side == "buy", view.limits
    scale = 1.0 if contract == STOCK else float(view.multiplier[contract])
    worth = (min(price, view.market.ask) if contract == STOCK else price) / PRICE_SCALE * leaves * scale
    if price < FAR - 1 and worth > limits.max_order_notional:
        yield Breach("order_notional", worth, limits.max_order_notional, 1)
    reach = view.reach()
    if contract == STOCK:
        held, limit, pending = view.stock, limits.max_stock, view.orders.leaves(STOCK, side)
    else:
        held, limit = int(view.position[contract]), limits.max_position
        pending = int(reach[not is_buy][contract])
    after = held + (pending + added) * (1 if is_buy else -1)
    closes = abs(after) <= abs(held) and after * held >= 0
    if abs(after) > limit and not closes:
        yield Breach("stock_position" if contract == STOCK else "position", float(abs(after)), float(limit), 1)
    if contract == STOCK:
        if closer_to_flat(view, added, is_buy=is_buy):
            return
        extra = stock_load(added * is_buy, added * (not is_buy), view.market.spot)
    else:
        size = np.array([added]), np.array([0])
        extra = added_load(view.market.unit, np.array([contract]), *(size if is_buy else size[::-1]))[:, 0]
    load = view.load(reach) + extra
    for check in np.flatnonzero((load > view.load_limits) & (extra > 0)):
        yield Breach(CHECKS[check], float(load[check]), float(view.load_limits[check]), 1)
    for check in np.flatnonzero(over_held(view.held, limits) & (extra[:6] > 0)):
        value = abs(float(view.held[check % 3]))
        name = CHECKS[check].split("_")[0]
        yield Breach(f"held_{name}", value, float(getattr(limits, f"held_{name}")), 1)


def closer_to_flat(view: View, quantity: int, *, is_buy: bool) -> bool:
    """Whether stock bought or sold, on top of open orders of that side, brings the held delta to 0 at most."""
    delta = -float(view.held[0]) if is_buy else float(view.held[0])
    return quantity + view.orders.leaves(STOCK, "buy" if is_buy else "sell") <= math.ceil(delta)
