"""A folder enters; a Python environment with the peers' packages leaves, and their versions."""

from __future__ import annotations

import asyncio
import sys
import venv
from pathlib import Path

import orjson

from app.errors import LockstepError

PACKAGES = ("faust-streaming", "quixstreams", "nautilus_trader", "aiokafka", "orjson")
FOLDER = Path(".local/peers")

_VERSIONS = """
import importlib.metadata as metadata, json, sys
print(json.dumps({name: metadata.version(name) for name in sys.argv[1:]}))
"""


def python_in(folder: Path) -> Path:
    """Return the Python of an environment, by its whole path."""
    return folder.absolute() / "bin" / "python"


async def prepare(folder: Path) -> tuple[Path, dict[str, str]]:
    """Return the environment's Python, and each package's version; made where it is not there.

    Raises:
        LockstepError: The packages can't be had.
    """
    python = python_in(folder)
    if not python.exists():
        await asyncio.to_thread(venv.create, folder, with_pip=True)
    try:
        found = await _said(python, "-c", _VERSIONS, *PACKAGES)
    except LockstepError:
        pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        await _said(python, *pip, *PACKAGES)
        found = await _said(python, "-c", _VERSIONS, *PACKAGES)
    versions: dict[str, str] = orjson.loads(found)
    return python, versions


async def _said(python: Path, *words: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        python,
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(sys.prefix),  # not ours: the peers import none of it
    )
    output, error = await process.communicate()
    if process.returncode:
        raise LockstepError(
            f"{python} {words[0]} {words[1][:40].strip()} failed: {error.decode()[-500:].strip()}. "
            f"The peers are installed from the package index: look at the network, remove "
            f"{python.parent.parent}, and run this again."
        )
    return output
