# ruff: noqa: INP001 - hatchling loads this file by its path
"""A build of the wheel enters; the dashboard's chart library is fetched where npm can fetch it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY = "app/dashboard/web/vendor/lightweight-charts.js"


class ChartLibrary(BuildHookInterface):
    """Puts the chart library into the wheel, so that its users need no Node.js."""

    def initialize(self, version: str, _: dict[str, Any]) -> None:
        """Fetch the library unless it is there; an editable install leaves that to `./run web`."""
        root = Path(self.root)
        if version == "editable" or (root / LIBRARY).is_file():
            return
        if shutil.which("npm") is None:
            self.app.display_warning(
                "npm is missing, so this wheel's dashboard draws plain charts: install Node.js "
                "and build again to have the interactive ones in it."
            )
            return
        subprocess.run([root / "deploy/web/build"], check=True)  # noqa: S603 - a script of ours
