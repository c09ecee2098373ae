"""Secrets that people show enter; who may go on leaves, and sessions that stand for them."""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping

COOKIE = "lockstep_session"
SESSION_SECONDS = 30 * 86_400
MOST_SESSIONS = 1_000
TRIES = 5
TRIES_OF_ALL = 30
TRY_SECONDS = 60.0
MOST_ADDRESSES = 1_000

Timer = Callable[[], float]
"""Returns seconds that only go on."""


class TooManyTriesError(Exception):
    """So many wrong secrets were shown that none is looked at for a while.

    Attributes:
        seconds: For how long.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Attempts:
    """Counts wrong secrets: of each address, and of all, so that many addresses help nobody."""

    def __init__(self, timer: Timer = time.monotonic) -> None:
        self._timer = timer
        self._of: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque()

    def check(self, address: str) -> None:
        """Raise TooManyTriesError where an address has to wait."""
        for tries, most in ((self._of.get(address), TRIES), (self._all, TRIES_OF_ALL)):
            wait = self._wait(tries, most)
            if wait > 0:
                raise TooManyTriesError(int(wait) + 1)

    def failed(self, address: str) -> None:
        """Note a wrong secret."""
        tries = self._of.setdefault(address, deque(maxlen=TRIES))
        self._of.move_to_end(address)
        tries.append(self._timer())
        self._all.append(self._timer())
        if len(self._of) > MOST_ADDRESSES:
            self._of.popitem(last=False)

    def _wait(self, tries: deque[float] | None, most: int) -> float:
        """Return for how many seconds the oldest of so many tries still counts."""
        if tries is None:
            return 0.0
        now = self._timer()
        while tries and now - tries[0] >= TRY_SECONDS:
            tries.popleft()
        return 0.0 if len(tries) < most else TRY_SECONDS - (now - tries[0])


class Door:
    """Opens to one secret, and to the sessions it gave for it.

    Args:
        secret: The password, or the token of the printed link.
        timer: Where the time comes from.
    """

    def __init__(self, secret: str, timer: Timer = time.monotonic) -> None:
        self._secret = secret.encode()
        self._timer = timer
        self._attempts = Attempts(timer)
        self._sessions: OrderedDict[str, float] = OrderedDict()

    def open(self, shown: str, address: str) -> str | None:
        """Return a new session for the right secret, None for a wrong one.

        Raises:
            TooManyTriesError: Nothing was compared.
        """
        if not self.fits(shown, address):
            return None
        session = secrets.token_urlsafe(32)
        self._sessions[session] = self._timer() + SESSION_SECONDS
        if len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def fits(self, shown: str, address: str) -> bool:
        """Tell whether a secret is right; a wrong one counts against the address.

        Raises:
            TooManyTriesError: Nothing was compared.
        """
        self._attempts.check(address)
        # Bytes: the comparison takes as long for any, and refuses text beyond ASCII.
        if hmac.compare_digest(shown.encode(errors="replace"), self._secret):
            return True
        self._attempts.failed(address)
        return False

    def knows(self, session: str) -> bool:
        """Tell whether a session was given and is not over."""
        until = self._sessions.get(session)
        if until is None or until <= self._timer():
            self.forget(session)
            return False
        return True

    def forget(self, session: str) -> None:
        """End a session; one that is not there is no error."""
        self._sessions.pop(session, None)


def from_elsewhere(method: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a request that changes something comes from another site's page.

    Browsers say `Sec-Fetch-Site` themselves, and no page can change it; older ones at least send
    `Origin`. What is neither is no browser, and carries no cookie that it was not given.

    Args:
        method: The request's.
        headers: The request's, names in lower case.
    """
    if method in ("GET", "HEAD"):
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host", "")
