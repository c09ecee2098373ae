"""One fault at every point, in the order of arrival: none of them loses or doubles a record."""

from __future__ import annotations

import pytest

from app.core.events import Resumed
from app.runtime.codec import decode
from tests.simulation import toys
from tests.simulation.explore import Outcome, run
from tests.simulation.faults import GO, Faults, Plan
from tests.simulation.oracle import expected_toys
from tests.simulation.points import FREEZE, KILL
from tests.simulation.tape import Tape

CLOCKS = 2


def simulate(plan: Plan) -> Outcome:
    return run(toys.scenario(CLOCKS), Tape(replay=[]), Faults(plan=plan))


def at(k: int, fate: str) -> Plan:
    return lambda number, _: fate if number == k else GO


def test_the_pure_driver_is_what_an_independent_computation_says() -> None:
    found = {}
    for value in expected_toys(20).records.values():
        message = decode(value)
        if isinstance(message.record, Resumed) and message.identity is not None:
            found[message.identity.destination, message.identity.number] = message.origin
    assert found == toys.expected(20)


@pytest.mark.parametrize("fate", [KILL, FREEZE])
def test_no_single_fault_at_any_point_loses_or_doubles_a_record(fate: str) -> None:
    points = simulate(lambda *_: GO).points
    assert points > 100
    for k in range(1, points + 1):
        outcome = simulate(at(k, fate))
        assert outcome.wrong == [], f"{fate} at point {k}"
        assert sum(n for (_, what), n in outcome.tally.points.items() if what == fate) == 1
