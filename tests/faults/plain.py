"""One stage without the shell: a plain Faust agent whose events Faust itself acknowledges.

Step, states and the order of writes are the runtime's; only what is committed differs: what was
read, as is Faust's way, and not what every state still needs. A test must see it lose records.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.core.events import Inbound
from app.pipeline import STAGES
from app.runtime.codec import decode, encode
from app.runtime.faust_worker import App
from app.runtime.partition import Partition, StateLog
from app.runtime.ports import Entry
from app.runtime.process import Process
from app.runtime.shell import Inputs


class Naive:
    """Takes one event after the other."""

    def __init__(self, name: str, process: Process) -> None:
        self._stage = next(stage for stage in STAGES if stage.name == name)
        self._log = process.log_of_records
        self._states = StateLog(self._stage, self._log, "main", "plain")
        self._owned: dict[int, Partition] = {}

    def forget(self, *_: object, **__: object) -> None:
        self._owned = {}

    async def take(self, message: Any, topic: str) -> None:
        if message.partition not in self._owned:
            token = await self._states.claim(message.partition)
            self._owned[message.partition] = (await self._states.load(message.partition, token))[0]
        partition, key = self._owned[message.partition], message.key.decode()
        machine = partition.machines.setdefault(key, self._stage.machine(key, None))
        inbound = Inbound(decode(message.value), topic, message.partition, message.offset)
        before = machine.revision
        outputs = machine.take(inbound)
        await self._log.append(
            [Entry(each.topic, each.key.encode(), encode(each.message)) for each in outputs]
        )
        if machine.revision != before:
            await self._log.append([self._states.state_entry(partition, key)])


def install(stage: str) -> None:
    """Let a worker run one stage that way."""
    make = Process._app

    def chosen(
        process: Process, name: str, inputs: tuple[str, ...], maker: Callable[[Any], Any]
    ) -> Any:
        if name != stage:
            return make(process, name, inputs, maker)
        return _app(process, name, inputs)

    Process._app = chosen  # type: ignore[assignment, method-assign]


def _app(process: Process, name: str, inputs: tuple[str, ...]) -> App:
    kafka = process._settings.kafka
    app = App(
        kafka.prefix + name,
        broker=[f"kafka://{server}" for server in kafka.bootstrap.split(",")],
        store="memory://",
        Topic=Inputs,
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_session_timeout=kafka.session_timeout,
        broker_heartbeat_interval=kafka.session_timeout / 4,
        broker_commit_interval=1.0,
        web_enabled=False,
        beacon=process.beacon,
    )
    naive = Naive(name, process)
    app.on_partitions_revoked.connect(naive.forget)
    channel = app.topic(
        *(kafka.prefix + topic for topic in inputs),
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
    )

    @app.agent(channel, name=name)  # type: ignore[untyped-decorator]
    async def agent(stream: Any) -> None:
        async for event in stream.events():
            await naive.take(event.message, event.message.topic.removeprefix(kafka.prefix))

    return app
