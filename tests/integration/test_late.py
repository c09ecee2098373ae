"""Trades that come after their candle closed, and an instrument that falls silent alone."""

from __future__ import annotations

import operator
import signal
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pytest

from app.core.events import Candle, Gap, Message, Portfolio, Trades
from app.core.tape import Late, Tape
from app.market.exchange import LocalExchange
from app.pipeline import EDGES, STAGES
from app.replay.driver import Replay
from app.runtime.status import status
from app.storage.database import Database
from tests.integration.proof import equals_its_replay, fills_the_tables, named
from tests.integration.worker import (
    CONFIGURATION,
    MINUTE,
    A,
    B,
    Installation,
    eventually,
    exchange,
    paced,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ALL = 1_000_000
RUN = "LOCKSTEP_WORKER__STAGES"
EXPECTED = (
    ("market", A, "raw trade "),
    ("market", B, "trades "),
    ("portfolio", "paper", "signals of "),
)
DECISIONS = ("portfolio", "allocations", "orders", "risk", "fills")


async def test_silence_delays_its_own_accounts_only_and_late_trades_make_revisions(
    installation: Installation,
) -> None:
    patient = CONFIGURATION.replace("patience: 5s", "patience: 30s, stale_after: 60s")
    installation.configure(patient)
    async with exchange(speed=60.0) as play:
        installation.serve(play)
        worker = await installation.start()
        async with paced(installation, play):
            await decides(installation, "paper", 4)
            await silence_delays_its_own_accounts_only(installation, play)
            # Patience is over: the candles are incomplete, and the ring goes on.
            await decides(installation, "paper", 3, await newest(installation, "paper"))
            await come_late(installation, play)
        assert await worker.end(signal.SIGTERM) == 0
    # Market data would go on to miss an exchange that is gone; what is left finishes its work.
    installation.environment[RUN] = ",".join([*(stage.name for stage in STAGES), EDGES[1]])
    await installation.start()
    replayed = await equals_its_replay(installation, least=10)
    await fills_the_tables(installation, replayed)
    await are_stored_and_visible(installation, replayed)
    changes_no_decision(replayed)


async def silence_delays_its_own_accounts_only(
    installation: Installation, play: LocalExchange
) -> None:
    """Nothing of A comes any more, then three trades of B are missing; REST lacks both."""
    seen: set[str] = set()

    async def said() -> set[str]:
        waiting = await installation.waiting()
        for stage, key, text in EXPECTED:
            if waiting[stage].get(key, "").startswith(text):
                seen.add(f"{stage} {key}")
        # What was under way may still be decided; then one account waits, and the other does not.
        if await newest(installation, "real") >= await newest(installation, "paper") + 2 * MINUTE:
            seen.add("apart")
        return seen

    play.faults.rest_behind(ALL, "AAAUSDT")
    play.faults.skip("AAAUSDT", ALL)
    # The portfolio says that it waits for A's signals once it has B's of the same bar.
    await installation.until("candles", Candle, is_ahead)
    play.faults.rest_behind(ALL, "BBBUSDT")
    play.faults.skip("BBBUSDT", 3)
    await eventually(said, lambda found: len(found) == len(EXPECTED) + 1, installation.said)


def is_ahead(candles: list[Candle]) -> bool:
    """Return whether B has candles that A has not, and A's are not just under way."""
    newest = {candle.instrument: candle.time for candle in candles}
    return newest[B] > newest[A] + MINUTE


async def come_late(installation: Installation, play: LocalExchange) -> None:
    """What was withheld is there now: the gaps are filled, and candles revised."""
    play.faults.skip("AAAUSDT", -play._hub.shapers["AAAUSDT"].skip)
    play.faults.rest_behind(0)

    def revised(candles: list[Candle]) -> bool:
        return {A, B} <= {candle.instrument for candle in candles if candle.revision}

    await installation.until("candles", Candle, revised)

    async def gaps() -> Mapping[str, Any]:
        return (await status(installation.cluster, installation.settings())).gaps

    await eventually(gaps, operator.not_)
    for account in ("paper", "real"):
        await decides(installation, account, 3, await newest(installation, account))


async def newest(installation: Installation, account: str) -> int:
    found = await installation.records("portfolio", Portfolio)
    return max(int(each.time) for each in found if each.account == account)


async def decides(
    installation: Installation, account: str, count: int, since: int | None = None
) -> None:
    """Wait until an account has decided so often, after a decision time or ever."""

    def holds(found: list[Any]) -> bool:
        times = [each.time for each in found if each.account == account]
        if since is None:
            return len(times) >= count
        return max(times, default=0) >= since + count * MINUTE

    await installation.until("portfolio", Portfolio, holds)


async def are_stored_and_visible(
    installation: Installation, replayed: Mapping[str, list[Message]]
) -> None:
    """The table holds every revision; the newest of a candle is what its trades make."""
    revisions = defaultdict(list)
    for message in replayed["candles"]:
        if isinstance(candle := message.record, Candle):
            revisions[candle.instrument, candle.time].append(candle)
    revised = [candles for candles in revisions.values() if len(candles) > 1]
    assert revised
    for first, *later in revised:
        assert not first.complete
        assert [candle.revision for candle in later] == list(range(1, len(later) + 1))
        assert later[-1].trades > first.trades
    assert any(candles[-1].complete for candles in revised)
    async with Database(installation.settings()) as database:
        counted = await database.fetchval("SELECT count(*) FROM candles WHERE revision > 0")
    assert counted == sum(len(candles) - 1 for candles in revised)


def changes_no_decision(replayed: Mapping[str, list[Message]]) -> None:
    """Had the late trades never come, every order and fill would be the same."""
    replay = Replay(STAGES)
    late = 0
    tapes: dict[str, Tape] = defaultdict(Tape)
    for message in replayed["trades"]:
        record: Any = message.record
        tape = tapes[record.instrument]
        if isinstance(record, Trades):
            steps = list(tape.take(record))
            if steps and all(isinstance(step, Late) for step in steps):
                late += len(steps)
                continue
            # Else a record would have to be cut to take its late trades out.
            assert not any(isinstance(step, Late) for step in steps)
        elif record.TYPE in ("clock", "gap"):
            list(tape.take(record))
        elif record.TYPE in ("epoch", "join", "leave"):
            getattr(tape, {"epoch": "adopt"}.get(record.TYPE, record.TYPE))(record)
        replay.feed("trades", record.instrument, message)
    replay.run()
    assert late > 0
    for topic in DECISIONS:
        # To the byte, names and all: strategies take no note of revisions.
        assert named(replay.messages(topic)) == named(replayed[topic])
    assert len(replay.messages("candles")) < len(replayed["candles"])
    gaps = [each.record for each in replayed["trades"] if isinstance(each.record, Gap)]
    assert any(gap.last_id is None for gap in gaps)
    assert any(gap.last_id is not None for gap in gaps)
