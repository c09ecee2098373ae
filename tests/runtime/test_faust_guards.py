"""What the shell relies on in the pinned Faust, and why it does not rely on more.

A test that fails here after an upgrade of Faust says which belief about it is no longer true.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import defaultdict
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faust.app.base import BootStrategy
from faust.streams import Stream
from faust.transport.consumer import Consumer
from faust.types import TP
from intervaltree import IntervalTree
from mode.worker import Worker as ModeWorker

from app.config_sections import Kafka
from app.runtime.faust_settings import faust_settings
from app.runtime.faust_worker import Worker
from app.runtime.fetching import PROMPT
from app.runtime.shell import REQUEST_TIMEOUT_MS, Shell, StageApp, _Consumer

SETTINGS: Any = SimpleNamespace(
    kafka=SimpleNamespace(bootstrap="127.0.0.1:1", session_timeout=6.0, security=dict)
)


@pytest.fixture
async def app() -> StageApp:
    made = StageApp("guard", **faust_settings(SETTINGS))
    shell = Shell("guard", ("trades", "orders"), "", made)
    shell.intake = None  # type: ignore[assignment]
    return made


def test_the_version_is_the_measured_one() -> None:
    assert version("faust-streaming") == "0.15.3"


@pytest.mark.parametrize(("committed", "acked", "commits"), [(5, [6, 7, 8], 9), (0, [3], 4)])
def test_its_acknowledgements_skip_offsets(committed: int, acked: list[int], commits: int) -> None:
    # Offset 5 (and 0 to 2) was never acknowledged: this is why the shell acknowledges nothing.
    place = TP("trades", 0)
    consumer = SimpleNamespace(
        _acked={place: list(acked)},
        _acked_index=defaultdict(set, {place: set(acked)}),
        _gap={place: IntervalTree()},
        _committed_offset={place: committed},
    )
    assert Consumer._new_offset(consumer, place) == commits


async def test_a_stream_without_acks_acknowledges_nothing(app: StageApp) -> None:
    stream = app.stream(app.topic("trades"))
    assert isinstance(stream, Stream)
    assert stream.enable_acks
    assert not stream.noack().enable_acks


async def test_the_client_is_told_what_faust_fixes_in_code(app: StageApp) -> None:
    consumer = app.consumer
    assert isinstance(consumer, _Consumer)
    client = consumer._thread._create_worker_consumer(app.transport)
    assert client._fetch_max_wait_ms == PROMPT.wait
    assert client._partition_assignment_strategy == (RangePartitionAssignor,)
    assert client._request_timeout_ms == client._client._request_timeout_ms == REQUEST_TIMEOUT_MS
    assert not client._enable_auto_commit
    assert "self._pending_exception = exc" in inspect.getsource(GroupCoordinator)


def test_a_step_of_the_fetch_loop_is_where_the_shell_replaces_it() -> None:
    original = inspect.getsource(Consumer._drain_messages)
    for used in ("getmany(", "callback(message)", "suspend_flow.wait()", "consumer_stopped_errors"):
        assert used in original
    assert "self.flow_active" in inspect.getsource(Consumer.getmany)
    assert "seek_to_committed" in inspect.getsource(Consumer.perform_seek)


def test_a_fetcher_looks_up_how_to_ask_for_each_question() -> None:
    source = inspect.getsource(Fetcher._get_actions_per_node)
    assert "self._fetch_min_bytes" in source
    assert "self._fetch_max_wait_ms" in source
    assert "self._proc_fetch_request(" in inspect.getsource(Fetcher._fetch_requests_routine)


async def test_the_client_runs_in_the_workers_own_loop(app: StageApp) -> None:
    thread = app.consumer._thread
    assert thread.thread_loop is asyncio.get_running_loop()
    assert await thread.call_thread(lambda: 7) == 7


async def test_an_app_starts_neither_web_pages_nor_a_producer(app: StageApp) -> None:
    assert issubclass(app.BootStrategy, BootStrategy)
    started = [type(service).__name__ for service in app.on_init_dependencies()]
    assert "Web" not in started
    assert "Producer" not in started
    assert "_Consumer" in started


async def test_topics_are_raw_bytes(app: StageApp) -> None:
    (agent,) = app.agents.values()
    channel = agent.channel
    assert isinstance(channel, faust.Topic)
    assert channel.get_topic_name() == "trades orders"
    assert (channel.key_serializer, channel.value_serializer) == ("raw", "raw")


@pytest.mark.parametrize("protocol", ["SSL", "SASL_PLAINTEXT", "SASL_SSL"])
async def test_a_client_is_told_all_of_the_security_and_nothing_else(protocol: str) -> None:
    kafka = Kafka(security_protocol=protocol, username="me", password="word")  # noqa: S106
    settings: Any = SimpleNamespace(kafka=kafka)
    made = StageApp("guard", **faust_settings(settings))
    Shell("guard", ("trades",), "", made)
    client = made.consumer._thread._create_worker_consumer(made.transport)._client
    expected = kafka.security()
    assert client._security_protocol == protocol
    assert client._ssl_context is expected.get("ssl_context")
    if protocol != "SSL":
        assert client._sasl_mechanism == "SCRAM-SHA-512"
        assert (client._sasl_plain_username, client._sasl_plain_password) == ("me", "word")


def test_its_worker_keeps_nothing_and_opens_no_page(app: StageApp) -> None:
    app.conf.web_enabled = True  # what the command says by default
    app.conf.Worker(app)
    assert not app.conf.web_enabled
    assert "mkdir" in inspect.getsource(faust.App._create_directories)
    app._create_directories()
    assert not app.conf.appdir.exists()


def test_a_cry_shows_no_variables() -> None:
    assert Worker._cry is not ModeWorker._cry
    assert "self._cry()" in inspect.getsource(ModeWorker._on_sigusr1)
