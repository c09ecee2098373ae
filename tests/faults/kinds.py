"""Every kind of fault by its name, and who must be there to be struck."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from tests.faults import on_broker, on_database, on_exchange, on_topics, on_workers
from tests.faults.points import POINTS
from tests.faults.site import Site
from tests.storage.proxy import COMMIT_REQUEST, COMMITTED

Fault = Callable[[Site], Awaitable[bool]]
"""Strikes; returns whether that met work."""

COPY = "amid the sink's COPY"

WORKERS: dict[str, Fault] = {
    "worker killed": on_workers.worker_killed,
    **{f"worker killed {point}": partial(on_workers.killed_at, point=point) for point in POINTS},
    "worker frozen past its session": on_workers.worker_frozen,
    "worker frozen between two effects": partial(
        on_workers.frozen_at,
        points=[point for point in POINTS if point not in {"after claim", COPY}],
    ),
    f"worker frozen {COPY}": partial(on_workers.frozen_at, points=[COPY]),
    "second worker joins and leaves": on_workers.joins_and_leaves,
    "second worker joins and is killed": on_workers.joins_and_is_killed,
    "second worker joins, the first is killed": on_workers.joins_while_the_first_is_killed,
    "worker's step raises": on_workers.step_raises,
    "worker's clock steps by hours": on_workers.clock_steps,
    "worker starts with a clock wrong by hours": on_workers.starts_with_a_wrong_clock,
}
BROKER: dict[str, Fault] = {
    "broker killed": on_broker.broker_killed,
    "broker silent": on_broker.broker_silent,
    "broker unreachable for a minute": on_broker.broker_unreachable,
}
TOPICS: dict[str, Fault] = {
    "broker refuses appends": on_broker.appends_refused,
    "consumer groups reset": on_broker.groups_reset,
    **{
        f"foreign bytes on {topic}": partial(on_topics.foreign_bytes, topic=topic)
        for topic in on_topics.KEYS
    },
}
DATABASE: dict[str, Fault] = {
    "database connections killed": on_database.connections_killed,
    "database refuses connections": on_database.database_refuses,
    "database refuses connections for a minute": on_database.database_refuses_for_a_minute,
    "database silent": on_database.database_silent,
    "database silent for a minute": on_database.database_silent_for_a_minute,
    "database slow": on_database.database_slow,
    "database full": partial(on_database.taken_back, code="53100"),
    "database can't serialise": partial(on_database.taken_back, code="40001"),
    "database deadlock": on_database.deadlock,
    "COMMIT lost": partial(on_database.commit_lost, way="asked", message=COMMIT_REQUEST),
    "COMMIT's answer lost": partial(on_database.commit_lost, way="answered", message=COMMITTED),
    "database put back to an older copy": on_database.older_database,
}
POSTGRES: dict[str, Fault] = {"database server killed": on_database.database_killed}
EXCHANGE: dict[str, Fault] = {
    "exchange cuts connections": on_exchange.connection_cut,
    "exchange closes connections": on_exchange.connection_closed,
    "exchange cuts after 24 hours": on_exchange.connection_outlived,
    "exchange shuts down": on_exchange.shutdown_announced,
    "exchange stalls": on_exchange.stream_stalls,
    "exchange sends garbage": on_exchange.garbage,
    "exchange skips trades": partial(on_exchange.shaped, name="skip", field="skip", least=1),
    "exchange repeats trades": partial(
        on_exchange.shaped, name="duplicate", field="repeat", least=1
    ),
    "exchange sends trades out of order": partial(
        on_exchange.shaped, name="reorder", field="reorder", least=2
    ),
    "exchange sends trades late": partial(on_exchange.shaped, name="delay", field="delay", least=1),
    "exchange loses trades": on_exchange.trades_lost,
    "REST answers 418": partial(on_exchange.rest_answers, statuses=[on_exchange.BANNED]),
    "REST answers 429": partial(on_exchange.rest_answers, statuses=[429]),
    "REST fails": partial(on_exchange.rest_answers, statuses=[500, 502, 503, 403]),
    "REST behind": on_exchange.rest_behind,
}
KINDS = WORKERS | BROKER | TOPICS | DATABASE | POSTGRES | EXCHANGE
