"""Files and environment variables enter; typed, checked, frozen settings leave, or a sentence.

The later of these wins, value by value: the defaults of `app.config_sections`; `app.yaml` and
`database.yaml`; the addresses that `lockstep up` wrote to `.local/stack.env`; environment variables
(`LOCKSTEP_KAFKA__BOOTSTRAP` is `kafka.bootstrap`).
"""

from __future__ import annotations

import os
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from app import config_checks, data
from app.config_sections import (
    AccountSection,
    Alerts,
    Dashboard,
    Database,
    Forks,
    Kafka,
    Market,
    Milliseconds,
    Worker,
)
from app.config_sources import (
    PASSWORD,
    PASSWORD_FILE,
    PREFIX,
    SECRETS,
    read_yaml,
    refuse_unknown_variables,
    suggest,
)
from app.core.events import Account
from app.errors import ConfigurationError

SHOWN = 80

S = TypeVar("S", Kafka, Database, Dashboard)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process is told when it starts.

    Attributes:
        interval: The base interval, milliseconds.
        kafka: The log.
        market: Where trades come from.
        worker: What this process runs.
        database: TimescaleDB.
        forks: Copies of it.
        dashboard: The web page.
        alerts: Who is told.
        configured: The accounts, in the order of the file.
    """

    interval: int
    kafka: Kafka
    market: Market
    worker: Worker
    database: Database
    forks: Forks
    dashboard: Dashboard
    alerts: Alerts
    configured: tuple[Account, ...]

    def accounts(self) -> tuple[Account, ...]:
        """Return the accounts that may trade, in the order of the file."""
        return self.configured


class _Document(BaseSettings):
    """Everything that can be set, as it stands in the files."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    interval: Milliseconds = 60_000
    kafka: Kafka = Kafka()
    market: Market = Market()
    worker: Worker = Worker()
    accounts: dict[str, AccountSection] = {}
    database: Database = Database()
    forks: Forks = Forks()
    dashboard: Dashboard = Dashboard()
    alerts: Alerts = Alerts()


class _Source(NamedTuple):
    """Values and where they stood."""

    place: str
    values: Mapping[str, Any]


def load(folder: Path | None = None) -> Settings:
    """Return the settings of a folder (LOCKSTEP_CONFIG, or deploy/config) and the environment.

    Raises:
        ConfigurationError: Something is unknown, missing or wrong; the sentence says where.
    """
    folder = folder or _folder()
    sources = list(_sources(folder))
    try:
        document = _validate(sources)
    except ValidationError as error:
        raise _sentence(error, sources) from None

    def where(*path: str) -> str:
        return f"{_place(path, sources)}: {'.'.join(path)}"

    return Settings(
        interval=config_checks.check_interval(document.interval, where),
        kafka=config_checks.check_kafka(_with_files(document.kafka, folder, sources), where),
        market=config_checks.check_market(document.market, where),
        worker=config_checks.with_stages(document.worker, where),
        database=config_checks.check_database(
            _with_files(document.database, folder, sources), where
        ),
        forks=config_checks.check_forks(document.forks, where),
        dashboard=config_checks.check_dashboard(
            _with_files(document.dashboard, folder, sources), where
        ),
        alerts=config_checks.check_alerts(document.alerts, where),
        configured=tuple(config_checks.accounts(document.accounts, document.interval, where)),
    )


def _folder() -> Path:
    return Path(os.environ.get(PREFIX + "CONFIG") or data.folder("deploy/config"))


def stack_file() -> Path:
    """Return the file in which `lockstep up` writes the addresses of the local stack."""
    local = os.environ.get(PREFIX + "LOCAL_DIR") or data.PACKAGE.parent / ".local"
    return Path(local) / "stack.env"


def _sources(folder: Path) -> Iterator[_Source]:
    """Give every source, the strongest first; the last two are app.yaml and database.yaml."""
    refuse_unknown_variables(_Document.model_fields)
    try:
        yield _Source("the environment", EnvSettingsSource(_Document)())
        yield _Source(str(stack_file()), DotEnvSettingsSource(_Document, env_file=stack_file())())
    except SettingsError as error:
        raise ConfigurationError(f"the environment: {error}.") from error
    application, database = folder / "app.yaml", folder / "database.yaml"
    yield _Source(str(application), read_yaml(application))
    yield _Source(str(database), {"database": read_yaml(database, "database.")})


def _validate(sources: Sequence[_Source]) -> _Document:
    class Loaded(_Document):
        """The document with these very sources."""

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: Any, **__: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(
                InitSettingsSource(settings_cls, dict(source.values)) for source in sources
            )

    return Loaded()


def _sentence(error: ValidationError, sources: Sequence[_Source]) -> ConfigurationError:
    """Return the first thing that was wrong, in one sentence with file and key."""
    errors = error.errors(include_url=False)
    # A mistyped key is missing under its right name, too; the mistyping says more.
    first = next((item for item in errors if item["type"] == "extra_forbidden"), errors[0])
    path = [str(part) for part in first["loc"]]
    key, place = ".".join(path), _place(path, sources)
    if first["type"] == "extra_forbidden":
        known = _known(path[:-1])
        return ConfigurationError(f"{place}: {key} is unknown{suggest(path[-1], known)}")
    if first["type"] == "missing":
        return ConfigurationError(
            f"{place}: {key} is missing; docs/configuration.md says what fits."
        )
    must = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    hidden = path[-1] in SECRETS or isinstance(first["input"], Mapping)
    value = "…" if hidden else repr(first["input"])[:SHOWN]
    return ConfigurationError(f"{place}: {key} was {value}, must be {must}.")


def _place(path: Sequence[str], sources: Sequence[_Source]) -> str:
    """Return which source gave the value, or the nearest thing to it."""
    for depth in range(len(path), 0, -1):
        for source in sources:
            if _holds(source.values, path[:depth]):
                return source.place
    return sources[-1].place if path[0] == "database" else sources[-2].place


def _holds(values: Any, path: Sequence[str]) -> bool:
    for part in path:
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True


def _known(path: Sequence[str]) -> list[str]:
    """Return the keys that may stand at a path."""
    model: Any = _Document
    for part in path:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
        field = model.model_fields.get(part)
        model = field.annotation if field else AccountSection
        model = AccountSection if typing.get_origin(model) is dict else model
    return [field.alias or name for name, field in model.model_fields.items()]


def _with_files(section: S, folder: Path, sources: Sequence[_Source]) -> S:
    """Return the section with its password, and with its files as the folder has them."""
    files = {name: folder / file for name, file in section if isinstance(file, Path)}
    found: dict[str, Any] = dict(files)
    name = type(section).__name__.lower()
    if _password_key(name, sources) == PASSWORD_FILE:
        found[PASSWORD] = _secret(f"{name}.{PASSWORD_FILE}", files[PASSWORD_FILE])
    return section.model_copy(update=found)


def _password_key(section: str, sources: Sequence[_Source]) -> str | None:
    """Return which key the strongest source names: a file there beats a password below it."""
    for source in sources:
        values = source.values.get(section) or {}
        present = [key for key in (PASSWORD, PASSWORD_FILE) if values.get(key) is not None]
        given = [key for key in present if values[key]]
        if len(given) > 1:
            raise ConfigurationError(
                f"{source.place}: {section}.{PASSWORD} and {section}.{PASSWORD_FILE} were both "
                f"given: keep one of them."
            )
        if present:
            return given[0] if given else None
    return None


def _secret(key: str, file: Path) -> SecretStr:
    try:
        password = file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{key} was {file}, which could not be read ({error}).") from error
    if not password:
        raise ConfigurationError(f"{key} was {file}, which is empty: write the password there.")
    return SecretStr(password)
