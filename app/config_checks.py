"""Typed settings enter; what no type can tell is checked, and complete settings leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from app.config_sections import (
    ALL,
    AccountSection,
    Alerts,
    Dashboard,
    Database,
    Forks,
    Kafka,
    Market,
    Worker,
)
from app.config_sources import suggest
from app.core.events import Account
from app.core.strategies import STRATEGIES
from app.errors import ConfigurationError
from app.tls import CertificateError

DAY = 86_400_000
SHORTEST_PASSWORD = 12
QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "USD", "EUR", "TRY", "BTC", "ETH", "BNB")

Where = Callable[..., str]
"""Returns, for the parts of a key, the file it stands in and the key."""


def with_stages(worker: Worker, where: Where) -> Worker:
    """Return the worker with the names of all stages for `all`."""
    from app.pipeline import EDGES, STAGES  # noqa: PLC0415 - the flow loads every stage

    known = (EDGES[0], *(stage.name for stage in STAGES), *EDGES[1:])
    if worker.stages == (ALL,):
        return worker.model_copy(update={"stages": known})
    for name in worker.stages:
        if name not in known:
            raise ConfigurationError(
                f"{where('worker', 'stages')} held {name!r}, which is no "
                f"stage{suggest(name, known)}"
            )
    return worker


def check_interval(interval: int, where: Where) -> int:
    """Return the interval, if days begin with one."""
    if not interval or DAY % interval:
        raise ConfigurationError(
            f"{where('interval')} was {interval} ms, must divide a day without rest, as 1s, 1m, "
            f"5m and 1h do."
        )
    return interval


def check_kafka(kafka: Kafka, where: Where) -> Kafka:
    """Return the log's settings, if what they say about security has an effect and is complete."""
    protocol = kafka.security_protocol
    if kafka.authenticated and not (kafka.username and kafka.password):
        raise ConfigurationError(
            f"{where('kafka', 'security_protocol')} was {protocol}, which needs kafka.username and "
            f"a password: set LOCKSTEP_KAFKA__USERNAME, and LOCKSTEP_KAFKA__PASSWORD or "
            f"LOCKSTEP_KAFKA__PASSWORD_FILE."
        )
    if kafka.username and not kafka.authenticated:
        raise _without_effect(where("kafka", "username"), f"security_protocol {protocol}")
    for name in ("cafile", "certfile", "keyfile"):
        if getattr(kafka, name) and not kafka.encrypted:
            raise _without_effect(where("kafka", name), f"security_protocol {protocol}")
    if kafka.keyfile and not kafka.certfile:
        raise ConfigurationError(
            f"{where('kafka', 'keyfile')} was given alone; give kafka.certfile, too."
        )
    try:
        kafka.security()
    except CertificateError as error:
        ours = kafka.certfile and str(kafka.certfile) in str(error)
        key = where("kafka", "certfile" if ours else "cafile")
        raise ConfigurationError(f"{key}: {error}.") from error
    return kafka


def check_database(database: Database, where: Where) -> Database:
    """Return the database's settings, if what they say about security has an effect."""
    key = where("database", "sslrootcert")
    if database.sslrootcert and not database.verified:
        raise _without_effect(key, f"sslmode {database.sslmode}")
    try:
        database.encryption()
    except CertificateError as error:
        raise ConfigurationError(f"{key}: {error}.") from error
    return database


def check_dashboard(dashboard: Dashboard, where: Where) -> Dashboard:
    """Return the dashboard's settings, if its password is worth the name."""
    password = dashboard.password
    if password and len(password) < SHORTEST_PASSWORD:
        raise ConfigurationError(
            f"{where('dashboard', 'password')} was shorter than {SHORTEST_PASSWORD} characters: "
            f"set a longer one, as `openssl rand -base64 24` makes it."
        )
    return dashboard


def check_alerts(alerts: Alerts, where: Where) -> Alerts:
    """Return the settings of alerts, if they suffice for what they name."""
    webhook = alerts.webhook
    if webhook and not webhook.get_secret_value().startswith(("https://", "http://")):
        raise ConfigurationError(
            f"{where('alerts', 'webhook')} must begin with https:// or http://."
        )
    if (alerts.telegram_token is None) != (alerts.telegram_chat is None):
        raise ConfigurationError(
            f"{where('alerts', 'telegram_chat')} and alerts.telegram_token need each other: set "
            f"both, or neither."
        )
    return alerts


def check_forks(forks: Forks, where: Where) -> Forks:
    """Return the settings of forks, if they name a service where one is needed."""
    if forks.backend == "tiger" and forks.service is None:
        raise ConfigurationError(
            f"{where('forks', 'backend')} was tiger, which needs forks.service: the id of the "
            f"Tiger Cloud service that database.host names."
        )
    if forks.backend != "tiger" and forks.service is not None:
        raise ConfigurationError(
            f"{where('forks', 'service')} was given, which has no effect with backend "
            f"{forks.backend}: set forks.backend to tiger, or leave it out."
        )
    return forks


def _without_effect(key: str, choice: str) -> ConfigurationError:
    return ConfigurationError(
        f"{key} was given, which has no effect with {choice}: docs/security.md says what goes "
        f"together."
    )


def check_market(market: Market, where: Where) -> Market:
    """Return the market's settings, if they name a service."""
    from app.market.binance.settings import VENUES  # noqa: PLC0415 - only to check a name

    if (market.stream is None) != (market.rest is None):
        given = "stream" if market.rest is None else "rest"
        raise ConfigurationError(
            f"{where('market', given)} was given alone; give both market.stream and market.rest."
        )
    if market.stream is None and market.exchange not in VENUES:
        raise ConfigurationError(
            f"{where('market', 'exchange')} was {market.exchange!r}, which is no known service, "
            f"and market.stream and market.rest were not "
            f"given{suggest(market.exchange, VENUES)}"
        )
    return market


def accounts(
    sections: Mapping[str, AccountSection], interval: int, where: Where
) -> Iterator[Account]:
    """Give each account as the record it travels as."""
    for name, section in sections.items():
        try:
            account = section.account(name)
        except ValueError as error:
            field = str(error).split(" ", 1)[0].split(".")
            place = where("accounts", name, *field).split(": ", 1)[0]
            raise ConfigurationError(f"{place}: accounts.{name}: {error}.") from error
        _check_quotes(account, where)
        _check_strategies(account, where)
        if account.execution.latency >= interval:
            raise ConfigurationError(
                f"{where('accounts', name, 'execution', 'latency')} was "
                f"{account.execution.latency} ms, must be less than the interval, {interval} ms."
            )
        yield account


def _check_quotes(account: Account, where: Where) -> None:
    """Refuse an instrument in another currency: one account keeps one kind of cash."""
    key = where("accounts", account.name, "instruments")
    for instrument in account.instruments:
        exchange, colon, symbol = instrument.partition(":")
        if not (exchange and colon) or symbol in ("", account.quote):
            raise ConfigurationError(f"{key} held {instrument!r}, must be like BINANCE:BTCUSDT.")
        if not symbol.endswith(account.quote):
            other = next((quote for quote in QUOTES if symbol.endswith(quote)), "its currency")
            raise ConfigurationError(
                f"{key} held {instrument}, which is not quoted in {account.quote}: move it to an "
                f"account of its own with quote: {other}."
            )


def _check_strategies(account: Account, where: Where) -> None:
    key = where("accounts", account.name, "strategies")
    for strategy in account.strategies:
        known = STRATEGIES.get(strategy.name)
        if known is None:
            raise ConfigurationError(
                f"{key} held {strategy.name!r}, which is no "
                f"strategy{suggest(strategy.name, STRATEGIES)}"
            )
        try:
            known.parse(strategy.parameters)
        except ValueError as error:
            raise ConfigurationError(f"{key}: {error}") from error
