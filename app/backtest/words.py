"""Words of a command line enter; the dumps and the settings they name leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from app.errors import ConfigurationError
from app.market.belonging import named_symbol
from app.market.importing import EXCHANGE, Dump


@dataclass(frozen=True, slots=True)
class Override:
    """A setting given on the command line.

    Attributes:
        path: The parts of its key, for example accounts, paper, capital.
        value: Text, or keys and lists of it.
    """

    path: tuple[str, ...]
    value: Any

    @property
    def key(self) -> str:
        """Its key, with dots."""
        return ".".join(self.path)


def dumps(files: Sequence[str], instruments: Sequence[str], named: Sequence[str]) -> list[Dump]:
    """Return the dumps that words name, an instrument each, in the order they were named.

    Args:
        files: Files.
        instruments: Whose they are: one for all, one for each, or none where every file has a
            name of the exchange's public dumps, as BTCUSDT-trades-2021-01-08.csv.
        named: INSTRUMENT=FILE.

    Raises:
        ConfigurationError: A file is missing, or nobody knows whose trades it holds.
    """
    found: dict[str, list[Path]] = {}
    for owner, path in (*_owned(files, instruments), *_named(named)):
        if not owner.startswith(EXCHANGE):
            raise ConfigurationError(
                f"the instrument was {owner!r}, of which no dump can be read: name it "
                f"{EXCHANGE}SYMBOL."
            )
        _check_file(path)
        found.setdefault(owner, []).append(path)
    return [Dump(name, tuple(paths)) for name, paths in found.items()]


def overrides(words: Sequence[str]) -> list[Override]:
    """Return the settings of KEY=VALUE; raises ConfigurationError."""
    return [_override(word) for word in words]


def _owned(files: Sequence[str], instruments: Sequence[str]) -> Iterator[tuple[str, Path]]:
    if len(instruments) > 1 and len(instruments) != len(files):
        raise ConfigurationError(
            f"--instrument was given {len(instruments)} times for {len(files)} files: give one "
            f"for all, or one for each file in their order."
        )
    if instruments and not files:
        raise ConfigurationError("--instrument was given without a file: name one, or --topics.")
    owners = instruments if len(instruments) == len(files) else list(instruments) * len(files)
    for number, text in enumerate(files):
        path = Path(text)
        yield (owners[number] if owners else _owner(path)), path


def _owner(path: Path) -> str:
    """Return the instrument that a public dump's name tells."""
    _check_file(path)
    found = named_symbol(path)
    if found is None:
        raise ConfigurationError(
            f"whose trades does {path} hold? Its name does not tell: add --instrument "
            f"{EXCHANGE}SYMBOL."
        )
    return EXCHANGE + found


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise ConfigurationError(f"there is no file '{path}'.")


def _named(words: Sequence[str]) -> Iterator[tuple[str, Path]]:
    for word in words:
        name, equals, path = word.partition("=")
        if not (name and equals and path):
            raise ConfigurationError(f"--input was {word!r}, must be like {EXCHANGE}BTCUSDT=FILE.")
        yield name, Path(path)


def _override(word: str) -> Override:
    key, equals, text = word.partition("=")
    path = tuple(key.strip().split("."))
    if not equals or not all(path):
        raise ConfigurationError(
            f"--set was {word!r}, must be like accounts.paper.strategies.macd.fast=8."
        )
    try:
        # Numbers stay text, so that no decimal passes through a float.
        return Override(path, yaml.load(text, yaml.BaseLoader))  # noqa: S506 - plain text only
    except yaml.YAMLError as error:
        raise ConfigurationError(f"--set {key}: {text!r} could not be read.") from error
