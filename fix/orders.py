"""Orders (35=D), their cancel (F), replacement (G), status request (H) and mass cancel (q), both ways."""

from __future__ import annotations

from typing import Final

from domain.commands import (
    STOCK,
    CancelAllOrders,
    CancelOrder,
    Intent,
    OrderType,
    ReplaceOrder,
    RequestOrderStatus,
    SaleMarking,
    SubmitOrder,
    TimeInForce,
)
from fix.binding import SIDE_CODES, SIDES, Binding
from fix.messages import MsgType
from fix.tags import Tag
from fix.values import bad, identifier, limit_text, natural_text, unwritable
from fix.wire import Body, Record, code

_TYPE_CODES: Final[dict[OrderType, str]] = {"market": "1", "limit": "2"}
_TYPES: Final[dict[str, OrderType]] = {text: name for name, text in _TYPE_CODES.items()}
_TIF_CODES: Final[dict[TimeInForce, str]] = {"day": "0", "ioc": "3"}
_TIFS: Final[dict[str, TimeInForce]] = {text: name for name, text in _TIF_CODES.items()}
_INTENT_CODES: Final = {Intent.HEDGE: "H", Intent.FLATTEN: "F"}
_INTENTS: Final = {text: intent for intent, text in _INTENT_CODES.items()}
_SALE_CODES: Final[dict[SaleMarking, str]] = {"": "2", "long": "2", "short": "5", "short_exempt": "6"}
_SALES: Final[dict[str, SaleMarking]] = {"1": "", "2": "", "5": "short", "6": "short_exempt"}
_PLAIN_CODES: Final[dict[SaleMarking, str]] = {"": "N", "long": "L"}
_PLAIN: Final = {text: marking for marking, text in _PLAIN_CODES.items()}
_OF_UNDERLYING, _ALL = "2", "7"


class Orders:
    """Orders of one chain at one venue."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    # --- to the wire --------------------------------------------------------------------------------------------------
    def write_submit(self, order: SubmitOrder) -> Body:
        """Return a NewOrderSingle.

        Raises:
            InputError: The contract is not in the chain, the venue another, a purchase is marked as a sale, or a value
                cannot be written.
        """
        binding = self._binding
        if order.sale_marking and order.side != "sell":
            raise unwritable("only a sale is marked", Tag.SIDE, order.sale_marking)
        writer = binding.stamped(order)
        binding.address(writer, order.venue)
        writer.put(Tag.CL_ORD_ID, identifier(order.clordid, Tag.CL_ORD_ID))
        if order.request_id:
            writer.put(Tag.SECONDARY_CL_ORD_ID, identifier(order.request_id, Tag.SECONDARY_CL_ORD_ID))
        binding.instruments.put(writer, order.contract)
        writer.put(Tag.SIDE, SIDE_CODES[order.side] if order.side == "buy" else _SALE_CODES[order.sale_marking])
        if order.side == "sell" and order.sale_marking in _PLAIN_CODES and order.sale_marking != _usual(order.contract):
            writer.put(Tag.SALE_MARKING, _PLAIN_CODES[order.sale_marking])
        writer.put(Tag.ORDER_QTY, natural_text(order.quantity, Tag.ORDER_QTY))
        writer.put(Tag.ORD_TYPE, _TYPE_CODES[order.order_type])
        if order.order_type == "limit" or order.price:
            writer.put(Tag.PRICE, limit_text(order.price, Tag.PRICE))
        writer.put(Tag.TIME_IN_FORCE, _TIF_CODES[order.tif])
        writer.put(Tag.ORDER_INTENT, _INTENT_CODES[order.intent])
        if order.locate_id:
            writer.put(Tag.LOCATE_ID, identifier(order.locate_id, Tag.LOCATE_ID))
        writer.put(Tag.MARKET_MAKER_EXEMPT, "Y" if order.market_maker_exempt else "")
        writer.put(Tag.LOCATE_REQD, "N" if order.locate_id or order.market_maker_exempt else "")
        binding.put_party(writer, order.party)
        return writer.body(MsgType.NEW_ORDER_SINGLE)

    def write_cancel(self, cancel: CancelOrder) -> Body:
        """Return an OrderCancelRequest; raises as `write_submit` does."""
        writer = self._binding.stamped(cancel)
        self._binding.address(writer, cancel.venue)
        writer.put(Tag.CL_ORD_ID, identifier(cancel.clordid, Tag.CL_ORD_ID))
        writer.put(Tag.ORIG_CL_ORD_ID, identifier(cancel.orig_clordid, Tag.ORIG_CL_ORD_ID))
        writer.put_text(cancel.reason)
        return writer.body(MsgType.ORDER_CANCEL_REQUEST)

    def write_replace(self, replace: ReplaceOrder) -> Body:
        """Return an OrderCancelReplaceRequest; raises as `write_submit` does."""
        binding = self._binding
        writer = binding.stamped(replace)
        binding.address(writer, replace.venue)
        writer.put(Tag.CL_ORD_ID, identifier(replace.clordid, Tag.CL_ORD_ID))
        writer.put(Tag.ORIG_CL_ORD_ID, identifier(replace.orig_clordid, Tag.ORIG_CL_ORD_ID))
        binding.instruments.put(writer, replace.contract)
        writer.put(Tag.SIDE, SIDE_CODES[replace.side])
        writer.put(Tag.ORDER_QTY, natural_text(replace.quantity, Tag.ORDER_QTY))
        writer.put(Tag.ORD_TYPE, _TYPE_CODES["limit"])
        writer.put(Tag.PRICE, limit_text(replace.price, Tag.PRICE))
        binding.put_party(writer, replace.party)
        return writer.body(MsgType.ORDER_CANCEL_REPLACE_REQUEST)

    def write_status_request(self, request: RequestOrderStatus) -> Body:
        """Return an OrderStatusRequest; raises as `write_submit` does."""
        binding = self._binding
        writer = binding.stamped(request)
        binding.address(writer, request.venue)
        writer.put(Tag.CL_ORD_ID, identifier(request.clordid, Tag.CL_ORD_ID))
        writer.put(Tag.ORD_STATUS_REQ_ID, identifier(request.status_id, Tag.ORD_STATUS_REQ_ID))
        binding.instruments.put(writer, request.contract)
        writer.put(Tag.SIDE, SIDE_CODES[request.side])
        return writer.body(MsgType.ORDER_STATUS_REQUEST)

    def write_cancel_all(self, cancel: CancelAllOrders) -> Body:
        """Return an OrderMassCancelRequest; raises as `write_submit` does."""
        writer = self._binding.stamped(cancel)
        self._binding.address(writer, cancel.venue, or_all=True)
        writer.put(Tag.CL_ORD_ID, identifier(cancel.cancel_id, Tag.CL_ORD_ID))
        writer.put(Tag.MASS_CANCEL_REQUEST_TYPE, _OF_UNDERLYING)
        writer.put(Tag.UNDERLYING_SYMBOL, self._binding.underlying)
        writer.put_text(cancel.reason)
        return writer.body(MsgType.ORDER_MASS_CANCEL_REQUEST)

    # --- from the wire ------------------------------------------------------------------------------------------------
    def read_submit(self, record: Record) -> SubmitOrder:
        """Return the command of a NewOrderSingle.

        Raises:
            DataError: A field is wrong or missing, or the instrument unknown.
        """
        binding = self._binding
        order_type = code(record, Tag.ORD_TYPE, _TYPES)
        contract = binding.instruments.contract_of(record)
        return SubmitOrder(
            **binding.stamps(record),
            clordid=record.must(Tag.CL_ORD_ID),
            request_id=record.text(Tag.SECONDARY_CL_ORD_ID),
            venue=binding.venue,
            contract=contract,
            side=code(record, Tag.SIDE, SIDES),
            quantity=record.quantity(Tag.ORDER_QTY),
            order_type=order_type,
            price=record.price(Tag.PRICE, None if order_type == "limit" else 0),
            tif=code(record, Tag.TIME_IN_FORCE, _TIFS) if Tag.TIME_IN_FORCE in record.values else "day",
            intent=code(record, Tag.ORDER_INTENT, _INTENTS) if Tag.ORDER_INTENT in record.values else Intent.HEDGE,
            party=binding.party(record),
            sale_marking=_marking(record, contract),
            locate_id=record.text(Tag.LOCATE_ID),
            market_maker_exempt=record.is_set(Tag.MARKET_MAKER_EXEMPT),
        )

    def read_cancel(self, record: Record) -> CancelOrder:
        """Return the command of an OrderCancelRequest; raises as `read_submit` does."""
        return CancelOrder(
            **self._binding.stamps(record),
            clordid=record.must(Tag.CL_ORD_ID),
            orig_clordid=record.must(Tag.ORIG_CL_ORD_ID),
            venue=self._binding.venue,
            reason=record.free_text(),
        )

    def read_replace(self, record: Record) -> ReplaceOrder:
        """Return the command of an OrderCancelReplaceRequest; raises as `read_submit` does."""
        binding = self._binding
        if code(record, Tag.ORD_TYPE, _TYPES) != "limit":
            raise bad("only a limit order is replaced", Tag.ORD_TYPE, record.text(Tag.ORD_TYPE))
        return ReplaceOrder(
            **binding.stamps(record),
            clordid=record.must(Tag.CL_ORD_ID),
            orig_clordid=record.must(Tag.ORIG_CL_ORD_ID),
            venue=binding.venue,
            contract=binding.instruments.contract_of(record),
            side=code(record, Tag.SIDE, SIDES),
            quantity=record.quantity(Tag.ORDER_QTY),
            price=record.price(Tag.PRICE),
            party=binding.party(record),
        )

    def read_status_request(self, record: Record) -> RequestOrderStatus:
        """Return the command of an OrderStatusRequest; raises as `read_submit` does."""
        return RequestOrderStatus(
            **self._binding.stamps(record),
            status_id=record.must(Tag.ORD_STATUS_REQ_ID),
            clordid=record.must(Tag.CL_ORD_ID),
            venue=self._binding.venue,
            contract=self._binding.instruments.contract_of(record),
            side=code(record, Tag.SIDE, SIDES),
        )

    def read_cancel_all(self, record: Record) -> CancelAllOrders:
        """Return the command of an OrderMassCancelRequest; raises as `read_submit` does."""
        kind = record.must(Tag.MASS_CANCEL_REQUEST_TYPE)
        named = record.text(Tag.UNDERLYING_SYMBOL)
        if kind not in (_OF_UNDERLYING, _ALL):
            raise bad("code is unknown", Tag.MASS_CANCEL_REQUEST_TYPE, kind)
        if kind == _OF_UNDERLYING and named != self._binding.underlying:
            raise bad("mass cancel is of another underlying", Tag.UNDERLYING_SYMBOL, named)
        return CancelAllOrders(
            **self._binding.stamps(record),
            cancel_id=record.must(Tag.CL_ORD_ID),
            venue=self._binding.addressed(record),
            reason=record.free_text(),
        )


def _usual(contract: int) -> SaleMarking:
    """Return what 54=2 alone says: a long sale of stock; sales of options are not marked."""
    return "long" if contract == STOCK else ""


def _marking(record: Record, contract: int) -> SaleMarking:
    """Return how a sale is marked: by its side, and where that says the unusual by 9509."""
    marking = code(record, Tag.SIDE, _SALES)
    is_plain = record.text(Tag.SIDE) == _SALE_CODES[""]
    if Tag.SALE_MARKING not in record.values:
        return _usual(contract) if is_plain else marking
    if not is_plain:
        raise bad("marking does not fit the side", Tag.SALE_MARKING, record.text(Tag.SALE_MARKING))
    return code(record, Tag.SALE_MARKING, _PLAIN)
