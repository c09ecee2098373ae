"""The whole ring over TLS, set up as docs/security.md says; who is refused; what nobody sees."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from app.commands.stack import CHECKOUT
from app.core.events import Portfolio
from app.errors import UNREACHABLE, USAGE
from app.runtime import topics
from tests.integration import secure_servers
from tests.integration.secure_servers import (
    ADMIN,
    OWNER_OF_ROWS,
    PLAIN,
    READER,
    READER_OF_ROWS,
    SECRET,
    WORKER,
    WRITER_OF_ROWS,
    SecureKafka,
    block,
)
from tests.integration.worker import CONFIGURATION, Done, Installation, Worker, eventually, exchange
from tests.ports import LOOPBACK

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

DECISIONS = 4
UPSTREAM = "market,candles,momentum,macd"
DOWNSTREAM = "portfolio,allocation,risk,execution,sink"
AS_ADMIN = {"LOCKSTEP_KAFKA__USERNAME": "admin", "LOCKSTEP_KAFKA__PASSWORD": ADMIN}
AS_READER = {
    "LOCKSTEP_KAFKA__USERNAME": "reader",
    "LOCKSTEP_KAFKA__PASSWORD": READER,
    "LOCKSTEP_DATABASE__USER": "lockstep_reader",
    "LOCKSTEP_DATABASE__PASSWORD": READER_OF_ROWS,
}
AS_OWNER = {
    "LOCKSTEP_DATABASE__USER": "lockstep_owner",
    "LOCKSTEP_DATABASE__PASSWORD": OWNER_OF_ROWS,
}
LISTENING = "0A"  # a socket's state in /proc/net/tcp


@dataclass(frozen=True, slots=True)
class Servers:
    """What is set up as the manual says."""

    kafka: SecureKafka
    database: int

    def address(self) -> dict[str, str]:
        """Return where they are, for a process's environment."""
        return {
            "LOCKSTEP_KAFKA__BOOTSTRAP": self.kafka.sasl,
            "LOCKSTEP_DATABASE__HOST": LOOPBACK,
            "LOCKSTEP_DATABASE__PORT": str(self.database),
        }


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("security")
    secure_servers.make_certificates(folder)
    (folder / "ca.pem").rename(folder / "other.pem")
    secure_servers.make_certificates(folder)
    with secure_servers.postgresql(folder) as port, secure_servers.kafka(folder) as kafka:
        kafka.shell("users")
        kafka.shell("acls", PREFIX="it-")
        yield Servers(kafka, port)


@pytest.fixture(scope="module")
def site(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Settings as in the manual, passwords in files; nothing made yet."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        # Past every check, for the tests' own eyes.
        patch.setenv("LOCKSTEP_KAFKA__BOOTSTRAP", servers.kafka.open)
        made = Installation(folder, CONFIGURATION)
    section = block("kafka") + "  session_timeout: 6s"
    text = CONFIGURATION.replace("kafka: {session_timeout: 6s}", section)
    (folder / "app.yaml").write_text(text)
    (folder / "database.yaml").write_text(block("database") + "retry_for: 1s\n")
    (folder / "kafka.password").write_text(WORKER + "\n")
    (folder / "database.password").write_text(WRITER_OF_ROWS + "\n")
    for name in ("ca.pem", "other.pem", "kafka.crt", "kafka.key"):
        shutil.copy(servers.kafka.folder / name, folder)
    foreign = {name: value for name, value in os.environ.items() if not name.startswith("LOCKSTEP")}
    made.environment = foreign | {
        "LOCKSTEP_CONFIG": str(folder),
        "LOCKSTEP_LOCAL_DIR": str(folder),
        "LOCKSTEP_KAFKA__PREFIX": made.prefix,
        "LOCKSTEP_DATABASE__SCHEMA": made.schema,
        "PYTHONPATH": str(CHECKOUT),
    }
    made.environment |= servers.address()
    return made


class Ring:
    """Two workers that share the stages, and what they and the commands beside them have said."""

    def __init__(self, site: Installation, workers: list[Worker], folder: Path) -> None:
        self.site, self.workers, self.folder = site, workers, folder
        self.said: list[str] = []

    async def run(self, *words: str, **environment: str) -> Done:
        done = await self.site.run(*words, **environment)
        self.said += [done.out, done.error]
        return done


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ring(
    site: Installation, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ring]:
    """The ring at work until it has decided a few times; made and run by those with the rights."""
    folder = tmp_path_factory.mktemp("empty")
    made = Ring(site, [], folder)
    done = await made.run("topics", "create", **AS_ADMIN)
    assert done.code == 0, done.error
    done = await made.run("migrate", **AS_OWNER)
    assert done.code == 0, done.error
    grants = block("grants").replace("SCHEMA lockstep", f"SCHEMA {site.schema}")
    await secure_servers.ask(servers.database, "lockstep_owner", OWNER_OF_ROWS, grants)
    await site.log.start()
    async with exchange(speed=300.0) as play:
        site.serve(play)
        plain = {"LOCKSTEP_KAFKA__SASL_MECHANISM": "PLAIN", "LOCKSTEP_KAFKA__PASSWORD": PLAIN}
        made.workers.append(await start(site, folder, UPSTREAM, plain))
        made.workers.append(await start(site, folder, DOWNSTREAM, {}))
        await site.until("portfolio", Portfolio, lambda found: len(found) >= DECISIONS)
        play.clock.hold()
        yield made
    for worker in made.workers:
        with contextlib.suppress(ProcessLookupError):
            worker.process.kill()
        await worker.ends()
    await site.log.stop()


async def start(site: Installation, folder: Path, stages: str, more: dict[str, str]) -> Worker:
    """Start a worker that says all it can, in a folder of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "faust", "-A", "app", "--debug", "worker", "-l", "debug",
        cwd=folder,
        env=site.environment
        | {"LOCKSTEP_WORKER__STAGES": stages, "LOCKSTEP_WORKER__LOG_LEVEL": "debug"}
        | more,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        limit=2**24,
    )  # fmt: skip
    site.workers.append(Worker(process))
    return site.workers[-1]


@pytest.mark.asyncio(loop_scope="module")
async def test_the_ring_decides_and_stores_over_tls(ring: Ring, servers: Servers) -> None:
    async def stored() -> int:
        query = f"SELECT FROM {ring.site.schema}.portfolio"
        who = (servers.database, "lockstep_reader", READER_OF_ROWS)
        return int((await secure_servers.ask(*who, query)).split()[-1])

    assert await eventually(stored, lambda count: count >= DECISIONS, ring.site.said)
    query = (
        "SELECT FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
        "WHERE application_name = 'lockstep' AND {} ssl"
    )
    boss = (servers.database, "boss", OWNER_OF_ROWS)
    assert await secure_servers.ask(*boss, query.format("")) != "SELECT 0"
    assert await secure_servers.ask(*boss, query.format("NOT")) == "SELECT 0"


@pytest.mark.asyncio(loop_scope="module")
async def test_who_only_looks_sees_everything_and_moves_nothing(ring: Ring) -> None:
    done = await ring.run("status", "--json", **AS_READER)
    assert done.code == 0, done.error
    status = json.loads(done.out)
    assert status["database"]["well"], status["database"]
    assert all(stage["workers"] for stage in status["stages"])
    done = await ring.run("topics", "read", "portfolio", "--json", **AS_READER)
    assert done.code == 0, done.error
    done = await ring.run("positions", **AS_READER)
    assert done.code == 0, done.error
    done = await ring.run("verify", **AS_READER)
    assert done.code == 0, done.error
    done = await ring.run("halt", "paper", **AS_READER)
    assert done.code != 0, done.out
    refused_in_one_sentence(done)
    assert "authoriz" in done.error.lower(), done.error
    done = await ring.run("halt", "paper")
    assert done.code == 0, done.error


@pytest.mark.asyncio(loop_scope="module")
async def test_a_worker_listens_on_no_port_and_leaves_no_folder(ring: Ring) -> None:
    for worker in ring.workers:
        assert listening(worker.process.pid) == []
    assert list(ring.folder.iterdir()) == []


def listening(pid: int) -> list[str]:
    """Return the local addresses on which a process waits for connections."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            sockets.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    tables = [Path(f"/proc/{pid}/net/{name}") for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    assert any(row[9] in sockets for row in rows)  # its connections are there to be seen
    return [row[1] for row in rows if row[3] == LISTENING and row[9] in sockets]


@pytest.mark.asyncio(loop_scope="module")
async def test_nobody_sees_a_password(ring: Ring) -> None:
    for worker in ring.workers:
        seen = len(worker.lines)
        worker.process.send_signal(signal.SIGUSR1)
        await worker.says("Stack for", since=seen)
        assert SECRET not in command_line(worker.process.pid)
    await ring.run("verify")
    await ring.run("status", LOCKSTEP_TRACEBACK="1", LOCKSTEP_KAFKA__PASSWORD=SECRET + "wrong")
    log = [line for worker in ring.workers for line in worker.lines]
    assert len(log) > 100
    assert [line for line in log + ring.said if SECRET in line] == []
    for topic in topics.declared():
        for record in await ring.site.stored(topic):
            assert SECRET.encode() not in (record.key or b"") + (record.value or b"")


def command_line(pid: int) -> str:
    """Return what `ps` shows of a process."""
    return Path(f"/proc/{pid}/cmdline").read_text()


KAFKA_REFUSALS = [
    ({"KAFKA__PASSWORD": SECRET + "wrong"}, "refused the password of user worker"),
    ({"KAFKA__USERNAME": "nobody"}, "refused the password of user nobody"),
    ({"KAFKA__SASL_MECHANISM": "SCRAM-SHA-256"}, "does not take SCRAM-SHA-256"),
    ({"KAFKA__CAFILE": "other.pem"}, "certificate that can't be trusted (unable to get"),
    ({"KAFKA__BOOTSTRAP": "localhost:{sasl}"}, "can't be trusted (Hostname mismatch"),
    ({"KAFKA__BOOTSTRAP": "127.0.0.1:{open}"}, "broke the connection off"),
    ({"KAFKA__BOOTSTRAP": "127.0.0.1:1"}, "no Kafka broker answered at 127.0.0.1:1"),
]


REFUSALS = [("topics read fills", *refusal) for refusal in KAFKA_REFUSALS] + [
    ("status", *KAFKA_REFUSALS[0]),
    ("topics create", *KAFKA_REFUSALS[0]),
    ("worker", *KAFKA_REFUSALS[0]),
    ("worker", *KAFKA_REFUSALS[3]),
]


@pytest.mark.parametrize(("command", "changes", "words"), REFUSALS)
async def test_a_broker_that_refuses_or_is_not_to_be_trusted_is_one_sentence(
    command: str, changes: dict[str, str], words: str, site: Installation, servers: Servers
) -> None:
    done = await site.run(*command.split(), **changed(changes, servers))
    assert done.code == UNREACHABLE, done.error
    refused_in_one_sentence(done)
    assert words in done.error


def changed(changes: dict[str, str], servers: Servers) -> dict[str, str]:
    kafka = servers.kafka
    ports = {name: getattr(kafka, name).split(":")[1] for name in ("sasl", "open", "mutual")}
    return {f"LOCKSTEP_{name}": value.format(**ports) for name, value in changes.items()}


def refused_in_one_sentence(done: Done) -> None:
    lines = [line for line in done.error.splitlines() if not line.startswith("[?")]
    assert len(lines) == 1, done.error
    assert "Traceback" not in done.error
    assert SECRET not in done.error + done.out


async def test_a_user_may_be_a_certificate(site: Installation, servers: Servers) -> None:
    anonymous = {
        "LOCKSTEP_KAFKA__BOOTSTRAP": servers.kafka.mutual,
        "LOCKSTEP_KAFKA__SECURITY_PROTOCOL": "SSL",
        "LOCKSTEP_KAFKA__USERNAME": "",
        "LOCKSTEP_KAFKA__PASSWORD_FILE": "",
    }
    done = await site.run("topics", "read", "fills", **anonymous)
    assert done.code == UNREACHABLE, done.error
    refused_in_one_sentence(done)
    assert "kafka.certfile where it asks" in done.error
    files = {"LOCKSTEP_KAFKA__CERTFILE": "kafka.crt", "LOCKSTEP_KAFKA__KEYFILE": "kafka.key"}
    done = await site.run("topics", "read", "fills", **anonymous, **files)
    # It is let in; but nobody allowed CN=kafka to see anything.
    assert "there is no topic" in done.error, done.error


DATABASE_REFUSALS = [
    ({"PASSWORD": SECRET + "wrong"}, "refused the password of user lockstep_worker"),
    ({"SSLROOTCERT": "other.pem"}, "certificate that can't be trusted (unable to get"),
    ({"HOST": "localhost"}, "can't be trusted (Hostname mismatch"),
    ({"SSLMODE": "disable", "SSLROOTCERT": ""}, "takes encrypted connections only"),
]


@pytest.mark.parametrize(("changes", "words"), DATABASE_REFUSALS)
async def test_a_database_that_refuses_or_is_not_to_be_trusted_is_one_sentence(
    changes: dict[str, str], words: str, site: Installation
) -> None:
    done = await site.run("migrate", **{f"LOCKSTEP_DATABASE__{k}": v for k, v in changes.items()})
    assert done.code == UNREACHABLE, done.error
    refused_in_one_sentence(done)
    assert words in done.error


async def test_a_database_without_tls_is_not_spoken_to(site: Installation) -> None:
    names = ("HOST", "PORT", "NAME", "USER", "PASSWORD")
    variables = [f"LOCKSTEP_DATABASE__{name}" for name in names]
    if any(name not in os.environ for name in variables):
        pytest.skip("needs a database without TLS: set LOCKSTEP_DATABASE__*, as ./run test does")
    done = await site.run("migrate", **{name: os.environ[name] for name in variables})
    assert done.code == UNREACHABLE, done.error
    refused_in_one_sentence(done)
    assert "does not encrypt" in done.error


async def test_settings_that_protect_nothing_are_refused(site: Installation) -> None:
    done = await site.run("status", LOCKSTEP_KAFKA__SECURITY_PROTOCOL="PLAINTEXT")
    assert done.code == USAGE, done.error
    refused_in_one_sentence(done)


async def test_a_worker_that_may_not_join_its_group_says_so(
    site: Installation, servers: Servers
) -> None:
    deny = (
        "kafka-acls.sh --bootstrap-server $BOOTSTRAP --command-config admin.properties --add "
        "--deny-principal User:worker --operation Read --group $GROUP"
    )
    group = site.prefix + "risk"
    secure_servers.run_shell(servers.kafka.folder, deny, BOOTSTRAP=servers.kafka.sasl, GROUP=group)
    await site.run("topics", "create", **AS_ADMIN)
    done = await site.run("worker", LOCKSTEP_WORKER__STAGES="risk")
    assert done.code == UNREACHABLE, done.error
    assert f"let us not join group {group}" in done.error.splitlines()[-1]
    assert "Traceback" not in done.error
