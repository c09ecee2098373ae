"""Nobody gets in without the secret, by no door; a command is recorded with who and from where."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Any

import aiohttp
import pytest

from app.core.events import Command
from app.dashboard.access import COOKIE, TRIES
from app.dashboard.guard import LARGEST_BODY
from app.dashboard.serving import is_loopback, serve
from app.errors import ConfigurationError, LockstepError
from app.runtime.codec import decode
from app.runtime.kafka import KafkaLog
from app.runtime.ports import Place
from tests.dashboard.conftest import SECRET, Site, Visitor, changed, served

pytestmark = pytest.mark.integration

OPEN = {"/api/session", "/healthz", "/readyz", "/login", "/logout"}
HALT = {"command_id": "c-1", "account": "alpha", "action": "halt", "reason": "a test", "by": "ann"}


async def commands(site: Site) -> list[Command]:
    """Return every command that stands on `signals`."""
    kafka = site.settings.kafka
    log = KafkaLog(kafka.bootstrap, kafka.prefix)
    await log.start(reading_only=True)
    try:
        stored = [
            each
            for partition in range(await log.partitions("signals"))
            for each in await log.read(Place("signals", partition))
        ]
    finally:
        await log.stop()
    records = [decode(each.value).record for each in stored]
    return [record for record in records if isinstance(record, Command)]


async def test_every_route_but_the_open_ones_wants_the_secret(site: Site) -> None:
    async with site.visitor() as visitor, site.visitor(None) as stranger:
        described = await visitor.get("/openapi.json")
        routes = [
            (path, method) for path, methods in described["paths"].items() for method in methods
        ]
        for path, method in routes:
            async with stranger.session.request(
                method, re.sub(r"\{\w+\}", "fills", path), json={} if method == "post" else None
            ) as answer:
                assert (answer.status == 401) == (path not in OPEN), path
    assert len(routes) > 25


def jar() -> aiohttp.CookieJar:
    """Return what keeps cookies also of an address, as browsers do."""
    return aiohttp.CookieJar(unsafe=True)


def cookie(value: str) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={value}"}


INTRUDERS: dict[str, tuple[dict[str, str], int]] = {
    "nothing": ({}, 401),
    "an empty token": ({"Authorization": "Bearer "}, 401),
    "another scheme": ({"Authorization": f"Basic {SECRET}"}, 401),
    "an invented session": (cookie("invented"), 401),
    "the secret as a session": (cookie(SECRET), 401),
    "the secret in a query": ({}, 401),
}


@pytest.mark.parametrize("way", INTRUDERS)
async def test_no_command_without_the_secret(site: Site, way: str) -> None:
    headers, expected = INTRUDERS[way]
    before = len(await commands(site))
    path = f"/api/commands?token={SECRET}" if "query" in way else "/api/commands"
    async with site.visitor(None) as stranger:
        status, _ = await stranger.post(path, HALT, **headers)
    assert status == expected
    assert len(await commands(site)) == before


FORGERIES: dict[str, tuple[dict[str, str], int]] = {
    "another site, says the browser": ({"Sec-Fetch-Site": "cross-site"}, 403),
    "another port of this host": ({"Sec-Fetch-Site": "same-site"}, 403),
    "another origin": ({"Origin": "http://evil.example"}, 403),
    "a sandboxed frame": ({"Origin": "null"}, 403),
    "another name for this address": ({"Host": "rebound.example"}, 400),
    "a form": ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    "plain text": ({"Content-Type": "text/plain"}, 415),
}


@pytest.mark.parametrize("way", FORGERIES)
async def test_no_command_from_another_site_with_a_right_session(site: Site, way: str) -> None:
    headers, expected = FORGERIES[way]
    async with aiohttp.ClientSession(site.address) as session:
        async with session.post("/login", json={"password": SECRET}) as answer:
            assert answer.status == 204
            value = answer.cookies[COOKIE].value
        before = len(await commands(site))
        async with session.post(
            "/api/commands",
            data=b'{"command_id":"x","account":"alpha","action":"halt"}',
            headers={"Content-Type": "application/json"} | headers | cookie(value),
        ) as answer:
            assert answer.status == expected
        async with session.get("/api/commands", headers=cookie(value)) as answer:
            assert answer.status == 200  # the session itself was right
    assert len(await commands(site)) == before


async def test_a_password_gives_a_session_that_a_logout_ends(site: Site) -> None:
    async with aiohttp.ClientSession(site.address, cookie_jar=jar()) as session:
        visitor = Visitor(session)
        assert (await visitor.ask("/api/overview"))[0] == 401
        outside = await visitor.get("/api/session")
        assert (await visitor.post("/login", {"password": "not this one"}))[0] == 403
        async with session.post("/login", json={"password": SECRET}) as answer:
            flags = answer.headers["Set-Cookie"]
        told = await visitor.get("/api/session")
        assert (await visitor.ask("/api/overview"))[0] == 200
        assert (await visitor.post("/logout", None))[0] == 204
        assert (await visitor.ask("/api/overview"))[0] == 401
    assert set(outside) == {"authenticated", "link", "charts"}
    assert not outside["authenticated"]
    assert told["authenticated"]
    assert told["accounts"] == ["alpha", "beta"]
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(flags.split("; "))
    assert SECRET not in flags


async def test_the_printed_link_is_swapped_for_a_session(site: Site) -> None:
    async with aiohttp.ClientSession(site.address, cookie_jar=jar()) as session:
        async with session.get("/login?token=wrong", allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/login?refused=1"
            assert COOKIE not in answer.cookies
        async with session.get(f"/login?token={SECRET}", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")
        assert (await Visitor(session).ask("/api/overview"))[0] == 200


async def test_guessing_is_slowed_down_at_every_door(site: Site) -> None:
    async with served(site.settings) as address, aiohttp.ClientSession(address) as session:
        for number in range(TRIES):
            headers = {"Authorization": f"Bearer guess {number}"}
            async with session.get("/api/overview", headers=headers) as answer:
                assert answer.status == 401
        headers = {"Authorization": f"Bearer {SECRET}"}
        for path in ("/api/overview", f"/login?token={SECRET}"):
            async with session.get(path, headers=headers, allow_redirects=False) as answer:
                assert answer.status == 429
                assert int(answer.headers["Retry-After"]) > 0
        async with session.post("/login", json={"password": SECRET}) as answer:
            assert answer.status == 429


async def test_a_command_is_one_record_with_who_and_from_where(site: Site) -> None:
    async with site.visitor() as visitor:
        answers = await asyncio.gather(*(visitor.post("/api/commands", HALT) for _ in range(5)))
        again = await visitor.post("/api/commands", HALT)
        other = await visitor.post("/api/commands", HALT | {"action": "resume"})
    assert {status for status, _ in (*answers, again)} == {200}
    documents = [document for _, document in (*answers, again)]
    assert sorted(document.pop("repeated") for document in documents) == [False] + [True] * 5
    assert all(document == documents[0] for document in documents)
    assert documents[0]["by"] == "ann, dashboard, from 127.0.0.1"
    assert other[0] == 409
    found = [command for command in await commands(site) if command.command_id == "c-1"]
    (command,) = found
    assert (command.account, command.action, command.reason) == ("alpha", "halt", "a test")
    assert command.by == documents[0]["by"]


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"action": "flatten"}, 422),
        ({"action": "flatten", "confirm": "beta"}, 422),
        ({"account": "nobody"}, 404),
        ({"action": "buy"}, 422),
        ({"command_id": ""}, 422),
        ({"command_id": "a/b"}, 422),
        ({"reason": "x" * 501}, 422),
        ({"by": "two\nlines"}, 422),
        ({"more": 1}, 422),
    ],
)
async def test_a_wrong_command_is_refused_and_not_recorded(
    site: Site, document: dict[str, Any], status: int
) -> None:
    before = len(await commands(site))
    async with site.visitor() as visitor:
        found, answer = await visitor.post("/api/commands", HALT | {"command_id": "c-2"} | document)
    assert found == status
    assert answer["error"].endswith(".")
    assert len(await commands(site)) == before


async def test_flatten_with_the_accounts_name_is_taken(site: Site) -> None:
    wanted = HALT | {"command_id": "c-3", "action": "flatten", "confirm": "alpha"}
    async with site.visitor() as visitor:
        status, document = await visitor.post("/api/commands", wanted)
    assert (status, document["action"]) == (200, "flatten")


async def test_every_answer_forbids_what_pages_do_not_need(site: Site) -> None:
    async with site.visitor() as visitor:
        for path in ("/", "/login", "/api/overview", "/api/nothing", "/healthz", "/static/none"):
            async with visitor.session.get(path) as answer:
                headers = answer.headers
            assert headers["Content-Security-Policy"].startswith("default-src 'self'; frame-")
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "Server" not in headers


async def test_no_secret_and_no_file_from_elsewhere_leaves(site: Site) -> None:
    secrets = {SECRET, site.settings.database.storage().password}
    async with site.visitor() as visitor:
        for path in ("/api/session", "/api/overview", "/api/status", "/metrics", "/openapi.json",
                     "/readyz", "/api/nothing"):  # fmt: skip
            async with visitor.session.get(path) as answer:
                text = await answer.text()
            assert not [secret for secret in secrets if f'"{secret}"' in text], path
        for path in ("/static/../pages.py", "/static/%2e%2e/pages.py", "/static/..%2fpages.py"):
            async with visitor.session.get(aiohttp.client.URL(path, encoded=True)) as answer:
                assert answer.status == 404


async def test_a_large_body_is_refused_before_it_is_read(site: Site) -> None:
    large = b"[" + b" " * LARGEST_BODY + b"]"

    async def in_parts() -> Any:
        for start in range(0, len(large), 8192):
            yield large[start : start + 8192]

    headers = {"Content-Type": "application/json"}
    async with site.visitor() as visitor:
        async with visitor.session.post("/login", data=large, headers=headers) as answer:
            assert answer.status == 413
        async with visitor.session.post("/login", data=in_parts(), headers=headers) as answer:
            assert answer.status in (400, 413)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "dashboard.example"])  # noqa: S104 - refused
def test_others_are_not_let_in_without_a_password(site: Site, host: str) -> None:
    told: list[str] = []
    with pytest.raises(ConfigurationError, match="set a password"):
        serve(changed(site.settings, dashboard={"host": host}), told.append)
    assert told == []
    assert not is_loopback(host)


def test_an_address_that_is_taken_is_named(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LockstepError, match=f"can't listen on 127.0.0.1:{port}"):
            serve(changed(site.settings, dashboard={"port": port}), print)
