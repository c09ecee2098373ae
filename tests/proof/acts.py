"""A run at work enters; what is done to it, each waited for until it has really happened."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from app.core.events import Candle, Gap, Halted, Resumed, Trades
from tests.integration.worker import MINUTE, Installation
from tests.proof.processes import lockstep
from tests.proof.site import ACCOUNTS, SYMBOLS, Exchange, decided, until
from tests.proof.workers import PATIENCE, Crew, Kept

ALL = 1_000_000


@dataclass
class Run:
    """A run and those who work on it.

    Attributes:
        installation: Its topics, tables and settings.
        play: The exchange.
        worker: The worker that is always there.
        crew: Whoever else works there.
        chance: Chooses what is struck.
        done: How often each thing has happened.
        skipped: Ids that no stream showed, by instrument: REST alone had them.
        lost: Ids that nobody can have, by instrument.
    """

    installation: Installation
    play: Exchange
    worker: Kept
    crew: Crew
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, set[int]] = field(default_factory=dict)
    lost: dict[str, set[int]] = field(default_factory=dict)

    async def goes_on(self, minutes: int = 2) -> None:
        """Wait until both accounts have decided for some more minutes of the market."""
        before = await decided(self.installation)

        async def later() -> bool:
            return await decided(self.installation) >= before + minutes * MINUTE

        await until(later, "the accounts decide", PATIENCE)

    async def records(self, topic: str, kind: type[Any], **fields: Any) -> list[Any]:
        """Return a topic's records of one type that have these values."""
        return [
            each
            for each in await self.installation.records(topic, kind)
            if all(getattr(each, name) == value for name, value in fields.items())
        ]

    def draw(self) -> tuple[str, str]:
        """Return a symbol and its instrument."""
        symbol = self.chance.choice(SYMBOLS)
        return symbol, f"BINANCE:{symbol}"

    def coming(self, symbol: str, count: int) -> set[int]:
        """Return the ids that a symbol's next trades will have."""
        newest = next(reversed(list(self.play._hub.markets[symbol].log))).aggregate.id
        return set(range(newest + 1, newest + 1 + count))


async def halted_and_resumed(run: Run) -> None:
    """Halt an account by command, and let it go on by command."""
    account = run.chance.choice(ACCOUNTS)
    for action, kind in (("halt", Halted), ("resume", Resumed)):
        before = len(await run.records("risk", kind, account=account))
        done = await lockstep(run.installation.environment, action, account)
        if done.code:
            raise RuntimeError(done.error)

        async def acted(kind: type[Any] = kind, before: int = before) -> bool:
            return len(await run.records("risk", kind, account=account)) > before

        await until(acted, f"{action} acts", PATIENCE)
        run.done[f"{action} by command"] += 1
        await run.goes_on()


async def feed_reconnects(run: Run) -> None:
    """Cut the connection while the streams leave trades out: REST must fill them in."""
    symbol, name = run.draw()
    connections, asked = run.play.asked["stream"], run.play.asked["aggTrades"]
    due = run.coming(symbol, 40)
    run.play.faults.skip(symbol, len(due))
    run.play.faults.cut()
    run.skipped.setdefault(name, set()).update(due)

    async def filled() -> bool:
        return due <= await ids(run, name)

    await until(filled, f"trades of {name} are fetched", PATIENCE)
    if run.play.asked["stream"] == connections or run.play.asked["aggTrades"] == asked:
        raise RuntimeError("the feed did not connect again, or asked REST for nothing")
    run.done["reconnect with backfill"] += 1


async def trades_lost(run: Run) -> None:
    """Let the exchange lose trades: a gap that nobody can fill."""
    symbol, name = run.draw()
    due = run.coming(symbol, 7)
    run.play.faults.lose(symbol, len(due))
    run.lost.setdefault(name, set()).update(due)

    async def declared() -> bool:
        gaps = await run.records("trades", Gap, instrument=name)
        return any(gap.last_id and gap.first_id <= min(due) <= gap.last_id for gap in gaps)

    await until(declared, f"a gap of {name}", PATIENCE)
    run.done["gap for ever"] += 1


async def trades_late(run: Run) -> None:
    """Withhold trades until they are declared missing, then give them: candles are revised."""
    symbol, name = run.draw()
    before = await revisions(run, name)
    due = run.coming(symbol, 5)
    run.play.faults.rest_behind(ALL, symbol)
    run.play.faults.skip(symbol, len(due))

    async def declared() -> bool:
        gaps = await run.records("trades", Gap, instrument=name)
        return any(gap.to_time and gap.first_id <= min(due) for gap in gaps[-1:])

    await until(declared, f"{name} is given up", PATIENCE)
    run.play.faults.rest_behind(0, symbol)

    async def revised() -> bool:
        return await revisions(run, name) > before

    await until(revised, f"a candle of {name} is revised", PATIENCE)
    run.done["late trades, candles revised"] += 1


async def revisions(run: Run, name: str) -> int:
    candles = await run.records("candles", Candle, instrument=name)
    return sum(candle.revision > 0 for candle in candles)


async def ids(run: Run, name: str) -> set[int]:
    """Return every id of an instrument that stands on `trades`."""
    return {
        number
        for record in await run.records("trades", Trades, instrument=name)
        for number in record.id
    }


async def worker_stopped(run: Run) -> None:
    """End the worker as a service manager does, and start another."""
    await _ended(run, signal.SIGTERM, 0, "graceful restart")


async def worker_killed(run: Run) -> None:
    """Kill the worker, and start another."""
    await _ended(run, signal.SIGKILL, -signal.SIGKILL, "restart after SIGKILL")


async def _ended(run: Run, number: signal.Signals, wanted: int, what: str) -> None:
    code = await run.worker.end(number)
    if code != wanted:
        raise RuntimeError(f"a worker ended with {code} by {number.name}: {run.worker.lines[-3:]}")
    run.worker = await run.crew.hire()
    run.done[what] += 1


async def joins_and_leaves(run: Run) -> None:
    """Let a second worker take half of the work, and give it back."""
    since = len(run.worker.lines)
    second = await run.crew.hire()
    await run.worker.assigned(since)
    run.done["rebalance: a worker joined"] += 1
    await run.goes_on()
    since = len(run.worker.lines)
    if await second.end(signal.SIGTERM):
        raise RuntimeError(f"the second worker did not leave: {second.lines[-3:]}")
    await run.worker.assigned(since)
    run.done["rebalance: a worker left"] += 1


async def joins_while_the_first_is_killed(run: Run) -> None:
    """Let a second worker join, and kill the first: the second takes all."""
    first, since = run.worker, len(run.worker.lines)
    run.worker = await run.crew.hire()
    await first.assigned(since)
    run.done["rebalance: a worker joined"] += 1
    since = len(run.worker.lines)
    await first.end(signal.SIGKILL)
    await run.worker.assigned(since)
    run.done["rebalance: a worker was killed"] += 1


ACTS: tuple[Callable[[Run], Awaitable[None]], ...] = (
    halted_and_resumed,
    feed_reconnects,
    worker_stopped,
    trades_lost,
    worker_killed,
    trades_late,
    joins_and_leaves,
    joins_while_the_first_is_killed,
)
EXPECTED = (
    "halt by command",
    "resume by command",
    "reconnect with backfill",
    "graceful restart",
    "gap for ever",
    "restart after SIGKILL",
    "late trades, candles revised",
    "rebalance: a worker joined",
    "rebalance: a worker left",
    "rebalance: a worker was killed",
)
