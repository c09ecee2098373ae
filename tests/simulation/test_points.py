"""The code under test enters: nothing in it waits where no schedule can stop, kill or freeze."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.simulation.database import APPLIED, SENT
from tests.simulation.faults import Faults
from tests.simulation.log import Point
from tests.simulation.parts import ObjectionError
from tests.simulation.points import POINTS
from tests.simulation.tape import Tape
from tests.simulation.toys import scenario
from tests.simulation.world import World

APP = Path(__file__).parents[2] / "app"

APPEND = ("sent, not applied", "applied in part", "applied, not acknowledged")
CLAIM, OUTPUTS, STATES, PROGRESS = (
    tuple(f"append {kind}: {step}" for step in APPEND)
    for kind in ("claim", "outputs", "states", "progress")
)
OWN = ("",)
"""Waits for a coroutine of the same files, whose own awaits stand in this table."""

BY_HAND = ("",)
"""Happens only where a person accepts a loss (--accept-loss), which no schedule does."""

# The table is read by a person who adds an await: what can a process die before, and after?
AWAITS = {
    "runtime/stage.py": {
        "self._open(number, places)": OWN,
        "self._log.append(self._outputs(batches, made))": OUTPUTS,
        "self._log.append(self._changed_states())": STATES,
        "self._write()": OWN,
        "self._log.append(entries)": (*STATES, *PROGRESS),
        "self._log.partitions(topic)": ("partitions",),
        "self._states.check_begun(number, places)": OWN,
        "self._states.claim(number)": OWN,
        "self._states.load(number, token)": OWN,
        "self._log.bounds(place)": ("bounds",),
    },
    "runtime/partition.py": {
        "self._log.bounds(Place(self.topic, number))": ("bounds",),
        "self._log.append([entry])": CLAIM,
        "self._log.read(Place(self.topic, number))": ("read",),
        "self._rewrite(number, [key for key in winners if winners[key] is not latest[key]], "
        "winners)": OWN,
        "self._log.append([Entry(self.topic, key.encode(), encode(Message(winners[key].state)), "
        "number) for key in keys])": STATES,
    },
    "runtime/sink.py": {
        "self._sink.positions()": OWN,
        "self._log.bounds(place)": ("bounds",),
        "self._sink.start(place, first)": OWN,
        "self._sink.write([self._item(entry) for entry in part])": OWN,
        "self._sink.glance()": OWN,
        "self._pass_over(place, held[place], first)": BY_HAND,
        "self._log.append([dead_letter(Stored(*place, held, b'', b''), NAME, lost)])": BY_HAND,
        "self._sink.start(place, first, held)": BY_HAND,
    },
    "storage/sink.py": {
        "self._patiently(self._store.positions)": ("positions",),
        "self._store.positions()": ("positions",),
        "async with self._store.transaction()": ("begin", SENT, APPLIED),
        "transaction.lock([place])": ("lock",),
        "transaction.move({place: offset})": ("move",),
        "self._patiently(attempt)": OWN,
        "self._patiently(lambda: self._attempt(prepared))": OWN,
        "transaction.lock(sorted({item.place for item in prepared}))": (
            "lock",
            "lock: in part",
            "lock: waits",
        ),
        "transaction.insert(TABLES[table], batch)": ("insert",),
        "transaction.move(offsets)": ("move",),
        "attempt()": OWN,
        "self._sleep(delay)": ("sleep",),
    },
}


def awaits(path: Path) -> set[str]:
    """Return the text of all that a file's coroutines wait for."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Await):
            found.add(ast.unparse(node.value))
        elif isinstance(node, ast.AsyncWith):
            found |= {f"async with {ast.unparse(item.context_expr)}" for item in node.items}
        elif isinstance(node, ast.AsyncFor):
            found.add(f"async for {ast.unparse(node.iter)}")
    return found


@pytest.mark.parametrize("path", AWAITS)
def test_nothing_is_awaited_that_has_no_point(path: str) -> None:
    known = AWAITS[path].keys()
    found = awaits(APP / path)
    assert found - known == set(), (
        "say in AWAITS at which points a schedule stops there; a new one belongs in points.py"
    )
    assert known - found == set(), "no longer awaited: take it out of AWAITS"


def test_every_point_belongs_to_an_await() -> None:
    named = {name for waits in AWAITS.values() for points in waits.values() for name in points}
    named |= {"offsets sent, not applied", "offsets applied, not acknowledged"}  # by the shell
    assert {point.split(": ", 1)[1] for point in POINTS} == named - {""}


def test_a_point_that_nobody_named_ends_a_schedule() -> None:
    world = World(scenario(2), Tape(replay=[]), Faults())

    async def partitions(topic: str) -> int:
        await Point("partitions, in a new way")
        return world.log.counts[topic]

    world.log.partitions = partitions  # type: ignore[method-assign]
    with pytest.raises(ObjectionError, match="in a new way"):
        world.run()
