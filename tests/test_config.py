"""Settings are typed and checked in one place; whatever is wrong is one sentence with its place."""

from __future__ import annotations

import dataclasses
import os
import shutil
import ssl
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from app import data
from app.config import Settings, load
from app.config_sections import (
    AllocationSection,
    Database,
    ExecutionSection,
    Kafka,
    Market,
    RiskSection,
    Section,
    Worker,
)
from app.core.events import AllocationMethod
from app.errors import USAGE, ConfigurationError
from app.times import format_time, parse_duration, parse_time

SHIPPED = data.folder("deploy/config")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("LOCKSTEP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LOCKSTEP_LOCAL_DIR", str(tmp_path / "local"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of the shipped settings that may be spoiled."""
    place = tmp_path / "config"
    shutil.copytree(SHIPPED, place)
    monkeypatch.setenv("LOCKSTEP_CONFIG", str(place))
    return place


@pytest.fixture
def change(folder: Path) -> Callable[..., None]:
    """Replace a text of a file that must be there."""

    def replace(old: str, new: str, file: str = "app.yaml") -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1))

    return replace


def refused() -> str:
    with pytest.raises(ConfigurationError) as caught:
        load()
    sentence = str(caught.value)
    assert caught.value.exit_code == USAGE
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    return sentence


def test_the_shipped_settings_are_one_paper_account() -> None:
    settings = load()
    (account,) = settings.accounts()
    assert (account.name, account.quote, account.capital) == ("paper", "USDT", Decimal(100000))
    assert account.instruments == ("BINANCE:BTCUSDT", "BINANCE:ETHUSDT")
    assert {strategy.name for strategy in account.strategies} == {"momentum", "macd"}
    assert account.allocation.method is AllocationMethod.EQUAL
    assert account.risk.drawdown == Decimal("0.2")
    assert (settings.interval, account.execution.latency) == (60_000, 250)
    assert settings.kafka.session_timeout == 6.0
    assert settings.worker.stages[0] == "market"
    assert settings.worker.stages[-1] == "sink"


def test_the_defaults_are_what_the_shipped_files_say(folder: Path) -> None:
    shipped = load()
    (folder / "app.yaml").write_text("")
    (folder / "database.yaml").write_text("")
    assert dataclasses.replace(load(), configured=shipped.configured) == shipped


def test_settings_are_frozen() -> None:
    settings = load()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.interval = 1  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        settings.kafka.prefix = "x"


def test_environment_beats_stack_file_beats_yaml(
    change: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    change("bootstrap: 127.0.0.1:9092", "bootstrap: yaml:1")
    assert load().kafka.bootstrap == "yaml:1"
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "stack.env").write_text(
        "LOCKSTEP_KAFKA__BOOTSTRAP=stack:2\nLOCKSTEP_DATABASE__PORT=5544\n"
    )
    assert load().kafka.bootstrap == "stack:2"
    assert load().database.port == 5544
    monkeypatch.setenv("LOCKSTEP_KAFKA__BOOTSTRAP", "environment:3")
    assert load().kafka.bootstrap == "environment:3"
    assert load().database.port == 5544


def test_decimals_reach_the_account_to_the_last_digit(change: Callable[..., None]) -> None:
    change("capital: 100000", "capital: 123456789012345.123456789012")
    assert load().accounts()[0].capital == Decimal("123456789012345.123456789012")


def test_environment_reaches_into_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKSTEP_ACCOUNTS__PAPER__CAPITAL", "0.1")
    monkeypatch.setenv("LOCKSTEP_ACCOUNTS__PAPER__INSTRUMENTS", "BINANCE:XRPUSDT, BINANCE:BTCUSDT")
    monkeypatch.setenv("LOCKSTEP_WORKER__STAGES", "sink,market")
    settings = load()
    (account,) = settings.accounts()
    assert account.capital == Decimal("0.1")
    assert account.instruments == ("BINANCE:XRPUSDT", "BINANCE:BTCUSDT")
    assert settings.worker.stages == ("sink", "market")


def test_a_second_account_has_its_own_currency(change: Callable[..., None]) -> None:
    change("accounts:\n", "accounts:\n  ether:\n    quote: ETH\n    capital: 10\n"
           "    instruments: [BINANCE:XRPETH]\n    strategies: {macd: {fast: 6}}\n"
           "    risk: {order_notional: 1, position_notional: 2, gross_notional: 3,"
           " daily_loss: 1, drawdown: 0.5}\n")  # fmt: skip
    ether, paper = load().accounts()
    assert (ether.name, ether.quote, paper.name) == ("ether", "ETH", "paper")
    assert ether.strategies[0].parameters == {"fast": "6"}
    assert ether.execution.latency == 250


WRONG = [
    ("patience: 30s", "patence: 30s", "market.patence is unknown: did you mean patience?"),
    ("kafka:\n", "kafak:\n", "kafak is unknown: did you mean kafka?"),
    ("drawdown: 0.2", "drawdwn: 0.2", "drawdwn is unknown: did you mean drawdown?"),
    ("quote: USDT", "qoute: USDT", "paper.qoute is unknown: did you mean quote?"),
    ("      drawdown: 0.2\n", "", "accounts.paper.risk.drawdown is missing"),
    ("capital: 100000", "capital: -1", "account.capital was '-1', must be a quantity"),
    ("capital: 100000", "capital: NaN", "accounts.paper.capital was 'NaN', must be"),
    ("capital: 100000", "capital: 1e400000", "accounts.paper"),
    ("capital: 100000", "capital: lots", "accounts.paper.capital was 'lots', must be"),
    ("drawdown: 0.2", "drawdown: 2", "risk.drawdown was '2', must be a share from 0 to 1"),
    ("patience: 30s", "patience: 30 weeks", "market.patience was '30 weeks', must be"),
    ("patience: 30s", "patience: -1", "market.patience was '-1', must be"),
    ("interval: 1m", "interval: 7s", "interval was 7000 ms, must divide a day"),
    ("latency: 250ms", "latency: 1m", "execution.latency was 60000 ms, must be less than the int"),
    ("BINANCE:ETHUSDT", "BINANCE:XRPETH", "held BINANCE:XRPETH, which is not quoted in USDT"),
    ("BINANCE:ETHUSDT", "ETHUSDT", "held 'ETHUSDT', must be like BINANCE:BTCUSDT"),
    ("BINANCE:ETHUSDT", "BINANCE:BTCUSDT", "must be a list of different names"),
    ("      macd: {}", "      mcad: {}", "held 'mcad', which is no strategy: did you mean macd?"),
    ("lookback: 60", "lookbak: 60", "strategy momentum has no parameter 'lookbak'"),
    ("lookback: 60", "lookback: 0", "parameter lookback was '0', must be"),
    ("lookback: 60", "lookback: true", "must be numbers"),
    ("exchange: binance.com", "exchange: binance.con", "did you mean binance.com?"),
    ("  grace: 1s", "  stream: ws://127.0.0.1:1", "market.stream was given alone"),
    ("stages: all", "stages: [market, sinc]", "held 'sinc', which is no stage: did you mean sink?"),
    ('prefix: ""', 'prefix: "a b"', "kafka.prefix was 'a b', must"),
    ("interval: 1m\n", "interval: 1m\ninterval: 1s\n", "interval stands there twice"),
    ("interval: 1m", "interval: [", "is not YAML"),
    ("kafka:\n", "kafka:\n  password: x\n", "set LOCKSTEP_KAFKA__PASSWORD"),
]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "interval: 1m\nkafka: [1\n",
            "expected ',' or ']', but got '<stream end>', line 3, column 1",
        ),
        ("kafka:\n\tprefix: a\n", "found character '\\t' that cannot start any token, line 2, col"),
        ("a: b: c\n", "mapping values are not allowed here, line 1, column 5."),
        ("interval: \x07\n", "special characters are not allowed"),
    ],
)
def test_what_is_not_yaml_is_told_by_line_and_column(
    text: str, sentence: str, folder: Path
) -> None:
    (folder / "app.yaml").write_text(text)
    assert refused().startswith(f"{folder / 'app.yaml'} is not YAML: {sentence}")
    assert len(refused()) < len(str(folder)) + 120


@pytest.mark.parametrize(("old", "new", "words"), WRONG)
def test_what_is_wrong_is_one_sentence(
    old: str, new: str, words: str, change: Callable[..., None], folder: Path
) -> None:
    change(old, new)
    sentence = refused()
    assert words in sentence
    assert sentence.startswith(str(folder / "app.yaml"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("port: 5432", "port: 99999", "database.port was '99999', must be less than"),
        ("port: 5432", "prot: 5432", "database.prot is unknown: did you mean port?"),
        ("host: 127.0.0.1", "password: secret", "set LOCKSTEP_DATABASE__PASSWORD"),
        ("schema: lockstep", "schema: a;drop", "database.schema was 'a;drop', must"),
    ],
)
def test_the_database_file_is_checked_likewise(
    old: str, new: str, words: str, change: Callable[..., None], folder: Path
) -> None:
    change(old, new, "database.yaml")
    sentence = refused()
    assert words in sentence
    assert sentence.startswith(str(folder / "database.yaml"))
    assert "secret" not in sentence


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("LOCKSTEP_KAFAK__PREFIX", "x", "LOCKSTEP_KAFAK__PREFIX is unknown: did you mean kafka?"),
        ("LOCKSTEP_KAFKA__PREFX", "x", "kafka.prefx is unknown: did you mean prefix?"),
        ("LOCKSTEP_DATABASE__PORT", "x", "database.port was 'x', must be a valid integer"),
        ("LOCKSTEP_ACCOUNTS__PAPER__RISK__DRAWDOWN", "7", "risk.drawdown was '7'"),
        ("LOCKSTEP_INTERVAL", "7s", "interval was 7000 ms"),
        ("LOCKSTEP_ACCOUNTS", "{", "accounts"),
    ],
)
def test_variables_are_checked_likewise(
    variable: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    sentence = refused()
    assert words in sentence
    assert sentence.startswith("the environment")


def test_a_password_comes_from_the_environment_or_a_file_and_is_never_shown(
    folder: Path, change: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    change("user: lockstep", "user: lockstep\npassword_file: secret.txt", "database.yaml")
    assert "secret.txt, which could not be read" in refused()
    (folder / "secret.txt").write_text("from-a-file\n")
    settings: Settings = load()
    assert settings.database.storage().password == "from-a-file"  # noqa: S105
    monkeypatch.setenv("LOCKSTEP_DATABASE__PASSWORD", "from-the-environment")
    settings = load()
    assert settings.database.storage().password == "from-the-environment"  # noqa: S105
    assert "from-the" not in repr(settings)
    assert "from-the" not in repr(settings.database.storage())


@pytest.mark.parametrize("section", ["KAFKA", "DATABASE"])
def test_a_password_file_beats_a_weaker_password(
    section: str, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "stack.env").write_text(f"LOCKSTEP_{section}__PASSWORD=of-the-stack\n")
    (folder / "secret.txt").write_text(" a word with spaces \r\n")
    monkeypatch.setenv(f"LOCKSTEP_{section}__PASSWORD_FILE", str(folder / "secret.txt"))
    found = getattr(load(), section.lower()).password
    assert found.get_secret_value() == " a word with spaces "
    monkeypatch.setenv(f"LOCKSTEP_{section}__PASSWORD", "")
    assert getattr(load(), section.lower()).password == found  # as Compose passes on what is unset
    monkeypatch.setenv(f"LOCKSTEP_{section}__PASSWORD", "word")
    assert "password_file were both given" in refused()
    monkeypatch.delenv(f"LOCKSTEP_{section}__PASSWORD")
    (folder / "secret.txt").write_text("\n")
    assert "secret.txt, which is empty" in refused()


@pytest.mark.parametrize("protocol", ["SASL_SSL", "sasl_ssl"])
def test_the_log_is_told_who_we_are(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().kafka.security() == {"security_protocol": "PLAINTEXT"}
    monkeypatch.setenv("LOCKSTEP_KAFKA__SECURITY_PROTOCOL", protocol)
    assert "which needs kafka.username and a password" in refused()
    monkeypatch.setenv("LOCKSTEP_KAFKA__USERNAME", "lockstep")
    monkeypatch.setenv("LOCKSTEP_KAFKA__PASSWORD", "hidden")
    settings = load()
    arguments = settings.kafka.security()
    assert arguments["sasl_plain_password"] == "hidden"  # noqa: S105
    assert arguments["sasl_mechanism"] == "SCRAM-SHA-512"
    assert arguments["ssl_context"].check_hostname
    assert arguments["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert "hidden" not in f"{settings!r} {settings} {settings.kafka!r}"


@pytest.mark.parametrize(
    ("mode", "verified", "named"),
    [("require", False, False), ("verify-ca", True, False), ("verify-full", True, True)],
)
def test_the_database_proves_who_it_is_as_far_as_was_asked(
    mode: str, *, verified: bool, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load().database.storage().ssl == "prefer"
    monkeypatch.setenv("LOCKSTEP_DATABASE__SSLMODE", "disable")
    assert load().database.storage().ssl is False
    monkeypatch.setenv("LOCKSTEP_DATABASE__SSLMODE", mode)
    context = load().database.storage().ssl
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode is ssl.CERT_REQUIRED) is verified
    assert context.check_hostname is named


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"KAFKA__USERNAME": "me"}, "kafka.username was given, which has no effect with"),
        ({"KAFKA__CAFILE": "ca.pem"}, "kafka.cafile was given, which has no effect with"),
        ({"KAFKA__SECURITY_PROTOCOL": "SSL", "KAFKA__CAFILE": "no.pem"}, "no.pem could not be"),
        ({"KAFKA__SECURITY_PROTOCOL": "SSL", "KAFKA__CAFILE": "app.yaml"}, "must be PEM"),
        ({"KAFKA__SECURITY_PROTOCOL": "SSL", "KAFKA__KEYFILE": "no.pem"}, "was given alone"),
        ({"KAFKA__SECURITY_PROTOCOL": "SSL", "KAFKA__CERTFILE": "app.yaml"}, "certfile: no cert"),
        ({"KAFKA__SECURITY_PROTOCOL": "TLS"}, "kafka.security_protocol was 'TLS', must be"),
        ({"KAFKA__SASL_MECHANISM": "GSSAPI"}, "kafka.sasl_mechanism was 'GSSAPI', must be"),
        ({"DATABASE__SSLMODE": "on"}, "database.sslmode was 'on', must be"),
        ({"DATABASE__SSLROOTCERT": "ca.pem"}, "has no effect with sslmode prefer"),
        ({"DATABASE__SSLMODE": "verify-ca", "DATABASE__SSLROOTCERT": "no.pem"}, "no.pem could"),
    ],
)
def test_security_without_effect_is_refused(
    variables: dict[str, str], words: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"LOCKSTEP_{name}", value)
    monkeypatch.setenv("LOCKSTEP_KAFKA__PASSWORD", "recognisable")
    sentence = refused()
    assert words in sentence
    assert "recognisable" not in sentence
    assert sentence.startswith("the environment")
    assert str(folder) in sentence or ".pem" not in words


def test_a_misplaced_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKSTEP_KAFKA__BOOTSTRAP__PASSWORD", "recognisable")
    assert "kafka.bootstrap was …, must be a valid string" in refused()


def test_a_missing_file_says_what_to_do(folder: Path) -> None:
    (folder / "app.yaml").unlink()
    assert "LOCKSTEP_CONFIG" in refused()


@pytest.mark.parametrize("text", ["2019-10-11T00:00:00Z", "2019-10-11T00:00:00.250Z"])
def test_times_are_read_as_they_are_written(text: str) -> None:
    assert format_time(parse_time(text)) == text
    assert parse_time(str(parse_time(text))) == parse_time(text)


def test_times_and_durations_have_several_forms() -> None:
    midnight = 1_570_752_000_000
    for text in ("2019-10-11", "20191011", "2019-10-11T02:00:00+02:00", "2019-10-11T00:00:00"):
        assert parse_time(text) == midnight
    assert [parse_duration(text) for text in ("250ms", "30s", "1m", "2h", "1d")] == [
        250, 30_000, 60_000, 7_200_000, 86_400_000,
    ]  # fmt: skip
    for text in ("yesterday", "2019-13-01", ""):
        with pytest.raises(ValueError, match="is no time"):
            parse_time(text)


def test_the_manual_names_every_key() -> None:
    manual = (data.PACKAGE.parent / "docs" / "configuration.md").read_text()
    sections: dict[str, type[Section]] = {"kafka": Kafka, "market": Market, "worker": Worker}
    sections |= {"allocation": AllocationSection, "risk": RiskSection}
    sections |= {"execution": ExecutionSection}
    for section, model in sections.items():
        for name in set(model.model_fields) - {"password"}:
            assert f"`{section}.{name}`" in manual
    for name, field in Database.model_fields.items():
        assert name == "password" or f"`{field.alias or name}`" in manual
