"""What was fetched about a record enters; the tree of what caused it leaves. Nothing is read here.

The chain is fill, order, risk, allocation, portfolio, signal, candle, trades. An origin names one
cause only (a portfolio's is the last of its signals), so the records of one account and decision
time are joined by what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from app.core.decimals import multiply, plain, total
from app.replay.explain.case import Case
from app.replay.explain.market import candle_node, clock_node, gap_node, trade_node
from app.replay.explain.row import Row
from app.replay.explain.targets import target_words
from app.replay.explain.tree import Node, node
from app.replay.explain.words import base, count, number, quote
from app.times import format_time


def explain(case: Case) -> Node:
    """Return the tree of a case."""
    if case.subject is None:
        return decision_node(case)
    return _KINDS[case.subject.table](case, case.subject)


def fill_node(case: Case, fill: Row) -> Node:
    """Return a fill, caused by its trade and its order."""
    instrument = fill["instrument"]
    verb = "bought" if fill["side"] == "buy" else "sold"
    worth = multiply(fill["price"], fill["quantity"])
    says = (
        f"{verb} {plain(fill['quantity'])} {base(case, instrument)} at {plain(fill['price'])} for "
        f"{plain(worth)}{quote(case)} at {format_time(fill.time)}, fee {plain(fill['fee'])}: part "
        f"{fill['part']} of order {fill['order_id']}, by trade {fill['trade_id']}, whose price was "
        f"moved by slippage"
    )
    names = ("order_id", "part", "side", "price", "quantity", "fee", "liquidity", "trade_id")
    order = case.one("orders", order_id=fill["order_id"])
    trade = case.one("trades", trade_id=fill["trade_id"])
    causes: tuple[Node, ...] = () if trade is None else (trade_node(trade),)
    causes += () if order is None else (order_node(case, order, with_fills=False),)
    return node("fill", fill, says, {name: fill[name] for name in names}, causes=causes)


def order_node(case: Case, order: Row, *, with_fills: bool = True) -> Node:
    """Return an order, caused by what risk let through; what came of it are its fills."""
    fills = case.all("fills", order_id=order["order_id"])
    filled = total([fill["quantity"] for fill in fills])
    outcome = case.one("outcomes", order_id=order["order_id"])
    done = f"{plain(filled)} were filled in {count(len(fills), 'part')}"
    done = done if fills else "nothing was filled"
    end = "it still works" if outcome is None else f"{plain(outcome['cancelled'])} were cancelled"
    says = (
        f"{order['strategy']} ordered to {order['side']} {plain(order['quantity'])} "
        f"{base(case, order['instrument'])} at {order['kind']} at {format_time(order.time)}; "
        f"{done}, {end}"
    )
    facts = {name: order[name] for name in ("side", "kind", "quantity", "signal", "epoch")}
    facts |= {"order_id": order["order_id"], "record": order["identity"]}
    facts |= {"filled": filled, "fills": [fill["identity"] for fill in fills]}
    effects = tuple(_fill_leaf(case, fill) for fill in fills) if with_fills else ()
    pair = (order["strategy"], order["instrument"])
    causes = tuple(_risk_nodes(case, *pair))
    return node("order", order, says, facts, causes=causes, effects=effects)


def _fill_leaf(case: Case, fill: Row) -> Node:
    says = (
        f"part {fill['part']}: {plain(fill['quantity'])} at {plain(fill['price'])}, fee "
        f"{plain(fill['fee'])}, by trade {fill['trade_id']} of {format_time(fill.time)}"
    )
    return node("fill", fill, says, fill_node(case, fill).facts)


def _risk_nodes(case: Case, strategy: str, instrument: str) -> list[Node]:
    """Return what risk said of a change of one strategy and instrument, caused by the target."""
    targets = allocation_nodes(case, strategy, instrument)
    refusals = case.all(
        "risk_events", time=case.time, kind="refusal", strategy=strategy, instrument=instrument
    )
    report = case.now("risk_reports")
    if report is None:
        return targets
    said = "; ".join(f"{_refusal_words(case, each)}" for each in refusals)
    verdict = said or "risk let it through whole"
    if _flattens(case):
        verdict = f"after a flatten risk closed what was held, whatever was wanted; {verdict}"
    says = f"{verdict} ({_report_words(report)})"
    return [node("risk", report, says, _report_facts(case, report), causes=tuple(targets))]


def _flattens(case: Case) -> bool:
    """Return whether a flatten was in force."""
    told = [row for row in case.all("risk_events") if row["kind"] != "refusal"]
    return bool(told and told[-1]["flatten"])


def refusal_node(case: Case, refusal: Row) -> Node:
    """Return a refusal, caused by the target that risk did not let through."""
    facts = {
        name: refusal[name] for name in ("limit_name", "wanted", "allowed", "reason", "signal")
    }
    report = case.now("risk_reports")
    facts |= {} if report is None else _report_facts(case, report)
    causes = allocation_nodes(case, refusal["strategy"], refusal["instrument"])
    says = f"{refusal['strategy']}: {_refusal_words(case, refusal)}"
    return node("refusal", refusal, says, facts, causes=tuple(causes))


def _refusal_words(case: Case, refusal: Row) -> str:
    wanted, allowed = refusal["wanted"], refusal["allowed"]
    verb = "sell" if wanted < 0 else "buy"
    let = plain(abs(allowed)) if allowed else "nothing"
    return (
        f"risk let {let} of {plain(abs(wanted))} {base(case, refusal['instrument'])} to {verb} "
        f"through, by its limit {refusal['limit_name']}: {refusal['reason']}"
    )


def _report_words(report: Row) -> str:
    state = "halted" if report["halted"] else "not halted"
    return (
        f"equity {plain(report['equity'])}, gross {plain(report['gross_notional'])}, lost today "
        f"{plain(report['daily_loss'])}, drawdown {plain(report['drawdown'])}, {state}"
    )


def _report_facts(case: Case, report: Row) -> dict[str, object]:
    names = ("equity", "day_start", "peak", "daily_loss", "drawdown", "gross_notional", "halted")
    configuration = case.configuration(report["epoch"])
    limits = {} if configuration is None else {"limits": configuration["risk"]}
    return {name: report[name] for name in names} | limits


def risk_event_node(case: Case, event: Row) -> Node:
    """Return what risk did: a refusal, or a halt or a resume of the whole account."""
    if event["kind"] == "refusal":
        return refusal_node(case, event)
    facts = {name: event[name] for name in ("limit_name", "flatten", "reason")}
    says = f"{event['account']} was {event['kind']}: {event['reason']}"
    if event["flatten"]:
        says += "; everything was to be closed"
    return node(event["kind"], event, says, facts, causes=tuple(portfolio_nodes(case)))


def report_node(case: Case, report: Row) -> Node:
    """Return risk's report of a decision, caused by the targets."""
    says = (
        f"risk of {report['account']}: {_report_words(report)}; let "
        f"{count(report['orders'], 'order')} through, {count(report['refusals'], 'refusal')}"
    )
    return node(
        "risk", report, says, _report_facts(case, report), causes=tuple(allocation_nodes(case))
    )


def allocation_nodes(case: Case, strategy: str = "", instrument: str = "") -> list[Node]:
    """Return targets of the decision, each caused by the portfolio with the signal behind it."""
    asked = {"strategy": strategy, "instrument": instrument}
    found = case.all("allocations", time=case.time, **{n: v for n, v in asked.items() if v})
    return [allocation_node(case, row) for row in found] or portfolio_nodes(
        case, strategy, instrument
    )


def allocation_node(case: Case, target: Row) -> Node:
    """Return one target."""
    says, numbers = target_words(case, target)
    facts = {name: target[name] for name in ("quantity", "held", "weight", "signal")}
    pair = (target["strategy"], target["instrument"])
    return node(
        "allocation", target, says, {**facts, **numbers}, causes=tuple(portfolio_nodes(case, *pair))
    )


def portfolio_nodes(case: Case, strategy: str = "", instrument: str = "") -> list[Node]:
    """Return the account as it stood, caused by the signals asked for."""
    asked = {"strategy": strategy, "instrument": instrument}
    wanted = {name: value for name, value in asked.items() if value}
    signals = case.all("signals", time=case.time, **wanted)
    causes = tuple(signal_node(case, each) for each in signals)
    portfolio = case.now("portfolio")
    if portfolio is None:
        return list(causes)
    held = [row for row in case.all("positions", time=case.time, **wanted) if row["quantity"]]
    holdings = ", ".join(
        f"{plain(row['quantity'])} {base(case, row['instrument'])} by {row['strategy']}"
        for row in held
    )
    says = (
        f"{portfolio['account']} had equity {plain(portfolio['equity'])} and cash "
        f"{plain(portfolio['cash'])}{quote(case)}, holding {holdings or 'none of it'}"
    )
    for instruction in portfolio["instructions"]:
        says += f"; {instruction['command']} acted: {instruction['action']}"
    facts = {name: portfolio[name] for name in ("equity", "cash", "epoch", "instructions")}
    facts |= {"holdings": [_holding(row) for row in held]}
    return [node("portfolio", portfolio, says, facts, causes=causes)]


def _holding(row: Row) -> Mapping[str, object]:
    names = ("strategy", "instrument", "quantity", "cost", "realised", "fees", "mark")
    return {name: row[name] for name in names}


def signal_node(case: Case, signal: Row) -> Node:
    """Return a signal, caused by the candles of its bar."""
    first, end = case.bar(signal)
    indicators = dict(sorted(signal["indicators"].items()))
    values = ", ".join(f"{name} {number(value)}" for name, value in indicators.items())
    repeated = f" (its bar ended at {format_time(end)})" if end != signal.time else ""
    says = (
        f"{signal['strategy']} saw {signal['instrument']} as {signal['view']}{repeated}: "
        f"{signal['reason']}{f' [{values}]' if values else ''}"
    )
    facts: dict[str, object] = {"view": signal["view"], "indicators": indicators}
    facts |= {name: signal[name] for name in ("reason", "price", "complete", "age_ms")}
    candles = [
        row
        for row in case.all("candles", instrument=signal["instrument"])
        if (first <= row.time <= end or (row.time == signal.time and not row["complete"]))
        and row["identity"] in case.tapes
    ]
    causes = tuple(candle_node(case, row) for row in candles)
    return node("signal", signal, says, facts, causes=causes)


def decision_node(case: Case) -> Node:
    """Return what an account decided about an instrument at a moment, and why nothing else."""
    orders = case.all("orders", time=case.time, instrument=case.instrument)
    refusals = case.all("risk_events", time=case.time, kind="refusal", instrument=case.instrument)
    answer = "; ".join(_reasons(case, orders, refusals))
    says = f"{case.account} and {case.instrument} at {format_time(case.time)}: {answer}"
    halts = [row for row in case.all("risk_events") if row["kind"] != "refusal"]
    causes = [order_node(case, row) for row in orders]
    ordered = {row["strategy"] for row in orders}
    causes += [risk_event_node(case, row) for row in refusals if row["strategy"] not in ordered]
    causes += [_halt_leaf(row) for row in halts[-1:]]
    ordered |= {row["strategy"] for row in refusals}
    causes += [
        each
        for signal in case.signals()
        if signal["strategy"] not in ordered
        for each in allocation_nodes(case, signal["strategy"], case.instrument)
    ]
    if not case.signals():
        causes += [candle_node(case, row) for row in case.all("candles")]
    return Node("decision", "", says, case.time, None, {}, tuple(causes))


def _reasons(case: Case, orders: list[Row], refusals: list[Row]) -> list[str]:
    signals = case.signals()
    if case.now("portfolio") is None:
        what = "its signals were made" if signals else "no strategy had a signal"
        return [f"it decided nothing: {what}; `lockstep status` shows what each stage waits for"]
    found = [
        f"ordered to {row['side']} {plain(row['quantity'])} for {row['strategy']}" for row in orders
    ]
    found += [f"{row['strategy']}: {_refusal_words(case, row)}" for row in refusals]
    report = case.now("risk_reports")
    if report is not None and report["halted"]:
        found.append("the account was halted, so nothing could be opened")
    if any(row.table == "gaps" for tape in case.tapes.values() for row in tape):
        found.append("a gap touches the candle")
    told = {row["strategy"] for row in (*orders, *refusals)}
    found += [_quiet(case, row) for row in signals if row["strategy"] not in told]
    return found or ["it had no view of it and held nothing to close"]


def _quiet(case: Case, signal: Row) -> str:
    """Return why a strategy led to nothing."""
    strategy = signal["strategy"]
    target = case.now("allocations", strategy=strategy, instrument=case.instrument)
    if signal["view"] == "not_ready":
        return f"{strategy} was not ready: {signal['reason']}"
    if target is not None and target["quantity"] == target["held"]:
        held: Decimal = target["held"]
        return f"{strategy} was {signal['view']} and held what it wanted, {plain(held)}"
    return f"{strategy} was {signal['view']}"


def _halt_leaf(event: Row) -> Node:
    facts = {name: event[name] for name in ("limit_name", "flatten", "reason")}
    says = f"{event['kind']} since {format_time(event.time)}: {event['reason']}"
    return node(event["kind"], event, says, facts)


def _booking_node(case: Case, booking: Row) -> Node:
    orders = case.all("orders", instrument=booking["instrument"])
    says = (
        f"every fill of {booking['account']} on {booking['instrument']} before "
        f"{format_time(booking.time)} was sent, of {count(len(orders), 'order')}"
    )
    causes = tuple(order_node(case, row) for row in orders)
    return node("booked", booking, says, {"final": booking["final"]}, causes=causes)


def _command_node(case: Case, command: Row) -> Node:
    told = f"{command['identity']} told the account to "
    acted = [row for row in case.all("risk_events") if row["reason"].startswith(told)]
    effects = tuple(_halt_leaf(row) for row in acted)
    when = f"acted at {format_time(acted[0].time)}" if acted else "has not acted yet"
    says = (
        f"{command['given_by']} told {command['account']} to {command['action']} "
        f"({command['reason']}); it {when}"
    )
    facts = {name: command[name] for name in ("action", "given_by", "reason")}
    return node("command", command, says, facts, causes=(), effects=effects)


def _member_node(_: Case, member: Row) -> Node:
    verb = "joined" if member["kind"] == "join" else "left"
    says = (
        f"{member['instrument']} {verb} {member['account']} in epoch {member['epoch']}, first "
        f"decided so at {format_time(member.time)}"
    )
    names = ("epoch", "next_id", "series", "reason")
    return node(member["kind"], member, says, {name: member[name] for name in names})


def _epoch_node(_: Case, rules: Row) -> Node:
    says = (
        f"epoch {rules['epoch']} of {rules['account']}: the rules for {rules['instrument']}, lot "
        f"{plain(rules['lot_size'])}, tick {plain(rules['tick_size'])}"
    )
    names = ("lot_size", "tick_size", "minimum_quantity", "minimum_notional", "version")
    return node("epoch", rules, says, {name: rules[name] for name in names})


def _portfolio_node(case: Case, _: Row) -> Node:
    return portfolio_nodes(case)[0]


def _allocated_node(case: Case, target: Row) -> Node:
    nodes = allocation_nodes(case)
    says = f"{count(len(nodes), 'target')} of {target['account']}"
    return node("allocation", target, says, {}, causes=tuple(nodes))


_KINDS: dict[str, Callable[[Case, Row], Node]] = {
    "fills": fill_node,
    "orders": order_node,
    "bookings": _booking_node,
    "risk_events": risk_event_node,
    "risk_reports": report_node,
    "allocations": _allocated_node,
    "portfolio": _portfolio_node,
    "signals": signal_node,
    "commands": _command_node,
    "candles": candle_node,
    "trades": lambda _, row: trade_node(row),
    "clocks": lambda _, row: clock_node(row),
    "gaps": lambda _, row: gap_node(row),
    "memberships": _member_node,
    "instruments": _epoch_node,
}
