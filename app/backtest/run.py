"""A source enters; it is run through the pipeline, and files and a report leave."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import orjson

from app.backtest.extent import Reading
from app.backtest.readiness import Readiness
from app.backtest.source import Chunks, Files, Source, measured_filters
from app.core.decimals import plain
from app.core.events import Account, Epoch, Output, Signal
from app.core.metrics import RunRecords, RunRecordsError, measure
from app.errors import LockstepError
from app.pipeline import STAGES
from app.replay.play import play
from app.report import FILES, WRITTEN, CsvFiles, Report, RunInfo, write_report

Tell = Callable[[int, int], None]
"""Is told how many trades were fed, and the time of the last, milliseconds."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be run.

    Attributes:
        source: What is fed.
        begin: What is decided before is left out of figures and files, milliseconds since the
            epoch UTC; none: nothing is.
        folder: Where files are written; none: nowhere.
        notes: What the report warns of beside what it finds.
    """

    source: Source
    begin: int | None = None
    folder: Path | None = None
    notes: tuple[str, ...] = ()


class Taking:
    """Takes every record that the pipeline makes.

    Attributes:
        records: What figures are made of.
        readiness: Which strategies were ready.
        accounts: By name, as last configured.
    """

    def __init__(self, begin: int | None, files: CsvFiles | None) -> None:
        self.records = RunRecords()
        self.readiness = Readiness()
        self.accounts: dict[str, Account] = {}
        self.reading = Reading(self.records)
        self._begin = begin
        self._files = files

    def __call__(self, output: Output) -> None:
        """Take a record."""
        record = output.message.record
        if isinstance(record, Epoch):
            self.accounts[record.account.name] = record.account
        elif self._begin is not None and self.reading.moment < self._begin:
            return
        self.records.take(record)
        if isinstance(record, Signal):
            self.readiness.take(record)
        if self._files is not None:
            self._files.write(output.message)


async def backtest(request: Request, tell: Tell) -> Report:
    """Run a backtest, write its files where wanted, and return its report.

    Raises:
        LockstepError: The source can't be read, or nothing was decided.
    """
    with ExitStack() as stack:
        files = None
        if request.folder is not None:
            request.folder.mkdir(parents=True, exist_ok=True)
            files = stack.enter_context(CsvFiles(request.folder))
        taking = Taking(request.begin, files)
        await play(STAGES, _read(request.source.chunks(), taking.reading, tell), taking)
    report = _report(request, taking)
    if request.folder is not None:
        write_report(request.folder, report)
    return report


async def _read(chunks: Chunks, reading: Reading, tell: Tell) -> Chunks:
    async for chunk in chunks:
        for one in chunk:
            reading.take(one)
            yield [one]
        tell(reading.trades, reading.moment)


def _report(request: Request, taking: Taking) -> Report:
    try:
        summary = measure(taking.records)
    except RunRecordsError as error:
        if not any(each.start for each in taking.records.accounts.values()):
            raise LockstepError(
                "nothing was decided: no base interval ended in that time. Give a longer range or "
                "more data."
            ) from error
        raise
    names = ", ".join(each.name for each in summary.accounts)
    notes = (*request.notes, *_rules(request.source), *taking.readiness.notes(taking.accounts))
    info = RunInfo(
        title=f"Backtest of {names}",
        run=f"backtest-{_fingerprint(taking.accounts)}",
        code=version(),
        inputs=taking.reading.inputs(_names(request.source)),
        notes=notes,
        files=(*FILES, *WRITTEN) if request.folder else (),
    )
    return Report(info, summary)


def _rules(source: Source) -> Sequence[str]:
    """Return where the exchange's rules came from: a file does not hold them."""
    if not isinstance(source, Files):
        return ()
    return [
        f"No exchange was asked for the rules of {name}: tick {plain(rules.tick_size)} and lot "
        f"{plain(rules.lot_size)} are the finest its first 1,000 trades show, the least notional "
        f"{plain(rules.minimum_notional)} is a usual one."
        for name, rules in measured_filters(source.dumps).items()
    ]


def _names(source: Source) -> dict[str, str]:
    if not isinstance(source, Files):
        return {}
    return {each.instrument: ", ".join(p.name for p in each.files) for each in source.dumps}


def _fingerprint(accounts: dict[str, Account]) -> str:
    """Return a short name of a configuration: the same accounts have the same."""
    text = orjson.dumps([asdict(each) for _, each in sorted(accounts.items())], default=str)
    return hashlib.blake2b(text, digest_size=4).hexdigest()


def version() -> str:
    """Return the version of the installed code."""
    try:
        return metadata.version("lockstep")
    except metadata.PackageNotFoundError:
        return "not installed"
