"""HTTP requests to `/control` come in; faults happen, the clock stands or goes, state goes out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, get_type_hints

import orjson
from aiohttp import web
from pydantic import ConfigDict, TypeAdapter, ValidationError

Command = Callable[..., None]


class Control:
    """Takes commands as `POST /control/{command}` with a JSON object of arguments.

    Args:
        commands: what can be called, by name.
        state: what `GET /control` shows beside the commands.
    """

    def __init__(
        self, commands: Mapping[str, Command], state: Callable[[], dict[str, object]]
    ) -> None:
        self._commands = commands
        self._state = state

    async def show(self, _: web.Request) -> web.Response:
        """Answer with the state and the commands, each with its parameters."""
        commands = {
            name: str(inspect.signature(command)) for name, command in self._commands.items()
        }
        return _answer({"state": self._state(), "commands": commands})

    async def command(self, request: web.Request) -> web.Response:
        """Carry out a command, or say in one sentence why it can't be."""
        name = request.match_info["command"]
        command = self._commands.get(name)
        if command is None:
            known = ", ".join(self._commands)
            return _refusal(f"there is no command {name!r}; use one of {known}")
        try:
            command(**_arguments(command, await request.read()))
        except (TypeError, ValueError, KeyError, IndexError) as error:
            return _refusal(f"{name} can't be done: {error!r}; GET /control shows its parameters")
        return _answer({"done": name})


def _arguments(command: Command, body: bytes) -> dict[str, Any]:
    arguments = orjson.loads(body) if body else {}
    if not isinstance(arguments, dict):
        raise TypeError("the body is not a JSON object")
    inspect.signature(command).bind(**arguments)
    hints = get_type_hints(command)
    return {name: _checked(hints[name], value) for name, value in arguments.items()}


def _checked(hint: Any, value: Any) -> Any:
    try:
        return TypeAdapter(hint, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"]) from error


def _answer(content: dict[str, object], status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")


def _refusal(reason: str) -> web.Response:
    return _answer({"error": reason}, HTTPStatus.BAD_REQUEST)
