"""The commands are one table: they load, say what they do, and end with a sentence and a code."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from click.testing import CliRunner

from app import cli
from app.cli import COMMANDS, FAUST, install, load_command, lockstep, run
from app.errors import (
    BUG,
    DIFFERENCE,
    FAILED,
    INTERRUPTED,
    TERMINATED,
    UNPROVEN,
    UNREACHABLE,
    USAGE,
    BugError,
    ConfigurationError,
    DifferenceError,
    LockstepError,
    UnprovenError,
    UnreachableError,
)

ROOT = Path(__file__).parents[1]
MAIN = "from app.cli import main; main()"


def python(code: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - this file's own words
        [sys.executable, "-c", code, *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def every_command(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from every_command(inner, (*path, name))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_loads_and_says_what_the_table_says(name: str) -> None:
    command = load_command(name)
    summary = COMMANDS[name][1]
    assert command.name == name
    assert summary.endswith(".")
    assert (command.help or "").split("\n\n")[0].replace("\n", " ") == summary


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_is_one_that_faust_would_take_for_its_own(name: str) -> None:
    for path in every_command(load_command(name), (name,)):
        command = load_command(name)
        for word in path[1:]:
            assert isinstance(command, click.Group)
            command = command.commands[word]
        for parameter in command.params:
            for option in (*parameter.opts, *parameter.secondary_opts):
                assert option not in {"-A", "-W"}
                assert not option.startswith(("--app", "--workdir"))
            if isinstance(parameter, click.Option):
                assert parameter.help


def test_help_names_every_command_and_what_it_does() -> None:
    result = CliRunner().invoke(lockstep, ["--help"], terminal_width=200)
    summaries = {name: line for name, (_, line) in COMMANDS.items()} | FAUST
    for name, summary in summaries.items():
        assert f"  {name} " in result.output
        assert summary in result.output


@pytest.mark.parametrize(
    "words", [["--help"], ["topics", "create", "--help"], ["halt", "--help"], ["topcs"]]
)
def test_help_loads_neither_faust_nor_a_client_nor_settings(words: list[str]) -> None:
    code = (
        "import sys; from app.cli import run; run(sys.argv[1:]); "
        "print({'faust', 'aiokafka', 'asyncpg', 'numpy', 'pydantic', 'rich'} & set(sys.modules), "
        "file=sys.stderr)"
    )
    assert python(code, *words).stderr.splitlines()[-1] == "set()"


def test_completion_loads_no_command() -> None:
    code = (
        "import sys; from app.cli import main\n"
        "try: main()\n"
        "finally: print([m for m in sys.modules if m.startswith('app.commands')], file=sys.stderr)"
    )
    result = python(
        code, _LOCKSTEP_COMPLETE="bash_complete", COMP_WORDS="lockstep ha", COMP_CWORD="1"
    )
    assert "halt" in result.stdout
    assert "flatten" not in result.stdout
    assert result.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("topcs", "did you mean topics?"),
        ("postions", "did you mean positions?"),
        ("wroker", "did you mean worker?"),
        ("zzz", "`lockstep --help` lists them."),
    ],
)
def test_a_mistyped_command_gets_advice(
    word: str, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([word]) == USAGE
    assert f"There is no command {word!r}: {advice}" in capsys.readouterr().err


ERRORS = [
    (LockstepError("a sentence."), FAILED, "Error: a sentence.\n"),
    (ConfigurationError("a sentence."), USAGE, "Error: a sentence.\n"),
    (DifferenceError("a sentence."), DIFFERENCE, "Error: a sentence.\n"),
    (UnprovenError("a sentence."), UNPROVEN, "Error: a sentence.\n"),
    (UnreachableError("a sentence."), UNREACHABLE, "Error: a sentence.\n"),
    (BugError("a sentence."), BUG, "Error: a sentence.\n"),
    (
        OSError(28, "No space left on device"),
        FAILED,
        "Error: [Errno 28] No space left on device.\n",
    ),
    (
        KafkaTimeoutError("no answer in 40 s."),
        UNREACHABLE,
        (
            "Error: the broker stopped answering (KafkaTimeoutError: no answer in 40 s): see "
            "with `lockstep status` that it is up, then run this again.\n"
        ),
    ),
    (
        MessageSizeTooLargeError("2 MB"),
        BUG,
        (
            "Error: MessageSizeTooLargeError: [Error 10] MessageSizeTooLargeError: 2 MB. This is a "
            "bug: run it again with LOCKSTEP_TRACEBACK=1 and report what it prints.\n"
        ),
    ),
    (click.ClickException("a sentence."), FAILED, "Error: a sentence.\n"),
    (click.Abort(), INTERRUPTED, "Interrupted.\n"),
    (KeyboardInterrupt(), INTERRUPTED, "Interrupted.\n"),
]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Make `up` raise what the test puts into the list."""
    raised: list[BaseException] = []

    @click.command()
    def up() -> None:
        raise raised[0]

    monkeypatch.setattr(cli, "load_command", lambda _: up)
    monkeypatch.delenv(cli.TRACEBACK, raising=False)
    return raised


@pytest.mark.parametrize(("error", "code", "words"), ERRORS)
def test_an_error_is_one_sentence_and_its_code(
    error: BaseException,
    code: int,
    words: str,
    failing: list[BaseException],
    capsys: pytest.CaptureFixture[str],
) -> None:
    failing.append(error)
    assert run(["up"]) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err.removeprefix("\n")) == ("", words)


def test_a_bug_says_so_and_shows_its_traceback_only_when_asked(
    failing: list[BaseException],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing.append(ValueError("odd"))
    assert run(["up"]) == BUG
    quiet = capsys.readouterr().err
    assert quiet.startswith("Error: ValueError: odd. This is a bug: run it again with LOCKSTEP_TR")
    assert "Traceback" not in quiet
    monkeypatch.setenv(cli.TRACEBACK, "1")
    assert run(["up"]) == BUG
    assert "Traceback" in capsys.readouterr().err


def test_a_closed_pipe_is_quiet() -> None:
    command = f'"{sys.executable}" -c "{MAIN}" --help | true'
    result = subprocess.run(  # noqa: S602 - a pipe is what is tested
        command, cwd=ROOT, shell=True, capture_output=True, text=True, check=False, timeout=60
    )
    assert result.stderr == ""


def test_sigterm_ends_a_command_cleanly() -> None:
    code = (
        "import sys, time, click, app.cli as cli\n"
        "@click.command()\n"
        "def up():\n"
        "    try:\n"
        "        print('begun', flush=True)\n"
        "        time.sleep(60)\n"
        "    finally: print('closed', flush=True)\n"
        "cli.load_command = lambda name: up\n"
        "sys.argv = ['lockstep', 'up']\n"
        "cli.main()"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[0] == b"closed\n"
    assert process.returncode == TERMINATED


def test_every_command_is_added_to_another_group() -> None:
    root = click.Group("faust")
    install(root)
    assert set(root.commands) == set(COMMANDS)
    result = CliRunner().invoke(root, ["topics", "read", "--help"])
    assert result.exit_code == 0
    assert "--partition" in result.output
    result = CliRunner().invoke(root, ["topics", "raed"])
    assert result.exit_code == USAGE


def test_importing_the_core_loads_no_faust() -> None:
    code = "import app.core.events, sys; print({'faust', 'click', 'app.worker'} & set(sys.modules))"
    assert python(code).stdout == "set()\n"


def test_wrong_settings_are_a_sentence_under_faust_too(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "deploy" / "config", tmp_path / "config")
    with (tmp_path / "config" / "app.yaml").open("a") as file:
        file.write("nonsense: 1\n")
    code = "from faust.cli.faust import cli; cli()"
    result = python(code, "-A", "app", "agents", LOCKSTEP_CONFIG=str(tmp_path / "config"))
    assert result.returncode == USAGE
    assert "nonsense is unknown" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_agents_of_every_stage_are_listed_by_both_doors() -> None:
    stages = ["candles", "momentum", "macd", "portfolio", "allocation", "risk", "execution"]
    faust = "from faust.cli.faust import cli; cli()"
    for result in (python(MAIN, "agents"), python(faust, "-A", "app", "agents")):
        assert result.returncode == 0
        for stage in ("market", *stages, "sink"):
            assert stage in result.stdout


def test_an_unknown_account_is_refused_before_anything_is_sent() -> None:
    for name in ("halt", "resume"):
        result = python(MAIN, name, "papr", LOCKSTEP_KAFKA__BOOTSTRAP="127.0.0.1:1")
        assert result.returncode == USAGE
        assert result.stderr == "Error: there is no account 'papr': did you mean paper?\n"


def test_flatten_asks_or_refuses_where_nobody_can_be_asked() -> None:
    result = python(MAIN, "flatten", "paper", LOCKSTEP_KAFKA__BOOTSTRAP="127.0.0.1:1")
    assert result.returncode == USAGE
    assert "add --yes" in result.stderr


@pytest.mark.parametrize(
    "words",
    [["topics", "check"], ["topics", "create"], ["topics", "read", "trades"], ["halt", "paper"]],
)
def test_without_a_broker_every_command_says_so(words: list[str]) -> None:
    result = python(MAIN, *words, LOCKSTEP_KAFKA__BOOTSTRAP="127.0.0.1:1")
    assert result.returncode == UNREACHABLE
    assert result.stderr.startswith("Error: no Kafka broker answered at 127.0.0.1:1")
    assert len(result.stderr.splitlines()) == 1


def test_without_a_database_positions_says_so() -> None:
    result = python(
        MAIN,
        "positions",
        LOCKSTEP_DATABASE__HOST="127.0.0.1",
        LOCKSTEP_DATABASE__PORT="1",
        LOCKSTEP_DATABASE__RETRY_FOR="100ms",
    )
    assert result.returncode == UNREACHABLE
    assert "127.0.0.1:1" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.integration
def test_a_command_stands_in_the_account_s_partition_once() -> None:
    if "LOCKSTEP_KAFKA__BOOTSTRAP" not in os.environ:
        pytest.skip("needs a broker: set LOCKSTEP_KAFKA__BOOTSTRAP")
    prefix = {"LOCKSTEP_KAFKA__PREFIX": f"cli-{os.getpid()}."}
    try:
        assert python(MAIN, "halt", "paper", **prefix).returncode == UNREACHABLE
        assert python(MAIN, "topics", "create", **prefix).returncode == 0
        given = [
            json.loads(python(MAIN, *words, "--json", **prefix).stdout)
            for words in (
                ["halt", "paper", "--reason", "a test", "--by", "me"],
                ["flatten", "paper", "--yes"],
                ["resume", "paper"],
            )
        ]
        read = json.loads(python(MAIN, "topics", "read", "signals", "--json", **prefix).stdout)
        assert [line["value"]["action"] for line in read] == ["halt", "flatten", "resume"]
        assert [line["value"]["command_id"] for line in read] == [g["command_id"] for g in given]
        assert [(line["partition"], line["offset"]) for line in read] == [
            (g["partition"], g["offset"]) for g in given
        ]
        assert {line["key"] for line in read} == {"paper"}
        assert (read[0]["value"]["reason"], read[0]["value"]["by"]) == ("a test", "me")
        listed = json.loads(python(MAIN, "topics", "list", "--json", **prefix).stdout)
        assert {row["state"] for row in listed} == {"there"}
    finally:
        assert python(DELETE, prefix["LOCKSTEP_KAFKA__PREFIX"]).returncode == 0


DELETE = """
import asyncio, os, sys
from aiokafka.admin import AIOKafkaAdminClient
async def delete():
    client = AIOKafkaAdminClient(bootstrap_servers=os.environ["LOCKSTEP_KAFKA__BOOTSTRAP"])
    await client.start()
    names = [name for name in await client.list_topics() if name.startswith(sys.argv[1])]
    await client.delete_topics(names)
    await client.close()
asyncio.run(delete())
"""
