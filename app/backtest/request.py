"""What a command line said enters; what is to be run leaves, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app import config
from app.backtest import settings
from app.backtest.run import Request
from app.backtest.source import files
from app.backtest.topics import Topics
from app.backtest.words import Override, dumps, overrides
from app.errors import ConfigurationError
from app.market.extent import rows
from app.market.importing import Dump
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
    start, end = _span(words)
    changes = overrides(words.settings)
    given = dumps(words.files, words.instruments, words.named)
    if words.topics:
        return Asked(_of_topics(words, given, changes, (start, end), folder), None)
    if not given:
        raise ConfigurationError(
            "there is nothing to run: name dump files, as BTCUSDT-trades-2021-01-08.csv, or "
            "--topics."
        )
    setup = settings.setup(
        settings.read(words.config), [dump.instrument for dump in given], changes
    )
    source = files(given, setup, start, end)
    every = [path for dump in given for path in dump.files]
    return Asked(Request(source, None, folder, setup.notes), rows(every))


def _of_topics(
    words: Words,
    given: list[Dump],
    changes: list[Override],
    span: tuple[int | None, int | None],
    folder: Path | None,
) -> Request:
    if given or words.config is not None:
        what = "--config" if words.config is not None else "a file"
        raise ConfigurationError(
            f"--topics and {what} were both given: a run has its own trades and accounts; change "
            f"them with --set."
        )
    start, end = span
    source = Topics(config.load().kafka, start, end, tuple(changes))
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
