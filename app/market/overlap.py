"""Dump files and a topic that holds some of their trades enter; that they agree leaves, or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from app.core.decimals import plain
from app.core.events import Message, Trades
from app.errors import LockstepError
from app.market.columns import rows_of
from app.market.dumps import Aggregate, line_of
from app.market.importing import Dump, located
from app.replay.sources.bisection import NEAR, bisected
from app.replay.sources.topics import Recording
from app.runtime.admission import admit_for
from app.runtime.ports import Place, Stored
from app.times import format_time

Row = tuple[Path, Aggregate]
Tell = Callable[[int], None]

_FIELDS: dict[str, Callable[[Any], str]] = {
    "price": plain,
    "quantity": plain,
    "time": format_time,
    "buyer_maker": str,
    "first_id": str,
    "last_id": str,
}


async def check_overlap(
    recording: Recording, place: Place, dump: Dump, last_id: int, tell: Tell = lambda _: None
) -> int:
    """Return how many trades of the files, up to an id, stand on the topic as a gap.

    Args:
        recording: The topics.
        place: Where the instrument stands.
        dump: The files.
        last_id: Ids up to it stand there.
        tell: Is told of the time up to which they agree, milliseconds since the epoch UTC.

    Raises:
        DumpError: A file is not a dump; the sentence names the line.
        LockstepError: A trade stands there with other values.
    """
    comparison = _Comparison(dump, last_id)
    if comparison.row is None:
        return 0
    first, end = await recording.bounds(place)
    key, wanted = dump.instrument.encode(), comparison.row[1].id

    def below(stored: Stored) -> bool | None:
        record = _trades(stored, key)
        return None if record is None else record.id[0] < wanted

    begin = max(await bisected(recording, place, first, end, below) - NEAR, first)
    async for record in _standing(recording.chunks(place, begin, end), key):
        for there in rows_of(record):
            comparison.take(there)
        tell(record.time[-1])
        if comparison.row is None:
            break
    return comparison.missing + comparison.left()


class _Comparison:
    """Rows of files beside those on the topic, both with rising ids.

    Attributes:
        row: The next of the files; none: there are no more.
        missing: How many of them the topic has passed without having them.
    """

    def __init__(self, dump: Dump, last_id: int) -> None:
        found = (each for each in located(dump) if not each[1].void)
        self._rows: Iterator[Row] = takewhile(lambda each: each[1].id <= last_id, found)
        self._begun = False
        self.row = next(self._rows, None)
        self.missing = 0

    def take(self, there: Aggregate) -> None:
        """Take the next trade that stands on the topic."""
        while self.row is not None and self.row[1].id < there.id:
            # What is before all that stands there became history.
            self.missing += self._begun
            self.row = next(self._rows, None)
        self._begun = True
        if self.row is not None and self.row[1].id == there.id:
            _compare(*self.row, there)
            self.row = next(self._rows, None)

    def left(self) -> int:
        """Return how many rows the topic has nothing beside."""
        return (self.row is not None) + sum(1 for _ in self._rows)


async def _standing(chunks: AsyncIterator[list[Stored]], key: bytes) -> AsyncIterator[Trades]:
    async for chunk in chunks:
        for stored in chunk:
            record = _trades(stored, key)
            if record is not None:
                yield record


def _trades(stored: Stored, key: bytes) -> Trades | None:
    message = admit_for(stored, "candles") if stored.key == key else None
    record = message.record if isinstance(message, Message) else None
    return record if isinstance(record, Trades) else None


def _compare(path: Path, row: Aggregate, there: Aggregate) -> None:
    for name, text in _FIELDS.items():
        one, other = getattr(row, name), getattr(there, name)
        if one != other:
            raise LockstepError(
                f"{path}, line {line_of(path, row.id)}: the {name} of trade {row.id} was "
                f"{text(one)}, and {text(other)} stands on the topic: it is another market's dump "
                f"or a changed one; import it into a run of its own (LOCKSTEP_KAFKA__PREFIX)."
            )
