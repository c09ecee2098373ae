"""What is found by halves is what reading everything finds, however senders take turns."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from app.core.events import Fill, Inbound, Orders, Refusal
from app.replay.explain import Moment, document, explain, gather_moment, gather_named
from app.replay.explain.archive import Wanted, ordered
from app.replay.explain.from_topics import TopicArchive
from app.replay.explain.row import SOURCES, Row, rows_of
from app.runtime.codec import decode
from app.runtime.ports import Place, Stored
from app.storage.tables import TABLES
from tests.replay.market import A, B, Market, end
from tests.replay.recording import MemoryTopics, recorded
from tests.replay.test_explain import of

INTERVALS = 40
TOPICS = {topic for topic, _, _ in SOURCES.values()}


class Everything:
    """An archive that reads every record for every question."""

    def __init__(self, topics: MemoryTopics) -> None:
        self._tapes = TopicArchive(topics)
        self._rows: dict[str, list[Row]] = {}
        for place, partition in topics.stored.items():
            for stored in partition if place.topic in TOPICS else ():
                for row in rows_of(Inbound(decode(stored.value), *place, stored.offset)):
                    if SOURCES.get(row.table, ("",))[0] == place.topic:
                        self._rows.setdefault(row.table, []).append(row)

    async def rows(self, wanted: Sequence[Wanted]) -> list[Row]:
        found: dict[tuple[str, ...], Row] = {}
        for one in wanted:
            for row in self._rows.get(one.table, ()):
                if row[SOURCES[one.table][1]] == one.key and one.fits(row):
                    key = (row.table, *(str(row[name]) for name in TABLES[row.table].key))
                    found.setdefault(key, row)
        return ordered(list(found.values()))

    async def tape(self, candle: Row) -> list[Row]:
        return await self._tapes.tape(candle)


def sender_of(stored: Stored) -> str:
    identity = decode(stored.value).identity
    return "" if identity is None else identity.sender


def in_turn(run: MemoryTopics, draw: random.Random) -> MemoryTopics:
    """Let one sender after another write all it has to say; some say a little of it twice."""
    other = MemoryTopics()
    for place, partition in run.stored.items():
        senders = list(dict.fromkeys(map(sender_of, partition)))
        draw.shuffle(senders)
        found: list[Stored] = []
        for sender in senders:
            own = [stored for stored in partition if sender_of(stored) == sender]
            again = draw.randrange(len(own)) if sender and len(own) > 4 else 0
            found += own[: again + 3] + own[again:] if again else own
        other.stored[place] = [
            Stored(*place, offset, each.key, each.value)
            for offset, each in enumerate(partition if place.topic == "trades" else found)
        ]
    return other


@pytest.fixture(scope="module", params=["as recorded", "in turn"])
def run(request: pytest.FixtureRequest) -> MemoryTopics:
    made = asyncio.run(recorded(Market(7, INTERVALS), random.Random(3), lead=6))
    return made if request.param == "as recorded" else in_turn(made, random.Random(4))


@pytest.fixture(autouse=True)
def _searches_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.replay.explain.from_topics.NEAR", 8)


def names(run: MemoryTopics) -> list[str]:
    fills = of(run, "fills", Fill)
    orders = [order for _, each in of(run, "orders", Orders) for order in each.orders]
    return [
        *(message.name for message, _ in fills[:: len(fills) // 6]),
        *(f"{fill.order_id}/{fill.part}" for _, fill in fills[:: len(fills) // 4]),
        *(order.order_id for order in orders[:: len(orders) // 6]),
        *(message.name for message, _ in of(run, "risk", Refusal)[::30]),
        *("portfolio/alpha/alpha/30", "allocation/beta/beta/32", "risk/alpha/alpha/1"),
        *(f"macd/{A}/alpha/25", f"candles/{B}/{B}/30", f"execution/{A}/beta/12"),
    ]


async def test_it_is_what_reading_everything_finds(run: MemoryTopics) -> None:
    searching, reading = TopicArchive(run), Everything(run)
    for name in names(run):
        told = [document(explain(case)) for case in await gather_named(searching, name)]
        assert told == [document(explain(case)) for case in await gather_named(reading, name)]
    for number, instrument, account in ((3, A, "alpha"), (20, B, "beta"), (34, A, "beta")):
        moment = Moment(end(number), instrument, account)
        one, other = [explain(await gather_moment(each, moment)) for each in (searching, reading)]
        assert document(one) == document(other)


async def test_of_a_long_topic_little_is_read(run: MemoryTopics) -> None:
    """What is late on a topic costs no more than what is early, but for the search."""
    read: dict[str, int] = {}

    def tell(place: str, count: int, whole: int) -> None:
        del whole
        read[place] = max(read.get(place, 0), count)

    wanted = Wanted("portfolio", "alpha", end(30), end(30))
    (row,) = await TopicArchive(run, tell).rows([wanted])
    place = Place("portfolio", run.partition_for(b"alpha", 2))
    assert row["topic_offset"] > 30
    assert read[f"portfolio/{place.partition}"] < len(run.stored[place]) // 2
