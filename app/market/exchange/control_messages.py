"""A client's JSON text comes in; the request it makes, or the error frame it earns, goes out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

RequestId = int | str | None

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_NAME = re.compile(r"[0-9A-Za-z_\-]{0,36}")
_VARIANTS = ", ".join(f"`{method}`" for method in METHODS)
_INT64 = 2**63
_MISSING = object()


class ControlError(Exception):
    """A control message can't be served.

    Attributes:
        code: the exchange's code: 0 property, 1 value, 2 request, 3 JSON, 4 too many streams.
        message: the exchange's text.
        request_id: the request's id, or None if it is not known.
        has_id: whether the error frame repeats the id.
    """

    def __init__(
        self, code: int, message: str, request_id: RequestId = None, *, has_id: bool = True
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.request_id = request_id
        self.has_id = has_id

    def render(self, *, nested: bool) -> str:
        """Render the error frame, flat as documented or nested as production has sent."""
        error = {"code": self.code, "msg": self.message}
        identity = {"id": self.request_id} if self.has_id else {}
        return json.dumps({"error": error} | identity if nested else error | identity)


@dataclass(frozen=True, slots=True)
class Request:
    """A well-formed control request.

    Attributes:
        method: one of `METHODS`.
        params: stream names for (UN)SUBSCRIBE, a property and perhaps its value for the others.
        request_id: echoed in the reply.
    """

    method: str
    params: tuple[object, ...]
    request_id: RequestId

    def refuse(self, code: int, message: str) -> ControlError:
        """Return the error that answers this request."""
        return ControlError(code, message, self.request_id)

    def names(self) -> list[str]:
        """Return the parameters as stream names.

        Raises:
            ControlError: one of them is not a string.
        """
        if not all(isinstance(param, str) for param in self.params):
            raise self.refuse(2, "Invalid request: invalid type: expected a string")
        return [str(param) for param in self.params]


def reply(request: Request, result: object) -> str:
    """Render the answer to a request; a result of None is success."""
    return json.dumps({"result": result, "id": request.request_id})


def parse_request(text: str) -> Request:
    """Read a control message.

    Raises:
        ControlError: it is not JSON, or not a request.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid_json(error) from error
    if not isinstance(message, dict):
        raise ControlError(2, "Invalid request: invalid type: expected a request", has_id=False)
    request_id = _request_id(message)
    method = _method(message, text, request_id)
    params = message.get("params", _MISSING)
    if method == "LIST_SUBSCRIPTIONS":
        if params not in (_MISSING, None, []):
            raise ControlError(2, "Invalid request: too many parameters", request_id)
        return Request(method, (), request_id)
    if not isinstance(params, list):
        raise _missing("params", text, request_id)
    return Request(method, tuple(params), request_id)


def _invalid_json(error: Exception) -> ControlError:
    line, column = (
        (error.lineno, error.colno) if isinstance(error, json.JSONDecodeError) else (1, 1)
    )
    return ControlError(
        3, f"Invalid JSON: expected value at line {line} column {column}", has_id=False
    )


def _request_id(message: dict[str, object]) -> RequestId:
    request_id = message.get("id", _MISSING)
    number = isinstance(request_id, int) and not isinstance(request_id, bool)
    if isinstance(request_id, int) and number and -_INT64 <= request_id < _INT64:
        return request_id
    if request_id is None or (isinstance(request_id, str) and _NAME.fullmatch(request_id)):
        return request_id
    raise ControlError(2, "Invalid request: request ID must be an unsigned integer", has_id=False)


def _method(message: dict[str, object], text: str, request_id: RequestId) -> str:
    if "method" not in message:
        raise _missing("method", text, request_id)
    method = message["method"]
    if method not in METHODS:
        column = text.find(json.dumps(method)) + len(json.dumps(method))
        raise ControlError(
            2,
            f"Invalid request: unknown variant `{method}`, expected one of {_VARIANTS} "
            f"at line 1 column {column}",
            request_id,
        )
    return str(method)


def _missing(field: str, text: str, request_id: RequestId) -> ControlError:
    return ControlError(
        2, f"Invalid request: missing field `{field}` at line 1 column {len(text)}", request_id
    )
