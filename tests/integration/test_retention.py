"""Retention that takes what was still needed: said, and where a gap can stand for it, accepted."""

from __future__ import annotations

import operator
import signal
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from aiokafka import TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from app.config_sections import Worker as WorkerSection
from app.core.events import (
    Candle,
    Clock,
    Gap,
    Inbound,
    Message,
    Portfolio,
    Signal,
    StageState,
    Trades,
    View,
)
from app.core.flow import Stage
from app.errors import UNPROVEN
from app.market.exchange import LocalExchange
from app.pipeline import EDGES, STAGES
from app.replay.driver import Replay
from app.runtime import loss
from app.runtime.codec import decode, decode_state
from app.runtime.ports import Place
from app.runtime.sink import IDLE_CHECKPOINTS, OlderDatabaseError, SinkIntake
from app.storage.database import Database
from tests.integration.proof import DERIVED, named
from tests.integration.worker import (
    MINUTE,
    START,
    A,
    B,
    Installation,
    Worker,
    X,
    administrator,
    eventually,
    exchange,
)
from tests.storage.proxy import Proxy

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SPEED = 120.0
MINUTES = 40
RUN = "LOCKSTEP_WORKER__STAGES"
ACCEPT = "LOCKSTEP_WORKER__ACCEPT_LOSS"
READERS = [stage for stage in STAGES if "trades" in stage.inputs]
EVERY = [EDGES[0], *(stage.name for stage in STAGES), EDGES[1]]


async def test_lost_trades_are_said_then_accepted_as_a_gap(installation: Installation) -> None:
    async with exchange(speed=SPEED, until=START + (MINUTES + 1) * MINUTE) as play:
        installation.serve(play)
        await worked(installation, play, minutes=4)
        await worked(installation, play, minutes=6, without=("candles",))
        states = {stage.name: await standing(installation, stage.name) for stage in READERS}
        firsts = await cut(installation, "trades", keep=3)

        done = await installation.run("worker")
        assert done.code == 1
        assert "but retention has left it from" in done.error
        assert "start one worker with --accept-loss" in done.error
        assert await gaps(installation) == []

        await crashed_after_a_gap(installation)
        assert len(await gaps(installation)) == 1
        assert (await installation.run("worker")).code == 1

        installation.environment[ACCEPT] = "true"
        worker = await resumed(installation, play)
        await worker.says("loss accepted", '"candles"')
        found = await gaps(installation)
        assert sorted(gap.instrument for gap in found) == [A, B, X]
        await eventually(lambda: paced(installation, play), (START + MINUTES * MINUTE).__lt__)
        await play.finished()
        await decided(installation, START + MINUTES * MINUTE)
        await equals_its_replay(installation, states, firsts)
        await opened_nothing(installation, found)
        assert await worker.end(signal.SIGTERM) == 0

    again = await installation.start()
    await again.says("no loss to accept")
    await again.says("assigned", '"candles"')
    assert await again.end(signal.SIGTERM) == 0
    assert len(await gaps(installation)) == 3
    verified = await installation.run("verify")
    # Its joins are gone, and no snapshot is there yet.
    assert verified.code == UNPROVEN, verified.error
    assert "What could be compared is equal" in verified.error


async def test_a_lost_join_is_more_than_a_gap_can_stand_for(installation: Installation) -> None:
    async with exchange(speed=SPEED) as play:
        installation.serve(play)
        await worked(installation, play, minutes=2, without=("candles",))
    await cut(installation, "trades")
    done = await installation.run("worker")
    assert done.code == 1
    assert "--accept-loss" in done.error
    installation.environment[RUN] = "allocation"
    other = await installation.start()
    await other.says("assigned", '"allocation"')
    del installation.environment[RUN]
    done = await installation.run("worker", "--accept-loss")
    assert done.code == 1
    assert "another worker runs allocation: a loss can be accepted only while nobody" in done.error
    assert await other.end(signal.SIGTERM) == 0
    done = await installation.run("worker", "--accept-loss")
    assert done.code == 1
    assert "is more than a gap can stand for" in done.error
    assert await gaps(installation) == []


async def test_lost_derived_records_are_beyond_acceptance(installation: Installation) -> None:
    async with exchange(speed=SPEED) as play:
        installation.serve(play)
        await worked(installation, play, minutes=2)
        await worked(installation, play, minutes=4, without=("momentum",))
    await cut(installation, "candles")
    for words in (("worker",), ("worker", "--accept-loss")):
        done = await installation.run(*words, **{RUN: "momentum"})
        assert done.code == 1
        assert "momentum needs candles/" in done.error
        assert "--accept-loss can't help here" in done.error


async def test_what_the_tables_will_never_hold_is_a_dead_letter(
    installation: Installation,
) -> None:
    async with exchange(speed=SPEED) as play:
        installation.serve(play)
        await worked(installation, play, minutes=2)
        await worked(installation, play, minutes=4, without=("sink",))
    await cut(installation, "risk", keep=1)
    installation.environment[RUN] = "sink"
    done = await installation.run("worker")
    assert done.code == 1
    assert "the tables lack what they can't be given any more: retention took" in done.error

    installation.environment[ACCEPT] = "true"
    places = [
        place for place in await bounds(installation, "risk") if await held(installation, place)
    ]
    for _ in range(2):
        worker = await installation.start()
        await worker.says("assigned", '"sink"')
        await stored_to_the_end(installation)
        assert await worker.end(signal.SIGTERM) == 0
    letters = await installation.messages("dead-letters")
    lost = {(letter.record.topic, letter.record.partition) for letter in letters}  # type: ignore[attr-defined]
    assert lost == set(places)
    assert len(await installation.stored("dead-letters")) == len(places)
    async with Database(installation.settings()) as database:
        assert await database.fetchval("SELECT count(*) FROM dead_letters") == len(places)


async def test_an_older_database_is_found_while_nothing_arrives(installation: Installation) -> None:
    async with exchange(speed=SPEED) as play:
        installation.serve(play)
        await worked(installation, play, minutes=2)
    installation.environment[RUN] = "sink"
    worker = await installation.start()
    await worker.says("assigned", '"sink"')
    await stored_to_the_end(installation)
    async with Database(installation.settings()) as database:
        count = await database.fetchval("SELECT count(*) FROM candles")
        await database.execute("TRUNCATE candles")
        await database.execute("UPDATE sink_offsets SET next_offset = 0 WHERE topic = 'candles'")
        await worker.says("stopped", "an older copy has taken its place")
        assert await worker.ends() == OlderDatabaseError.exit_code
        await installation.start()
        await eventually(lambda: database.fetchval("SELECT count(*) FROM candles"), count.__eq__)


async def test_a_database_that_is_away_is_left_in_peace(installation: Installation) -> None:
    settings = installation.settings()
    place = Place("candles", 0)
    async with Proxy(settings.host, settings.port) as proxy:
        through = type(settings)(**settings_through(settings, proxy.port))
        async with Database(through) as database:
            intake = SinkIntake(database, installation.log, lambda _: None)
            await intake.assign({place: None})
            await proxy.vanish()
            for _ in range(IDLE_CHECKPOINTS):
                await intake.checkpoint()
            assert intake.committable() == {place: 0}
            await proxy.listen()


def settings_through(settings: Any, port: int) -> dict[str, Any]:
    fields = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    return fields | {"host": "127.0.0.1", "port": port, "retry_for": 0.0, "connect_timeout": 1.0}


async def crashed_after_a_gap(installation: Installation) -> None:
    """Accept the loss, but end before any state is written."""

    class CrashError(Exception):
        pass

    def crash(loser: object) -> NoReturn:
        del loser
        raise CrashError

    settings: Any = SimpleNamespace(
        kafka=installation.cluster, worker=WorkerSection(stages=tuple(EVERY))
    )
    acceptance = loss.Acceptance(installation.log, settings, "crashed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss.Loser, "rewritten", crash)
        with pytest.raises(CrashError):
            await acceptance.accept()


# --- workers ------------------------------------------------------------------------------------


async def worked(
    installation: Installation, play: LocalExchange, *, minutes: int, without: tuple[str, ...] = ()
) -> None:
    """Let a worker run some stages for some minutes of the exchange, and stop it cleanly."""
    installation.environment[RUN] = ",".join(name for name in EVERY if name not in without)
    begin = max(START, await published(installation))
    worker = await resumed(installation, play)
    if "sink" not in without:  # what it was never given it would not miss
        await worker.says("assigned", '"sink"')
    time = begin + minutes * MINUTE
    await eventually(lambda: paced(installation, play), time.__lt__, installation.said)
    play.clock.hold()
    if "candles" not in without:
        await closed(installation, time)
    if set(without) <= {"sink"}:
        await decided(installation, time)
    if "sink" not in without:  # what it has not stored yet would be one more loss to a cut
        await stored_to_the_end(installation)
    assert await worker.end(signal.SIGTERM) == 0
    del installation.environment[RUN]


async def resumed(installation: Installation, play: LocalExchange) -> Worker:
    """Start a worker, and let time go on once it is connected."""
    worker = await installation.start()
    await worker.says("assigned", '"market"')

    async def connections() -> int:
        return play.connections

    await eventually(connections, bool, installation.said)
    play.clock.release()
    return worker


async def paced(installation: Installation, play: LocalExchange) -> int:
    """Return what `published` does; hold the exchange's time where it is further ahead."""
    time = await published(installation)
    if time and play.clock.now > time + 2 * MINUTE:
        play.clock.hold()
    else:
        play.clock.release()
    return time


async def published(installation: Installation) -> int:
    """Return up to when every instrument's trades and clocks stand."""
    newest = dict.fromkeys((A, B, X), 0)
    for kind in (Trades, Clock):
        for record in await installation.records("trades", kind):
            times = record.time if isinstance(record, Trades) else (record.time,)
            newest[record.instrument] = max(newest[record.instrument], *times)
    return min(newest.values())


async def closed(installation: Installation, time: int) -> None:
    """Wait until every instrument has a candle that ends after a time, less an interval."""

    def holds(candles: list[Any]) -> bool:
        found = {candle.instrument for candle in candles if candle.time > time - MINUTE}
        return found == {A, B, X}

    await installation.until("candles", Candle, holds)


async def decided(installation: Installation, time: int) -> None:
    """Wait until every account has decided after a time, less an interval."""

    def holds(portfolios: list[Any]) -> bool:
        found = {each.account for each in portfolios if each.time > time - MINUTE}
        return found == {"paper", "real"}

    await installation.until("portfolio", Portfolio, holds)


async def stored_to_the_end(installation: Installation) -> None:
    """Wait until the database holds every topic to its end."""

    async def lag() -> int:
        status = await installation.status()
        return int(status["stages"][-1]["lag"])

    await eventually(lag, operator.not_, installation.said)


# --- the log ------------------------------------------------------------------------------------


async def bounds(installation: Installation, topic: str) -> dict[Place, tuple[int, int]]:
    places = [Place(topic, number) for number in range(await installation.log.partitions(topic))]
    return {place: await installation.log.bounds(place) for place in places}


async def cut(installation: Installation, topic: str, keep: int = 0) -> dict[int, int]:
    """Take all but the newest records of each partition; return what each begins with then."""
    await installation.stored(topic)  # for the comparison afterwards
    spans = await bounds(installation, topic)
    firsts = {place: max(first, end - keep) for place, (first, end) in spans.items()}
    async with administrator(installation) as client:
        await client.delete_records(
            {
                TopicPartition(installation.prefix + topic, place.partition): RecordsToDelete(first)
                for place, first in firsts.items()
            }
        )
    assert {place: span[0] for place, span in (await bounds(installation, topic)).items()} == firsts
    return {place.partition: first for place, first in firsts.items()}


async def standing(installation: Installation, stage: str) -> dict[str, StageState]:
    """Return the state of each key of a stage, as a clean stop has left it."""
    stored = await installation.stored(f"state-{stage}")
    records = [decode(each.value or b"").record for each in stored]
    return {record.key: record for record in records if isinstance(record, StageState)}


async def gaps(installation: Installation) -> list[Gap]:
    found = await installation.records("trades", Gap)
    return [gap for gap in found if gap.reason == "retention"]


async def held(installation: Installation, place: Place) -> bool:
    """Return whether retention has taken records that the tables lack."""
    first, _ = await installation.log.bounds(place)
    async with Database(installation.settings()) as database:
        offset = await database.fetchval(
            "SELECT next_offset FROM sink_offsets WHERE topic = $1 AND topic_partition = $2", *place
        )
    return bool(offset < first)


# --- what must have come of it ------------------------------------------------------------------


async def equals_its_replay(
    installation: Installation,
    states: Mapping[str, Mapping[str, StageState]],
    firsts: Mapping[int, int],
) -> None:
    """Compare every topic with what its stages make, in memory and at one go, of their inputs.

    The readers of trades begin with the states they had, and with what retention has left.
    """

    async def differences() -> dict[str, set[bytes]]:
        live = {topic: named(await installation.messages(topic)) for topic in DERIVED}
        made = {topic: set[bytes]() for topic in DERIVED}
        for topic, messages in (await replayed(installation)).items():
            made[topic] |= named(messages)
        for stage in READERS:
            before = await told_before(installation, stage, states[stage.name])
            after = await continued(installation, stage, states[stage.name], firsts)
            made[stage.outputs[0]] = before | named(after)
        return {topic: live[topic] ^ made[topic] for topic in DERIVED if live[topic] != made[topic]}

    await eventually(differences, operator.not_, installation.said)


async def replayed(installation: Installation) -> dict[str, list[Message]]:
    """Return what the stages that read no trades make of what stands."""
    driver = Replay(
        [stage for stage in STAGES if stage not in READERS and stage.name != "portfolio"]
    )
    books = Replay([stage for stage in STAGES if stage.name == "portfolio"])
    for message in await installation.messages("candles"):
        driver.feed("candles", key_of(message), message)
    for message in await installation.messages("portfolio"):
        driver.feed("portfolio", key_of(message), message)
    for topic in ("signals", "fills"):
        for message in await installation.messages(topic):
            books.feed(topic, key_of(message), message)
    driver.run()
    books.run()
    made = {topic: driver.messages(topic) for topic in ("signals", "allocations", "orders", "risk")}
    return made | {"portfolio": books.messages("portfolio")}


async def told_before(
    installation: Installation, stage: Stage, states: Mapping[str, StageState]
) -> set[bytes]:
    """Return what a stage has sent as of its states."""
    messages = await installation.messages(stage.outputs[0])
    return named(
        message
        for message in messages
        if message.identity
        and message.identity.number
        <= sent(stage, states[message.identity.source]).get(message.identity.destination, 0)
    )


def sent(stage: Stage, state: StageState) -> dict[str, int]:
    found = decode_state(stage.state, state.body).sent
    return {state.key: found} if isinstance(found, int) else found


async def continued(
    installation: Installation,
    stage: Stage,
    states: Mapping[str, StageState],
    firsts: Mapping[int, int],
) -> list[Message]:
    """Return what a stage makes from its states on, of what is left and what has come since."""
    machines = {
        key: stage.machine(key, decode_state(stage.state, state.body))
        for key, state in states.items()
    }
    made = []
    for topic in stage.inputs:
        for stored in await installation.stored(topic):
            key = (stored.key or b"").decode()
            begin = states[key].needs[topic]
            if topic == "trades":
                begin = max(begin, firsts[stored.partition])
            if stored.offset >= begin:
                message = decode(stored.value or b"")
                inbound = Inbound(message, topic, stored.partition, stored.offset)
                made += [output.message for output in machines[key].take(inbound)]
    return made


def key_of(message: Message) -> str:
    assert message.identity is not None
    return message.identity.destination


async def opened_nothing(installation: Installation, found: list[Gap]) -> None:
    """Candles over the loss are incomplete; no strategy was ready on them, no position grew."""
    ends = {gap.instrument: (gap.from_time, gap.to_time) for gap in found}

    def touched(record: Any) -> bool:
        begin, end = ends[record.instrument]
        return bool(begin < record.time <= end + MINUTE)

    candles = await installation.records("candles", Candle)
    over = [candle for candle in candles if candle.revision == 0 and touched(candle)]
    assert {candle.instrument for candle in over} == set(ends)
    assert [candle for candle in over if candle.complete] == [], found
    newest = [candle for candle in candles if candle.time == START + MINUTES * MINUTE]
    assert all(candle.complete for candle in newest)
    views = [each for each in await installation.records("signals", Signal) if touched(each)]
    assert views
    assert {each.view for each in views} == {View.NOT_READY}
    sizes: dict[tuple[str, str], dict[int, Any]] = {}
    for portfolio in await installation.records("portfolio", Portfolio):
        for holding in portfolio.holdings:
            line = sizes.setdefault((portfolio.account, holding.instrument), {})
            line[portfolio.time] = line.get(portfolio.time, 0) + abs(holding.quantity)
    for (_, instrument), line in sizes.items():
        begin, end = ends[instrument]
        within = [line[time] for time in sorted(line) if begin < time <= end]
        assert within == sorted(within, reverse=True)
