"""What stands on the topic and files that hold it again are the same, or it is said where not."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from app.core.events import Message
from app.errors import LockstepError
from app.market.columns import trades_of
from app.market.dumps import Aggregate
from app.market.importing import Dump
from app.market.overlap import check_overlap
from app.runtime.codec import encode
from app.runtime.ports import Entry, Place
from tests.replay.recording import MemoryTopics
from tests.replay.test_ring import XRP

TIME = 1_570_752_000_000
PLACE = Place("trades", 0)


def row(identity: int) -> Aggregate:
    time = TIME + identity * 100
    return Aggregate(identity, identity, identity, time, Decimal(100), Decimal(identity), True)


def written(path: Path, rows: list[Aggregate]) -> Dump:
    lines = [f"{r.id},{r.price},{r.quantity},1,{r.time},{r.buyer_maker},True\n" for r in rows]
    path.write_text("".join(["id,price,qty,quote,time,maker,best\n", *lines]))
    return Dump(XRP, (path,))


def standing(ids: list[int], pack: int = 3) -> MemoryTopics:
    """A topic with these trades, and those of another instrument between them."""
    topics = MemoryTopics()
    for start in range(0, len(ids), pack):
        record = trades_of(XRP, [row(number) for number in ids[start : start + pack]], age=0)
        other = replace(record, instrument="BINANCE:BTCETH")
        for each in (record, other):
            raw = encode(Message(each))
            topics.put(Entry("trades", each.instrument.encode(), raw, PLACE.partition))
    return topics


@pytest.fixture(autouse=True)
def _bisects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.market.overlap.NEAR", 4)


@pytest.mark.parametrize(
    ("there", "last", "held", "missed"),
    [
        ([*range(1, 60)], 59, [*range(1, 60)], 0),
        ([*range(1, 60)], 59, [*range(40, 80)], 0),  # goes on where the topic ends
        ([*range(30, 60)], 59, [*range(1, 50)], 0),  # what is before became history
        ([*range(1, 20), *range(25, 60)], 59, [*range(1, 60)], 5),
        ([*range(1, 40)], 49, [*range(1, 60)], 10),  # the topic ends with a gap
        ([*range(1, 60)], 59, [*range(1, 20), *range(30, 60)], 0),  # the files have a hole
        ([*range(1, 60)], 59, [*range(70, 80)], 0),
    ],
)
async def test_what_agrees_passes(
    there: list[int], last: int, held: list[int], missed: int, tmp_path: Path
) -> None:
    dump = written(tmp_path / "dump.csv", [row(number) for number in held])
    assert await check_overlap(standing(there), PLACE, dump, last) == missed


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"price": Decimal("100.5")}, "line 28: the price of trade 46 was 100.5, and 100 stands"),
        ({"quantity": Decimal(1)}, "the quantity of trade 46 was 1, and 46 stands"),
        (
            {"time": TIME},
            "time of trade 46 was 2019-10-11T00:00:00Z, and 2019-10-11T00:00:04.6",
        ),
        ({"buyer_maker": False}, "the buyer_maker of trade 46 was False, and True stands"),
    ],
)
async def test_what_differs_is_named_with_line_and_both_values(
    change: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    rows = [row(number) for number in range(20, 80)]
    rows[26] = replace(rows[26], **change)  # type: ignore[arg-type]
    dump = written(tmp_path / "dump.csv", rows)
    with pytest.raises(LockstepError, match=re.escape(sentence)):
        await check_overlap(standing([*range(1, 60)]), PLACE, dump, 59)
