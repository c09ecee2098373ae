"""A comparison enters; one HTML page leaves: two runs side by side, in the report's look."""

from __future__ import annotations

from decimal import Decimal

from app.core.decimals import subtract
from app.core.metrics import DEFINITIONS, AccountSummary, Definition, Figure
from app.core.metrics.book import PlacedOrder
from app.report.charts.frame import WIDE
from app.report.charts.lines import Curve, Words, line_chart
from app.report.compare import Comparison, Divergence, Pairing, content
from app.report.markup import Child, Markup, tag
from app.report.numbers import NONE, Money, counted, figure, moment, quantity
from app.report.page import html
from app.report.sections.definitions import definitions
from app.report.sections.table import label, note, section, table, value

SAME = "same"


def comparison_page(comparison: Comparison) -> bytes:
    """Return `comparison.html`; the same bytes for the same two runs."""
    left, right = comparison.left, comparison.right
    title = f"{left.title} and {right.title}"
    facts = [
        tag("div", tag("dt", f"{side} ({_ONE if side == 'Left' else _TWO})"), tag("dd", info.title),
            tag("dd", f"run {info.run}, code {info.code}", class_="note"))
        for side, info in (("Left", left), ("Right", right))
    ]  # fmt: skip
    head = tag("header", tag("h1", title), tag("dl", *facts, class_="facts"))
    accounts = [
        article(pairing, left.title, right.title, f"c{number}")
        for number, pairing in enumerate(comparison.pairings)
    ]
    return html(title, content(comparison), head, *accounts, definitions())


_ONE, _TWO = "whole line", "dashed line"


def article(pairing: Pairing, left: str, right: str, name: str) -> Markup:
    """Return one account of both runs; `left` and `right` are the runs' names for people."""
    own, other = pairing.left.name, pairing.right.name
    title = own if own == other else f"{own} and {other}"
    return tag(
        "article",
        tag("h2", title, id=name),
        _returns(pairing, left, right, name),
        _parting(pairing.divergence, left, right, name),
        _settings(pairing, left, right, name),
        _figures(pairing, left, right, name),
        aria_labelledby=name,
    )


def _returns(pairing: Pairing, left: str, right: str, name: str) -> Markup:
    """Return both equities as a return since each one's start, so that capitals may differ."""
    words = Words(
        f"{name}-equity-chart",
        f"Return of {left} and of {right}",
        f"At the end {_end(pairing.left):.2f} % and {_end(pairing.right):.2f} %.",
        "\u00a0%",
    )
    curves = [
        _curve(left if left != right else "left", pairing.left),
        _curve(right if left != right else "right", pairing.right),
    ]
    return section(f"{name}-equity", "Return", line_chart(words, WIDE, curves, origin=True))


def _end(account: AccountSummary) -> float:
    return float(account.figures["total_return"].value or 0.0) * 100


def _curve(name: str, account: AccountSummary) -> Curve:
    equity = account.paths.equity
    start = float(equity[0]) or 1.0
    return Curve(name, account.paths.time, (equity / start - 1.0) * 100)


def _parting(parted: Divergence | None, left: str, right: str, name: str) -> Markup:
    title = "First order that differs"
    if parted is None:
        return section(f"{name}-order", title, note(f"{NONE} Every order is the same."))
    heads = ["Run", "Time, UTC", "Instrument", "Strategy", "Order", "Quantity"]
    rows = [_order(left, parted.left), _order(right, parted.right)]
    words = f"{counted(parted.same, 'order')} before it the same."
    return section(f"{name}-order", title, note(words), table(heads, rows, words=5))


def _order(run: str, order: PlacedOrder | None) -> list[Child]:
    if order is None:
        return [run, f"{NONE} no more orders", "", "", "", ""]
    return [
        run,
        moment(order.time),
        order.instrument,
        order.strategy,
        f"{order.kind} {order.side}",
        quantity(order.quantity),
    ]


def _settings(pairing: Pairing, left: str, right: str, name: str) -> Markup:
    rows = [[each.name, each.left or NONE, each.right or NONE] for each in pairing.settings]
    body = (
        table(["Parameter", left, right], rows, words=3)
        if rows
        else note(f"{NONE} Every parameter is the same.")
    )
    return section(f"{name}-settings", "Parameters that differ", body)


def _figures(pairing: Pairing, left: str, right: str, name: str) -> Markup:
    one, two = _money(pairing.left), _money(pairing.right)
    rows = []
    for key, first, second in pairing.figures():
        same = first.value == second.value
        rows.append(
            [
                label(key),
                value(key, first, one),
                value(key, second, two),
                tag("span", SAME, class_=SAME)
                if same
                else _difference(DEFINITIONS[key], first, second, two),
            ]
        )
    heads = ["Figure", left, right, "Right less left"]
    return section(f"{name}-figures", "Figures", table(heads, rows))


def _difference(definition: Definition, first: Figure, second: Figure, money: Money) -> Child:
    """Return the second figure less the first; a dash where one is not defined, or is a time."""
    one, two = first.value, second.value
    if one is None or two is None or definition.unit == "time":
        return NONE
    if isinstance(one, Decimal) and isinstance(two, Decimal):
        return money.text(subtract(two, one), plus=True)
    less = two - one  # type: ignore[operator]
    if definition.unit == "duration":
        return ("+" if less > 0 else "\u2212") + figure(definition, Figure(abs(less)), money)
    written = figure(definition, Figure(less), money)
    return written if written.startswith(("+", "\u2212")) else f"+{written}"


def _money(account: AccountSummary) -> Money:
    return Money.of(account.quote, account.conditions.account.capital)
