"""Every request enters before any route; those that may go on leave, and each answer's headers."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.dashboard.access import COOKIE, Door, TooManyTriesError, from_elsewhere
from app.dashboard.answers import refusal, too_many
from app.dashboard.errors import BAD_NAME, REFUSED, SIGNED_OUT, AnswerError

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
        "object-src 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
OPEN_API = "/api/session"
GUARDED = ("/api", "/metrics", "/openapi.json")
LARGEST_BODY = 65_536
TOO_LARGE = 413
NOT_JSON = 415
BEARER = "bearer "


class Guard:
    """Stands before the routes, so that none can forget what every one needs.

    Args:
        inner: The application.
        door: Knows secrets and sessions.
        hosts: The names we may be called by.
    """

    def __init__(self, inner: ASGIApp, door: Door, hosts: Collection[str]) -> None:
        self._inner, self._door, self._hosts = inner, door, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._inner(scope, receive, send)
            return
        answering = _with_headers(send)
        try:
            self._check(scope)
            await self._inner(scope, _limited(receive), answering)
        except AnswerError as error:
            await refusal(error)(scope, receive, answering)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if _name(headers.get("host", "")) not in self._hosts:
            raise AnswerError(BAD_NAME, "this is no name of this dashboard: see dashboard.hosts.")
        if from_elsewhere(scope["method"], headers):
            raise AnswerError(REFUSED, "this came from a page of another site.")
        _check_body(scope["method"], headers)
        if needs_secret(scope["path"]) and not self._admits(scope, headers):
            sentence = "sign in first: by the printed link, the password, or a Bearer token."
            raise AnswerError(SIGNED_OUT, sentence)

    def _admits(self, scope: Scope, headers: Headers) -> bool:
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        if cookie and self._door.knows(cookie):
            return True
        shown = headers.get("authorization", "")
        if not shown.lower().startswith(BEARER):
            return False
        try:
            return self._door.fits(shown[len(BEARER) :].strip(), address(scope))
        except TooManyTriesError as error:
            raise too_many(error) from error


def needs_secret(path: str) -> bool:
    """Tell whether a path is answered only to who has signed in."""
    return path != OPEN_API and any(
        path == guarded or path.startswith(f"{guarded}/") for guarded in GUARDED
    )


def address(scope: Scope) -> str:
    """Return where a request comes from: the connection's other end, whatever headers claim."""
    client = scope.get("client")
    return client[0] if client else "unknown"


def names(host: str, hosts: Collection[str]) -> tuple[str, ...]:
    """Return the names a dashboard may be called by, in lower case."""
    bound = f"[{host}]" if ":" in host else host
    return tuple(name.lower() for name in (*LOOPBACK, bound, *hosts))


def _name(host: str) -> str:
    """Return a Host header without its port, in lower case."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()


def _check_body(method: str, headers: Headers) -> None:
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > LARGEST_BODY:
        raise _too_large()
    has_body = length != "0" or "transfer-encoding" in headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if method == "POST" and has_body and kind != "application/json":
        raise AnswerError(NOT_JSON, "the body must be JSON, with Content-Type: application/json.")


def _limited(receive: Receive) -> Receive:
    """Return a receiver that refuses a body which grows too large without having said so."""
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > LARGEST_BODY:
            raise _too_large()
        return message

    return limited


def _too_large() -> AnswerError:
    return AnswerError(TOO_LARGE, f"the body must be at most {LARGEST_BODY} bytes.")


def _with_headers(send: Send) -> Send:
    async def answering(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return answering
