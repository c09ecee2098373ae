"""A source enters; whether anything it decides leans on what is yet to come leaves.

Each run is made in a process of its own. One is made twice there, so that what outlives a run
shows; one with sets in another order, so that chance and the time show; and one for every cut, over
files that end there, whoever opens them. A run that began later shows how long a strategy takes to
forget where it began.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from app.backtest import fresh, tracing
from app.backtest.cutting import cut
from app.backtest.fresh import Call, FailedError
from app.backtest.signals import Course, Follower
from app.backtest.source import Files, Source, measured_filters
from app.backtest.topics import Topics
from app.backtest.trace import Place, Rows, difference
from app.backtest.tracing import Whole
from app.backtest.warmup import convergences
from app.core.strategies import STRATEGIES
from app.errors import UNREACHABLE, LockstepError

OTHER_SEED = 2
STARTS = (4, 3, 2)  # a later start is at one fourth, third and half of the time
Tell = Callable[[int, str], None]
"""Is told how many runs were made, and what is being done."""

LATER = "looks ahead"
CHANCE = "is not the same twice"
MEMORY = "remembers another run"


@dataclass(frozen=True, slots=True)
class Finding:
    """Where a decision was not what it must be.

    Attributes:
        kind: LATER, CHANCE or MEMORY.
        stage: The strategy, or the stage, that decided.
        time: The decision time, milliseconds since the epoch UTC.
        name: The record.
        field: Of it; empty where one of the two runs has no such record.
        expected: What the whole run decided, as JSON; none: nothing.
        found: What the other run decided.
        cut: Where the input was cut, milliseconds since the epoch UTC.
        failure: The error that the run over the cut input ended with.
    """

    kind: str
    stage: str
    time: int
    name: str = ""
    field: str = ""
    expected: str | None = None
    found: str | None = None
    cut: int | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Slow:
    """A field that took longer to agree after a later start than its strategy declares.

    Attributes:
        account, strategy, instrument: Who said it.
        field: Of the signal.
        start: Where the later run began, milliseconds since the epoch UTC.
        declared: The strategy's warm-up, in base intervals.
        needed: How many it took; none: it had not by the end.
    """

    account: str
    strategy: str
    instrument: str
    field: str
    start: int
    declared: int
    needed: int | None


@dataclass(slots=True)
class Verdict:
    """What came out.

    Attributes:
        decisions: Decision times and senders compared in the whole run.
        cuts: Where the input was cut, milliseconds since the epoch UTC.
        starts: Where later runs began.
        finding: The first thing found; none: nothing.
        slow: What took longer than declared.
    """

    decisions: int
    cuts: tuple[int, ...] = ()
    starts: tuple[int, ...] = ()
    finding: Finding | None = None
    slow: list[Slow] = field(default_factory=list)


def check(source: Source, cuts: int, seed: int, tell: Tell) -> Verdict:
    """Return whether a source's decisions lean on what is yet to come.

    Args:
        source: What is fed.
        cuts: At how many places its end is cut off.
        seed: Decides where.
        tell: Is told how far it has come.

    Raises:
        LockstepError: The source can't be read, or a run failed that should not.
    """
    try:
        return _checked(source, cuts, seed, tell)
    except FailedError as error:
        raise LockstepError(f"a run failed, so nothing is proved: {error}") from error


def _checked(source: Source, cuts: int, seed: int, tell: Tell) -> Verdict:
    if isinstance(source, Files):
        # What a cut file shows of the exchange's rules may be less than the whole one does.
        source = replace(source, filters=measured_filters(source.dumps))
    tell(0, "the whole run")
    found = _whole(source)
    verdict = Verdict(sum(len(column.times) for column in found.rows.values()))
    tell(2, "the same in another process")
    verdict.finding = _repeated(source, found)
    if verdict.finding is None:
        tell(3, "cuts")
        verdict.cuts = _chosen(found, cuts, seed)
        verdict.finding = _cuts(source, found, verdict.cuts, tell)
    if verdict.finding is None and isinstance(source, Files):
        _starts(source, found, verdict, tell)
    return verdict


def _made(
    name: str, *arguments: Any, seed: int = 1, hidden: Mapping[Path, Path] | None = None
) -> Any:
    """Return what a function of `tracing` returns in a new process; raises FailedError."""
    return fresh.run(Call(tracing.__name__, name, arguments, seed, hidden or {}))


def _whole(source: Source) -> Whole:
    found: Whole = _made("whole", source)
    if not _begin(found):
        raise LockstepError("nothing was decided: give a longer range or more data.")
    return found


def _repeated(source: Source, found: Whole) -> Finding | None:
    """Look for what changes from run to run though the input does not."""
    other: tuple[Rows, int] = _made("part", source, seed=OTHER_SEED)
    place = difference(found.rows, other[0])
    if place is not None:
        again = _made("kept", source, place, 1, seed=OTHER_SEED)
        return explained(CHANCE, place, _first(source, place), again)
    if found.again is not None:
        again = _made("kept", source, found.again, 2)
        return explained(MEMORY, found.again, _first(source, found.again), again)
    return None


def _first(source: Source, place: Place) -> list[bytes]:
    kept: list[bytes] = _made("kept", source, place, 1)
    return kept


def _chosen(found: Whole, count: int, seed: int) -> tuple[int, ...]:
    """Return times drawn by lot, each as soon as a decision is settled and nothing is behind it."""
    every = found.fed.settlements(_begin(found))[:-1]
    return tuple(sorted(random.Random(seed).sample(every, min(count, len(every)))))  # noqa: S311 - no secret


def _cuts(source: Source, found: Whole, times: Sequence[int], tell: Tell) -> Finding | None:
    """Cut the end off, at one time after the other, and look for a decision that changes."""
    for number, time in enumerate(times, start=1):
        tell(2 + number, f"cut {number} of {len(times)}")
        finding = _cut(source, found, time)
        if finding is not None:
            return finding
    return None


def _begin(found: Whole) -> int:
    """Return the decision time by which every account has decided."""
    firsts = [
        next((time for time in column.times if time), 0)  # 0: an epoch, passed on before any
        for row, column in found.rows.items()
        if row.topic == "portfolio"
    ]
    return max(firsts, default=0)


def _cut(source: Source, found: Whole, time: int) -> Finding | None:
    with _ending(source, time) as (shorter, hidden):
        try:
            rows, settled = _made("part", shorter, hidden=hidden)
        except (FailedError, LockstepError) as error:
            if isinstance(error, LockstepError) and error.exit_code == UNREACHABLE:
                raise
            # The whole run did not fail, so it is what comes later that was missed.
            reason = str(error).strip().splitlines()[-1].rstrip(".")
            return Finding(LATER, _culprit(str(error)), time, cut=time, failure=reason)
        place = difference(found.rows, rows, settled)
        if place is None:
            return None
        again = _made("kept", shorter, place, 1, hidden=hidden)
    return replace(explained(LATER, place, _first(source, place), again), cut=time)


@contextmanager
def _ending(source: Source, time: int) -> Iterator[tuple[Source, dict[Path, Path]]]:
    """Give a source that ends after a time, and the files that must be hidden for it."""
    if isinstance(source, Topics):
        yield replace(source, end=time + 1), {}
    if not isinstance(source, Files):
        return
    with tempfile.TemporaryDirectory(prefix="lockstep-") as folder:
        fed, seen = Path(folder) / "fed", Path(folder) / "seen"
        left = cut(source.dumps, time, fed)
        # The trade that settles a decision is fed, but whoever decided had yet to see it.
        before = cut(source.dumps, time // source.interval * source.interval - 1, seen)
        yield replace(source, dumps=left.dumps), before.hidden


def _culprit(text: str) -> str:
    """Return the strategy whose file an error names last; empty where it names none."""
    named = [(text.rfind(f"{name}.py"), name) for name in STRATEGIES if f"{name}.py" in text]
    return max(named, default=(0, ""))[1]


def explained(kind: str, place: Place, first: list[bytes], other: list[bytes]) -> Finding:
    """Name the record and the field in which two runs differ at a place."""
    for number in range(max(len(first), len(other))):
        one = first[number] if number < len(first) else None
        two = other[number] if number < len(other) else None
        if one != two:
            return _of_record(kind, place, one, two)
    # Only what changes by chance can be equal when it is made again.
    name = str(orjson.loads(first[0])["id"]) if first else ""
    return Finding(CHANCE, place.row.stage, place.time, name)


def _of_record(kind: str, place: Place, one: bytes | None, two: bytes | None) -> Finding:
    expected, found = (orjson.loads(raw) if raw else None for raw in (one, two))
    name = str((expected or found or {}).get("id", ""))
    finding = Finding(kind, place.row.stage, place.time, name)
    if expected is None or found is None:
        return replace(finding, expected=_text(expected), found=_text(found))
    path, was, now = _field(expected, found)
    return replace(finding, field=path, expected=_text(was), found=_text(now))


def _field(one: dict[str, object], two: dict[str, object]) -> tuple[str, object, object]:
    """Return the first field that differs, and both values."""
    keys = [key for key in {**one, **two} if one.get(key) != two.get(key)]
    # A reason is text made of the others, which say more.
    key = next((key for key in keys if key != "reason"), keys[0] if keys else "")
    was, now = one.get(key), two.get(key)
    if isinstance(was, dict) and isinstance(now, dict):
        path, inner_was, inner_now = _field(was, now)
        return f"{key}.{path}", inner_was, inner_now
    return key, was, now


def _text(value: object) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _starts(source: Files, found: Whole, verdict: Verdict, tell: Tell) -> None:
    """Begin later, without a history, and see how long each strategy takes to agree."""
    interval, begin, end = found.fed.interval, _begin(found), found.fed.settled
    longest = max(found.warmups.values(), default=0) * interval
    wanted = [begin + (end - begin) // share // interval * interval for share in STARTS]
    verdict.starts = tuple(
        start for start in wanted if start - begin >= longest and end - start > longest
    )
    for number, start in enumerate(verdict.starts):
        tell(3 + len(verdict.cuts) + number, f"start {number + 1} of {len(verdict.starts)}")
        manner = replace(source.manner, start=start, history_count=0)
        late = _made("courses", replace(source, manner=manner))
        verdict.slow += _slow(found, late, start)


def _slow(found: Whole, late: Mapping[Follower, Course], start: int) -> Iterator[Slow]:
    for who, course in late.items():
        declared = found.warmups[who]
        for each in convergences(found.courses[who], course, found.fed.interval):
            if each.intervals is None or each.intervals > declared:
                yield Slow(*who, each.field, start, declared, each.intervals)
