"""Every fill, order and refusal of a run explains down to the very trades of its candles."""

from __future__ import annotations

import asyncio
import io
import random
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import TypeVar

import pytest
from rich.console import Console

from app.core.events import (
    Candle,
    Command,
    Fill,
    Halted,
    Message,
    Orders,
    Portfolio,
    Record,
    Refusal,
    RiskReport,
    Signal,
    Trades,
)
from app.errors import ConfigurationError, LockstepError
from app.replay.explain import Moment, Node, document, explain, gather_moment, gather_named
from app.replay.explain.from_topics import TopicArchive
from app.replay.explain.show import lines, show
from app.replay.explain.targets import sized
from app.runtime.codec import decode
from tests.replay.market import FILLED, GAP, INSTRUMENTS, INTERVAL, A, Market, end
from tests.replay.recording import MemoryTopics, recorded
from tests.replay.test_ring import FLATTEN

INTERVALS = 30
CHAIN = ["order", "risk", "allocation", "portfolio", "signal", "candle"]
T = TypeVar("T", bound=Record)


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(7, INTERVALS)


@pytest.fixture(scope="module")
def run(market: Market) -> MemoryTopics:
    return asyncio.run(recorded(market, random.Random(1)))


@pytest.fixture(autouse=True)
def _every_scan_bisects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.replay.explain.from_topics.NEAR", 4)


def of(run: MemoryTopics, topic: str, kind: type[T]) -> list[tuple[Message, T]]:
    found = {}
    for place, partition in run.stored.items():
        for stored in partition if place.topic == topic else ():
            message = decode(stored.value)
            if isinstance(message.record, kind):
                found.setdefault(message.name, (message, message.record))
    return list(found.values())


async def tree_of(run: MemoryTopics, name: str) -> Node:
    (case,) = await gather_named(TopicArchive(run), name)
    return explain(case)


def walk(tree: Node) -> Iterator[Node]:
    yield tree
    for child in (*tree.effects, *tree.causes):
        yield from walk(child)


def kinds(tree: Node, wanted: list[str]) -> list[Node]:
    """Return the path of these kinds from a tree's causes down."""
    path: list[Node] = []
    for kind in wanted:
        tree = next(child for child in tree.causes if child.kind == kind)
        path.append(tree)
    return path


def check_places(run: MemoryTopics, tree: Node) -> None:
    """Whatever names a place stands there."""
    for each in walk(tree):
        if each.place is None or each.kind == "trades":
            continue
        topic, partition, offset = each.place
        (stored,) = [
            one
            for place, entries in run.stored.items()
            for one in entries
            if (*place, one.offset) == (topic, partition, offset)
        ]
        record = decode(stored.value)
        if each.kind == "trade":
            assert isinstance(record.record, Trades)
            assert each.facts["trade_id"] in record.record.id
        elif each.kind == "order":
            assert isinstance(record.record, Orders)
            assert each.name in [order.order_id for order in record.record.orders]
        else:
            assert record.name == each.name


def ids(node: Node) -> list[int]:
    return [number for first, last in node.facts["ids"] for number in range(first, last + 1)]


def check_candle(market: Market, node: Node) -> None:
    """The named trades are exactly those that the market had in time."""
    instrument, time = node.name.split("/")[1], node.time
    assert time is not None
    number = (time - end(0)) // INTERVAL
    expected = [trade.id for trade in market.trades[instrument][number]]
    if instrument == A and number == GAP:
        expected = expected[:4] + expected[8:]
    (trades,) = [child for child in node.causes if child.kind == "trades"] or [None]
    if trades is None:
        assert expected == []
        return
    assert trades.facts["exact"]
    assert ids(trades) == expected
    assert trades.facts["volume"] == node.facts["volume"]


async def test_every_fill_explains_down_to_its_trades(run: MemoryTopics, market: Market) -> None:
    fills = of(run, "fills", Fill)
    assert len(fills) > 100
    for message, fill in fills[:: len(fills) // 25]:
        tree = await tree_of(run, message.name)
        assert (tree.kind, tree.name, tree.time) == ("fill", message.name, fill.time)
        assert tree.causes[0].name == message.origin
        order, risk, target, portfolio, signal, candle = kinds(tree, CHAIN)
        assert order.name == fill.order_id
        assert signal.name == order.facts["signal"] == target.facts["signal"]
        assert risk.time == target.time == portfolio.time == signal.time == fill.decision_time
        check_candle(market, candle)
        check_places(run, tree)


async def test_every_order_explains_itself_and_names_its_fills(run: MemoryTopics) -> None:
    fills = [fill for _, fill in of(run, "fills", Fill)]
    orders = [order for _, each in of(run, "orders", Orders) for order in each.orders]
    assert len(orders) > 40
    for order in orders[::4]:
        tree = await tree_of(run, order.order_id)
        parts = [fill for fill in fills if fill.order_id == order.order_id]
        assert [effect.facts["part"] for effect in tree.effects] == [fill.part for fill in parts]
        assert tree.facts["filled"] == sum((fill.quantity for fill in parts), Decimal(0))
        assert kinds(tree, CHAIN[1:])
        check_places(run, tree)


async def test_a_part_of_an_order_is_named_by_its_number(run: MemoryTopics) -> None:
    message, fill = of(run, "fills", Fill)[3]
    assert (await tree_of(run, f"{fill.order_id}/{fill.part}")).name == message.name


async def test_every_refusal_says_which_limit_and_numbers(run: MemoryTopics) -> None:
    refusals = of(run, "risk", Refusal)
    assert len({refusal.limit for _, refusal in refusals}) > 2
    for message, refusal in refusals[::5]:
        tree = await tree_of(run, message.name)
        assert refusal.reason in tree.says
        assert refusal.limit in tree.says
        assert tree.facts["wanted"] == refusal.wanted
        assert tree.facts["limits"]["order_notional"] == "4000"
        assert kinds(tree, CHAIN[2:])


async def test_a_fixed_target_is_computed_from_the_numbers_told(run: MemoryTopics) -> None:
    told = 0
    for _, signal in of(run, "signals", Signal)[::7]:
        case = await gather_moment(
            TopicArchive(run), Moment(signal.time, signal.instrument, signal.account)
        )
        for node in walk(explain(case)):
            if node.kind == "allocation" and "equity" in node.facts:
                assert sized(node.facts) == abs(node.facts["quantity"])
                assert "fixed at" in node.says
                told += 1
    assert told > 10


async def test_a_bar_of_two_intervals_has_two_candles(run: MemoryTopics, market: Market) -> None:
    slow = next(
        message
        for message, signal in of(run, "signals", Signal)
        if signal.account == "beta" and signal.time == end(10)
    )
    tree = await tree_of(run, slow.name)
    assert [node.time for node in tree.causes] == [end(8), end(9)]
    assert "its bar ended at 2019-10-11T00:01:40Z" in tree.says
    for candle in tree.causes:
        check_candle(market, candle)


async def test_every_candle_names_its_trades_and_what_closed_it(
    run: MemoryTopics, market: Market
) -> None:
    for message, candle in of(run, "candles", Candle):
        tree = await tree_of(run, message.name)
        assert tree.causes[-1].name == message.origin
        if candle.revision:
            assert candle.time == end(GAP)
            assert "late trades" in tree.says
            assert len(ids(tree.causes[0])) == len(market.trades[A][GAP])
        else:
            check_candle(market, tree)


async def test_why_nothing_happened_on_a_gap(run: MemoryTopics) -> None:
    case = await gather_moment(TopicArchive(run), Moment(end(GAP) + 1234, A, "alpha"))
    tree = explain(case)
    assert tree.time == end(GAP)
    assert "a gap touches the candle" in tree.says
    assert "macd was not ready" in tree.says
    assert [node for node in walk(tree) if node.kind == "gap"]


async def test_why_nothing_happened_while_halted(run: MemoryTopics) -> None:
    case = await gather_moment(TopicArchive(run), Moment(end(FLATTEN + 4), A, "alpha"))
    tree = explain(case)
    assert "the account was halted" in tree.says
    (halt,) = [node for node in tree.causes if node.kind == "halted"]
    assert "command/alpha/one told the account to flatten" in halt.says


async def test_a_command_says_when_it_acted(run: MemoryTopics) -> None:
    ((message, _), *_) = of(run, "signals", Command)
    tree = await tree_of(run, message.name)
    assert re.search(r"a person told alpha to flatten \(to see\); it acted at 2019-", tree.says)


@pytest.mark.parametrize(
    ("topic", "kind"), [("portfolio", Portfolio), ("risk", RiskReport), ("risk", Halted)]
)
async def test_what_an_account_did_leads_to_all_of_its_signals(
    run: MemoryTopics, topic: str, kind: type[Record]
) -> None:
    message, _ = of(run, topic, kind)[-1]
    tree = await tree_of(run, message.name)
    assert tree.name == message.name
    assert len({node.name for node in walk(tree) if node.kind == "signal"}) >= 3


async def test_what_entered_is_told_by_its_name(run: MemoryTopics) -> None:
    for name, words in {
        f"trades/{A}/17": "id 17",
        f"clock/{A}/{end(9)}": "every trade before",
        f"join/{A}/alpha/1": "joined alpha",
        f"epoch/{A}/alpha/1": "lot 0.001",
    }.items():
        tree = await tree_of(run, name)
        assert tree.name == name
        assert words in tree.says


async def test_an_unknown_name_is_told_what_to_do(run: MemoryTopics) -> None:
    order = f"alpha/{A}/macd/{end(3) + 1}"
    for name, advice in {
        order: "--at 2019-10-11T00:00:40.001Z --instrument SIM:AAAUSDT --account alpha",
        f"{order}/1": f"lockstep explain {order}",
        "macd/SIM:AAAUSDT/alpha/999999": "lockstep topics read signals --key alpha",
        f"trades/{A}/99999999": "lockstep topics read trades --key",
    }.items():
        with pytest.raises(LockstepError, match=re.escape(advice)):
            await gather_named(TopicArchive(run), name)
    with pytest.raises(ConfigurationError, match="names nothing"):
        await gather_named(TopicArchive(run), "four and twenty")
    with pytest.raises(LockstepError, match="no decision about"):
        await gather_moment(TopicArchive(run), Moment(end(3), "SIM:OTHER", "alpha"))


async def test_the_tree_is_json_and_lines(run: MemoryTopics) -> None:
    message, _ = of(run, "fills", Fill)[0]
    tree = await tree_of(run, message.name)
    told = document(tree)
    assert told["facts"]["price"] == str(tree.facts["price"])
    assert (told["topic"], told["partition"], told["offset"]) == tree.place
    shown = list(lines(tree))
    assert len(shown) == len(list(walk(tree)))
    assert shown[0].startswith("fill: ")
    assert shown[0].endswith(f"[{told['topic']}/{told['partition']}/{told['offset']}]")


async def test_trades_that_retention_took_are_said_to_be_gone(market: Market) -> None:
    run = await recorded(market, random.Random(2))
    message, candle = of(run, "candles", Candle)[-1]
    for place, partition in run.stored.items():
        if place.topic == "trades":
            run.gone[place] = len(partition)
    (trades,) = (await tree_of(run, message.name)).causes
    assert trades.says.startswith(f"its {candle.trades} trades, ids {candle.first_id} to")
    assert not trades.facts["exact"]


async def test_a_scan_tells_how_far_it_has_come(run: MemoryTopics) -> None:
    told: list[tuple[str, int, int]] = []
    archive = TopicArchive(run, lambda *said: told.append(said))
    await gather_named(archive, of(run, "fills", Fill)[0][0].name)
    assert {place.partition("/")[0] for place, _, _ in told} >= {"fills", "signals", "trades"}
    assert all(0 < count <= whole for _, count, whole in told)


async def test_a_terminal_shows_a_tree(run: MemoryTopics) -> None:
    tree = await tree_of(run, of(run, "fills", Fill)[0][0].name)
    out = io.StringIO()
    show(tree, Console(file=out, force_terminal=True, width=200, color_system=None))
    shown = out.getvalue()
    assert "└──" in shown
    for each in walk(tree):
        assert each.kind in shown
    plain = io.StringIO()
    show(tree, Console(file=plain, width=40))
    assert plain.getvalue().splitlines() == list(lines(tree))


def test_the_market_has_what_these_tests_need(market: Market) -> None:
    assert market.intervals > FILLED
    assert A in INSTRUMENTS
