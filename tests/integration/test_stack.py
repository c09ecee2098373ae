"""The local stack: what runs is seen, nothing else is touched, and a restart changes nothing."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.commands.stack import CHECKOUT, StackState, local_folder, stack_state

KAFKA = CHECKOUT / "deploy" / "local" / "kafka"
COMPOSE = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
STOPPED = 3

pytestmark = pytest.mark.timeout(300)  # starting a broker takes its time on a busy machine


@pytest.fixture
def state() -> StackState:
    state = stack_state()
    assert state.running == ("kafka", "timescaledb"), "bring the stack up: ./run up"
    return state


@pytest.fixture
def local_state(state: StackState) -> StackState:
    if state.engine != "local":
        pytest.skip("the stack runs on Docker here, not by deploy/local")
    return state


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process of somebody else."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for a second stack, with the jars that the running one has fetched."""
    if stack_state().engine != "local":
        pytest.skip("the stack runs on Docker here, not by deploy/local")
    folder = tmp_path_factory.mktemp("stack") / "local"
    (folder / "kafka" / "data").mkdir(parents=True)
    for jars in (local_folder() / "kafka").glob("jars-*"):
        (folder / "kafka" / jars.name).symlink_to(jars)
    yield folder
    kafka("stop", folder)


def kafka(verb: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the project's own script
        [str(KAFKA), verb],
        env={**os.environ, "LOCKSTEP_LOCAL_DIR": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def command(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    call = f"import sys; from app.commands.stack import {name}; {name}(sys.argv[1:])"
    return subprocess.run(  # noqa: S603 - this Python, our own words
        [sys.executable, "-c", call, *words],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.integration
def test_the_running_stack_is_where_it_says(state: StackState) -> None:
    for address in (state.kafka, state.timescaledb):
        host, _, port = (address or "").rpartition(":")
        assert host == "127.0.0.1"
        socket.create_connection((host, int(port)), timeout=5).close()


@pytest.mark.integration
def test_a_second_up_changes_nothing(local_state: StackState) -> None:
    pid = (local_folder() / "kafka" / "pid").read_text()
    settings = (local_folder() / "stack.env").read_text()
    done = command("up")
    assert done.returncode == 0, done.stderr
    assert str(local_state.timescaledb) in done.stdout
    assert stack_state() == local_state
    assert (local_folder() / "kafka" / "pid").read_text() == pid
    assert sorted((local_folder() / "stack.env").read_text().split()) == sorted(settings.split())


@pytest.mark.integration
def test_the_password_is_the_owners_alone(local_state: StackState) -> None:
    assert local_state.timescaledb
    for name in ("stack.env", "timescaledb/password"):
        assert (local_folder() / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.integration
def test_deleting_data_unasked_is_refused(state: StackState) -> None:
    done = command("down", "--purge")
    assert done.returncode == 1
    assert "--yes" in done.stderr
    assert stack_state() == state


@pytest.mark.integration
def test_a_wrong_pid_file_ends_nobody(private: Path, stranger: subprocess.Popen[bytes]) -> None:
    (private / "kafka" / "pid").write_text(f"{stranger.pid}\n")
    assert kafka("status", private).returncode == STOPPED
    assert kafka("stop", private).returncode == 0
    assert stranger.poll() is None


async def topics_of(address: str, create: str | None = None) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        if create:
            await admin.create_topics([NewTopic(create, 1, 1)])
        return list(await admin.list_topics())
    finally:
        await admin.close()


@pytest.mark.integration
async def test_a_killed_broker_comes_back_at_its_place_with_its_topics(private: Path) -> None:
    assert kafka("start", private).returncode == 0
    address = kafka("status", private).stdout.strip()
    await topics_of(address, create="kept")

    os.kill(int((private / "kafka" / "pid").read_text()), signal.SIGKILL)
    done = kafka("start", private)

    assert done.returncode == 0, done.stderr
    assert kafka("status", private).stdout.strip() == address
    assert "kept" in await topics_of(address)


@pytest.mark.integration
def test_a_second_broker_on_the_same_data_is_refused(private: Path) -> None:
    assert kafka("start", private).returncode == 0
    pid_file = private / "kafka" / "pid"
    pid = pid_file.read_text()
    pid_file.unlink()

    refused = kafka("start", private)
    pid_file.write_text(pid)

    assert refused.returncode == 1
    assert "another process uses" in refused.stderr
    assert kafka("status", private).returncode == 0
    assert kafka("purge", private).returncode == 0
    assert not (private / "kafka" / "data").exists()


def test_compose_listens_on_loopback_only() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 6
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_runs_the_same_kafka_as_the_local_stack() -> None:
    pom = (CHECKOUT / "deploy" / "local" / "pom.xml").read_text()
    versions = set(re.findall(r"<artifactId>kafka[^<]*</artifactId>\s*<version>(.+?)<", pom))
    assert {COMPOSE["services"]["kafka"]["image"]} == {f"apache/kafka:{v}" for v in versions}
