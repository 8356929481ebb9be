"""Every table of a run: its name, its columns and what a row is. Money and prices are dollars, times UTC ns."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from store.fills import HORIZONS
from store.rows import FLAG, FLOAT, INDEX, INT, TEXT, TS, Rows

STOCK_NOTE: Final = "`symbol` is the OSI symbol, or that of the underlying where `contract` is -1."

DEFINITIONS: Final = {
    "edge_to_theo": "Price of a fill against the theo that stood just before it, on which the quote was made; "
    "of stock, against the middle of its quote.",
    "pnl.spread": "Price of an option fill against its mark when the fill is booked. Minute bars report fills when "
    "the minute's move is in the mark already, so it is the edge to theo less that move.",
}
"""Two figures of what a fill earned that are easily taken for each other."""


class Ledger:
    """The tables as attributes; `tables()` gives them by name."""

    def __init__(self) -> None:
        self.contracts = Rows(
            "The chain: dense index to contract.",
            {
                "contract": INDEX,
                "symbol": TEXT,
                "root": TEXT,
                "expiry": pa.date32(),
                "strike": FLOAT,
                "right": TEXT,
                "style": TEXT,
                "settlement": TEXT,
                "multiplier": INT,
            },
        )
        self.fills = Rows(
            f"One execution of ours. `edge_to_theo`: {DEFINITIONS['edge_to_theo']} It and the markouts are dollars per "
            "share, positive is good for us; `hedged` takes out delta times the move of the underlying. theo, mid, "
            f"delta and spot stood just before the fill. Null: no two-sided NBBO, or after the close. {STOCK_NOTE}",
            {
                "ts": TS,
                "fill_id": TEXT,
                "venue": TEXT,
                "clordid": TEXT,
                "is_quote": FLAG,
                "intent": TEXT,
                "contract": INDEX,
                "symbol": TEXT,
                "side": TEXT,
                "quantity": INT,
                "price": FLOAT,
                "fee": FLOAT,
                "adds_liquidity": FLAG,
                "status": TEXT,
                "multiplier": FLOAT,
                "theo": FLOAT,
                "mid": FLOAT,
                "delta": FLOAT,
                "spot": FLOAT,
                "edge_to_theo": FLOAT,
                **{f"markout_{horizon}m": FLOAT for horizon in HORIZONS},
                **{f"hedged_{horizon}m": FLOAT for horizon in HORIZONS},
            },
        )
        self.orders = Rows(
            f"One order that the gate cleared, with its last state. {STOCK_NOTE}",
            {
                "ts": TS,
                "clordid": TEXT,
                "request_id": TEXT,
                "orig_clordid": TEXT,
                "venue": TEXT,
                "contract": INDEX,
                "symbol": TEXT,
                "side": TEXT,
                "quantity": INT,
                "order_type": TEXT,
                "price": FLOAT,
                "tif": TEXT,
                "intent": TEXT,
                "account": TEXT,
                "capacity": TEXT,
                "sale_marking": TEXT,
                "market_maker_exempt": FLAG,
                "rule": TEXT,
                "state": TEXT,
                "state_ts": TS,
                "cum_qty": INT,
                "leaves_qty": INT,
            },
        )
        self.order_states = Rows(
            "One change of an order's state.",
            {
                "ts": TS,
                "clordid": TEXT,
                "venue": TEXT,
                "before": TEXT,
                "after": TEXT,
                "cum_qty": INT,
                "leaves_qty": INT,
            },
        )
        self.quote_minutes = Rows(
            "Quoting, minute by minute. Seconds are summed over eligible contracts (two-sided NBBO, |delta| 0.05 to "
            "0.95); widths are medians over them.",
            {
                "minute": TS,
                "contracts_eligible": INT,
                "contracts_quoted": INT,
                "eligible_seconds": FLOAT,
                "quoted_seconds": FLOAT,
                "median_width": FLOAT,
                "median_width_nbbo": FLOAT,
                "at_or_inside_bid": FLOAT,
                "at_or_inside_ask": FLOAT,
                "at_or_inside_both": FLOAT,
                "entries_sent": INT,
                "entries_refused": INT,
            },
        )
        self.quote_contracts = Rows(
            "Quoting over the day, contract by contract; eligible contracts only.",
            {
                "contract": INDEX,
                "symbol": TEXT,
                "mean_delta": FLOAT,
                "eligible_seconds": FLOAT,
                "quoted_seconds": FLOAT,
                "share": FLOAT,
                "mean_width": FLOAT,
                "mean_width_nbbo": FLOAT,
                "at_or_inside_both": FLOAT,
            },
        )
        self.crossings = Rows(
            "A bid of ours came to stand at or above an ask of ours, for so long.",
            {
                "ts": TS,
                "symbol": TEXT,
                "bid": FLOAT,
                "bid_venue": TEXT,
                "ask": FLOAT,
                "ask_venue": TEXT,
                "microseconds": FLOAT,
            },
        )
        self.underlying = Rows("The underlying, last quote of each minute.", {"minute": TS, "bid": FLOAT, "ask": FLOAT})
        greeks: dict[str, pa.DataType] = {
            "spot": FLOAT,
            "stock": INT,
            "delta": FLOAT,
            "gamma": FLOAT,
            "vega": FLOAT,
            "theta": FLOAT,
            "gamma_expiring": FLOAT,
            "theta_expiring": FLOAT,
        }
        self.exposures = Rows(
            "Net Greeks of the position at each change: delta in shares, gamma in shares per dollar, vega in dollars "
            "per 1.00 of volatility, theta in dollars per year. `expiring` is the part of contracts that expire today.",
            {"ts": TS, **greeks, "option_delta": FLOAT, "cause": TEXT},
        )
        self.greeks_net = Rows("Net Greeks of the position, last of each minute.", {"minute": TS, **greeks})
        self.pnl = Rows(
            f"P&L since the import. The parts add up to `total`. `spread`: {DEFINITIONS['pnl.spread']}",
            {
                "ts": TS,
                "total": FLOAT,
                **dict.fromkeys(PARTS, FLOAT),
                "cash": FLOAT,
                "stock": INT,
                "open_contracts": INT,
            },
        )
        self.hedges = Rows(
            "The hedger left its band. Shares. With a reason and no quantity: what it could not hedge by the close.",
            {"ts": TS, "net_delta": FLOAT, "band": FLOAT, "target": FLOAT, "quantity": INT, "reason": TEXT},
        )
        self.forwards = Rows(
            "Forwards and discounts from put-call parity.",
            {
                "ts": TS,
                "spot": FLOAT,
                "root": TEXT,
                "expiry": pa.date32(),
                "years": FLOAT,
                "forward": FLOAT,
                "forward_error": FLOAT,
                "discount": FLOAT,
                "rate": FLOAT,
                "carry_yield": FLOAT,
                "pairs": INT,
            },
        )
        self.surfaces = Rows(
            "Raw SVI slices: w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2)).",
            {
                "ts": TS,
                "spot": FLOAT,
                "root": TEXT,
                "expiry": pa.date32(),
                **dict.fromkeys(("years", "forward", "a", "b", "rho", "m", "sigma", "rmse", "error", "min_g"), FLOAT),
                "quotes": INT,
                "status": INT,
            },
        )
        self.refusals = Rows(
            "What our gate and router (`ours`) or a venue refused, by message and reason. `symbol` is one example.",
            {
                "ts": TS,
                "origin": TEXT,
                "venue": TEXT,
                "kind": TEXT,
                "subject": TEXT,
                "reason": TEXT,
                "count": INT,
                "symbol": TEXT,
            },
        )
        self.breaches = Rows(
            "A check of the gate failed.",
            {"ts": TS, "check": TEXT, "subject": TEXT, "value": FLOAT, "limit": FLOAT, "count": INT},
        )
        self.obligations = Rows(
            "Quoting time and width against each rule, so far and forecast for the day.",
            {
                "ts": TS,
                "rule": TEXT,
                **dict.fromkeys(
                    (
                        "quoted_seconds",
                        "required_share",
                        "elapsed_seconds",
                        "share",
                        "forecast_share",
                        "shortfall_seconds",
                        "wide_share",
                    ),
                    FLOAT,
                ),
            },
        )
        self.latencies = Rows(
            "Wall-clock microseconds: every tick that led to quotes (`sample` counts them), and percentiles.",
            {"measure": TEXT, "sample": INT, "microseconds": FLOAT},
        )
        self.positions = Rows(
            "Every position of the day: imported + bought - sold + settled = quantity, recounted from the fills. "
            f"`mark` is the last middle of the NBBO, or our value. {STOCK_NOTE}",
            {
                "contract": INDEX,
                "symbol": TEXT,
                "imported": INT,
                "bought": INT,
                "sold": INT,
                "settled": INT,
                "quantity": INT,
                "recount": INT,
                "mark": FLOAT,
            },
        )
        self.settlements = Rows(
            "An expiring position left the book; `shares` and `cash` are what came in.",
            {
                "ts": TS,
                "contract": INDEX,
                "symbol": TEXT,
                "quantity": INT,
                "outcome": TEXT,
                "settlement_price": FLOAT,
                "shares": INT,
                "cash": FLOAT,
            },
        )
        self.incidents = Rows(
            "What an operator wants to know of: switches, protections, halts, refused inputs, degraded feeds, unknown "
            "outcomes, venues that went down, and what people commanded.",
            {"ts": TS, "event": TEXT, "source": TEXT, "detail": TEXT},
        )

    def tables(self) -> dict[str, Rows]:
        """All tables by name."""
        return {name: rows for name, rows in vars(self).items() if isinstance(rows, Rows)}


PARTS: Final = ("spread", "delta", "gamma", "vega", "theta", "rest", "hedging", "fees")
"""Parts of the P&L, as in `domain.events.PnlMarked`."""
