"""Settings in; a web page on the running system, until it is stopped, out."""

from __future__ import annotations

from dataclasses import replace

import click


@click.command()
@click.option("--host", help="The address to listen on, instead of dashboard.host.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Its port; 0: any that is free.")
def dashboard(host: str | None, port: int | None) -> None:
    """Serve a web page on the running system."""
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.dashboard.serving import serve  # noqa: PLC0415
    from app.runtime.logs import configure  # noqa: PLC0415

    settings = load()
    chosen = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    section = settings.dashboard.model_copy(update=chosen)
    configure(settings.worker.log_level)
    serve(replace(settings, dashboard=section), click.echo)
