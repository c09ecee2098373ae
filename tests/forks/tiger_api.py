"""A fake of Tiger Cloud's API, with faults that a test asks for."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

PROJECT = "project1"
PUBLIC = "public-key"
SECRET = "secret-key-that-nobody-may-see"  # noqa: S105
SOURCE = "source0001"

Fault = Callable[[web.Request, "Act"], Awaitable[web.StreamResponse]]
Act = Callable[[], Awaitable[web.StreamResponse]]


@dataclass
class Service:
    """A service and what it goes through.

    Attributes:
        ahead: The statuses that each further look at it shows; the last one stays.
        deleting: How many looks it stays in DELETING; -1: for ever.
    """

    id: str
    name: str
    password: str
    ahead: list[str]
    origin: dict[str, Any] | None = None
    environment: str = "DEV"
    deleting: int = 1
    endpoint: bool = True
    status: str = ""
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    def look(self) -> bool:
        """Let it go on, as it does however it is looked at; tell whether it is still there."""
        if self.ahead:
            self.status = self.ahead.pop(0)
        if self.status == "DELETING" and self.deleting >= 0:
            self.deleting -= 1
            return self.deleting >= 0
        return True

    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "service_id": self.id,
            "project_id": PROJECT,
            "name": self.name,
            "region_code": "eu-central-1",
            "service_type": "TIMESCALEDB",
            "created": self.created,
            "status": self.status,
            "resources": [{"id": "1", "spec": {"cpu_millis": 500, "memory_gbs": 2}}],
            "metadata": {"environment": self.environment},
        }
        if self.origin is not None:
            found["forked_from"] = {"project_id": PROJECT, **self.origin}
        if self.endpoint:
            found["endpoint"] = {"host": f"{self.id}.example", "port": 5432}
        return found


class TigerApi:
    """The API and all it holds.

    Attributes:
        services: By id.
        faults: By what is asked (fork, get, list, delete, password, auth): what the next requests
            meet, in order.
        asked: What was asked, in order, with the id.
        deleted: The ids whose deletion was asked for and accepted.
        forks: What the next forks go through, instead of the usual.
    """

    def __init__(self) -> None:
        self.services: dict[str, Service] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.passwords: dict[str, str] = {}
        self.usual = ["CONFIGURING", "READY"]
        self.endpoint = True
        self.deleting = 1
        self.url = ""
        self.add(Service(SOURCE, "production", "pw", [], environment="PROD", status="READY"))

    def add(self, service: Service) -> Service:
        self.services[service.id] = service
        self.passwords[service.id] = service.password
        return service

    def forks(self) -> list[Service]:
        return [item for item in self.services.values() if item.name.startswith("fm-")]

    def fork(self, name: str, /, *, source: str = SOURCE, **fields: Any) -> Service:
        """Add a fork as if somebody had made it."""
        origin = {"service_id": source, "is_standby": False}
        made = Service(secrets.token_hex(5), name, "pw", [], origin, status="READY")
        for key, value in fields.items():
            setattr(made, key, value)
        return self.add(made)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[TigerApi]:
        app = web.Application()
        base = f"/projects/{PROJECT}/services"
        app.add_routes(
            [
                web.get("/auth/info", self._route("auth", self._auth)),
                web.get(base, self._route("list", self._list)),
                web.get(base + "/{id}", self._route("get", self._get)),
                web.delete(base + "/{id}", self._route("delete", self._delete)),
                web.post(base + "/{id}/forkService", self._route("fork", self._fork)),
                web.post(base + "/{id}/updatePassword", self._route("password", self._password)),
            ]
        )
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def _route(
        self, name: str, answer: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            expected = base64.b64encode(f"{PUBLIC}:{SECRET}".encode()).decode()
            self.asked.append((name, request.match_info.get("id", "")))
            if request.headers.get("Authorization") != f"Basic {expected}":
                return error(401, "UNAUTHORIZED", "invalid or missing authentication credentials")
            queue = self.faults.get(name)
            if queue:
                return await queue.pop(0)(request, lambda: answer(request))
            return await answer(request)

        return handle

    async def _auth(self, _: web.Request) -> web.StreamResponse:
        key = {
            "public_key": PUBLIC,
            "name": "test",
            "created": "2026-01-01T00:00:00Z",
            "project": {"id": PROJECT, "name": "p", "plan_type": "paid"},
            "issuing_user": {"id": "1", "name": "n", "email": "e@example.org"},
        }
        return web.json_response({"type": "apiKey", "apiKey": key})

    async def _list(self, _: web.Request) -> web.StreamResponse:
        self.services = {name: item for name, item in self.services.items() if item.look()}
        return web.json_response([item.document() for item in self.services.values()])

    async def _get(self, request: web.Request) -> web.StreamResponse:
        service = self.services.get(request.match_info["id"])
        if service is None:
            return not_found()
        if not service.look():
            del self.services[service.id]
            return not_found()
        return web.json_response(service.document())

    async def _fork(self, request: web.Request) -> web.StreamResponse:
        source = self.services.get(request.match_info["id"])
        if source is None:
            return not_found()
        body = await request.json()
        self.bodies.append(body)
        origin = {"service_id": source.id, "is_standby": False}
        made = Service(
            secrets.token_hex(5),
            body["name"],
            secrets.token_hex(8),
            list(self.usual),
            origin,
            environment=body["environment_tag"],
            deleting=self.deleting,
            endpoint=self.endpoint,
        )
        self.add(made)
        document = {**made.document(), "initial_password": made.password}
        made.endpoint = True
        return web.json_response(document, status=202)

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        service = self.services.get(request.match_info["id"])
        if service is None:
            return not_found()
        self.deleted.append(service.id)
        service.status, service.ahead = "DELETING", []
        return web.json_response(service.document(), status=202)

    async def _password(self, request: web.Request) -> web.StreamResponse:
        service = self.services.get(request.match_info["id"])
        if service is None:
            return not_found()
        self.passwords[service.id] = (await request.json())["password"]
        return web.Response(status=204)


def error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message}, status=status)


def not_found() -> web.Response:
    return error(404, "SERVICE_NOT_FOUND", "no such service")


def refusing(status: int, message: str = "for the test") -> Fault:
    """Answer so, and do nothing."""

    async def fault(_: web.Request, __: Act) -> web.StreamResponse:
        return error(status, "X", message)

    return fault


def losing(seconds: float = 0.0) -> Fault:
    """Do it, after a while, and cut the connection instead of answering."""

    async def fault(request: web.Request, act: Act) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        await act()
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return fault


def cutting() -> Fault:
    """Cut the connection and do nothing."""

    async def fault(request: web.Request, _: Act) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return fault


def holding(reached: asyncio.Event, go: asyncio.Event) -> Fault:
    """Say that it was reached, then wait to be let on."""

    async def fault(request: web.Request, act: Act) -> web.StreamResponse:
        await request.read()  # the connection may be gone by then
        reached.set()
        await go.wait()
        return await act()

    return fault


def telling(event: asyncio.Event) -> Fault:
    """Do it, and say that it was done."""

    async def fault(_: web.Request, act: Act) -> web.StreamResponse:
        answer = await act()
        event.set()
        return answer

    return fault
