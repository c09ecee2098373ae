"""A file of settings, or the environment's variables, enter; values leave, or what is wrong."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from app.errors import ConfigurationError

PREFIX = "LOCKSTEP_"
PASSWORD = "password"  # noqa: S105 - the name of a key, not a password
PASSWORD_FILE = "password_file"  # noqa: S105 - the same
SECRETS = (PASSWORD, "webhook", "telegram_token")
"""What may stand in the environment only; of these, a password may stand in a file of its own."""


class _Loader(yaml.SafeLoader):
    """YAML whose numbers stay text, so that no decimal passes through a float."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's own
        """Return a mapping; refuse a key that stands twice, which YAML would let the last win."""
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise yaml.MarkedYAMLError(
                    None, None, f"{name} stands there twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


for _kind in ("float", "int", "timestamp"):
    yaml.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.construct_yaml_str, _Loader)


def read_yaml(file: Path, path: str = "") -> dict[str, Any]:
    """Return what a file holds; `path` is where its keys belong. Raises ConfigurationError."""
    try:
        document = yaml.load(file.read_text(), _Loader) or {}  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{file} could not be read ({error}): point {PREFIX}CONFIG at a folder with app.yaml "
            f"and database.yaml."
        ) from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file} is not YAML: {_problem(error)}.") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{file} held a {type(document).__name__}, must be keys.")
    _refuse_secrets(file, path, document)
    return document


def _problem(error: yaml.YAMLError) -> str:
    """Return what is wrong, and the line and column where the reader saw it."""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
    mark = getattr(error, "problem_mark", None)
    place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{problem}{place}"


def _refuse_secrets(file: Path, path: str, document: Mapping[str, Any]) -> None:
    for key, value in document.items():
        if key in SECRETS:
            variable = _variable(f"{path}{key}".split("."))
            file_too = f", or name a file that holds it in {path}{PASSWORD_FILE}"
            raise ConfigurationError(
                f"{file}: {path}{key} must not stand in a file of settings; set {variable}"
                f"{file_too if key == PASSWORD else ''}."
            )
        if isinstance(value, dict):
            _refuse_secrets(file, f"{path}{key}.", value)


def refuse_unknown_variables(known: Mapping[str, Any]) -> None:
    """Refuse a variable that was meant for us and would be passed over in silence."""
    for variable in os.environ:
        head, nested, _ = variable.removeprefix(PREFIX).lower().partition("__")
        if variable.startswith(PREFIX) and nested and head not in known:
            raise ConfigurationError(
                f"the environment: {variable} is unknown{suggest(head, known)}"
            )


def _variable(path: Sequence[str]) -> str:
    return PREFIX + "__".join(path).upper()


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: the nearest one, or all there are."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f": did you mean {near[0]}?" if near else f"; known are {', '.join(known)}."
