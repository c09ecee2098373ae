"""A restored run and some variants enter; what each made of what was recorded after it leaves.

The parent runs beside its variants and is fed the same records, so that each of its decisions is
compared as it is made and nothing but figures piles up.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from app.core.events import Gap
from app.core.metrics import RunRecords, Summary, measure
from app.core.metrics.figure import Figures
from app.errors import LockstepError
from app.forks.whatif_archive import Beside, placeless
from app.forks.whatif_branch import Branch
from app.forks.whatif_change import Change, Variant, changes
from app.forks.whatif_decision import Difference
from app.forks.whatif_point import Point
from app.forks.whatif_source import Recorded, Source
from app.forks.whatif_warm import known
from app.forks.whatif_watch import Watch
from app.replay.explain import Moment, Node, explain, gather_moment
from app.replay.play import Watch as Progress
from app.replay.sources.entering import Entering
from app.times import format_time

PARENT = "parent"


@dataclass(frozen=True, slots=True)
class Batch:
    """What one process does.

    Attributes:
        source: The recorded run.
        point: Where the variants begin.
        until: What entered from then on is left out, milliseconds since the epoch UTC; none: the
            end of what is recorded.
        variants: What is tried.
        explained: Whether the first differences are explained.
    """

    source: Source
    point: Point
    until: int | None
    variants: tuple[Variant, ...]
    explained: bool


@dataclass(frozen=True, slots=True)
class Parting:
    """Where one account of a fork parts from its parent, and why.

    Attributes:
        difference: Where.
        parent, fork: What led to each; none where it was not asked for or can't be told.
        note: Why it can't be told; empty where it can.
    """

    difference: Difference
    parent: Node | None = None
    fork: Node | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one variant, or the parent, made.

    Attributes:
        variant: What was tried; of the parent nothing.
        figures: By account: those that some variant changes.
        summary: All there is to draw of them; none of a variant that is not explained.
        changed: The accounts that it changes.
        partings: Where they part from the parent; accounts that never do are left out.
        notes: What was restored and what begun anew, in words.
    """

    variant: Variant
    figures: dict[str, Figures]
    summary: Summary | None
    changed: tuple[str, ...] = ()
    partings: tuple[Parting, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Run:
    variant: Variant
    changes: tuple[Change, ...]
    watch: Watch
    branch: Branch


async def run(batch: Batch, progress: Progress | None = None) -> list[Outcome]:
    """Run the parent and every variant of a batch; the parent's outcome comes first.

    Raises:
        LockstepError: The run can't be read, or nothing was decided after the point.
    """
    async with batch.source.open() as recorded:
        runs = await _play(batch, recorded, progress)
        return [await _outcome(batch, recorded, each) for each in runs]


async def _play(batch: Batch, recorded: Recorded, progress: Progress | None) -> list[_Run]:
    time, until = batch.point.time, batch.until
    moments = (time,) if until is None else (time, until)
    before: list[Entering] = []
    runs: list[_Run] = []
    count = 0
    async with aclosing(recorded.entering(batch.point.cut, moments)) as chunks:
        async for chunk in chunks:
            for one in chunk:
                if until is not None and one.time >= until:
                    return runs or _begin(batch, before)
                if one.time < time:
                    before.append(one)
                    continue
                runs = runs or _begin(batch, before)
                _feed(runs, one)
            count += len(chunk)
            if progress is not None and chunk:
                await progress(count, chunk[-1].time)
    return runs or _begin(batch, before)


def _begin(batch: Batch, before: Sequence[Entering]) -> list[_Run]:
    found = [changes(batch.point, each) for each in batch.variants]
    accounts = watched(batch.point, batch.variants)
    variants = [Variant(PARENT, ()), *batch.variants]
    return [
        _begun(batch.point, accounts, before, variant, each)
        for variant, each in zip(variants, [(), *found], strict=True)
    ]


def watched(point: Point, variants: Sequence[Variant]) -> tuple[str, ...]:
    """Return the accounts that some variant changes; all where none changes any."""
    found = dict.fromkeys(
        change.account.name for each in variants for change in changes(point, each)
    )
    return tuple(sorted(found or point.rules))


def _begun(
    point: Point,
    accounts: Sequence[str],
    before: Sequence[Entering],
    variant: Variant,
    found: tuple[Change, ...],
) -> _Run:
    changed = [each.account.name for each in found]
    rules = [
        epoch for name in accounts if name not in changed for epoch in point.rules[name].values()
    ]
    watch = Watch(point.decision, rules, accounts)
    return _Run(variant, found, watch, Branch(point, found, before, watch))


def _feed(runs: Sequence[_Run], one: Entering) -> None:
    """Feed a record to all; the parent comes first, and its decisions are what others compare."""
    parent, *others = runs
    for each in runs:
        if isinstance(one.message.record, Gap):
            each.watch.records.take(one.message.record)
        each.branch.feed(one)
    fresh = parent.watch.fresh()
    if fresh:
        for each in others:
            each.watch.compare(fresh)


async def _outcome(batch: Batch, recorded: Recorded, run_: _Run) -> Outcome:
    summary = _measured(batch, run_.watch.records)
    partings = [await _parting(batch, recorded, run_, each) for each in run_.watch.differences()]
    return Outcome(
        run_.variant,
        {each.name: each.figures for each in summary.accounts},
        summary if batch.explained or not run_.changes else None,
        tuple(each.account.name for each in run_.changes),
        tuple(partings),
        tuple(note for each in run_.changes for note in _notes(batch.point, each)),
    )


def _measured(batch: Batch, records: RunRecords) -> Summary:
    """Return the figures of the accounts that have decided something; some had left before."""
    deciding = {name: each for name, each in records.accounts.items() if each.start is not None}
    if not deciding:
        end = "the end of what is recorded" if batch.until is None else format_time(batch.until)
        raise LockstepError(
            f"nothing was decided between {format_time(batch.point.decision)} and {end}: name an "
            f"earlier moment, or a later end."
        )
    records.accounts = deciding
    return measure(records)


async def _parting(batch: Batch, recorded: Recorded, run_: _Run, found: Difference) -> Parting:
    if not batch.explained:
        return Parting(found)
    account = found.account
    instrument = found.instrument or next(iter(batch.point.rules[account]))
    moment = Moment(found.cause, instrument, account)
    archive = recorded.archive()
    since, outputs = run_.watch.around(account)
    rules = [
        epoch
        for change in run_.changes
        if change.account.name == account
        for epoch in change.epochs()
    ]
    own = Beside(archive, outputs, rules, since)
    try:
        parent = explain(await gather_moment(archive, moment))
        fork = placeless(explain(await gather_moment(own, moment)))
    except LockstepError as error:
        return Parting(found, note=f"Why can't be told: {error}")
    return Parting(found, parent, fork)


def _notes(point: Point, change: Change) -> list[str]:
    """Return what of an account was restored and what was begun anew."""
    name, notes = change.account.name, []
    for strategy in change.anew:
        seen, wanted = known(point, change, strategy)
        short = "" if seen >= wanted else f"; it wants {wanted} to settle"
        notes.append(
            f"{name}: {strategy} was begun anew on the {seen} candles before "
            f"{format_time(point.decision)}{short}."
        )
    state = [f"what {each} knew" for each in change.kept]
    kept = ", ".join([*state, "cash", "positions", "open orders", "targets", "limits"])
    notes.append(f"{name}: it keeps {kept} and halts as of {format_time(point.time)}.")
    return notes
