"""REST parameters, errors, limits and weights answer as the exchange's do."""

from __future__ import annotations

from typing import Any

import pytest

from app.market.exchange import ExchangeSettings
from app.market.exchange.limits import Limits
from tests.market.exchange.playing import BTCUSDT, DAY, HOUR, XRPETH, played

ILLEGAL = (
    "Illegal characters found in parameter 'symbol'; "
    r"legal range is '^[\w\-._&&[^a-z]]{1,50}$'."
)
MANDATORY = "Mandatory parameter '{}' was not sent, was empty/null, or malformed."


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("aggTrades", -1102, MANDATORY.format("symbol")),
        ("aggTrades?symbol=", -1105, "Parameter 'symbol' was empty."),
        ("aggTrades?symbol=xrpeth", -1100, ILLEGAL),
        ("aggTrades?symbol=XRPETH%21", -1100, ILLEGAL),
        ("aggTrades?symbol=NOSUCH", -1121, "Invalid symbol."),
        ("aggTrades?symbol=XRPETH&fromId=1&startTime=1", -1128,
         "Combination of optional parameters invalid."),
        ("aggTrades?symbol=XRPETH&fromId=1&endTime=1", -1128,
         "Combination of optional parameters invalid."),
        ("aggTrades?symbol=XRPETH&fromId=-1", -1100,
         "Illegal characters found in parameter 'fromId'; legal range is '^[0-9]{1,20}$'."),
        ("aggTrades?symbol=XRPETH&limit=0", -1130,
         "Data sent for parameter 'limit' is not valid."),
        ("aggTrades?symbol=XRPETH&colour=red", -1104,
         "Not all sent parameters were read; read '1' parameter(s) but was sent '2'."),
        ("aggTrades?symbol=XRPETH&symbol=XRPETH", -1101,
         "Duplicate values for a parameter detected."),
        ("time?x=1", -1101, "Too many parameters; expected '0' and received '1'."),
        ("klines?symbol=XRPETH", -1102, MANDATORY.format("interval")),
        ("klines?symbol=XRPETH&interval=2m", -1120, "Invalid interval."),
        ("klines?symbol=XRPETH&interval=1m&timeZone=99", -1130,
         "Data sent for parameter 'timeZone' is not valid."),
        ("exchangeInfo?symbol=NOSUCH", -1121, "Invalid symbol."),
        ("exchangeInfo?symbols=%5B%22XRPETH%22,%22NOSUCH%22%5D", -1121, "Invalid symbol."),
        ("exchangeInfo?symbols=%5B%22XRPETH%22,%22XRPETH%22%5D", -1151,
         "Symbol is present multiple times in the list."),
        ("exchangeInfo?symbol=XRPETH&permissions=SPOT", -1128,
         "Combination of optional parameters invalid."),
        ("exchangeInfo?symbolStatus=SLEEPING", -1122, "Invalid symbolStatus."),
    ],
)  # fmt: skip
async def test_a_wrong_request_is_refused_with_its_code(path: str, code: int, message: str) -> None:
    async with played() as p:
        status, body, headers = await p.ask(path)
        assert (status, body) == (400, {"code": code, "msg": message})
        assert int(headers["X-MBX-USED-WEIGHT-1M"]) > 0


async def test_ping_and_time() -> None:
    async with played() as p:
        assert await p.get("ping") == {}
        assert await p.get("time") == {"serverTime": DAY}
        assert await p.get("time", **{"X-MBX-TIME-UNIT": "MICROSECOND"}) == {
            "serverTime": DAY * 1000
        }
        assert (await p.ask("depth"))[0] == 404


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", range(5429, 5929)),
        ("limit=3", range(5926, 5929)),
        ("limit=99999", range(4929, 5929)),
        ("fromId=13519807&limit=2", range(2)),
        ("fromId=13525734", range(5927, 5929)),
        ("fromId=99999999", range(0)),
        (f"startTime={DAY + 11_620}&limit=3", range(3)),
        (f"startTime={DAY + 11_621}&limit=1", range(2, 3)),
        (f"startTime={(DAY + 11_620) * 1000 + 1}&limit=1", range(2, 3)),
        (f"endTime={DAY + 11_620}", range(2)),
        (f"endTime={DAY + 11_619}", range(0)),
        (f"endTime={DAY + 24 * HOUR}&limit=2", range(5927, 5929)),
        (f"startTime={DAY + 11_620}&endTime={DAY + 11_620}", range(2)),
        (f"startTime={DAY}&endTime={DAY + 24 * HOUR}&limit=2", range(2)),
        (f"startTime={DAY + 20_000}&endTime={DAY + 19_999}", range(0)),
    ],
)
async def test_aggregates_are_selected_by_id_or_time(query: str, expected: range) -> None:
    async with played() as p:
        p.exchange.play_to(DAY + 24 * HOUR)
        rows = await p.get(f"aggTrades?symbol=XRPETH&{query}".rstrip("&"))
        assert [row["a"] - 13519807 for row in rows] == list(expected)


async def test_raw_trades_are_selected_by_trade_id() -> None:
    async with played() as p:
        p.exchange.play_to(DAY + 24 * HOUR)
        first, second = await p.get("historicalTrades?symbol=XRPETH&fromId=13519807&limit=2")
        assert first == {
            "id": 13519807, "price": "0.00141342", "qty": "23.00000000", "quoteQty": "0.03250866",
            "time": DAY + 11_620, "isBuyerMaker": True, "isBestMatch": True,
        }  # fmt: skip
        assert second["id"] == 13519808
        assert await p.get("historicalTrades?symbol=XRPETH&fromId=13525736") == []
        newest = await p.get("trades?symbol=XRPETH&limit=2")
        assert [row["id"] for row in newest] == [13525734, 13525735]


@pytest.mark.parametrize(
    ("query", "minutes"),
    [
        ("limit=2", [119, 120]),
        (f"startTime={DAY}&limit=2", [0, 1]),
        (f"startTime={DAY + 1}&limit=2", [1, 2]),
        (f"endTime={DAY + 60_000}", [0, 1]),
        (f"endTime={DAY + 59_999}", [0]),
        (f"startTime={DAY + 60_000}&endTime={DAY + 60_000}", [1]),
        (f"startTime={DAY + 119 * 60_000}", [119, 120]),
        (f"startTime={DAY + 24 * HOUR}", []),
    ],
)
async def test_candles_are_selected_by_open_time(query: str, minutes: list[int]) -> None:
    async with played() as p:
        p.exchange.play_to(DAY + 2 * HOUR)
        rows = await p.get(f"klines?symbol=XRPETH&interval=1m&{query}")
        assert [(row[0] - DAY) // 60_000 for row in rows] == minutes
        assert all(row[6] == row[0] + 59_999 for row in rows)


async def test_microseconds_on_request() -> None:
    async with played() as p:
        p.exchange.play_to(DAY + HOUR)
        unit = {"X-MBX-TIME-UNIT": "MICROSECOND"}
        (bar,) = await p.get("klines?symbol=XRPETH&interval=1m&limit=1", **unit)
        assert (bar[0], bar[6]) == ((DAY + HOUR) * 1000, (DAY + HOUR + 60_000) * 1000 - 1)
        (row,) = await p.get("aggTrades?symbol=XRPETH&fromId=13519807&limit=1", **unit)
        assert row["T"] == (DAY + 11_620) * 1000


async def test_candles_of_a_day_elsewhere() -> None:
    async with played() as p:
        p.exchange.play_to(DAY + HOUR)
        (bar,) = await p.get("klines?symbol=XRPETH&interval=1d&timeZone=-5:30")
        assert bar[0] == DAY - 24 * HOUR + 5 * HOUR + HOUR // 2


async def test_exchange_info_lists_symbols_with_their_filters() -> None:
    async with played(XRPETH, BTCUSDT) as p:
        body = await p.get("exchangeInfo")
        assert [symbol["symbol"] for symbol in body["symbols"]] == ["XRPETH", "BTCUSDT"]
        assert body["rateLimits"][0] == {
            "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
            "limit": 6000,
        }  # fmt: skip
        assert body["serverTime"] == DAY
        ripple = body["symbols"][0]
        assert (ripple["baseAsset"], ripple["quoteAsset"]) == ("XRP", "ETH")
        assert (ripple["status"], ripple["permissionSets"]) == ("TRADING", [["SPOT"]])
        filters = {entry["filterType"]: entry for entry in ripple["filters"]}
        assert filters["PRICE_FILTER"]["tickSize"] == "0.00000001"
        assert filters["LOT_SIZE"]["stepSize"] == "1.00000000"
        assert filters["NOTIONAL"]["minNotional"] == "0.00100000"
        for query, expected in [
            ("symbol=BTCUSDT", ["BTCUSDT"]),
            ("symbols=%5B%22BTCUSDT%22,%22XRPETH%22%5D", ["BTCUSDT", "XRPETH"]),
            ("permissions=SPOT", ["XRPETH", "BTCUSDT"]),
            ("permissions=%5B%22MARGIN%22%5D", []),
            ("symbolStatus=BREAK", []),
        ]:
            listed = (await p.get(f"exchangeInfo?{query}"))["symbols"]
            assert [symbol["symbol"] for symbol in listed] == expected
        bare = await p.get("exchangeInfo?showPermissionSets=false")
        assert "permissionSets" not in bare["symbols"][0]


async def test_weight_is_counted_then_refused_then_banned() -> None:
    async with played(weight_per_minute=45, bans_after=2, ban_seconds=100) as p:
        seen: list[tuple[int, Any]] = []
        for _ in range(6):
            status, body, headers = await p.ask("exchangeInfo")
            assert int(headers["X-MBX-USED-WEIGHT-1M"]) % 20 == 0
            seen.append((status, body.get("code")))
            if status != 200:
                assert int(headers["Retry-After"]) > 0
    assert seen == [(200, None)] * 2 + [(429, -1003)] * 2 + [(418, -1003)] * 2
    assert body["msg"].startswith("Way too much request weight used; IP banned until ")


def test_windows_are_fixed_minutes_and_bans_double() -> None:
    now = 1_000_020.0  # a minute and 20 s into the hour's fixed windows: 40 s are left
    now -= now % 60 - 20
    times = [now]
    limits = Limits(ExchangeSettings(weight_per_minute=10, bans_after=1), lambda: times[0])
    assert limits.request("a", 10).status == 200
    assert limits.request("b", 10).status == 200
    refused = limits.request("a", 1)
    assert (refused.status, refused.used_weight, refused.retry_after) == (429, 11, 41)
    assert (ban := limits.request("a", 1)).status == 418
    assert ban.retry_after == 121
    times[0] += 119
    assert limits.request("a", 1).status == 418
    times[0] += 2
    assert limits.request("a", 1).status == 200
    limits.request("a", 10)
    second = limits.request("a", 10)
    assert (second.status, second.retry_after) == (418, 241)
    assert limits.request("b", 10).status == 200
