"""One instrument's listing and market events enter; its records leave, with the state after."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import structlog

from app.core.events import Account, Leave, Listing, Record
from app.market.backfill import Backfill
from app.market.binance.connection import Told
from app.market.binance.protocol import AggregateTrade
from app.market.binance.rest import RestError, UnknownSymbolError
from app.market.membership import (
    decided_time,
    last_leave,
    leaving,
    returned,
    taking_part,
    wanting,
    with_entries,
)
from app.market.preparation import (
    OPEN_STATUSES,
    Preparation,
    join_records,
    prepare,
    refusal_epoch,
)
from app.market.state import AccountJoin, FeedState, JoinStep
from app.market.surroundings import Surroundings
from app.market.tape import Tape

log = structlog.get_logger()

MOST_LATE_PREPARATIONS = 3
REMOVED = "removed from the configuration"


@dataclass(slots=True)
class _Joining:
    """The attempt under way.

    Attributes:
        task: Asks the exchange.
        not_before: When to try again, in seconds of the monotonic clock.
        late: How often the candle to join at was closed before the task was done.
        untraded_since: Since when the first trade ever is awaited; none where it is not.
    """

    task: asyncio.Task[Preparation] | None = None
    not_before: float = 0.0
    late: int = 0
    untraded_since: float | None = None


@dataclass(slots=True)
class Instrument:
    """Feeds one instrument.

    Attributes:
        listing: Which accounts take part.
        state: The durable state.
        around: What it shares with the others.
        problem: Why an account can't join, in a sentence; empty where nothing is wrong.
        delisted: Why the exchange trades it no more; empty where it does.
        tape: Its trades, from the first join on.
    """

    listing: Listing
    state: FeedState
    around: Surroundings
    problem: str = ""
    delisted: str = ""
    tape: Tape | None = None
    room: asyncio.Event = field(default_factory=asyncio.Event)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _closing: asyncio.Event = field(default_factory=asyncio.Event)
    _connections: dict[int, None] = field(default_factory=dict)
    _backfill: Backfill | None = None
    _filling: asyncio.Task[None] | None = None
    _subscribed: bool = False
    _finish_at: float = 0.0
    _joining: _Joining = field(default_factory=_Joining)
    _misfits: dict[str, str] = field(default_factory=dict)

    @property
    def symbol(self) -> str:
        """Its name at the exchange."""
        return self.listing.instrument.partition(":")[2]

    # What comes in.

    def relist(self, listing: Listing) -> None:
        """Take another listing: accounts come, go, or are configured anew."""
        self.listing = listing
        self.problem = self.delisted = ""  # the exchange may know better by now
        self._misfits.clear()
        self._joining.not_before = 0.0
        self._refuse_returned()
        self.wake()

    def delist(self, reason: str) -> None:
        """Let every account leave, and those leave that would join: it is traded no more."""
        self.delisted = reason
        self.wake()

    def opened(self, connection: int) -> None:
        """Take note that a connection carries it."""
        self._connections[connection] = None
        if self.tape is not None:
            self.tape.opened(connection, self.around.time.monotonic())
        self.wake()

    def lost(self, connection: int) -> None:
        """Take note that a connection has ended."""
        self._connections.pop(connection, None)
        if self.tape is not None:
            self.tape.lost(connection, self.around.time.monotonic())
        self.wake()

    def told(self, told: Told) -> None:
        """Take an event of the stream; without a tape it is nothing that REST won't tell."""
        if self.tape is None:
            if self._joining.untraded_since is not None:
                self._joining.not_before = 0.0
                self.wake()
            return
        now = self.around.time.monotonic()
        if isinstance(told.event, AggregateTrade):
            self.tape.trade(told.connection, told.event.aggregate, told.newest, now)
            if self.tape.closing:
                self._closing.set()
        else:
            self.tape.witness(told.event.last_raw_id, now)
        self.wake()

    def outside_time(self, time: int) -> None:
        """Take exchange time learned by REST while no connection is open."""
        if self.tape is not None and not self._connections:
            self.tape.outside = time
        self.wake()

    def wake(self) -> None:
        """Look again at what there is to do."""
        self._wake.set()
        if self._backfill is not None and self.tape is not None and self.tape.wants:
            self._backfill.wake.set()

    # What goes out.

    async def run(self) -> None:
        """Publish what there is, until cancelled; ends with the exception of a failed publish."""
        self._resume()
        try:
            while True:
                self._wake.clear()
                await self._leave()
                await self._join()
                await self._flush()
                await self._finish()
                await self.around.time.wait(self._wake, self._pause())
        finally:
            await self._stop()

    def _resume(self) -> None:
        # Where nobody takes part any more, it begins anew with a join.
        if self.state.last_id is not None and (taking_part(self.state.joins) or self._finishing()):
            self._begin(self.state)
        self._refuse_returned()

    def _begin(self, state: FeedState) -> None:
        around, now = self.around, self.around.time.monotonic()
        self.tape = Tape(state, self.listing.interval, around.tape, times=around.times, now=now)
        for connection in self._connections:
            self.tape.opened(connection, now)
        self._subscribe()
        self._backfill = Backfill(
            around.rest,
            self.symbol,
            self.tape,
            filled=self._wake.set,
            time=around.time,
            chance=around.chance,
        )
        self._filling = asyncio.create_task(self._backfill.run())
        self._filling.add_done_callback(lambda _: self._wake.set())

    def _subscribe(self) -> None:
        if not self._subscribed:
            self._subscribed = True
            self.around.stream.subscribe(self.symbol)

    async def _stop(self) -> None:
        tasks = [task for task in (self._filling, self._joining.task) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._filling = self._backfill = self.tape = None
        self.room.set()
        self._joining.task = None
        if self._subscribed:
            self._subscribed = False
            self._connections.clear()
            self.around.stream.unsubscribe(self.symbol)

    def _current(self) -> FeedState:
        # Gaps may have been filled or forgotten since the last record.
        return self.state if self.tape is None else self.tape.state

    async def _publish(self, records: list[Record], state: FeedState) -> None:
        self.state = state
        if self.tape is not None:
            self.tape.state = state
        await self.around.publish(self.listing.instrument, records, state)

    async def _flush(self) -> None:
        tape, around = self.tape, self.around
        if tape is None:
            return
        if self._filling is not None and self._filling.done():
            self._filling.result()  # it never returns, so this raises what went wrong
        gathering = around.flush_after and 0 < tape.pending < around.tape.flush_count
        if gathering and not tape.closing:  # which others wait for
            self._closing.clear()
            every = around.flush_after / 1000
            # At the same moment as the others: many records together cost little more than one.
            await around.time.wait(self._closing, every - around.time.monotonic() % every)
        records = tape.take(around.time.monotonic())
        if not tape.full:
            self.room.set()
        if records:
            await self._publish(records, tape.state)
            # Perhaps more is in order, or a clock is due now that everything before it is out.
            self.wake()

    def _pause(self) -> float | None:
        now = self.around.time.monotonic()
        deadline = None if self.tape is None else self.tape.deadline(now)
        due = [] if deadline is None else [deadline]
        if self.tape is not None and not taking_part(self.state.joins) and not self._wanting():
            due.append(self._finish_at)
        if self._leaving() or self._refused():
            due.append(self._joining.not_before)
        if self._wanting() and self._joining.task is None:
            due.append(self._joining.not_before)
        return max(0.0, min(due) - now) if due else None

    # Accounts that come and go.

    def _wanting(self) -> list[tuple[Account, int]]:
        return [] if self.delisted else wanting(self.listing, self.state.joins)

    def _leaving(self) -> list[AccountJoin]:
        joins = self.state.joins
        return taking_part(joins) if self.delisted else leaving(self.listing, joins)

    def _refuse_returned(self) -> None:
        for entry in returned(self.listing, self.state.joins):
            self._complain(
                f"account {entry.account} has left it under number {entry.number} and is listed "
                "under no newer one; change something in the account's configuration"
            )

    async def _leave(self) -> None:
        leaving = self._leaving()
        refused = self._refused()
        if (not leaving and not refused) or self.around.time.monotonic() < self._joining.not_before:
            return
        try:
            now = await self._exchange_now()
        except RestError as error:
            self._complain(str(error))
            return
        interval = self.listing.interval
        # The topic may be ahead of the state after a crash, but not ahead of the exchange.
        time = max(self._closed(), now // interval * interval) + interval
        records, left = self._parting(leaving, refused, time)
        log.info("left", instrument=self.listing.instrument, left=left)
        await self._publish(records, with_entries(self._current(), left))
        self._finish_at = self.around.time.monotonic() + self.around.tape.patience

    def _refused(self) -> list[tuple[Account, int]]:
        """Return who is listed and can't join: its other instruments must not wait for that."""
        if self.delisted:
            return wanting(self.listing, self.state.joins)
        return [pair for pair in self._wanting() if pair[0].name in self._misfits]

    def _parting(
        self, leaving: list[AccountJoin], refused: list[tuple[Account, int]], time: int
    ) -> tuple[list[Record], list[AccountJoin]]:
        """Return the records by which accounts leave at a time, and their parts from then on."""
        instrument, next_id = self.listing.instrument, _next_id(self.state)
        names = [account.name for account, _ in refused]
        left = [replace(entry, time=time, step=JoinStep.LEFT)
                for entry in leaving if entry.account not in names]  # fmt: skip
        left += [AccountJoin(account.name, number, time, next_id, JoinStep.LEFT)
                 for account, number in refused]  # fmt: skip
        # Without its epoch nobody would know whom the leave of a new number concerns.
        records: list[Record] = [
            refusal_epoch(self.listing, account, number) for account, number in refused
        ]
        records += [
            Leave(instrument, entry.account, entry.number, time, self._reason(entry.account))
            for entry in left
        ]
        return records, left

    def _reason(self, account: str) -> str:
        return self._misfits.get(account) or self.delisted or REMOVED

    def _finishing(self) -> bool:
        """Whether candles that somebody who left still took part in are not closed yet."""
        return last_leave(self.state.joins) > self._closed()

    async def _finish(self) -> None:
        """Stop once nobody takes part and the last one's candles are closed."""
        if self.tape is None or taking_part(self.state.joins) or self._wanting():
            return
        if not self._finishing():
            await self._stop()
            return
        if self.around.time.monotonic() < self._finish_at:
            return
        # A delisted symbol's streams may be silent for good: then only REST tells the time.
        self._finish_at = self.around.time.monotonic() + self.around.retry_pause
        until = last_leave(self.state.joins)
        patience = int(self.around.tape.patience * 1000) + self.around.tape.grace
        try:
            over = await self.around.rest.server_time() - patience >= until
        except RestError as error:
            self._complain(str(error))
            return
        records = self.tape.give_up(until) if over else []
        if records:
            await self._publish(records, self.tape.state)
            self.wake()

    def _closed(self) -> int:
        if self.tape is not None:
            return self.tape.closed
        interval = self.listing.interval
        return max(self.state.last_clock, self.state.last_time // interval * interval)

    async def _join(self) -> None:
        joining, now = self._joining, self.around.time.monotonic()
        if not self._wanting() or (joining.task is None and now < joining.not_before):
            return
        if joining.task is None:
            joining.task = asyncio.create_task(self._prepare())
            joining.task.add_done_callback(lambda _: self._wake.set())
        if self._must_wait():
            await asyncio.wait([joining.task])
        if not joining.task.done():
            return
        task, joining.task = joining.task, None
        try:
            preparation = task.result()
        except UnknownSymbolError as error:
            self._complain(str(error))
            self._joining.not_before = 0.0
            self.delist(str(error))
            return
        except RestError as error:
            self._complain(str(error))
            return
        await self._admit(preparation)

    def _must_wait(self) -> bool:
        """Whether nothing may be published before the preparation is done.

        A decided join must come first. And where preparing was too slow for a fast market
        several times, the market waits once.
        """
        decided = decided_time(self.state.joins)
        return (
            self.tape is None or decided is not None or self._joining.late >= MOST_LATE_PREPARATIONS
        )

    async def _prepare(self) -> Preparation:
        around = self.around
        info = await around.rest.symbol(self.symbol)
        if info.status not in OPEN_STATUSES:
            raise UnknownSymbolError(
                f"{self.symbol} is not traded now, its status was {info.status}; wait, or take "
                "it out of the instruments of the configuration"
            )
        self._subscribe()
        base = await self._base()
        first, count = self.tape is None, around.history_count
        return await prepare(around.rest, self.listing, info, base=base, count=count, first=first)

    async def _base(self) -> int:
        """Return where the candle to join at begins."""
        interval = self.listing.interval
        decided = decided_time(self.state.joins)
        if decided is not None:
            return decided - interval
        start = None if self.tape else self.around.start_time
        now = await self._exchange_now() if start is None else start
        return max(self._closed(), now // interval * interval)

    async def _exchange_now(self) -> int:
        newest = max((self.around.times.get(number, 0) for number in self._connections), default=0)
        return newest or await self.around.rest.server_time()

    async def _admit(self, preparation: Preparation) -> None:
        accounts = [pair for pair in self._wanting() if self._fits(pair[0], preparation)]
        self.wake()  # who doesn't fit leaves
        if not accounts:
            return
        if self.tape is None and preparation.first_id is None and self._awaits_first_trade():
            return
        if self.tape is None:
            self._start(preparation)
        elif self.tape.closed > preparation.base:
            # The candle to join at was closed meanwhile: prepare for the next one.
            self._joining.late += 1
            self.wake()
            return
        self._joining.late = 0
        time, next_id = preparation.base + self.listing.interval, _next_id(self.state)
        joins = [
            (account, AccountJoin(account.name, number, time, next_id, JoinStep.DECIDED))
            for account, number in accounts
        ]
        await self._record_joins(joins, preparation)

    def _awaits_first_trade(self) -> bool:
        """Wait for the first trade ever, which tells the first id, but no longer than patience.

        The accounts' other instruments wait for this one to join.
        """
        joining, now = self._joining, self.around.time.monotonic()
        if joining.untraded_since is None:
            joining.untraded_since = now
        if now - joining.untraded_since >= self.around.tape.patience:
            return False
        self.problem = f"{self.symbol} has never been traded: its first trade is awaited"
        # The stream wakes this up before the pause ends.
        joining.not_before = now + self.around.retry_pause
        return True

    def _start(self, preparation: Preparation) -> None:
        # Of what was never traded no id is known: the tape finds out where they begin.
        first = max(preparation.first_id or 0, _next_id(self.state))
        self.state = replace(
            self.state, last_id=first - 1, last_raw_id=-1, last_clock=preparation.base, gaps=()
        )
        self._begin(self.state)

    async def _record_joins(
        self, joins: list[tuple[Account, AccountJoin]], preparation: Preparation
    ) -> None:
        # Decided first: after a crash, what was perhaps sent is sent again as it was.
        await self._publish([], with_entries(self._current(), [entry for _, entry in joins]))
        records = [
            record
            for account, entry in joins
            for record in join_records(self.listing, account, entry, preparation)
        ]
        joined = [replace(entry, step=JoinStep.JOINED) for _, entry in joins]
        log.info("joined", instrument=self.listing.instrument, joins=joined)
        await self._publish(records, with_entries(self._current(), joined))
        self._joining.untraded_since = None
        if not self._wanting():
            self.problem = ""

    def _fits(self, account: Account, preparation: Preparation) -> bool:
        if account.quote == preparation.info.quote:
            return True
        problem = (
            f"account {account.name} counts in {account.quote} but {self.symbol} is quoted in "
            f"{preparation.info.quote}; correct the account's quote or its instruments"
        )
        self._complain(problem)
        self._joining.not_before = 0.0
        self._misfits[account.name] = problem
        return False

    def _complain(self, problem: str) -> None:
        sentence = f"{self.listing.instrument} can't be fed: {problem}"
        if sentence != self.problem:
            log.error(sentence, instrument=self.listing.instrument)
        self.problem = sentence
        self._joining.not_before = self.around.time.monotonic() + self.around.retry_pause


def _next_id(state: FeedState) -> int:
    return 0 if state.last_id is None else state.last_id + 1
