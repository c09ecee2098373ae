"""A client that could not talk to its brokers enters; why, in one sentence, leaves.

The client logs why a connection failed and raises something else; so the question is put again, by
a bare connection that hides nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from app.errors import UnreachableError

PATIENCE_MS = 5_000
PLAIN = "PLAINTEXT"
CUT = (ssl.SSLError, ConnectionResetError, KafkaConnectionError, IllegalSaslStateError)
"""What a port that speaks something else does to us, or we to it."""

Security = Mapping[str, Any]
"""What every client is told about encryption and who it is; see `config_sections.Kafka`."""


@contextlib.asynccontextmanager
async def spoken(bootstrap: str, security: Security) -> AsyncIterator[None]:
    """Turn the errors of a client into sentences.

    Raises:
        UnreachableError: No broker answered, none is to be trusted, or one refused us.
    """
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    # What a broker broke off stays in a future of the client that nobody asks, and whose end,
    # maybe long after our sentence, would show a traceback.
    loop.set_exception_handler(_without_what_was_broken_off)
    try:
        yield
        loop.set_exception_handler(before)
    except (KafkaConnectionError, NodeNotReadyError, OSError) as error:
        raise await unreachable(bootstrap, security, error) from error
    except KafkaError as error:
        raise UnreachableError(
            f"the Kafka broker at {bootstrap} refused ({error}): docs/security.md says what a user "
            f"must be allowed to do."
        ) from error


def _without_what_was_broken_off(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), OSError):
        loop.default_exception_handler(context)


async def unreachable(bootstrap: str, security: Security, error: BaseException) -> UnreachableError:
    """Ask each broker once more, and return why none could be used."""
    found = [
        await _refusal(host, port, security)
        for host, port, _ in collect_hosts(bootstrap, randomize=False)
    ]
    reasons = [reason for reason in found if reason is not None]
    if len(reasons) < len(found):
        return UnreachableError(
            f"the Kafka broker at {bootstrap} answered, but then none could be used ({error}): try "
            f"again, and correct advertised.listeners there if that does not help."
        )
    # That one is down is no news where another refuses us.
    reasons.sort(key=lambda reason: isinstance(reason, ConnectionRefusedError))
    return UnreachableError(_sentence(bootstrap, security, reasons[0]) + ".")


async def _refusal(host: str, port: int, security: Security) -> Exception | None:
    try:
        connection = await create_conn(host, port, request_timeout_ms=PATIENCE_MS, **security)
        try:
            # Where a certificate or a password is wanted and none was given, only this fails.
            await connection.send(MetadataRequest([]))
        finally:
            connection.close()
    except (OSError, TimeoutError, KafkaError) as error:
        return error
    return None


def _sentence(bootstrap: str, security: Security, error: Exception) -> str:
    broker = f"the Kafka broker at {bootstrap}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"{broker} showed a certificate that can't be trusted ({error.verify_message}): "
            f"correct kafka.bootstrap, or kafka.cafile to name the authority that signed it"
        )
    if isinstance(error, SaslAuthenticationFailed):
        return (
            f"{broker} refused the password of user {security['sasl_plain_username']}: correct "
            f"kafka.username and LOCKSTEP_KAFKA__PASSWORD"
        )
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"{broker} does not take {security['sasl_mechanism']}: correct kafka.sasl_mechanism"
    if isinstance(error, CUT):
        return (
            f"{broker} broke the connection off: kafka.security_protocol was "
            f"{security.get('security_protocol', PLAIN)}, must be what that port speaks, with "
            f"kafka.certfile where it asks for a certificate"
        )
    return (
        f"no Kafka broker answered at {bootstrap} ({error}): start one with `lockstep up`, or set "
        f"kafka.bootstrap (LOCKSTEP_KAFKA__BOOTSTRAP)"
    )
