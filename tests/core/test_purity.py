"""The core can't do I/O, tell the time, draw lots, or depend on the order of a set."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import app.core

ROOT = Path(app.core.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))

FORBIDDEN = (
    *("_thread", "asyncio", "concurrent", "ctypes", "datetime", "http", "io", "locale"),
    *("multiprocessing", "os", "pathlib", "random", "secrets", "selectors", "shutil", "signal"),
    *("socket", "ssl", "subprocess", "tempfile", "threading", "time", "urllib", "uuid"),
)

IMPORT_ALL = """
import importlib, pkgutil, sys
before = set(sys.modules)
import app.core
for module in pkgutil.walk_packages(app.core.__path__, "app.core."):
    importlib.import_module(module.name)
for name in sorted(set(sys.modules) - before):
    top = name.partition(".")[0]
    if name not in ("app", "app.core") and not name.startswith("app.core.") and top != "numpy":
        if top not in sys.stdlib_module_names:
            print(name)
"""


def nodes(module: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(module.read_text(encoding="utf-8")))


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []


def called(node: ast.AST) -> str:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id
    return ""


def iterated(node: ast.AST) -> list[ast.AST]:
    """Return what a node goes through in order."""
    if isinstance(node, ast.For | ast.comprehension):
        return [node.iter]
    if isinstance(node, ast.Starred):
        return [node.value]
    if called(node) in ("list", "tuple", "iter", "enumerate", "zip", "map", "filter", "next"):
        return list(node.args)  # type: ignore[attr-defined]
    return []


def is_set(node: ast.AST) -> bool:
    return isinstance(node, ast.Set | ast.SetComp) or called(node) in ("set", "frozenset")


def offences(module: Path) -> list[str]:
    found = []
    for node in nodes(module):
        where = f"{module.name}:{getattr(node, 'lineno', 0)}"
        found += [
            f"{where} imports {name}"
            for name in imported(node)
            if name.partition(".")[0] in FORBIDDEN
        ]
        if called(node) in ("hash", "id", "open", "print", "input", "eval", "exec", "__import__"):
            found.append(f"{where} calls {called(node)}()")
        found += [f"{where} goes through a set" for each in iterated(node) if is_set(each)]
    return found


def test_the_core_loads_the_standard_library_and_numpy_only() -> None:
    command = [sys.executable, "-c", IMPORT_ALL]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT.parents[1])  # noqa: S603 - our own code
    assert done.stdout.split() == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_pure(module: Path) -> None:
    assert offences(module) == []


@pytest.mark.parametrize(
    "code",
    [
        "import time",
        "from datetime import datetime",
        "import os.path",
        "from random import Random",
        "key = hash(name)",
        "for name in {1, 2}: pass",
        "names = [name for name in set(names)]",
        "names = list({name for name in names})",
        "names = [*set(names)]",
        "lines = open('file')",
    ],
)
def test_the_check_sees(code: str, tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(code, encoding="utf-8")
    assert len(offences(module)) == 1
