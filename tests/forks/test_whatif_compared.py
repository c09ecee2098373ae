"""Many variants beside their parent: figures, the first difference, why, and in any processes."""

from __future__ import annotations

from dataclasses import asdict
from io import StringIO

import pytest
from rich.console import Console

from app.backtest.words import overrides
from app.errors import LockstepError
from app.forks.whatif import Request, WhatIf, whatif
from app.forks.whatif_change import Variant
from app.forks.whatif_show import show
from app.replay.explain import Node
from tests.forks.recorded import Memory, memory
from tests.replay.market import INTERVAL, end

VARIANTS = (
    Variant("fast", tuple(overrides(["accounts.alpha.strategies.macd.fast=2"]))),
    Variant("same", tuple(overrides(["accounts.alpha.risk.stale_after=5001"]))),
    Variant("small", tuple(overrides(["accounts.alpha.risk.order_notional=50"]))),
    Variant("dear", tuple(overrides(["accounts.alpha.execution.taker_fee=90"]))),
    Variant("none", ()),
)

NAMES = [each.name for each in VARIANTS]


@pytest.fixture(autouse=True)
def _snapshots_at_every_third_decision_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.runtime.stage.DAY", 3 * INTERVAL)


@pytest.fixture
async def source() -> Memory:
    return await memory(0)


def request(source: Memory, processes: int = 1, until: int | None = None) -> Request:
    return Request(source, end(14) + 1_234, until, VARIANTS, processes)


def kinds(tree: Node) -> set[str]:
    return {tree.kind}.union(*(kinds(each) for each in (*tree.causes, *tree.effects)))


async def test_variants_run_beside_their_parent(source: Memory) -> None:
    found = await whatif(request(source))
    outcomes = {each.variant.name: each for each in found.variants}
    assert list(outcomes) == NAMES
    assert list(found.parent.figures) == ["alpha"]
    assert found.parent.partings == ()
    for name in ("same", "none"):
        assert outcomes[name].partings == ()
        assert outcomes[name].figures == found.parent.figures
    parted = {name: each.partings[0] for name, each in outcomes.items() if each.partings}
    assert set(parted) == {"fast", "small", "dear"}
    whats = {name: each.difference.what for name, each in parted.items()}
    assert whats == {"fast": "view", "small": "order", "dear": "books"}
    for each in parted.values():
        assert each.parent is not None, each.note
        assert each.fork is not None
        assert each.parent != each.fork
        assert each.difference.parent != each.difference.fork
    fast = parted["fast"].fork
    assert fast is not None
    assert kinds(fast) >= {"decision", "signal", "candle", "trades"}
    assert places(fast) - {"risk"} == {"candles", "trades", None}
    assert any("macd was begun anew on the 27 candles before" in n for n in outcomes["fast"].notes)
    assert all("momentum" in note for note in outcomes["fast"].notes[1:])


def places(tree: Node) -> set[str | None]:
    """Return the topics that a tree names: of a fork's own records none, they stand nowhere."""
    below = (places(each) for each in (*tree.causes, *tree.effects))
    return {None if tree.place is None else tree.place[0]}.union(*below)


async def test_in_several_processes_they_are_the_same(source: Memory) -> None:
    one, two = await whatif(request(source)), await whatif(request(source, processes=2))
    assert told(one) == told(two)


def told(found: WhatIf) -> list[object]:
    return [
        (each.variant, each.figures, each.notes, [asdict(part) for part in each.partings])
        for each in (found.parent, *found.variants)
    ]


async def test_until_a_time_nothing_from_then_on_counts(source: Memory) -> None:
    found = await whatif(request(source, until=end(20)))
    assert found.parent.summary is not None
    (account,) = found.parent.summary.accounts
    assert (account.start, account.end) == (end(15), end(19))
    with pytest.raises(LockstepError, match="nothing was decided between"):
        await whatif(request(source, until=end(14) + 2_000))


async def test_with_nothing_to_try_every_account_goes_on_as_it_was(source: Memory) -> None:
    found = await whatif(Request(source, end(14), None, (), 2))
    assert list(found.parent.figures) == ["alpha", "beta"]
    assert found.variants == ()


async def test_a_narrow_terminal_holds_many_variants(source: Memory) -> None:
    found = await whatif(request(source, until=end(24)))
    console = Console(width=80, force_terminal=True, color_system=None, file=StringIO())
    show(found, console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    (head,) = [line.split() for line in lines if line.split()[:1] == ["run"]]
    assert head == ["run", "profit", "drawdown", "orders", "fills", "fees", "parts", "at"]
    assert {line.split()[0] for line in lines if line.strip()} >= {"parent", *NAMES}
    assert not [line for line in lines if "…" in line or len(line) > 80]
