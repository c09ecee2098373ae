"""A Kafka and a PostgreSQL of their own, set up as docs/security.md says, command by command."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from app.commands.stack import CHECKOUT, local_folder
from tests.ports import LOOPBACK, free_port

MANUAL = (CHECKOUT / "docs" / "security.md").read_text()
PATIENCE = 90.0
ADMIN = "hunter-kafka-admin"
WORKER = "hunter-kafka-worker"
READER = "hunter-kafka-reader"
PLAIN = "hunter-kafka-plain"
OWNER_OF_ROWS = "hunter-database-owner"
WRITER_OF_ROWS = "hunter-database-worker"
READER_OF_ROWS = "hunter-database-reader"
SECRET = "hunter-"  # noqa: S105 - every password here begins with it
JAVA = ("-XX:TieredStopAtLevel=1", "-Xms64m", "-Xmx384m")
TOOLS = {
    "kafka-storage.sh": "kafka.tools.StorageTool",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
}
BROKER = """
process.roles=broker,controller
node.id=1
listeners=SASL_SSL://127.0.0.1:{sasl},MUTUAL://127.0.0.1:{mutual},OPEN://127.0.0.1:{open},\
  CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
log.dirs=data
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.cleaner.dedupe.buffer.size=16777216
{manual}
# for the tests: a way round, another mechanism, and certificates instead of passwords
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT,OPEN:PLAINTEXT,MUTUAL:SSL
sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=\
  org.apache.kafka.common.security.plain.PlainLoginModule required user_worker="{plain}";
listener.name.mutual.ssl.client.auth=required
"""
SERVER = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
dynamic_shared_memory_type = sysv
shared_buffers = 64MB
max_worker_processes = 16
timescaledb.max_background_workers = 4
fsync = off
{manual}
"""


def block(name: str) -> str:
    """Return a fenced block of the manual by its name."""
    found = re.search(rf"```\w+ {name}\n(.*?)```", MANUAL, re.DOTALL)
    assert found, f"docs/security.md has no block {name}"
    text = found[1]
    for who, password in (("ADMIN", ADMIN), ("WORKER", WORKER), ("READER", READER)):
        text = text.replace(f"PASSWORD-OF-{who}", password)
    return text


@dataclass(frozen=True, slots=True)
class SecureKafka:
    """A broker's listeners, host:port, and the folder with its certificates."""

    folder: Path
    sasl: str
    mutual: str
    open: str

    def shell(self, name: str, **environment: str) -> None:
        """Run a block of the manual where the certificates are."""
        run_shell(self.folder, block(name), BOOTSTRAP=self.sasl, **environment)


def run_shell(folder: Path, script: str, **environment: str) -> str:
    done = subprocess.run(  # noqa: S603 - the manual's words
        ["/bin/bash", "-eu", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"} | environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def make_certificates(folder: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificates, is not installed")
    run_shell(folder, block("certificates"), NAMES=f"IP:{LOOPBACK}")


@contextlib.contextmanager
def kafka(folder: Path) -> Iterator[SecureKafka]:
    """Run a broker; skip where there is no Java or no Kafka of the local stack."""
    _tools(folder)
    ports = {name: free_port() for name in ("sasl", "mutual", "open", "controller")}
    addresses = {name: f"{LOOPBACK}:{port}" for name, port in ports.items()}
    settings = BROKER.format(**ports, manual=block("broker"), plain=PLAIN)
    (folder / "server.properties").write_text(settings)
    (folder / "admin.properties").write_text(block("admin"))
    made = SecureKafka(folder, addresses["sasl"], addresses["mutual"], addresses["open"])
    made.shell("format")
    log = folder / "kafka.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - this file's own words
            [_java(), *JAVA, "-cp", f"{_jars()}/*", "kafka.Kafka", "server.properties"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        _until(lambda: b"Kafka Server started" in log.read_bytes(), process, log)
        yield made
    finally:
        process.kill()  # its data goes, too
        process.wait()


def _tools(folder: Path) -> None:
    """Write what the manual calls by the names that Kafka's own package has."""
    for name, main in TOOLS.items():
        words = [_java(), *JAVA, "-cp", f"{_jars()}/*", main]
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        (folder / name).chmod(0o755)


def _jars() -> Path:
    found = sorted((local_folder() / "kafka").glob("jars-*"))
    if not found:
        pytest.skip("needs the local stack's own Kafka, which deploy/local/kafka install fetches")
    return found[-1]


def _java() -> str:
    places = [Path(os.environ.get("JAVA_HOME", "/nowhere")) / "bin/java"]
    places += sorted(Path("/usr/lib/jvm").glob("*/bin/java"), reverse=True)
    found = next((str(place) for place in places if place.is_file()), shutil.which("java"))
    if found is None:
        pytest.skip("Java is not installed")
    return found


def _until(holds: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Programs:
    """How PostgreSQL's programs are run, and where its data may be, as we and as they name it."""

    prefix: tuple[str, ...]
    binaries: str
    outside: Path
    inside: str

    def run(self, program: str, *words: str, given: str = "") -> None:
        done = self.start(f"{self.binaries}/{program}", *words)
        out, _ = done.communicate(given.encode())
        assert done.returncode == 0, out.decode(errors="replace")[-3000:]

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - this file's own words
            [*self.prefix, *words],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def put(self, name: str, text: str) -> None:
        """Write a file of the data folder, as the server's user and for them alone."""
        done = self.start("/bin/sh", "-c", f"umask 077; cat >{self.inside}/data/{name}")
        done.communicate(text.encode())
        assert done.returncode == 0


@contextlib.contextmanager
def _programs() -> Iterator[Programs]:
    """Find PostgreSQL with TimescaleDB as the local stack does: in its root, or the machine's."""
    root = local_folder() / "timescaledb" / "root"
    as_root = () if os.geteuid() == 0 else ("sudo", "-n")
    if root.is_dir():
        prefix = (*as_root, "chroot", "--userspec=postgres:postgres", str(root))
        inside = f"/var/lib/lockstep/secure-{os.getpid()}"
        made = Programs(prefix, "/usr/lib/postgresql/17/bin", root / inside[1:], inside)
        made.start("/bin/mkdir", inside).communicate()
    else:
        folder = Path(tempfile.mkdtemp(prefix="lockstep-secure-"))
        prefix = ()
        if not as_root:
            shutil.chown(folder, "postgres", "postgres")
            prefix = ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups")
        made = Programs(prefix, _machines_own(), folder, str(folder))
    try:
        yield made
    finally:
        made.start("/bin/rm", "-rf", made.inside).communicate()


def _machines_own() -> str:
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "postgres").exists() and (folder / "pg_config").exists():
            asked = [folder / "pg_config", "--sharedir"]
            shared = subprocess.check_output(asked, text=True)  # noqa: S603 - the same
            if (Path(shared.strip()) / "extension" / "timescaledb.control").exists():
                return str(folder)
    pytest.skip("needs PostgreSQL with TimescaleDB: deploy/local/timescaledb install makes one")


@contextlib.contextmanager
def postgresql(certificates: Path) -> Iterator[int]:
    """Run a database server that takes encrypted connections only; give its port."""
    with _programs() as programs:
        port = free_port()
        data = f"{programs.inside}/data"
        words = ("--username=boss", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
        programs.run("initdb", "-D", data, *words, "--no-instructions", "--no-sync")
        first = f"ALTER ROLE boss PASSWORD '{OWNER_OF_ROWS}';\nCREATE DATABASE lockstep;\n"
        programs.run("postgres", "--single", "-D", data, "postgres", given=first)
        for name in ("postgresql.crt", "postgresql.key"):
            programs.put(name, (certificates / name).read_text())
        programs.put("postgresql.conf", SERVER.format(port=port, manual=block("server")))
        programs.put("pg_hba.conf", block("pg_hba"))
        server = programs.start(f"{programs.binaries}/postgres", "-D", data)
        try:
            asyncio.run(_make_roles(port, server))
            yield port
        finally:
            stop = programs.start(f"{programs.binaries}/pg_ctl", "-D", data, "stop", "-m", "fast")
            stop.communicate()
            server.communicate()


async def ask(port: int, user: str, password: str, *statements: str) -> str:
    """Run statements over TLS and return what the last one did."""
    connection = await asyncpg.connect(
        host=LOOPBACK, port=port, user=user, password=password, database="lockstep", ssl="require"
    )
    try:
        done = ""
        for statement in statements:
            done = await connection.execute(statement)
        return done
    finally:
        await connection.close()


async def _make_roles(port: int, server: subprocess.Popen[bytes]) -> None:
    roles = {
        "lockstep_owner": OWNER_OF_ROWS,
        "lockstep_worker": WRITER_OF_ROWS,
        "lockstep_reader": READER_OF_ROWS,
    }
    passwords = [f"ALTER ROLE {role} PASSWORD '{word}'" for role, word in roles.items()]
    async with asyncio.timeout(PATIENCE):
        while True:
            assert server.poll() is None, "PostgreSQL ended"
            try:
                await ask(port, "boss", OWNER_OF_ROWS, block("roles"), *passwords)
            except (OSError, asyncpg.CannotConnectNowError):
                await asyncio.sleep(0.1)  # a server can't be asked to say when it listens
            else:
                return
