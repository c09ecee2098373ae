"""A file of settings, or those of the installation, and overrides enter; accounts leave, checked.

A backtest reads `interval`, `market` and `accounts`; a file named with `--config` is all that
counts then, so that the same command means the same on every machine.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

import app.pipeline  # noqa: F401 - knows a user's own strategies, too
from app import config, config_checks
from app.backtest import defaults
from app.backtest.words import Override
from app.config_sections import AccountSection, Market, Milliseconds, Section
from app.config_sources import PREFIX, read_yaml, suggest
from app.core.events import Account
from app.errors import ConfigurationError

ACCOUNTS = "accounts"
READ = ("interval", "market", ACCOUNTS)
PASSED_OVER = ("kafka", "worker", "database")
USUAL = "the settings"


class _Document(Section):
    """What a backtest reads of a configuration."""

    interval: Milliseconds = 60_000
    market: Market = Market()
    accounts: dict[str, AccountSection] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Values:
    """Settings as they stand, not checked yet.

    Attributes:
        place: Where they stand, for sentences.
        document: By key, nested.
        chosen: Whether somebody named them, so that no account may stand in for theirs.
    """

    place: str
    document: Mapping[str, Any]
    chosen: bool

    def with_accounts(self, sections: Mapping[str, Any]) -> Values:
        """Return them with other accounts."""
        return replace(self, document={**self.document, ACCOUNTS: dict(sections)})


@dataclass(frozen=True, slots=True)
class Setup:
    """What a backtest runs under.

    Attributes:
        interval: The base interval, milliseconds.
        market: How market data becomes records.
        accounts: Those that trade.
        values: What the overrides were laid over.
        notes: What a reader of the report should know of them.
    """

    interval: int
    market: Market
    accounts: tuple[Account, ...]
    values: Values
    notes: tuple[str, ...] = ()


def read(file: Path | None) -> Values:
    """Return what a file, or the installation, has set; raises ConfigurationError."""
    if file is None:
        return usual()
    document = read_yaml(file)
    for key in document:
        if key not in (*READ, *PASSED_OVER):
            raise ConfigurationError(f"{file}: {key} is unknown{suggest(key, READ)}")
    return Values(str(file), {key: document[key] for key in READ if key in document}, chosen=True)


def usual() -> Values:
    """Return the settings that a worker would start with."""
    settings = config.load()
    document = {
        "interval": settings.interval,
        "market": settings.market.model_dump(),
        ACCOUNTS: {account.name: section(account) for account in settings.accounts()},
    }
    return Values(USUAL, document, chosen=PREFIX + "CONFIG" in os.environ)


def section(account: Account) -> dict[str, Any]:
    """Return an account as a configuration file holds it."""
    found: dict[str, Any] = asdict(account)
    del found["name"]
    found["strategies"] = {each.name: dict(each.parameters) for each in account.strategies}
    return found


def setup(values: Values, instruments: Sequence[str], overrides: Sequence[Override]) -> Setup:
    """Return what a backtest of some instruments runs under.

    An account takes part with those of its instruments that are given. Where the installation's
    settings were never touched and none of their accounts trades any, a default one does.

    Raises:
        ConfigurationError: Something is unknown or wrong, or no account trades the instruments.
    """
    values, note = _trading(values, instruments)
    notes = [note] if note else []
    interval, market, accounts = checked(values, overrides)
    taking = []
    for account in accounts:
        given = tuple(name for name in account.instruments if name in instruments)
        absent = [name for name in account.instruments if name not in instruments]
        if given and absent:
            notes.append(
                f"{account.name} trades {', '.join(absent)}, too: no file was given, so it ran "
                f"without."
            )
        if given:
            taking.append(replace(account, instruments=given))
    untraded = [name for name in instruments if not any(name in a.instruments for a in taking)]
    if untraded:
        raise ConfigurationError(
            f"no account of {values.place} trades {untraded[0]}: add it to the instruments of one."
        )
    return Setup(interval, market, tuple(taking), values, tuple(notes))


def checked(
    values: Values, overrides: Sequence[Override]
) -> tuple[int, Market, tuple[Account, ...]]:
    """Return interval, market and accounts of values with overrides; raises ConfigurationError."""
    document = _overridden(values, overrides)
    where = _Where(values.place, tuple(override.path for override in overrides))
    try:
        found = _Document.model_validate(document)
    except ValidationError as error:
        raise _sentence(error, where) from None
    interval = config_checks.check_interval(found.interval, where)
    return interval, found.market, tuple(config_checks.accounts(found.accounts, interval, where))


def _trading(values: Values, instruments: Sequence[str]) -> tuple[Values, str]:
    """Return values of which some account trades the instruments, and what to say of it."""
    sections: Mapping[str, Any] = values.document.get(ACCOUNTS) or {}
    if values.chosen or any(
        name in each.get("instruments", ()) for each in sections.values() for name in instruments
    ):
        return values, ""
    made = defaults.accounts(instruments)
    note = (
        f"No account of the settings trades {', '.join(instruments)}: a default one did, with "
        f"every strategy as it comes; --config or --set gives another."
    )
    return values.with_accounts(made), note


def _overridden(values: Values, overrides: Iterable[Override]) -> dict[str, Any]:
    document = copy.deepcopy(dict(values.document))
    for override in overrides:
        _check(override, document)
        place: Any = document
        for part in override.path[:-1]:
            if not isinstance(place.get(part), dict):
                place[part] = {}
            place = place[part]
        place[override.path[-1]] = override.value
    return document


def _check(override: Override, document: Mapping[str, Any]) -> None:
    first, *rest = override.path
    if first not in READ:
        raise ConfigurationError(f"--set {override.key}: {first} is unknown{suggest(first, READ)}")
    known = document.get(ACCOUNTS) or {}
    if first == ACCOUNTS and rest and rest[0] not in known:
        raise ConfigurationError(
            f"--set {override.key}: there is no account {rest[0]!r}{suggest(rest[0], known)}"
        )


@dataclass(frozen=True, slots=True)
class _Where:
    """Says where a key stands: on the command line, or where the values do."""

    place: str
    paths: tuple[tuple[str, ...], ...]

    def __call__(self, *path: str) -> str:
        return f"{self.of(path)}: {'.'.join(path)}"

    def of(self, path: Sequence[str]) -> str:
        # Keys above and below the one given are its doing, too.
        given = any(
            all(one == other for one, other in zip(each, path, strict=False)) for each in self.paths
        )
        return "--set" if given else self.place


def _sentence(error: ValidationError, where: _Where) -> ConfigurationError:
    """Return the first thing that was wrong, in one sentence."""
    errors = error.errors(include_url=False)
    first = next((item for item in errors if item["type"] == "extra_forbidden"), errors[0])
    path = [str(part) for part in first["loc"]]
    key, place = ".".join(path), where.of(path)
    if first["type"] == "extra_forbidden":
        return ConfigurationError(
            f"{place}: {key} is unknown; docs/configuration.md lists what there is."
        )
    if first["type"] == "missing":
        return ConfigurationError(
            f"{place}: {key} is missing; docs/configuration.md says what fits."
        )
    must = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return ConfigurationError(f"{place}: {key} was {first['input']!r:.80}, must be {must}.")
