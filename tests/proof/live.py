"""Numbers enter; a live run with all that goes wrong in one is made, verified, and damaged."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from app.errors import DIFFERENCE
from app.market.exchange import SyntheticMarket
from app.times import format_time
from tests.integration.proof import equals_its_replay, fills_the_tables
from tests.integration.worker import DAY, MINUTE, Installation, installed, paced
from tests.proof.acts import ACTS, EXPECTED, Run, ids
from tests.proof.damage import accounts_of, copied, damages, named
from tests.proof.protocol import Protocol
from tests.proof.site import SYMBOLS, Exchange, configuration, decided, rests, settings, until
from tests.proof.verifying import proved
from tests.proof.witness import NEEDED, counted
from tests.proof.workers import PATIENCE, crew

STRATEGIES = ("{lookback: 3, entry: 0.0002}", "{fast: 2, slow: 4, signal: 2}", 25_000)
START = DAY - 15 * MINUTE
"""So that midnight, when snapshots are written, is in the run."""
LEAST = 20
"""Records that each topic must hold more of, or its equality proves nothing."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A live run.

    Attributes:
        seed: Chooses markets, and what is struck.
        minutes: How long it is at least, in minutes of the market.
        speed: Seconds of the market a second.
        rate: Orders a second of the market in each instrument.
    """

    seed: int = 1
    minutes: int = 40
    speed: float = 12.0
    rate: float = 1.0


async def prove(wanted: Wanted, folder: Path, protocol: Protocol) -> None:
    """Make the run, then hold it against its replay and its own damaged copies."""
    place = folder / "live"
    place.mkdir(parents=True, exist_ok=True)
    async with installed(place, configuration=configuration(*STRATEGIES)) as installation:
        await _make(wanted, installation, protocol)
        await proved(installation, protocol, DAY, ("--from-database",))
        await _hold_against_memory(installation, protocol)
        await _damage(installation, folder, protocol)


async def _make(wanted: Wanted, installation: Installation, protocol: Protocol) -> None:
    markets = [
        SyntheticMarket(symbol, symbol[:3], "USDT", seed=wanted.seed, rate=wanted.rate)
        for symbol in SYMBOLS
    ]
    began = time.monotonic()
    async with (
        Exchange(settings(START, wanted.speed), markets) as play,
        crew(installation, protocol.say) as hands,
    ):
        installation.serve(play)
        worker = await hands.hire()
        run = Run(installation, play, worker, hands, random.Random(wanted.seed))
        async with paced(installation, play):
            await until(lambda: decided(installation), "the first decision", PATIENCE)
            await _act(run, wanted, protocol)
        await rests(installation, PATIENCE)
        minutes = (await decided(installation) - START) / MINUTE
        protocol.holds(
            f"{minutes:.0f} minutes of the market over {len(SYMBOLS)} instruments, from "
            f"{format_time(START)}, in {time.monotonic() - began:.0f} s",
            holds=minutes >= wanted.minutes,
        )
        await _happened(run, protocol)
        code = await run.worker.end(signal.SIGTERM)
        protocol.holds("the worker ends with 0 at last", holds=code == 0)


async def _act(run: Run, wanted: Wanted, protocol: Protocol) -> None:
    """Let everything happen once, and again in another order until the run is long enough."""
    acts = list(ACTS)
    end = START + (wanted.minutes + 1) * MINUTE
    while not run.done or await decided(run.installation) < end:
        for act in acts:
            await act(run)
            await run.goes_on()
            at = format_time(await decided(run.installation))
            protocol.say(f"      {at} {act.__name__.replace('_', ' ')}")
        run.chance.shuffle(acts)


async def _happened(run: Run, protocol: Protocol) -> None:
    for name in EXPECTED:
        protocol.holds(f"{name}: {run.done[name]}", holds=run.done[name] > 0)
    found = await counted(run.installation)
    for name in NEEDED:
        protocol.holds(f"{name}, as they stand: {found[name]}", holds=found[name] > 0)
    protocol.say(f"      asked of the exchange: {dict(run.play.asked)}")
    skipped = sum(map(len, run.skipped.values()))
    stands = {name: await ids(run, name) for name in run.skipped | run.lost}
    protocol.holds(
        f"{skipped} trades that no stream showed were fetched by REST and stand on `trades`",
        holds=skipped > 0 and all(due <= stands[name] for name, due in run.skipped.items()),
    )
    protocol.holds(
        f"{sum(map(len, run.lost.values()))} trades that nobody can have stand nowhere",
        holds=all(not due & stands[name] for name, due in run.lost.items()),
    )


async def _hold_against_memory(installation: Installation, protocol: Protocol) -> None:
    """Hold topics and tables against another driver, which has everything in memory."""
    replayed = await equals_its_replay(installation, LEAST)
    rows = await fills_the_tables(installation, replayed)
    protocol.holds(
        f"another driver, in memory, makes the same {sum(map(len, replayed.values()))} records, "
        f"and {sum(map(len, rows.values()))} rows of the tables are theirs",
        holds=True,  # or an assertion failed
    )


async def _damage(installation: Installation, folder: Path, protocol: Protocol) -> None:
    other = folder / "changed"
    other.mkdir(exist_ok=True)
    (other / "app.yaml").write_text(configuration(*STRATEGIES, slippage="2"))
    (other / "database.yaml").write_text("")
    for damage in await damages(installation, accounts_of(other)):
        place = folder / "copy"
        place.mkdir(exist_ok=True)
        async with installed(place, with_schema=False) as copy:
            await copied(installation, copy, damage)
            found = await named(copy, damage)
        protocol.holds(f"{damage.name} is named exactly", holds=not found.wrong)
        for each in found.wrong:
            protocol.say(f"      {each}")
        protocol.said(found.said, DIFFERENCE)
