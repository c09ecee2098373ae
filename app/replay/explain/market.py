"""Rows of the market enter; candles as nodes leave, down to the trades they were made of."""

from __future__ import annotations

from decimal import Decimal

from app.core.decimals import plain, total
from app.replay.explain.case import Case
from app.replay.explain.row import Row
from app.replay.explain.tree import Node, node
from app.replay.explain.words import count, run_words, runs, span
from app.times import format_time

_CLOSERS = {"trades": ("trades", "trade_id"), "clock": ("clocks", "time")}
"""The table and column by which the origin of a candle is found, by the beginning of its name."""


def candle_node(case: Case, candle: Row) -> Node:
    """Return a candle with its trades, the gaps that touch it, and what closed it."""
    tape = case.tapes.get(candle["identity"], ())
    trades, exact = trades_of(candle, tape)
    causes = [_trades_node(candle, trades, exact=exact)] if trades else _gone(candle)
    causes += [gap_node(row) for row in tape if row.table == "gaps"]
    closing = closing_of(candle, tape)
    if closing is not None and closing.table != "gaps":
        causes.append(_closing_node(candle, closing))
    prices = {name: candle[name] for name in ("open", "high", "low", "close")}
    facts = {
        **prices,
        **{name: candle[name] for name in ("volume", "trades", "first_id", "last_id")},
        **{name: candle[name] for name in ("complete", "age_ms", "revision", "origin")},
    }
    return node("candle", candle, _candle_words(candle), facts, causes=tuple(causes))


def closing_of(candle: Row, tape: tuple[Row, ...]) -> Row | None:
    """Return the record that closed a candle; none where it is not known any more."""
    kind, _, rest = candle["origin"].partition("/")
    table, column = _CLOSERS.get(kind, ("gaps", "identity"))
    number = candle["origin"] if table == "gaps" else rest.rpartition("/")[2]
    for row in tape:
        if row.table == table and number == str(row[column]):
            return row
    return None


def trades_of(candle: Row, tape: tuple[Row, ...]) -> tuple[list[Row], bool]:
    """Return the trades that a candle holds, and whether that is certain.

    Late ones are left out: what came after the candle had closed, and what a gap had been declared
    over before it came. It is certain where their number and volume are the candle's.
    """
    if not candle["trades"]:
        return [], True
    start, stop = candle["time"] - candle["interval_ms"], candle["time"]
    inside = [
        row
        for row in tape
        if row.table == "trades"
        and start <= row.time < stop
        and candle["first_id"] <= row["trade_id"] <= candle["last_id"]
    ]
    inside.sort(key=lambda row: int(row["trade_id"]))
    closing = closing_of(candle, tape)
    until = closing["topic_offset"] if closing is not None else None
    known = [row for row in inside if not _in_gap(row, tape)]
    timely = [row for row in known if until is None or row["topic_offset"] <= until]
    for found in (timely, known, inside):
        volume = total([row["quantity"] for row in found])
        if len(found) == candle["trades"] and volume == candle["volume"]:
            return found, True
    return timely, False


def gap_node(gap: Row) -> Node:
    """Return a gap."""
    last = "an unknown one" if gap["last_id"] is None else gap["last_id"]
    says = (
        f"trades {gap['first_id']} to {last} between {format_time(gap['from_time'])} and "
        f"{format_time(gap['to_time'])} could not be had in time: {gap['reason']}"
    )
    facts = {name: gap[name] for name in ("first_id", "last_id", "reason")}
    return node("gap", gap, says, facts)


def trade_node(trade: Row, causes: tuple[Node, ...] = ()) -> Node:
    """Return one trade."""
    taker = "sold" if trade["buyer_maker"] else "bought"
    says = (
        f"{plain(trade['quantity'])} at {plain(trade['price'])}, the taker {taker}, id "
        f"{trade['trade_id']}, {format_time(trade.time)}"
    )
    facts = {name: trade[name] for name in ("trade_id", "price", "quantity", "first_id", "last_id")}
    return node("trade", trade, says, facts, causes=causes)


def clock_node(clock: Row) -> Node:
    """Return a clock."""
    says = (
        f"every trade before {format_time(clock.time)} was published, the last is "
        f"{clock['last_id']}"
    )
    return node("clock", clock, says, {"last_id": clock["last_id"]})


def _in_gap(trade: Row, tape: tuple[Row, ...]) -> bool:
    """Return whether a gap over a trade's id had been declared when it came."""
    return any(
        gap["first_id"] <= trade["trade_id"]
        and (gap["last_id"] is None or trade["trade_id"] <= gap["last_id"])
        and gap["topic_offset"] < trade["topic_offset"]
        for gap in tape
        if gap.table == "gaps"
    )


def _candle_words(candle: Row) -> str:
    when = span(candle["time"], candle["interval_ms"])
    if candle["close"] is None:
        return f"candle {when} of {candle['instrument']}: no price was known yet"
    prices = "/".join(plain(candle[name]) for name in ("open", "high", "low", "close"))
    made = f"{count(candle['trades'], 'trade')}, volume {plain(candle['volume'])}"
    if candle["trades"]:
        made += f", ids {run_words([(candle['first_id'], candle['last_id'])])}"
    flaw = "" if candle["complete"] else "; incomplete: a gap touches it"
    later = f"; revision {candle['revision']}, with late trades" if candle["revision"] else ""
    return f"candle {when} of {candle['instrument']} o/h/l/c {prices}, {made}{flaw}{later}"


def _trades_node(candle: Row, trades: list[Row], *, exact: bool) -> Node:
    ids = runs(row["trade_id"] for row in trades)
    offsets = runs(dict.fromkeys(sorted(row["topic_offset"] for row in trades)))
    place = trades[0].place
    topic, partition, _ = place or ("", 0, 0)
    says = (
        f"{count(len(trades), 'trade')}, ids {run_words(ids)}, in the records {topic}/{partition} "
        f"offset {run_words(offsets)}"
    )
    if not exact:
        says += f"; the candle holds {candle['trades']}: some came again, or are gone from here"
    volume: Decimal = total([row["quantity"] for row in trades])
    facts = {"ids": ids, "offsets": offsets, "volume": volume, "exact": exact}
    return Node(
        "trades", f"trades/{candle['instrument']}/{ids[0][0]}", says, trades[0].time, place, facts
    )


def _gone(candle: Row) -> list[Node]:
    """Return what stands for the trades of a candle that are not there any more."""
    if not candle["trades"]:
        return []
    says = (
        f"its {count(candle['trades'], 'trade')}, ids {candle['first_id']} to {candle['last_id']}, "
        f"are not here: retention took them, or they were never put here"
    )
    return [Node("trades", "", says, facts={"ids": [], "offsets": [], "exact": False})]


def _closing_node(candle: Row, closing: Row) -> Node:
    made = clock_node(closing) if closing.table == "clocks" else trade_node(closing)
    says = f"closed at {format_time(candle['time'])} by this: {made.says}"
    return node(made.kind, closing, says, made.facts)
