"""A name or a moment enters; what there is to say about it leaves, fetched from an archive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from app.errors import LockstepError
from app.replay.explain.archive import Archive, Wanted
from app.replay.explain.case import ACTIVE, Case, Pair
from app.replay.explain.names import lookups, name_of
from app.replay.explain.row import SOURCES, Row
from app.times import format_time

LONGEST_BAR = 60
"""Candles of one bar whose trades are told; of a longer bar those of the last so many."""

FIRST_LOOK = 256
FURTHER = 64
"""What has lasted is followed back so many decision times, then so many times as far, and so on."""

Equal = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened, or did not, to one account and instrument at a decision time.

    Attributes:
        time: Milliseconds since the epoch UTC; the last decision time not after it counts.
        instrument: The instrument.
        account: The account.
    """

    time: int
    instrument: str
    account: str


async def gather_named(archive: Archive, name: str) -> list[Case]:
    """Return the cases of all that one name means: a record of several orders has several.

    Raises:
        ConfigurationError: Nothing is named so.
        LockstepError: There is no such record.
    """
    rows = await archive.rows(lookups(name))
    if not rows:
        raise LockstepError(_unknown(name))
    if rows[0].table == "allocations":
        rows = rows[:1]
    return [await _gather(archive, row) for row in rows]


async def gather_moment(archive: Archive, moment: Moment) -> Case:
    """Return the case of a moment.

    Raises:
        LockstepError: The account has never traded the instrument.
    """
    rules = await archive.rows(_rules(moment.account))
    intervals = [
        row["interval_ms"]
        for row in rules
        if row.table == "instruments" and row["instrument"] == moment.instrument
    ]
    if not intervals:
        raise LockstepError(
            f"account {moment.account} has no decision about {moment.instrument}: it has not "
            f"joined yet, or is not configured; `lockstep status` shows what each stage waits for."
        )
    time = moment.time - moment.time % intervals[-1]
    case = Case(None, moment.account, time, moment.instrument)
    return await _decision(archive, _with(case, rules))


async def _gather(archive: Archive, subject: Row) -> Case:
    column = "decision_time" if subject.table == "fills" else "time"
    fields = subject.fields
    case = Case(
        subject,
        fields.get("account", ""),
        fields.get(column) or 0,
        fields.get("instrument") or "",
        fields.get("strategy") or "",
        fields.get("interval_ms", 0),
    )
    if subject.table == "candles":
        return await _tapes(archive, _with(case, [subject]))
    if subject.table == "commands":
        told = {"kind": ("halted", "resumed")}
        return _with(case, await archive.rows([Wanted("risk_events", case.account, equal=told)]))
    if not case.account or subject.table in ("memberships", "instruments"):
        return case
    case = _with(case, await archive.rows(_rules(case.account)))
    if subject.table in ("bookings", "outcomes"):
        case = replace(case, time=case.time - case.interval)
    return await _trade(archive, await _decision(archive, case))


async def _trade(archive: Archive, case: Case) -> Case:
    """Return the case of a fill with the trade that filled it."""
    if case.subject is None or case.subject.table != "fills":
        return case
    time, number = case.subject.time, case.subject["trade_id"]
    wanted = Wanted("trades", case.instrument, time, time, {"trade_id": (number,)})
    return _with(case, await archive.rows([wanted]))


def _rules(account: str) -> list[Wanted]:
    return [Wanted("accounts", account), Wanted("instruments", account)]


async def _decision(archive: Archive, case: Case) -> Case:
    """Return the case with all of its decision, and all that led to it."""
    now = [
        Wanted(table, case.account, case.time, case.time) for table in ("portfolio", "positions")
    ]
    case = _with(case, await archive.rows(now))
    case = _with(case, await archive.rows(_decided(case)))
    case = await _halts(archive, case)
    case = await _views(archive, case)
    case = _with(case, await archive.rows(_bars(case)))
    return await _tapes(archive, case)


def _decided(case: Case) -> list[Wanted]:
    account, time = case.account, case.time
    after = time + case.interval
    strategies, instruments = _configured(case)
    return [
        *(Wanted(table, account, time, time) for table in ("allocations", "risk_reports")),
        Wanted("risk_events", account, time, time),
        Wanted("signals", account, time, time, strategies | instruments),
        Wanted("fills", account, time, after, instruments),
        Wanted("outcomes", account, after, after, instruments),
        *(
            Wanted("orders", name, time, time, {"account": (account,)})
            for name in ([case.instrument] if case.instrument else _instruments(case))
        ),
    ]


def _configured(case: Case) -> tuple[Equal, Equal]:
    """Return which strategies and instruments the account had; nothing where it did not decide."""
    portfolio = case.now("portfolio")
    configuration = None if portfolio is None else case.configuration(portfolio["epoch"])
    if configuration is None:
        return {}, {}
    strategies = tuple(each["name"] for each in configuration["strategies"])
    return {"strategy": strategies}, {"instrument": tuple(configuration["instruments"])}


def _instruments(case: Case) -> list[str]:
    return list(dict.fromkeys(row["instrument"] for row in case.all("instruments")))


async def _halts(archive: Archive, case: Case) -> Case:
    """Return the case with what halted the account, where it was halted."""
    report = case.now("risk_reports")
    if report is None or not report["halted"]:
        return case
    look, first, told = FIRST_LOOK * case.interval, case.time, list[Row]()
    kinds = {"kind": ("halted", "resumed")}
    while first and not told:
        first = max(case.time - look, 0)
        told = await archive.rows([Wanted("risk_events", case.account, first, case.time, kinds)])
        look *= FURTHER
    return _with(case, told)


async def _views(archive: Archive, case: Case) -> Case:
    """Return the case with the signals since each view began, and what was decided then."""
    pairs = [
        (row["strategy"], row["instrument"]) for row in case.signals() if row["view"] in ACTIVE
    ]
    look = FIRST_LOOK * case.interval
    open_ = pairs
    while open_:
        first = max(case.time - look, 0)
        case = _with(case, await archive.rows(_signals(case, open_, first)))
        open_ = [pair for pair in open_ if first and _goes_on(case, pair, first)]
        look *= FURTHER
    times = {time for pair in pairs if (time := case.fixed_at(*pair)) is not None}
    for time in sorted(times - {case.time}):
        then = [Wanted(table, case.account, time, time) for table in ("portfolio", "allocations")]
        case = _with(case, await archive.rows(then))
    return case


def _signals(case: Case, pairs: Iterable[Pair], first: int) -> list[Wanted]:
    return [
        Wanted(
            "signals",
            case.account,
            first,
            case.time,
            {"strategy": (strategy,), "instrument": (instrument,)},
        )
        for strategy, instrument in pairs
    ]


def _goes_on(case: Case, pair: Pair, first: int) -> bool:
    """Return whether a view may have begun before what was fetched."""
    found = case.all("signals", strategy=pair[0], instrument=pair[1])
    views = {row["view"] for row in found if row.time >= first} - {"not_ready"}
    return len(views) == 1


def _bars(case: Case) -> list[Wanted]:
    wanted = [
        Wanted("candles", row["instrument"], *case.bar(row), {"revision": (0,)})
        for row in case.signals()
    ]
    names = dict.fromkeys(one.key for one in wanted) or [case.instrument]
    wanted += [
        Wanted("candles", name, case.time, case.time, {"revision": (0,)}) for name in names if name
    ]
    return list({(one.key, one.first, one.last): one for one in wanted}.values())


async def _tapes(archive: Archive, case: Case) -> Case:
    tapes = {}
    for instrument in dict.fromkeys(row["instrument"] for row in case.all("candles")):
        for candle in case.all("candles", instrument=instrument)[-LONGEST_BAR:]:
            tapes[candle["identity"]] = tuple(await archive.tape(candle))
    return replace(case, tapes=tapes)


def _with(case: Case, rows: Sequence[Row]) -> Case:
    """Return the case with more rows; one it has is not added again."""
    found: dict[str, dict[tuple[object, ...], Row]] = {
        table: {_key(row): row for row in known} for table, known in case.rows.items()
    }
    for row in rows:
        found.setdefault(row.table, {}).setdefault(_key(row), row)
    tables = {
        table: tuple(sorted(known.values(), key=lambda row: row.time))
        for table, known in found.items()
    }
    intervals = [row["interval_ms"] for row in tables.get("instruments", ())]
    return replace(case, rows=tables, interval=intervals[-1] if intervals else case.interval)


def _key(row: Row) -> tuple[object, ...]:
    columns = ("account", "instrument", "strategy", "order_id", "part", "epoch", "revision")
    return (row.time, name_of(row), *(row.fields.get(name) for name in columns))


def _unknown(name: str) -> str:
    """Return that nothing is named so, and the nearest thing to do."""
    parts = name.split("/")
    (first, *_) = lookups(name)
    if first.table == "orders" and first.first:
        moment = f"--at {format_time(first.first)} --instrument {parts[1]} --account {parts[0]}"
        return f"there is no order {name}: `lockstep explain {moment}` shows what was decided then."
    if first.table == "fills" and "part" in first.equal:
        return f"there is no fill {name}: `lockstep explain {'/'.join(parts[:4])}` shows its order."
    topic = "trades" if first.table == "instruments" else SOURCES[first.table][0]
    return (
        f"there is no record {name}: `lockstep topics read {topic} --key {first.key}` shows the "
        f"newest there are; a database knows only what the sink has stored (`lockstep status`)."
    )
