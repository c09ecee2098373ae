"""The places a user names enter; the strategies that stand there leave, in the one registry.

`LOCKSTEP_STRATEGIES` names files and folders, with colons between as in PATH. Without it the
folder `strategies` beside `app.yaml` counts, where there is one. An installed package may offer
strategies, too, as entry points of the group `lockstep.strategies`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from app import data
from app.authoring.errors import StrategyError, place_of, what_of
from app.authoring.guarding import checked, guarded
from app.core.strategies import STRATEGIES, register
from app.core.strategies.base import Strategy

VARIABLE = "LOCKSTEP_STRATEGIES"
CONFIG = "LOCKSTEP_CONFIG"
GROUP = "lockstep.strategies"
FOLDER = "strategies"
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")

ORIGINS: dict[str, str] = {}
"""Where each strategy from outside stands, by its name."""


@dataclass(frozen=True, slots=True)
class Found:
    """A strategy from outside and where it stands."""

    strategy: Strategy[Any, Any]
    origin: str

    def guarded(self) -> Strategy[Any, Any]:
        """Return the strategy with its answers checked."""
        code = getattr(self.strategy.update, "__code__", None)
        return guarded(self.strategy, self.origin if code is None else code.co_filename)


def load_all(taken: Iterable[str]) -> None:
    """Register every strategy from outside; names must differ from each other and from all taken.

    Args:
        taken: Names that mean something else in the flow.

    Raises:
        StrategyError: A place is not there, a file can't be loaded, or a name is not free.
    """
    packaged = [name for name in STRATEGIES if name not in ORIGINS]
    known = dict.fromkeys((*taken, *packaged), "Lockstep's own")
    found: dict[str, Found] = {}
    for one in _everything():
        name = one.strategy.name
        other = found[name].origin if name in found else known.get(name)
        if other is not None:
            raise StrategyError(
                f"{one.origin}: the name {name!r} is taken by {other}: names of strategies and "
                f"stages must differ, so rename the file and the strategy in it."
            )
        found[name] = one
    register(one.guarded() for one in found.values())
    ORIGINS.update({name: one.origin for name, one in found.items()})


def load_file(file: Path) -> Strategy[Any, Any]:
    """Return the strategy in a file, checked and guarded, without registering it.

    Raises:
        StrategyError: The file can't be loaded, or holds no whole strategy of its name.
    """
    return _from_file(file).guarded()


def places() -> list[Path]:
    """Return the files and folders where a user's strategies are looked for."""
    named = os.environ.get(VARIABLE)
    if named:
        return [Path(text).absolute() for text in named.split(os.pathsep) if text]
    folder = home()
    return [folder] if folder.is_dir() else []


def home() -> Path:
    """Return the folder `strategies` beside `app.yaml`."""
    config = os.environ.get(CONFIG) or data.folder("deploy/config")
    return (Path(config) / FOLDER).absolute()


def check_name(name: str, where: str) -> None:
    """Refuse a name that no stage, topic and file could have alike; raises StrategyError."""
    if NAME.fullmatch(name) is None:
        raise StrategyError(
            f"{where}: {name!r} is no name of a strategy: it is made of 1 to 40 small letters, "
            f"digits and _, and begins with a letter."
        )


def _everything() -> Iterator[Found]:
    for place in places():
        if not place.exists():
            raise StrategyError(f"{VARIABLE} named {place}, which is not there: correct it.")
        for file in _files(place):
            yield _from_file(file)
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        yield _from_point(point)


def _files(place: Path) -> list[Path]:
    """Return a file, or the strategies of a folder: not its tests, nor what begins with _."""
    if place.is_file():
        return [place]
    return [
        file
        for file in sorted(place.glob("*.py"))
        if not file.name.startswith(("_", "test_")) and file.name != "conftest.py"
    ]


def _from_file(file: Path) -> Found:
    check_name(file.stem, str(file))
    module = _module(file)
    return _found(getattr(module, "STRATEGY", None), file.stem, str(file))


def _module(file: Path) -> ModuleType:
    name = f"lockstep_strategy_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise StrategyError(f"{file} is no Python file: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look up the types of their fields there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise StrategyError(
            f"{place_of(error, str(file))}: {what_of(error)}: the strategy can't be loaded. "
            f"Correct it, or take the file away."
        ) from error
    return module


def _from_point(point: EntryPoint) -> Found:
    where = f"entry point {point.name} ({point.value})"
    check_name(point.name, where)
    try:
        loaded = point.load()
    except Exception as error:
        raise StrategyError(
            f"{where}: {what_of(error)}: the strategy can't be loaded. Correct the package, or "
            f"uninstall it."
        ) from error
    return _found(getattr(loaded, "STRATEGY", loaded), point.name, where)


def _found(strategy: object, name: str, where: str) -> Found:
    if not isinstance(strategy, Strategy) or strategy.name != name:
        raise StrategyError(
            f"{where} must define STRATEGY, a Strategy named {name!r}, but STRATEGY was "
            f"{strategy!r:.200}."
        )
    return Found(checked(strategy, where), where)
