"""What is appended reaches every viewer, once and in order, however they come and go."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest

from app.core.events import DeadLetter, Identity, Message, Resumed
from app.dashboard.live.placed import LONGEST_PAYLOAD
from app.runtime.codec import encode
from app.runtime.kafka import KafkaLog
from app.runtime.ports import Entry, Place
from app.runtime.topics import declared
from tests.dashboard.conftest import SECRET, Site, Visitor, changed, served
from tests.replay.market import INSTRUMENTS, A, Market, batch, end
from tests.storage.proxy import Proxy

pytestmark = pytest.mark.integration

PATIENCE = 60.0
NEVER = 10**6
"""Numbers of records from here on are no stage's."""


@dataclass
class Stream:
    """An open stream: its events, and the last id that was among them."""

    content: aiohttp.StreamReader
    id: str = ""
    records: list[dict[str, Any]] = field(default_factory=list)

    async def event(self) -> tuple[str, Any]:
        """Return the next event."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE):
            while (
                line := (await self.content.readline()).decode()
            ) != "\n" or "data" not in fields:
                assert line, "the stream ended"
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value
        self.id = fields.get("id", self.id)
        document = orjson.loads(fields["data"])
        if fields["event"] == "records":
            self.records += document["records"]
        return fields["event"], document

    async def until(self, name: str) -> Any:
        """Return the next event of a name."""
        while True:
            found, document = await self.event()
            if found == name:
                return document

    async def reads(self, count: int) -> list[dict[str, Any]]:
        """Read until there are so many records, and return them."""
        while len(self.records) < count:
            await self.event()
        return self.records


@asynccontextmanager
async def stream(site: Site, place: str | None = None, **parameters: str) -> AsyncIterator[Stream]:
    """Open a stream, from its beginning or from an id on."""
    headers = {"Authorization": f"Bearer {SECRET}"}
    if place is not None:
        headers["Last-Event-ID"] = place
    async with (
        aiohttp.ClientSession(site.address, headers=headers, read_bufsize=2**24) as session,
        session.get("/api/events", params=parameters) as answer,
    ):
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        yield Stream(answer.content)


async def append(site: Site, *entries: Entry) -> list[int]:
    kafka = site.settings.kafka
    log = KafkaLog(kafka.bootstrap, kafka.prefix)
    await log.start()
    try:
        return await log.append(entries)
    finally:
        await log.stop()


def resumed(number: int, account: str = "alpha", reason: str = "") -> Entry:
    """Return a record that says little, by a number that no other has."""
    record = Resumed(account, end(50), 1, reason or f"number {number}")
    message = Message(record, Identity("risk", account, account, NEVER + number), "nothing")
    return Entry("risk", account.encode(), encode(message))


def reasons(records: list[dict[str, Any]]) -> list[str]:
    return [each["record"].get("reason", "") for each in records]


async def test_a_stream_begins_with_every_price_and_a_place_to_go_on_from(site: Site) -> None:
    async with stream(site) as one:
        name, hello = await one.event()
        assert name == "hello"
        assert {price["instrument"] for price in hello["prices"]} == set(INSTRUMENTS)
        assert await one.event() == ("records", {"records": []})
        assert one.id.count(":") == 2 * 20
        status = await one.until("status")
    assert {each["stage"] for each in status["stages"]} >= {"market", "risk", "sink"}
    assert status["viewers"] == 1


async def test_what_is_appended_reaches_every_viewer(site: Site) -> None:
    async with stream(site) as one, stream(site) as two:
        for each in (one, two):
            await each.until("records")
        (offset,) = await append(site, resumed(1))
        for each in (one, two):
            (record,) = await each.reads(1)
            assert (record["topic"], record["offset"]) == ("risk", offset)
            assert record["record"]["type"] == "resumed"
            assert record["record"]["id"] == f"risk/alpha/alpha/{NEVER + 1}"
            assert f"risk:{record['partition']}:{offset + 1}" in each.id


async def test_who_comes_back_misses_nothing_and_gets_nothing_twice(site: Site) -> None:
    async with stream(site) as one:
        await one.until("records")
        await append(site, resumed(10))
        await one.reads(1)
        place = one.id
    await append(site, *(resumed(number) for number in range(11, 16)))
    async with stream(site, place) as again:
        await append(site, resumed(16))
        found = await again.reads(6)
    assert reasons(found) == [f"number {number}" for number in range(11, 17)]


async def test_the_stream_goes_on_where_the_tables_end(site: Site) -> None:
    await append(site, resumed(20))
    async with site.visitor() as visitor:
        cursor = (await visitor.get("/api/fills"))["cursor"]
    stored = {
        Place(topic, int(number)): int(offset)
        for topic, number, offset in (part.split(":") for part in cursor.split(",")[1:])
    }
    kafka = site.settings.kafka
    log = KafkaLog(kafka.bootstrap, kafka.prefix)
    await log.start(reading_only=True)
    try:
        expected = {
            (place.topic, place.partition, each.offset)
            for place, start in stored.items()
            for each in await log.read(place, start)
        }
    finally:
        await log.stop()
    async with stream(site, **{"from": cursor}) as one:
        found = await one.reads(len(expected))
    assert {(each["topic"], each["partition"], each["offset"]) for each in found} == expected
    assert len(found) == len(expected) > 0
    assert set(stored) == {
        Place(topic, number)
        for topic in ("candles", "signals", "portfolio", "allocations", "orders", "risk", "fills",
                      "dead-letters", "forks")
        for number in range(declared()[topic].partitions)
    }  # fmt: skip


@pytest.mark.parametrize("place", ["nonsense", "0000abcd,risk:0:1"])
async def test_a_place_that_means_nothing_here_is_told(site: Site, place: str) -> None:
    async with stream(site, place) as one:
        reset = await one.until("reset")
        assert "load the data again" in reset["reason"]
        await append(site, resumed(30))
        assert reasons(await one.reads(1)) == ["number 30"]


async def test_viewers_get_what_they_chose(site: Site) -> None:
    async with stream(site, accounts="beta", instruments=A) as one:
        hello = await one.until("hello")
        await one.until("records")
        await append(site, resumed(40), resumed(41, "beta"), resumed(42))
        assert reasons(await one.reads(1)) == ["number 41"]
    assert [price["instrument"] for price in hello["prices"]] == [A]


async def test_of_prices_the_latest_wins(site: Site) -> None:
    trades = Market(7, 60).trades[A]
    entries = [
        Entry("trades", A.encode(), encode(Message(batch(A, trades[number]))))
        for number in range(24, 60)
        if trades[number]
    ]
    async with stream(site) as one:
        await one.until("records")
        await append(site, *entries)
        seen = []
        while not seen or seen[-1]["time"] != trades[59][-1].time:
            (price,) = (await one.until("prices"))["prices"]
            seen.append(price)
    assert len(seen) < len(entries)
    assert seen[-1]["price"] == f"{trades[59][-1].price.normalize():f}"
    assert seen[-1]["forming"]["trades"] == len(trades[59])


async def test_of_a_dead_letter_only_a_beginning_is_sent(site: Site) -> None:
    letter = DeadLetter("trades", 0, 7, A, "candles", "no JSON", "AAAA" * 5_000, 15_000)
    async with stream(site) as one:
        await one.until("records")
        await append(site, Entry("dead-letters", b"trades", encode(Message(letter))))
        (record,) = await one.reads(1)
    assert len(record["record"]["payload"]) == LONGEST_PAYLOAD


async def test_who_takes_nothing_is_left_behind_and_holds_nobody_up(site: Site) -> None:
    place = urlsplit(site.address)
    request = f"GET /api/events HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {SECRET}"
    many = 2_400
    with socket.socket() as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        idle.connect((place.hostname, place.port))
        idle.sendall(f"{request}\r\n\r\n".encode())
        assert idle.recv(12) == b"HTTP/1.1 200"
        async with stream(site) as one:
            await one.until("records")
            await append(site, *(resumed(100 + n, reason="x" * 1_000) for n in range(many)))
            found = await one.reads(many)
            offsets = [each["offset"] for each in found]
            assert offsets == list(range(offsets[0], offsets[0] + many))
            while (await one.until("status"))["viewers"] > 1:
                pass


async def test_no_more_viewers_than_are_allowed(site: Site) -> None:
    few = changed(site.settings, dashboard={"viewers": 1})
    async with served(few) as address:
        other = Site(address, few, [], site.loop)
        async with stream(other) as one, other.visitor() as visitor:
            await one.until("records")
            status, document = await visitor.ask("/api/events")
    assert (status, document["error"]) == (
        503,
        "there are as many viewers as dashboard.viewers allows.",
    )


async def test_a_database_that_comes_back_is_asked_again(site: Site) -> None:
    database = site.settings.database
    async with Proxy(database.host, database.port) as proxy:
        through = changed(site.settings, database={"port": proxy.port, "retry_for": 0.1})
        async with (
            served(through) as address,
            aiohttp.ClientSession(
                address, headers={"Authorization": f"Bearer {SECRET}"}
            ) as session,
        ):
            visitor = Visitor(session)
            before = await visitor.get("/api/fills")
            await proxy.vanish()
            status, document = await visitor.ask("/api/fills")
            assert (status, document["part"]) == (503, "database")
            overview = await visitor.get("/api/overview")
            assert overview["problem"]
            assert overview["accounts"][0]["equity"] is None
            await proxy.listen()
            assert (await visitor.get("/api/fills"))["rows"] == before["rows"]
