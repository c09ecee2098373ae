"""The settings every Faust app is created with, each with its reason."""

from __future__ import annotations

import os
from typing import Any

from faust import SASLCredentials, SSLCredentials

from app.config import Settings
from app.runtime.faust_worker import Worker

NEVER = 10 * 365 * 86_400.0  # seconds


def _credentials(security: dict[str, Any]) -> Any:
    """Return how Faust proves who it is, from what aiokafka's own clients are given."""
    context = security.get("ssl_context")
    if "sasl_mechanism" in security:
        return SASLCredentials(
            username=security["sasl_plain_username"],
            password=security["sasl_plain_password"],
            mechanism=security["sasl_mechanism"],
            ssl_context=context,
        )
    return SSLCredentials(context) if context else None


def faust_settings(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments for `faust.App`."""
    return {
        "broker": [f"kafka://{server}" for server in settings.kafka.bootstrap.split(",")],
        "broker_credentials": _credentials(settings.kafka.security()),
        "store": "memory://",  # no Faust tables: their recovery loses and doubles records
        "datadir": os.devnull,  # nothing is kept: there are no tables
        "Worker": Worker,
        "processing_guarantee": "at_least_once",  # its exactly_once is not atomic over our topics
        "stream_wait_empty": False,  # we never acknowledge through Faust, so it would wait for ever
        "stream_buffer_maxsize": 4,  # an event only sets an agent to work
        "broker_max_poll_records": 2000,  # bounds what one answer holds, and so do
        "consumer_max_fetch_size": 256 * 1024,  # bytes of a partition: nine readers have one each
        "broker_commit_interval": 3600.0,  # Faust has nothing to commit; the shell commits
        "broker_commit_livelock_soft_timeout": NEVER,  # so it can't judge livelocks either,
        "stream_processing_timeout": NEVER,  # nor streams; our watchdog knows who is stuck
        "broker_session_timeout": settings.kafka.session_timeout,  # a dead worker's partitions move
        "broker_heartbeat_interval": settings.kafka.session_timeout / 4,
        "broker_request_timeout": 86400.0,  # bounds an assignment, where a sink may wait for hours;
        # the shell sets the consumer's own request timeout
        "broker_rebalance_timeout": 30.0,
        "broker_max_poll_interval": 86400.0,  # a sink may wait hours for its database
        "consumer_auto_offset_reset": "earliest",
        "topic_disable_leader": True,  # no leader: a group decides who owns what
        "topic_allow_declare": False,  # topics are declared in topics/
        "table_standby_replicas": 0,
        "producer_request_timeout": 30.0,
        "web_enabled": False,  # its table and router pages are open to anyone
        "worker_redirect_stdouts": False,
    }
