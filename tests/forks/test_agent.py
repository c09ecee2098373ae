"""Every fork's life is on record; no crash leaves an orphan or takes what is not ours."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.core.events import ForkStep
from app.forks.agent import ForkAgent, ForkError, Rules
from app.forks.backend import BackendUnavailableError, Copy, CopyFailedError, GuardError, Phase
from app.forks.ledger import Ledger, LedgerError
from app.forks.sweep import Sweep
from app.runtime.codec import decode
from app.runtime.kafka import AppendError
from app.runtime.ports import Stored
from tests.forks.memory import SOURCE, Killed, MemoryBackend, MemoryLog, Process, World

S = ForkStep
TTL = 10_000
PATIENCE = 1_000
HOUR = 3_600_000
DAY = 24 * HOUR


def agent(world: World, effects: int | None = None, maximum: int = 100) -> ForkAgent:
    process = Process(world, effects)
    ledger = Ledger(MemoryLog(process), lambda: world.now)  # type: ignore[arg-type]
    return ForkAgent(MemoryBackend(process), ledger, Rules("fm-", maximum, TTL, 1.0))


async def sweep(world: World, effects: int | None = None) -> list[str]:
    return await Sweep(agent(world, effects), PATIENCE).run()


async def steps(world: World, fork_id: str) -> list[ForkStep]:
    records = [decode(item.value).record for item in world.entries]
    return [item.step for item in records if item.fork_id == fork_id]  # type: ignore[union-attr]


async def test_a_fork_is_asked_for_made_used_and_deleted_on_record() -> None:
    world, told = World(), []
    ours = agent(world)
    life = await ours.create(detail="to try", at=60_000, tell=told.append)
    assert (life.step, life.at, life.expires) == (S.READY, 60_000, world.now + TTL)
    assert (await ours.connect(life.fork_id)).name == life.handle
    await ours.running(life.fork_id, "macd.fast=8")
    await ours.finished(life.fork_id, "12 orders")
    assert (await ours.delete(life.fork_id)).over
    assert await steps(world, life.fork_id) == [
        S.REQUESTED, S.CREATING, S.READY, S.RUNNING, S.FINISHED, S.DELETING, S.DELETED,
    ]  # fmt: skip
    assert world.copies == {}
    assert [each.split(" ", 1)[1] for each in told] == [
        "was asked for", "is being made as id1", "is not ready yet",
    ]  # fmt: skip
    with pytest.raises(ForkError, match="it is deleted"):
        await ours.connect(life.fork_id)


async def test_the_request_stands_before_anything_is_made() -> None:
    world = World()
    with pytest.raises(Killed):
        await agent(world, effects=3).create()  # check, and the append
    assert len(world.entries) == 1
    assert world.copies == {}


async def test_a_record_that_can_not_be_read_is_named() -> None:
    world = World()
    life = await agent(world).create()
    world.entries.append(Stored("forks", 0, 3, b"fm-1", b"garbage"))
    with pytest.raises(LedgerError, match="forks/0/3 could not be read"):
        await agent(world).fork(life.fork_id)


async def test_a_request_that_can_not_be_written_down_makes_nothing() -> None:
    world = World()
    ours = agent(world)

    async def refusing(_: object) -> list[int]:
        raise AppendError("the broker is away")

    ours.ledger._log.append = refusing  # type: ignore[method-assign, assignment]
    with pytest.raises(LedgerError, match=r"is requested .*the broker is away"):
        await ours.create()
    assert world.copies == {}


async def test_there_are_no_more_than_allowed() -> None:
    world = World()
    few = agent(world, maximum=2)
    first = await few.create()
    await few.create()
    with pytest.raises(ForkError, match="there are 2 forks, as many as there may be"):
        await few.create()
    await few.delete(first.fork_id)
    await few.create()


async def test_of_two_asked_for_at_once_the_first_in_the_log_has_the_room() -> None:
    world = World()
    one, other = agent(world, maximum=1), agent(world, maximum=1)
    done = await asyncio.gather(one.create(), other.create(), return_exceptions=True)
    assert sorted(type(item).__name__ for item in done) == ["ForkError", "Life"]
    assert len(world.copies) == 1


async def test_what_can_not_be_made_is_on_record_and_cleaned_up() -> None:
    world = World(lost=1, unmade=True)
    with pytest.raises(BackendUnavailableError):
        await agent(world).create()
    (life,) = await agent(world).forks()
    assert (life.step, life.detail, life.takes_room) == (S.FAILED, "lost", False)
    world.now += HOUR
    assert await sweep(world) == [f"{life.fork_id} is gone"]


async def test_a_copy_that_fails_is_deleted_at_once() -> None:
    world = World()
    ours = agent(world)
    made = ours.backend.create

    async def failing(name: str, moment: object) -> Copy:
        copy = await made(name, moment)  # type: ignore[arg-type]
        world.set_phase(copy.handle, Phase.FAILED)
        return copy

    ours.backend.create = failing  # type: ignore[method-assign]
    with pytest.raises(CopyFailedError):
        await ours.create()
    assert world.copies == {}
    (life,) = await ours.forks()
    assert life.over


async def test_an_interrupt_is_on_record_and_the_copy_goes_with_the_next_sweep() -> None:
    world = World()
    ours = agent(world)

    async def interrupted(*_: object) -> Copy:
        raise asyncio.CancelledError

    ours.backend.wait = interrupted  # type: ignore[method-assign, assignment]
    told: list[str] = []
    with pytest.raises(asyncio.CancelledError):
        await ours.create(tell=told.append)
    assert "`lockstep fork sweep` deletes what was made" in told[-1]
    (life,) = await ours.forks()
    assert (life.step, life.detail) == (S.FAILED, "it was interrupted")
    await sweep(world)
    assert world.copies == {}


async def test_a_copy_whose_answer_was_lost_is_found_by_a_sweep() -> None:
    world = World(lost=1)
    with pytest.raises(BackendUnavailableError):
        await agent(world).create()
    assert len(world.copies) == 1
    assert "was deleted: lost" in (await sweep(world))[0]
    assert world.copies == {}


async def test_a_copy_that_appears_long_after_its_answer_was_lost_is_deleted() -> None:
    for pause in (PATIENCE, 3 * DAY):
        world = World(lost=1, late=[])
        with pytest.raises(BackendUnavailableError):
            await agent(world).create()
        await sweep(world)
        for copy in world.late or ():
            world.add(copy)
        world.now += pause
        assert "was deleted" in (await sweep(world))[0]
        assert world.copies == {}


async def test_what_a_killed_maker_left_is_brought_to_its_end() -> None:
    world = World()
    with pytest.raises(Killed):
        await agent(world, effects=5).create()  # made, and not yet written down
    (handle,) = world.copies
    world.set_phase(handle, Phase.READY)
    assert "nobody had written down" in (await sweep(world))[0]
    assert "is ready" in (await sweep(world))[0]
    (life,) = await agent(world).forks()
    assert (life.usable, life.handle) == (True, handle)


async def test_a_fork_is_kept_until_its_time_is_over() -> None:
    world = World()
    life = await agent(world).create()
    world.now += TTL - 1
    assert await sweep(world) == []
    world.now += 1
    assert await sweep(world) == [f"{life.fork_id} was deleted: its time is over"]
    assert await sweep(world) == []


async def test_a_copy_that_somebody_deleted_is_noticed_but_a_late_list_is_not_believed() -> None:
    world = World()
    life = await agent(world).create()
    world.now += PATIENCE
    world.hidden = 1
    assert await sweep(world) == []
    world.copies.clear()
    assert await sweep(world) == [f"{life.fork_id} is gone"]


async def test_a_second_copy_of_one_fork_is_deleted_and_the_fork_kept() -> None:
    world = World()
    life = await agent(world).create()
    second = Copy(life.fork_id, "id9", SOURCE, standby=False, environment="DEV", phase=Phase.READY)
    world.add(second)
    assert "a second copy" in (await sweep(world))[0]
    assert list(world.copies) == [life.handle]
    assert (await agent(world).fork(life.fork_id)).usable


async def test_what_is_not_ours_under_our_name_is_left_alone_and_said() -> None:
    world = World()
    life = await agent(world).create()
    assert life.handle is not None
    foreign = Copy(life.fork_id, life.handle, SOURCE, standby=False, environment="PROD",
                   phase=Phase.READY)  # fmt: skip
    world.add(foreign)
    with pytest.raises(GuardError, match="PROD"):
        await agent(world).delete(life.fork_id)
    assert "PROD" in (await sweep(world))[0]
    assert world.copies == {life.handle: foreign}


async def test_forks_of_another_database_are_not_touched() -> None:
    world = World()
    life = await agent(world).create()
    elsewhere = agent(world)

    async def another() -> str:
        return "another"

    elsewhere.backend.source = another  # type: ignore[method-assign]
    assert await elsewhere.forks() == []
    with pytest.raises(ForkError, match="a copy of source"):
        await elsewhere.delete(life.fork_id)
    assert await Sweep(elsewhere, 0).run() == []


async def test_forks_of_another_prefix_are_not_taken_for_gone() -> None:
    world = World()
    life = await agent(world).create()
    world.now += DAY
    other = agent(world)
    other.rules = dataclasses.replace(other.rules, prefix="try-")
    assert await Sweep(other, 0).run() == []
    with pytest.raises(ForkError, match="prefix try-"):
        await other.delete(life.fork_id)
    assert list(world.copies) == [life.handle]


async def test_a_fork_that_was_never_made_is_not_found() -> None:
    elsewhere = agent(World())
    with pytest.raises(ForkError, match="there is no fork fm-x"):
        await elsewhere.fork("fm-x")


FOREIGN = (
    Copy("fm-theirs", "f1", SOURCE, standby=False, environment="DEV", phase=Phase.READY),
    Copy("fm-replica", "f2", SOURCE, standby=True, environment="DEV", phase=Phase.READY),
    Copy("production", "f3", None, standby=False, environment="PROD", phase=Phase.READY),
    Copy("fm-of-another", "f4", "another", standby=False, environment="DEV", phase=Phase.FAILED),
    Copy("fm-none", "f5", None, standby=False, environment="DEV", phase=Phase.DELETING),
)
KILL = st.none() | st.integers(0, 14)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), KILL),
        st.tuples(st.just("sweep"), KILL),
        st.tuples(st.just("delete"), KILL),
        st.tuples(st.just("wait"), st.sampled_from([1, PATIENCE, TTL, HOUR, 2 * DAY])),
        st.tuples(st.just("lose"), st.sampled_from(["made", "unmade", "late"])),
        st.tuples(st.just("show"), st.none()),
        st.tuples(st.just("break"), st.sampled_from(Phase)),
        st.tuples(st.just("hide"), st.none()),
    ),
    max_size=10,
)


async def act(world: World, what: str, how: object) -> None:
    """Do one thing; a process that is killed or refused is simply over."""
    if what == "wait":
        if how == 2 * DAY:
            show(world)  # nothing takes a day to appear
        world.now += how  # type: ignore[operator]
    elif what == "lose":
        world.lost, world.unmade = 1, how == "unmade"
        show(world)
        world.late = [] if how == "late" else None
    elif what == "show":
        show(world)
    elif what == "hide":
        world.hidden = 1
    elif what == "break" and world.made & set(world.copies):
        world.set_phase(max(world.made & set(world.copies)), how)  # type: ignore[arg-type]
    elif what in ("create", "sweep", "delete"):
        await run(world, what, how)  # type: ignore[arg-type]


def show(world: World) -> None:
    """Let what was made out of sight be seen."""
    for copy in world.late or ():
        world.add(copy)
    world.late = None


async def run(world: World, what: str, effects: int | None) -> None:
    ours = agent(world, effects)
    try:
        if what == "create":
            await ours.create()
        elif what == "sweep":
            await Sweep(ours, PATIENCE).run()
        else:
            for life in (await ours.forks())[-1:]:
                await ours.delete(life.fork_id)
    except (Killed, CopyFailedError, BackendUnavailableError):
        pass


@hypothesis_settings(max_examples=200, deadline=None)
@given(ACTS)
def test_whatever_crashes_no_orphan_stays_and_nothing_foreign_goes(
    acts: list[tuple[str, object]],
) -> None:
    asyncio.run(check_world(acts))


async def check_world(acts: list[tuple[str, object]]) -> None:
    world = World()
    for copy in FOREIGN:
        world.add(copy)
    for what, how in acts:
        await act(world, what, how)
        lives = await agent(world).forks()
        known = {life.fork_id for life in lives}
        # Not one copy of ours is there whose request is not on record.
        assert {world.copies[handle].name for handle in world.made & set(world.copies)} <= known
        assert set(world.deleted) <= world.made
    world.lost = world.hidden = 0
    for handle in world.made & set(world.copies):
        if world.copies[handle].phase is Phase.DELETING:
            del world.copies[handle]  # what is being deleted goes by itself
    show(world)
    for pause in (PATIENCE, TTL, HOUR):
        world.now += pause
        await sweep(world)
    assert set(world.copies) == {copy.handle for copy in FOREIGN}
    assert all(life.over for life in await agent(world).forks())
