"""The parts of the settings: values as they stand in files enter, typed and ranged ones leave."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import NoDecode

from app.core.events import (
    Account,
    Allocation,
    AllocationMethod,
    ExecutionModel,
    RiskLimits,
    StrategySetting,
)
from app.times import parse_duration, parse_time
from app.tls import client_context

if TYPE_CHECKING:
    import ssl

    from app.storage.database import DatabaseSettings

ALL = "all"


def _milliseconds(value: object) -> object:
    return parse_duration(str(value)) if _has_unit(value) else value


def _seconds(value: object) -> object:
    return parse_duration(str(value)) / 1000 if _has_unit(value) else value


def _has_unit(value: object) -> bool:
    return isinstance(value, str) and not re.fullmatch(r"[0-9.]+", value)


def _capitals(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _or_nothing(value: object) -> object:
    return None if value == "" else value


def _moment(value: object) -> object:
    return parse_time(value) if isinstance(value, str) else value


def _names(value: object) -> object:
    if isinstance(value, str):
        return tuple(name.strip() for name in value.strip("[] ").split(",") if name.strip())
    return value


def _texts(value: object) -> object:
    """Return a strategy's parameters as text, the form in which they travel."""
    if not isinstance(value, Mapping):
        return {} if value is None else value
    if any(isinstance(item, bool | Mapping | list) for item in value.values()):
        raise ValueError("must be numbers, by the parameter's name")
    return {str(name): str(item) for name, item in value.items()}


Milliseconds = Annotated[int, BeforeValidator(_milliseconds), Field(ge=0)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, allow_inf_nan=False)]
Moment = Annotated[int, BeforeValidator(_moment), Field(ge=0)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
Texts = Annotated[dict[str, str], BeforeValidator(_texts)]
Port = Annotated[int, Field(ge=1, le=65_535)]
File = Annotated[Path | None, BeforeValidator(_or_nothing)]
SecurityProtocol = Annotated[
    Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], BeforeValidator(_capitals)
]
SaslMechanism = Annotated[
    Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], BeforeValidator(_capitals)
]
SslMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]
Address = Annotated[str, Field(pattern=r"^https?://[^\s\"'<>]+$")]
Chat = Annotated[str, Field(pattern=r"^(@[A-Za-z0-9_]{1,100}|-?[0-9]{1,30})$")]
TopicPrefix = Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,60})?$")]


class Section(BaseModel):
    """A part of the settings: frozen, and nothing unknown in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Kafka(Section):
    """The log.

    Attributes:
        bootstrap: One or more of the brokers, host:port, with commas between.
        prefix: Put before the name of every topic and group, so that runs keep apart.
        replication: How many brokers keep each record.
        session_timeout: Seconds after which a silent worker's partitions move to another.
        security_protocol: How brokers are spoken to.
        sasl_mechanism: How a user is proved, for the SASL protocols.
        username: That user.
        password: Their password; from the environment only.
        password_file: A file that holds the password instead.
        cafile: PEM certificates to trust instead of the system's, for the SSL protocols.
        certfile: Our own PEM certificate, where brokers ask for one.
        keyfile: Its key, where that stands in a file of its own.
    """

    bootstrap: str = "127.0.0.1:9092"
    prefix: TopicPrefix = ""
    replication: Annotated[int, Field(ge=1, le=32_767)] = 1
    session_timeout: Seconds = 6.0
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    username: str | None = None
    password: SecretStr | None = None
    password_file: File = None
    cafile: File = None
    certfile: File = None
    keyfile: File = None

    @property
    def encrypted(self) -> bool:
        """Whether brokers are spoken to by TLS."""
        return self.security_protocol.endswith("SSL")

    @property
    def authenticated(self) -> bool:
        """Whether a user and their password are told to brokers."""
        return self.security_protocol.startswith("SASL")

    def security(self) -> dict[str, Any]:
        """Return what every client of aiokafka is told about encryption and who it is.

        Raises:
            CertificateError: A certificate file can't be used.
        """
        arguments: dict[str, Any] = {"security_protocol": self.security_protocol}
        if self.encrypted:
            arguments["ssl_context"] = client_context(self.cafile, self.certfile, self.keyfile)
        if self.authenticated:
            arguments["sasl_mechanism"] = self.sasl_mechanism
            arguments["sasl_plain_username"] = self.username
            arguments["sasl_plain_password"] = _open(self.password)
        return arguments


def _open(password: SecretStr | None) -> str:
    return password.get_secret_value() if password else ""


class Market(Section):
    """Where trades come from and how patient to be with it; times in milliseconds.

    Attributes:
        exchange: A public service by name; or any name, with `stream` and `rest` given.
        stream: Address of its streams, for example ws://127.0.0.1:9443.
        rest: Address of its REST service.
        patience: How long a missing trade is waited for before it becomes a gap.
        grace: A clock t waits for exchange time t + grace on the same connection.
        flush_after: Trades are sent together so often, but at once if they close a candle
        flush_count: or are so many.
        history_count: How many past candles a join records; strategies may want more.
        stale_after: A connection that carried nothing for so long is given up.
        start_time: The exchange's time of the first join, since the epoch UTC; none: now.
    """

    exchange: Annotated[str, Field(min_length=1, max_length=100)] = "binance.com"
    stream: Annotated[str, Field(pattern=r"^wss?://[^/]+$")] | None = None
    rest: Annotated[str, Field(pattern=r"^https?://[^/]+$")] | None = None
    patience: Milliseconds = 30_000
    grace: Milliseconds = 1_000
    flush_after: Milliseconds = 20
    flush_count: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    history_count: Annotated[int, Field(ge=0, le=10_000)] = 500
    stale_after: Milliseconds = 15_000
    start_time: Moment | None = None


class Worker(Section):
    """One worker process.

    Attributes:
        stages: The stages it runs, by name.
        run: The run its topics belong to; states of another run are refused.
        log_level: What it logs.
        watchdog: Seconds after which a stage that works and does not move ends the worker.
        accept_loss: Whether it goes on at its start where retention took what was still needed.
    """

    stages: Names = (ALL,)
    run: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = "main"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    watchdog: Seconds = 60.0
    accept_loss: bool = False


class Forks(Section):
    """Copies of the database to try things on.

    Attributes:
        backend: Where they live: on the same server, or at Tiger Cloud.
        prefix: What their names begin with.
        maximum: How many there may be at once.
        ttl: After so many milliseconds one may be deleted unasked.
        ready_within: Seconds a copy may take to be ready.
        sweep_every: Seconds between two looks of a worker at what is left of them.
        tiger: The tiger CLI, as a path or a name on PATH.
        service: The Tiger Cloud service the database is.
    """

    backend: Literal["local", "tiger"] = "local"
    prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,18}-$")] = "fm-"
    maximum: Annotated[int, Field(ge=1, le=1_000)] = 4
    ttl: Annotated[Milliseconds, Field(ge=1)] = 7_200_000
    ready_within: Seconds = 3_600.0
    sweep_every: Seconds = 60.0
    tiger: Annotated[str, Field(min_length=1)] = "tiger"
    service: Annotated[str, Field(pattern=r"^[a-z0-9]{1,40}$")] | None = None


class Database(Section):
    """TimescaleDB; times in seconds.

    Attributes:
        host: Name or address of the server.
        port: Its port.
        name: The database.
        user: Who asks.
        password: Their password; from the environment only.
        password_file: A file that holds the password instead.
        sslmode: Whether to encrypt, and whom to believe, as PostgreSQL's own clients name it.
        sslrootcert: PEM certificates to trust instead of the system's, for the verify modes.
        schema_: Where the tables are (`schema` in the file).
        pool_min: Connections kept open.
        pool_max: Connections at most.
        connect_timeout: Until a new connection must stand.
        acquire_timeout: Until one of the pool's connections must be free.
        statement_timeout: Until a statement must be answered.
        retry_for: How long reads are tried again after a loss.
    """

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port = 5432
    name: Annotated[str, Field(min_length=1)] = "lockstep"
    user: Annotated[str, Field(min_length=1)] = "lockstep"
    password: SecretStr | None = None
    password_file: File = None
    sslmode: SslMode = "prefer"
    sslrootcert: File = None
    schema_: Annotated[str, Field(alias="schema", pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = "lockstep"
    pool_min: Annotated[int, Field(ge=0, le=1_000)] = 1
    pool_max: Annotated[int, Field(ge=1, le=1_000)] = 8
    connect_timeout: Seconds = 5.0
    acquire_timeout: Seconds = 10.0
    statement_timeout: Seconds = 30.0
    retry_for: Seconds = 10.0

    @property
    def verified(self) -> bool:
        """Whether the server must prove who it is."""
        return self.sslmode.startswith("verify")

    def encryption(self) -> ssl.SSLContext | str | bool:
        """Return the driver's argument for `sslmode`; raises CertificateError."""
        if self.sslmode == "prefer":
            return self.sslmode
        return self.sslmode != "disable" and client_context(
            self.sslrootcert, verified=self.verified, named=self.sslmode == "verify-full"
        )

    def storage(self) -> DatabaseSettings:
        """Return what `app.storage.database.Database` takes."""
        from app.storage.database import DatabaseSettings  # noqa: PLC0415 - loads a driver

        ours = {"password_file", "password", "sslmode", "sslrootcert"}
        fields = self.model_dump(by_alias=True, exclude=ours)
        return DatabaseSettings(password=_open(self.password), ssl=self.encryption(), **fields)


class Dashboard(Section):
    """The web page and its API.

    Attributes:
        host: The address it listens on.
        port: Its port; 0: any that is free.
        password: What opens it; from the environment only. None: a link with a token, on loopback.
        password_file: A file that holds the password instead.
        hosts: Names it may be called by, beside loopback's and `host`.
        viewers: The most live streams at a time.
        fresh_within: Seconds; the newest trades must be younger for it to be ready.
        kafka_ui: Address of a Kafka UI that the pages link records to.
        processor: `spare`: only what nobody else wants of a processor; `shared`: a small share.
    """

    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8420
    password: SecretStr | None = None
    password_file: File = None
    hosts: Names = ()
    viewers: Annotated[int, Field(ge=1, le=10_000)] = 200
    fresh_within: Seconds = 60.0
    kafka_ui: Address | None = None
    processor: Literal["spare", "shared"] = "spare"


class Alerts(Section):
    """Who is told what is not as it should be; by the dashboard, which must run for it.

    Attributes:
        webhook: An address that takes JSON by POST; from the environment only. None: nobody.
        telegram_token: Of a Telegram bot; from the environment only.
        telegram_chat: The chat it writes to.
        telegram_api: Where Telegram's bot API is.
        quiet: Seconds in which nothing is said twice of the same kind and subject.
        hourly: The most alerts in an hour; urgent ones always pass.
        stale_after: Seconds after which an instrument without trades is told.
        down_after: Seconds for which a stage, the broker or the database must be away.
    """

    webhook: SecretStr | None = None
    telegram_token: SecretStr | None = None
    telegram_chat: Chat | None = None
    telegram_api: Address = "https://api.telegram.org"
    quiet: Seconds = 900.0
    hourly: Annotated[int, Field(ge=1, le=1_000)] = 30
    stale_after: Seconds = 30.0
    down_after: Seconds = 30.0


class AllocationSection(Section):
    """How an account's capital becomes targets."""

    method: AllocationMethod = AllocationMethod.EQUAL
    invested: Decimal = Decimal("0.9")
    lookback: int = 1440


class RiskSection(Section):
    """What the risk monitor holds an account to; money has no default that fits everybody."""

    order_notional: Decimal
    position_notional: Decimal
    gross_notional: Decimal
    daily_loss: Decimal
    drawdown: Decimal
    stale_after: Milliseconds = 10_000
    allow_short: bool = False


class ExecutionSection(Section):
    """How an account's paper orders are filled."""

    latency: Milliseconds = 250
    slippage: Decimal = Decimal(1)
    participation: Decimal = Decimal("0.1")
    maker_fee: Decimal = Decimal(10)
    taker_fee: Decimal = Decimal(10)


class AccountSection(Section):
    """One account; its name is its key in `accounts`."""

    quote: str
    capital: Decimal
    instruments: Names
    strategies: dict[str, Texts]
    allocation: AllocationSection = AllocationSection()
    risk: RiskSection
    execution: ExecutionSection = ExecutionSection()

    def account(self, name: str) -> Account:
        """Return the record of it; raises InvalidRecordError."""
        return Account(
            name=name,
            quote=self.quote,
            capital=self.capital,
            instruments=self.instruments,
            strategies=tuple(
                StrategySetting(strategy, parameters)
                for strategy, parameters in self.strategies.items()
            ),
            allocation=Allocation(**self.allocation.model_dump()),
            risk=RiskLimits(**self.risk.model_dump()),
            execution=ExecutionModel(**self.execution.model_dump()),
        )
