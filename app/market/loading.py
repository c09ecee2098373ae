"""A dump enters; its records stand on `trades`, once, however often it is begun again.

What is there already is found on the topic itself: the accounts at the instrument's first records,
the last id at its last ones. Rows up to that id are left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from app.core.events import (
    Account,
    Clock,
    Epoch,
    Gap,
    Listing,
    Message,
    Record,
    Series,
    StageState,
    Trades,
)
from app.errors import LockstepError
from app.market import listings
from app.market.belonging import Newest
from app.market.importing import Dump, Manner, Tape, Timed, check, located, market, series_of
from app.market.overlap import check_overlap
from app.market.state import FeedState
from app.replay.sources.kafka import KafkaRecording
from app.runtime.admission import admit_for
from app.runtime.codec import decode, decode_state, encode
from app.runtime.kafka import KafkaLog
from app.runtime.ports import Entry, Place, Stored

TOPIC = "trades"
PIECE = 100
FIRST_LOOK = 1_000
WIDEN = 8

Tell = Callable[[int, int], None]
"""Is told how many trades were appended, and the time of the last, milliseconds."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands on the topic of an instrument.

    Attributes:
        epochs: By account, as the instrument began with.
        last_id: Every id up to it stands there; none where nothing does.
        last_time: Time of the newest trade, milliseconds since the epoch UTC.
        last_clock: Time of the newest clock.
        series: Which numbering its ids follow; none where no trade was found.
        newest: The last trade.
    """

    epochs: dict[str, Epoch]
    last_id: int | None = None
    last_time: int = 0
    last_clock: int = 0
    series: Series | None = None
    newest: Newest | None = None

    def after(self, record: Record) -> Standing:
        """Return what stands with a record more."""
        if isinstance(record, Trades):
            row = (record.id[-1], record.first_id[-1], record.last_id[-1])
            return replace(
                self,
                last_id=row[0],
                last_time=max(self.last_time, record.time[-1]),
                series=series_of(*row),
                newest=Newest(row[0], record.time[-1], record.price[-1]),
            )
        if isinstance(record, Gap) and record.last_id is not None:
            return replace(self, last_id=max(self.last_id or 0, record.last_id))
        if isinstance(record, Clock):
            last_id = max(self.last_id or 0, record.last_id)
            return replace(self, last_id=last_id, last_clock=record.time)
        return self


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an import did.

    Attributes:
        trades: Trades appended.
        gaps: Gaps among them, void trades not counted.
        standing: What stood there before.
        joined: The accounts that take part.
        missed: Trades of the files that stand there as a gap, and so can't be added.
    """

    trades: int
    gaps: int
    standing: Standing
    joined: tuple[str, ...]
    missed: int = 0


async def load(
    log: KafkaLog,
    recording: KafkaRecording,
    dump: Dump,
    *,
    accounts: Iterable[Account],
    interval: int,
    manner: Manner,
    tell: Tell,
) -> Loaded:
    """Append what of a dump does not stand on the topic yet.

    Args:
        log: Where it is appended.
        recording: The same topics, to be read.
        dump: The files.
        accounts: Those that take part; those of other instruments are left out.
        interval: The base interval, milliseconds.
        manner: How a dump becomes records.
        tell: Is told of the progress.

    Raises:
        LockstepError: The instrument is fed live, began otherwise, its ids are others, or what
            stands there is not what the files hold.
    """
    await _refuse_fed(recording, dump.instrument)
    standing = await find(recording, dump.instrument)
    listing = await _listing(log, dump.instrument, tuple(accounts), interval)
    _check_accounts(dump.instrument, listing, standing)
    counts = {"trades": 0, "gaps": 0}
    records = _records(dump, listing, manner, standing)
    missed = 0
    if standing.last_id is not None:
        place = await _place(recording, dump.instrument)
        last_id = standing.last_id
        missed = await check_overlap(recording, place, dump, last_id, lambda time: tell(0, time))
    for entries, newest in _pieces(records, dump.instrument, counts):
        await log.append(entries)
        tell(counts["trades"], newest)
    joined = tuple(account.name for account in listing.accounts)
    return Loaded(counts["trades"], counts["gaps"], standing, joined, missed)


async def find(recording: KafkaRecording, instrument: str) -> Standing:
    """Return what stands on the topic of an instrument."""
    key, place = instrument.encode(), await _place(recording, instrument)
    first, end = await recording.bounds(place)
    standing = Standing(await _epochs(recording.chunks(place, first, end), key))
    width = FIRST_LOOK
    while True:
        start = max(first, end - width)
        found = standing
        async for chunk in recording.chunks(place, start, end):
            for record in _of(chunk, key):
                found = found.after(record)
        if start == first or found.series is not None:
            return found
        width *= WIDEN


async def _place(recording: KafkaRecording, instrument: str) -> Place:
    count = await recording.partitions(TOPIC)
    return Place(TOPIC, recording.partition_for(instrument.encode(), count))


async def _epochs(chunks: AsyncIterator[list[Stored]], key: bytes) -> dict[str, Epoch]:
    """Return the epochs before the first trades of an instrument."""
    found: dict[str, Epoch] = {}
    async for chunk in chunks:
        for record in _of(chunk, key):
            if isinstance(record, Epoch):
                found[record.account.name] = record
            elif isinstance(record, Trades | Clock | Gap):
                return found
    return found


def _of(chunk: list[Stored], key: bytes) -> Iterator[Record]:
    for stored in chunk:
        message = admit_for(stored, "candles") if stored.key == key else None
        if isinstance(message, Message):
            yield message.record


async def _refuse_fed(recording: KafkaRecording, instrument: str) -> None:
    """Refuse an instrument whose trades a live feed of this run publishes."""
    for number in range(await recording.partitions("state-market")):
        place = Place("state-market", number)
        async for chunk in recording.chunks(place, *await recording.bounds(place)):
            for stored in chunk:
                if stored.key == instrument.encode() and _feeds(stored):
                    raise LockstepError(
                        f"{instrument} is published by a live feed of this run: import it into a "
                        f"run of its own (LOCKSTEP_KAFKA__PREFIX)."
                    )


def _feeds(stored: Stored) -> bool:
    record = decode(stored.value).record
    if not isinstance(record, StageState):
        return False
    return decode_state(FeedState, record.body).last_id is not None


async def _listing(
    log: KafkaLog, instrument: str, accounts: tuple[Account, ...], interval: int
) -> Listing:
    standing = await listings.read(log)
    for listing in listings.wanted(accounts, interval, standing):
        if listing.instrument == instrument and listing.accounts:
            return listing
    raise LockstepError(
        f"no account trades {instrument}, so nothing would be made of its trades: add it to the "
        f"instruments of an account (app.yaml)."
    )


def _check_accounts(instrument: str, listing: Listing, standing: Standing) -> None:
    """Refuse to go on under other accounts than the import began with."""
    if standing.last_id is None:
        return
    for account, number in zip(listing.accounts, listing.numbers, strict=True):
        epoch = standing.epochs.get(account.name)
        if epoch is None or (epoch.number, epoch.account) != (number, account):
            raise LockstepError(
                f"trades of {instrument} stand on the topic since before account {account.name} "
                f"was as it is now: import into a new run (LOCKSTEP_KAFKA__PREFIX)."
            )


def _records(dump: Dump, listing: Listing, manner: Manner, standing: Standing) -> Iterator[Timed]:
    if standing.last_id is None:
        return market(dump, listing, manner)
    series = check(dump)
    if standing.series not in (None, series):
        raise LockstepError(
            f"{dump.files[0]} holds {series} trades, but on the topic stand {standing.series} ones "
            f"of {dump.instrument}, whose ids are other numbers: import dumps of one kind."
        )
    tape = Tape(
        dump.instrument,
        listing.interval,
        manner,
        standing.last_clock,
        standing.last_id + 1,
        newest=standing.last_time,
    )
    found = located(dump, standing.last_id, standing.newest)
    return tape.follow(row for _, row in found)


def _pieces(
    records: Iterable[Timed], instrument: str, counts: dict[str, int]
) -> Iterator[tuple[list[Entry], int]]:
    """Yield entries in pieces with the time of the last; count what is in them."""
    entries: list[Entry] = []
    newest = 0
    for timed in records:
        record, newest = timed.record, timed.time
        counts["trades"] += len(record.id) if isinstance(record, Trades) else 0
        counts["gaps"] += isinstance(record, Gap) and not record.reason.startswith("void")
        entries.append(Entry(TOPIC, instrument.encode(), encode(Message(record))))
        if len(entries) == PIECE:
            yield entries, newest
            entries = []
    if entries:
        yield entries, newest
