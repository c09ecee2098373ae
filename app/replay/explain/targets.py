"""Rows of a decision enter; why a target was what it was leaves, in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.core.allocation import SMALLEST_QUANTITY
from app.core.decimals import ROUNDED, ZERO, floor_to, multiply, plain
from app.replay.explain.case import ACTIVE, NOT_READY, Case
from app.replay.explain.row import Row
from app.replay.explain.words import base, count, quote
from app.times import format_time


def target_words(case: Case, target: Row) -> tuple[str, Mapping[str, Any]]:
    """Return why a target is what it is, and the numbers of it."""
    pair = (target["strategy"], target["instrument"])
    signal = case.now("signals", strategy=pair[0], instrument=pair[1])
    quantity = target["quantity"]
    asset = base(case, pair[1])
    start = f"{pair[0]} should hold {plain(quantity)} {asset} and holds {plain(target['held'])}"
    if signal is None:
        return f"{start}: the strategy has no view of it in this configuration", {}
    if signal["view"] == NOT_READY and quantity == target["held"]:
        return f"{start}: the view is not ready, so what is held stays", {}
    if signal["view"] not in ACTIVE:
        return f"{start}: the view is {signal['view']}", {}
    size = _size(case, target)
    if size is None:
        kept = "kept from before: fixed by an earlier view, or forgotten by a flatten"
        return f"{start}: {kept}", {}
    words, facts = size
    return f"{start}: {words}", facts


def _size(case: Case, target: Row) -> tuple[str, Mapping[str, Any]] | None:
    """Return the target as equity x invested x weight / instruments / price, where it was that."""
    strategy, instrument = target["strategy"], target["instrument"]
    time = case.fixed_at(strategy, instrument)
    portfolio = case.one("portfolio", time=time)
    signal = case.one("signals", time=time, strategy=strategy, instrument=instrument)
    fixed = case.one("allocations", time=time, strategy=strategy, instrument=instrument)
    if portfolio is None or signal is None or fixed is None or not signal["price"]:
        return None
    account = case.configuration(portfolio["epoch"])
    rules = case.one("instruments", instrument=instrument, epoch=portfolio["epoch"])
    if account is None or rules is None or fixed["weight"] is None:
        return None
    facts = {
        "equity": portfolio["equity"],
        "invested": Decimal(account["allocation"]["invested"]),
        "weight": fixed["weight"],
        "instruments": len(account["instruments"]),
        "price": signal["price"],
        "lot_size": rules["lot_size"],
        "fixed_at": format_time(signal.time),
    }
    if sized(facts) != abs(target["quantity"]):
        return None
    return _size_words(case, facts, str(signal["view"])), facts


def sized(facts: Mapping[str, Any]) -> Decimal:
    """Return the quantity that these numbers make, as the allocation computes it."""
    capital = multiply(max(facts["equity"], ZERO), facts["weight"])
    notional = multiply(capital, facts["invested"])
    price = multiply(facts["price"], Decimal(facts["instruments"]))
    return floor_to(floor_to(ROUNDED.divide(notional, price), SMALLEST_QUANTITY), facts["lot_size"])


def _size_words(case: Case, facts: Mapping[str, Any], view: str) -> str:
    return (
        f"equity {plain(facts['equity'])}{quote(case)} * invested {plain(facts['invested'])} * "
        f"weight {plain(facts['weight'])} / {count(facts['instruments'], 'instrument')} / price "
        f"{plain(facts['price'])}, rounded down to the lot {plain(facts['lot_size'])}; fixed at "
        f"{facts['fixed_at']}, when the view became {view}"
    )
