"""What a command line said enters; what is to be run leaves, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app import config
from app.backtest import grid, settings
from app.backtest.run import Request
from app.backtest.search import Plan, plan
from app.backtest.settings import Setup
from app.backtest.source import Files, files
from app.backtest.topics import Topics
from app.backtest.words import dumps, overrides
from app.errors import ConfigurationError
from app.market.extent import rows
from app.market.importing import beginning
from app.times import format_time, parse_time


@dataclass(frozen=True, slots=True)
class Words:
    """The options that say what is fed and under which settings, as they were given."""

    files: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    topics: bool = False
    config: Path | None = None
    start: str | None = None
    end: str | None = None
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be run.

    Attributes:
        run: The request.
        rows: About how many trades it will feed; none where nobody knows.
    """

    run: Request
    rows: int | None


def request(words: Words, folder: Path | None = None) -> Asked:
    """Return what words ask for.

    Raises:
        ConfigurationError: They contradict each other, or something they name is wrong.
    """
    if words.topics:
        return Asked(_of_topics(words, folder), None)
    source, setup = _of_files(words)
    return Asked(Request(source, None, folder, setup.notes), _rows(source))


def search_request(
    words: Words, ranges: Sequence[str], *, most: int, windows: int, seed: int
) -> Plan:
    """Return the search that words ask for; `most` combinations at most.

    Raises:
        ConfigurationError: As `request`, or nothing that is searched fits.
    """
    if words.topics:
        raise ConfigurationError("--search reads files, and --topics was given: give dump files.")
    axes = grid.axes(ranges)
    source, setup = _of_files(words)
    changes = overrides(words.settings)
    return plan(source, setup.values, changes, axes, most=most, windows=windows, seed=seed)


def _of_files(words: Words) -> tuple[Files, Setup]:
    start, end = _span(words)
    given = dumps(words.files, words.instruments, words.named)
    if not given:
        raise ConfigurationError(
            "there is nothing to run: name dump files, as BTCUSDT-trades-2021-01-08.csv, or "
            "--topics."
        )
    names = [dump.instrument for dump in given]
    setup = settings.setup(settings.read(words.config), names, overrides(words.settings))
    late = [note for dump in given if (note := beginning(dump, setup.interval, start))]
    noted = replace(setup, notes=(*setup.notes, *late))
    return files(given, noted, start, end), noted


def _rows(source: Files) -> int | None:
    return rows([path for dump in source.dumps for path in dump.files])


def _of_topics(words: Words, folder: Path | None) -> Request:
    if words.config is not None or words.files or words.named or words.instruments:
        what = "--config" if words.config is not None else "a file"
        raise ConfigurationError(
            f"--topics and {what} were both given: a run has its own trades and accounts; change "
            f"them with --set."
        )
    start, end = _span(words)
    source = Topics(config.load().kafka, start, end, tuple(overrides(words.settings)))
    return Request(source, start, folder)


def _span(words: Words) -> tuple[int | None, int | None]:
    start, end = _moment("--from", words.start), _moment("--to", words.end)
    if start is not None and end is not None and start >= end:
        raise ConfigurationError(
            f"--from was {format_time(start)}, not before --to, {format_time(end)}: nothing lies "
            f"between."
        )
    return start, end


def _moment(option: str, text: str | None) -> int | None:
    try:
        return None if text is None else parse_time(text)
    except ValueError as error:
        raise ConfigurationError(f"{option}: {error}.") from error
