"""Words for the `tiger` CLI enter; what it printed and its exit code leave, never a secret.

It is started with an environment of its own, without a terminal and without input, so that no
configuration of the user's, no keyring and no question can change what it does; and it is asked to
end before it is killed, because what it prints last says which copy it has begun.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import ConfigurationError
from app.forks.backend import BackendRefusedError, BackendUnavailableError

PUBLIC_KEY = "TIGER_PUBLIC_KEY"
SECRET_KEY = "TIGER_SECRET_KEY"  # noqa: S105 - the name of a variable
API_URL = "TIGER_API_URL"
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
PASSED_ON = ("PATH", *PROXIES, *map(str.lower, PROXIES), "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables of ours that it sees: where programs are, and how the network is reached."""

QUIET = {
    "TIGER_PASSWORD_STORAGE": "none",  # a keyring may not be there, and a file would be plain text
    "TIGER_ANALYTICS": "false",
    "DO_NOT_TRACK": "1",
    "TIGER_VERSION_CHECK": "false",
    "TIGER_COLOR": "false",
    "TIGER_READ_ONLY": "false",  # a user's `true` would leave forks that can't be deleted
    "CI": "1",
}

CALL_SECONDS = 75.0
"""A call asks twice who we are, 10 s each at most, and once for what it does, 30 s."""
LAST_WORDS_SECONDS = 10.0

REFUSALS = {3: "did not accept it", 4: "did not accept the keys", 5: "does not allow it"}
NOT_FOUND = 6
HIDDEN = "…"
LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Keys:
    """Who we are to Tiger Cloud.

    Attributes:
        public: The public key.
        secret: The secret key; never shown.
        api: Another address of the API; none: the vendor's.
    """

    public: str
    secret: str = field(repr=False)
    api: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Keys:
        """Return the keys as the CLI itself names them; raises ConfigurationError."""
        missing = [name for name in (PUBLIC_KEY, SECRET_KEY) if not environment.get(name)]
        if missing:
            raise ConfigurationError(
                f"the environment: {' and '.join(missing)} must be set to use forks of Tiger "
                f"Cloud: make keys in its console under project settings, client credentials."
            )
        return cls(environment[PUBLIC_KEY], environment[SECRET_KEY], environment.get(API_URL))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to.

    Attributes:
        code: Its exit code; negative where a signal ended it.
        output: What it printed as its answer; it may hold a password, so it is never shown.
        remarks: What it told people, with every secret of ours hidden.
    """

    code: int
    output: str = field(repr=False)
    remarks: str

    def reason(self) -> str:
        """Return the last thing it said, for a sentence."""
        lines = [line.strip() for line in self.remarks.splitlines() if line.strip()]
        said = lines[-1] if lines else "nothing was said"
        return f"exit code {self.code}: {said[:LONGEST_REASON]}"


class TigerCommand:
    """Runs the CLI.

    Args:
        path: The program, as a path or a name that PATH knows.
        keys: Who we are.
        seconds: How long one call may take.
    """

    def __init__(self, path: str, keys: Keys, seconds: float = CALL_SECONDS) -> None:
        self._path = path
        self._keys = keys
        self._seconds = seconds
        self._home: tempfile.TemporaryDirectory[str] | None = None

    def close(self) -> None:
        """Remove the folder it was given as a home."""
        if self._home is not None:
            self._home.cleanup()
            self._home = None

    async def call(
        self, *words: str, password: str | None = None, anonymous: bool = False
    ) -> Answer:
        """Run it once and return what it came to, whatever that was.

        Args:
            words: Its arguments; no secret, others can see them.
            password: One that it shall set.
            anonymous: Leave out the keys: with them even `version` asks the API.

        Raises:
            BackendRefusedError: There is no such program.
        """
        environment = self._environment(anonymous=anonymous)
        if password is not None:
            environment["TIGER_NEW_PASSWORD"] = password
        try:
            process = await asyncio.create_subprocess_exec(
                self._path,
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment,
                start_new_session=True,  # an interrupt from the terminal is for us to pass on
            )
        except OSError as error:
            raise BackendRefusedError(
                f"{self._path} could not be started ({error.strerror}): install the tiger CLI "
                f"(github.com/timescale/tiger-cli), or set forks.tiger to where it is."
            ) from error
        output, remarks = await self._communicate(process)
        return Answer(
            process.returncode if process.returncode is not None else -1,
            output.decode(errors="replace"),
            self._hide(remarks.decode(errors="replace"), password),
        )

    async def ask(self, *words: str, password: str | None = None) -> str:
        """Run it once and return what it printed.

        Raises:
            NotFoundError: There is no such service.
            BackendRefusedError: It was refused.
            BackendUnavailableError: Anything else; the outcome is unknown.
        """
        answer = await self.call(*words, password=password)
        if answer.code == 0:
            return answer.output
        raise failure(words, answer)

    async def _communicate(self, process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
        talk = asyncio.ensure_future(process.communicate())
        try:
            await asyncio.wait({talk}, timeout=self._seconds)
        finally:
            if not talk.done():
                await asyncio.shield(_end(process, talk))
        return await talk

    def _environment(self, *, anonymous: bool) -> dict[str, str]:
        if self._home is None:
            self._home = tempfile.TemporaryDirectory(prefix="lockstep-tiger-")
        ours = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        home = {"HOME": self._home.name, "TIGER_CONFIG_DIR": str(Path(self._home.name) / "tiger")}
        keys = {} if anonymous else {PUBLIC_KEY: self._keys.public, SECRET_KEY: self._keys.secret}
        api = {} if self._keys.api is None else {API_URL: self._keys.api}
        return {**ours, **home, **QUIET, **keys, **api}

    def _hide(self, text: str, password: str | None) -> str:
        for secret in (self._keys.secret, password):
            if secret:
                text = text.replace(secret, HIDDEN)
        return text


class NotFoundError(BackendRefusedError):
    """There is no service with that id."""


async def _end(
    process: asyncio.subprocess.Process, talk: asyncio.Future[tuple[bytes, bytes]]
) -> None:
    """Ask a process to end, let it say its last words, and only then kill it."""
    process.terminate()
    await asyncio.wait({talk}, timeout=LAST_WORDS_SECONDS)
    if not talk.done():
        process.kill()
        await asyncio.wait({talk}, timeout=LAST_WORDS_SECONDS)


def failure(words: Sequence[str], answer: Answer) -> BackendRefusedError | BackendUnavailableError:
    """Return the error for an answer that is none."""
    called = "tiger " + " ".join(words[:3])
    if answer.code == NOT_FOUND:
        return NotFoundError(f"Tiger Cloud knows no such service (`{called}`).")
    if answer.code in REFUSALS:
        return BackendRefusedError(
            f"Tiger Cloud {REFUSALS[answer.code]} (`{called}`, {answer.reason()}): see "
            f"docs/forks.md."
        )
    return BackendUnavailableError(f"Tiger Cloud gave no answer (`{called}`, {answer.reason()}).")
