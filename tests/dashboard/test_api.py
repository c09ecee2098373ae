"""What the API answers is what the tables hold: exact, in one form, and page by page."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import aiohttp
import orjson
import pytest

from app.runtime.topics import declared
from app.storage.database import Database
from tests.dashboard.conftest import SECRET, Site, Visitor, changed, served
from tests.ports import free_port
from tests.replay.market import FILLED, GAP, INTERVAL, START, A, B, end

pytestmark = pytest.mark.integration

PATHS: dict[str, dict[str, object]] = {
    "/api/overview": {},
    "/api/status": {},
    "/api/equity": {"account": "alpha"},
    "/api/instruments": {},
    "/api/candles": {"instrument": A},
    "/api/indicators": {"account": "alpha", "instrument": A},
    "/api/signals": {"account": "alpha"},
    "/api/orders": {},
    "/api/fills": {},
    "/api/risk-events": {},
    "/api/gaps": {},
    "/api/revisions": {},
    "/api/commands": {},
    "/api/dead-letters": {},
    "/api/positions": {"account": "alpha"},
    "/api/performance": {"account": "alpha"},
    "/api/explain": {"at": end(20), "instrument": A, "account": "alpha"},
    "/api/replays": {},
    "/api/forks": {},
    "/api/topics/fills/records": {},
}
STATISTICS = {"values", "indicators", "milliseconds", "rate", "facts"}


def floats(document: Any, name: str = "") -> Iterator[str]:
    """Give the names under which a number that is no whole one stands."""
    if isinstance(document, float):
        yield name
    elif isinstance(document, dict):
        for key, value in document.items():
            if key not in STATISTICS:
                yield from floats(value, key)
    elif isinstance(document, list):
        for value in document:
            yield from floats(value, name)


@pytest.mark.parametrize("path", PATHS)
async def test_money_is_never_a_float(site: Site, path: str) -> None:
    async with site.visitor() as visitor:
        document = await visitor.patiently(path, **PATHS[path])
    assert document
    assert list(floats(document)) == []


async def table(site: Site, query: str, *values: object) -> list[Any]:
    async with Database(site.settings.database.storage()) as database:
        return await database.fetch(query, *values)


async def test_an_account_adds_up(site: Site) -> None:
    async with site.visitor() as visitor:
        overview = await visitor.get("/api/overview")
        accounts = {each["account"]: each for each in overview["accounts"]}
        positions = await visitor.get("/api/positions", account="alpha")
    assert set(accounts) == {"alpha", "beta"}
    for account in accounts.values():
        money = {
            name: Decimal(account[name])
            for name in ("equity", "capital", "realised", "unrealised", "fees", "day_start")
        }
        earned = money["realised"] + money["unrealised"] - money["fees"]
        assert money["equity"] == money["capital"] + earned
        assert Decimal(account["day_profit"]) == money["equity"] - money["day_start"]
    assert positions["equity"] == accounts["alpha"]["equity"]
    open_now = [each for each in positions["positions"] if each["quantity"] != "0"]
    assert open_now == accounts["alpha"]["positions"]
    assert len(overview["risk_events"]) == 20
    assert {each["acted_at"] for each in overview["commands"]} == {end(10), end(19)}


async def bars(visitor: Visitor, **parameters: object) -> list[dict[str, Any]]:
    found = await visitor.get("/api/candles", instrument=A, **parameters)
    return [dict(zip(found["columns"], bar, strict=True)) for bar in found["bars"]]


async def test_candles_are_those_decisions_saw(site: Site) -> None:
    stored = await table(
        site,
        "SELECT * FROM candles WHERE instrument = $1 AND revision = 0 AND close IS NOT NULL "
        "ORDER BY time",
        A,
    )
    async with site.visitor() as visitor:
        found = await bars(visitor)
    assert [Decimal(bar["close"]) for bar in found] == [row["close"] for row in stored]
    assert [bar["time"] + INTERVAL for bar in found] == [
        round(row["time"].timestamp() * 1000) for row in stored
    ]
    assert all(bar["closed"] for bar in found)
    assert [bar["time"] for bar in found if not bar["complete"]] == [START + GAP * INTERVAL]


@pytest.mark.parametrize("length", [2, 6, 30])
async def test_longer_bars_are_made_of_shorter_ones(site: Site, length: int) -> None:
    async with site.visitor() as visitor:
        short = await bars(visitor)
        long = await bars(visitor, interval=length * INTERVAL)
    assert len(long) < len(short)
    for bar in long:
        until = bar["time"] + length * INTERVAL
        parts = [part for part in short if bar["time"] <= part["time"] < until]
        traded = [part for part in parts if part["trades"]] or parts[-1:]
        assert bar["open"] == traded[0]["open"]
        assert bar["close"] == parts[-1]["close"]
        assert Decimal(bar["high"]) == max(Decimal(part["high"]) for part in traded)
        assert Decimal(bar["low"]) == min(Decimal(part["low"]) for part in traded)
        assert Decimal(bar["volume"]) == sum(Decimal(part["volume"]) for part in parts)
        assert bar["trades"] == sum(part["trades"] for part in parts)
        assert bar["closed"] == (until <= short[-1]["time"] + INTERVAL)


async def test_the_screen_decides_how_long_bars_are(site: Site) -> None:
    window: dict[str, object] = {"instrument": A, "from_": START, "to": end(23)}
    async with site.visitor() as visitor:
        wide = await visitor.get("/api/candles", **window)
        narrow = await visitor.get("/api/candles", **window, points=5)
        later = await visitor.get("/api/candles", instrument=A, from_=end(10), to=end(20))
        refused = [
            await visitor.ask("/api/candles", instrument=A, interval=interval)
            for interval in (15_000, 5_000, "7h")
        ]
        unknown, _ = await visitor.ask("/api/candles", instrument="SIM:NONE")
    assert (wide["interval"], wide["more"]) == (INTERVAL, False)
    assert narrow["interval"] == 60_000
    assert len(narrow["bars"]) <= 5
    assert later["more"]
    assert {status for status, _ in refused} == {422}
    assert unknown == 404


async def test_gaps_and_revisions_stand_beside_the_bars(site: Site) -> None:
    async with site.visitor() as visitor:
        found = await visitor.get("/api/candles", instrument=A)
        gaps = await visitor.get("/api/gaps", instrument=A)
        revisions = await visitor.get("/api/revisions", instrument=A)
        none = await visitor.get("/api/gaps", instrument=B)
    (gap,) = found["gaps"]
    assert gap["reason"] == "lost"
    assert START + GAP * INTERVAL <= gap["from"] < gap["to"] < end(GAP)
    assert gaps["rows"] == [gap]
    assert none["rows"] == []
    assert [each["time"] for each in found["revisions"]] == [end(GAP)]
    assert [each["id"] for each in revisions["rows"]] == [found["revisions"][0]["id"]]
    revised = [bar[0] for bar in found["bars"] if bar[-1]]
    assert revised == [START + GAP * INTERVAL]
    assert FILLED > GAP


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("fills", "SELECT count(*) FROM fills"),
        ("orders", "SELECT count(*) FROM orders"),
        ("risk-events", "SELECT count(*) FROM risk_events"),
        ("signals", "SELECT count(*) FROM signals"),
        ("commands", "SELECT count(*) FROM commands"),
    ],
)
async def test_pages_give_every_row_once_newest_first(site: Site, name: str, query: str) -> None:
    rows: list[Any] = []
    following: dict[str, object] = {}
    async with site.visitor() as visitor:
        while True:
            page = await visitor.get(f"/api/{name}", limit=37, **following)
            rows += page["rows"]
            if page["next"] is None:
                break
            following = {"before": page["next"]}
    ((count,),) = await table(site, query)
    assert len(rows) == count > 1
    assert len({orjson.dumps(row) for row in rows}) == count
    times = [row.get("time", 0) for row in rows]
    assert times == sorted(times, reverse=True)


async def test_lists_hold_what_is_chosen_and_nothing_else(site: Site) -> None:
    async with site.visitor() as visitor:
        every = (await visitor.get("/api/fills", limit=1000))["rows"]
        some = (await visitor.get("/api/fills", account="alpha", instrument=A, strategy="macd"))[
            "rows"
        ]
        between = (await visitor.get("/api/fills", from_=end(5), to=end(9), limit=1000))["rows"]
        halted = (await visitor.get("/api/risk-events", kind="halted,resumed"))["rows"]
        signals = (await visitor.get("/api/signals", account="alpha", limit=1000))["rows"]
        changes = (await visitor.get("/api/signals", account="alpha", limit=1000, changes=True))[
            "rows"
        ]
        wrong, _ = await visitor.ask("/api/fills", before="nonsense")
    chosen = [
        row for row in every
        if (row["account"], row["instrument"], row["strategy"]) == ("alpha", A, "macd")
    ]  # fmt: skip
    assert some == chosen[:100]
    assert chosen
    assert between == [row for row in every if end(5) <= row["time"] <= end(9)]
    assert {row["kind"] for row in halted} == {"halted", "resumed"}
    assert 0 < len(changes) < len(signals)
    assert wrong == 400


async def test_an_open_order_has_no_outcome(site: Site) -> None:
    async with site.visitor() as visitor:
        every = (await visitor.get("/api/orders", limit=1000))["rows"]
        left = (await visitor.get("/api/orders", open=True))["rows"]
    done = [row for row in every if row["filled"] is not None]
    assert left == [row for row in every if row["filled"] is None]
    assert all(
        Decimal(row["filled"]) + Decimal(row["cancelled"]) == Decimal(row["quantity"])
        for row in done
    )
    assert done


async def test_drawdown_is_the_fall_from_the_highest_so_far(site: Site) -> None:
    stored = await table(site, "SELECT equity FROM portfolio WHERE account = 'alpha' ORDER BY time")
    async with site.visitor() as visitor:
        found = await visitor.get("/api/equity", account="alpha", points=2000)
        short = await visitor.get("/api/equity", account="alpha", points=7)
    equities = [row["equity"] for row in stored]
    assert [Decimal(row[1]) for row in found["rows"]] == equities
    falls = [1 - equity / max(equities[: n + 1]) for n, equity in enumerate(equities)]
    for row, fall in zip(found["rows"], falls, strict=True):
        assert abs(Decimal(row[5]) - fall) < Decimal("1e-12")
    assert abs(Decimal(found["worst"]["drawdown"]) - max(falls)) < Decimal("1e-12")
    assert found["worst"]["drawdown"] == short["worst"]["drawdown"]
    assert len(short["rows"]) <= 7


async def test_what_strategies_earned_is_what_the_account_earned(site: Site) -> None:
    async with site.visitor() as visitor:
        found = await visitor.get("/api/performance", account="alpha")
        account = (await visitor.get("/api/positions", account="alpha"))["equity"]
    profits = [Decimal(each["profit"]) for each in found["strategies"]]
    assert sum(profits) == Decimal(account) - 10_000
    assert sorted(Decimal(each["total"]) for each in found["days"]) == sorted(profits)
    (month,) = found["months"]
    assert (month["month"], month["begin"], month["end"]) == ("2019-10", "10000", account)
    assert Decimal(month["return"]) == (sum(profits) / 10_000).quantize(Decimal("1e-12"))


async def test_indicators_stand_at_the_bars(site: Site) -> None:
    wanted: dict[str, object] = {"account": "alpha", "instrument": A, "interval": 30_000}
    async with site.visitor() as visitor:
        found = await visitor.get("/api/indicators", **wanted)
        candles = await visitor.get("/api/candles", instrument=A, interval=30_000)
    starts = [bar[0] for bar in candles["bars"]]
    assert {each["strategy"] for each in found["strategies"]} == {"macd", "momentum"}
    for each in found["strategies"]:
        assert set(each["time"]) <= set(starts)
        assert {len(values) for values in each["values"].values()} == {len(each["time"])}


async def test_every_record_is_explained(site: Site) -> None:
    async with site.visitor() as visitor:
        for name in site.names:
            (tree, *_) = (await visitor.get("/api/explain", name=name))["explanations"]
            assert tree["says"]
        (fill, *_) = (await visitor.get("/api/fills"))["rows"]
        (tree,) = (await visitor.get("/api/explain", name=fill["name"]))["explanations"]
        statuses = [
            (await visitor.ask("/api/explain", name=name))[0]
            for name in ("nonsense", "a/b/c/99999999999999999", f"trades/{A}/123456789")
        ]
    assert (tree["kind"], tree["time"]) == ("fill", fill["time"])
    assert [tree[name] for name in ("topic", "partition", "offset")] == [
        fill[name] for name in ("topic", "partition", "offset")
    ]
    assert {cause["kind"] for cause in tree["causes"]} == {"trade", "order"}
    assert statuses == [400, 400, 404]


async def test_topics_tell_what_stands_on_them(site: Site) -> None:
    async with site.visitor() as visitor:
        found = await visitor.patiently("/api/topics")
        topics = {each["topic"]: each for each in found["topics"]}
        for name in ("fills", "candles"):
            newest = await visitor.patiently(f"/api/topics/{name}/records", count=3)
            places = {(each["partition"], each["offset"]) for each in newest["records"]}
            ends = {each["partition"]: each["end"] for each in topics[name]["partitions"]}
            assert any(offset == ends[partition] - 1 for partition, offset in places)
            assert all(each["value"]["type"] for each in newest["records"])
        first = await visitor.patiently("/api/topics/candles/records", offset=0, count=1)
        unknown, _ = await visitor.ask("/api/topics/none/records")
        outside, _ = await visitor.ask("/api/topics/fills/records", partition=9)
    assert set(topics) == set(declared())
    assert [each["offset"] for each in first["records"]] == [0]
    assert (unknown, outside) == (404, 422)
    (sink,) = [each for each in found["groups"] if each["stage"] == "sink"]
    assert (sink["lag"], sink["workers"]) == (0, [])


async def test_metrics_say_what_the_account_is_worth(site: Site) -> None:
    async with site.visitor() as visitor:
        await visitor.patiently("/api/topics")
        async with visitor.session.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        equity = (await visitor.get("/api/positions", account="alpha"))["equity"]
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(values['lockstep_equity{account="alpha"}']) == float(equity)
    assert values['lockstep_lag_records{stage="sink"}'] == "0.0"
    assert values['lockstep_up{part="database"}'] == "1.0"
    assert values['lockstep_halted{account="alpha"}'] in ("0.0", "1.0")


async def test_without_its_servers_it_lives_and_says_so(site: Site) -> None:
    nowhere = changed(
        site.settings,
        database={"port": free_port(), "retry_for": 0.1},
        kafka={"bootstrap": f"127.0.0.1:{free_port()}"},
    )
    async with (
        served(nowhere) as address,
        aiohttp.ClientSession(address, headers={"Authorization": f"Bearer {SECRET}"}) as session,
    ):
        visitor = Visitor(session)
        overview = await visitor.get("/api/overview")
        fills = await visitor.ask("/api/fills")
        topics = await visitor.ask("/api/topics")
        records = await visitor.ask("/api/topics/fills/records")
        command = {"command_id": "x", "account": "alpha", "action": "halt"}
        given = await visitor.post("/api/commands", command)
        ready = await visitor.ask("/readyz")
        alive = await visitor.get("/healthz")
    assert [each["equity"] for each in overview["accounts"]] == [None, None]
    assert "does not answer" in overview["problem"]
    assert [answer[0] for answer in (fills, topics, records, given, ready)] == [503] * 5
    assert [answer[1]["part"] for answer in (fills, topics, records, given)] == [
        "database", "broker", "broker", "broker",
    ]  # fmt: skip
    assert not ready[1]["ready"]
    assert alive == {"alive": True}


async def test_the_description_names_every_route(site: Site) -> None:
    async with site.visitor() as visitor:
        described = await visitor.get("/openapi.json")
    paths = set(described["paths"])
    assert {path.replace("/fills/", "/{topic}/") for path in PATHS} <= paths
    assert {"/api/events", "/api/session", "/healthz", "/readyz", "/metrics", "/login"} <= paths
    assert "http" not in str(described.get("servers", ""))
