"""A TCP proxy before the real server: it cuts at a chosen message, holds, or slows."""

from __future__ import annotations

import asyncio
from typing import Literal, Self

from tests.ports import LOOPBACK, free_port

Way = Literal["asked", "answered"]

COMMIT_REQUEST = b"COMMIT;\0"
COMMITTED = b"C\0\0\0\x0bCOMMIT\0"


class Proxy:
    """Passes bytes on until it is told not to.

    Attributes:
        port: Where it listens, once entered.
        cuts: How often it has cut.
        delay: Seconds by which each answer is late.
        lingers: Whether a side stays connected whose other side has ended.
        ended: Set once a side has ended.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._plan: tuple[Way, bytes] | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.port = 0
        self.cuts = 0
        self.delay = 0.0
        self.lingers = False
        self.ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.vanish()

    def cut(self, way: Way, message: bytes) -> None:
        """Cut once: the first chunk with this message is not passed on, both sides are reset."""
        self._plan = (way, message)

    def hold(self) -> None:
        """Pass nothing on, and close nothing, until `release`."""
        self._open.clear()

    def release(self) -> None:
        """Pass on what was held and what comes."""
        self._open.set()

    async def listen(self) -> None:
        """Take connections, on the port of before if there was one."""
        self.port = self.port or free_port()
        self._server = await asyncio.start_server(self._meet, LOOPBACK, self.port)

    async def vanish(self) -> None:
        """Refuse connections and reset those that are there."""
        self.release()
        if self._server:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._writers.clear()
        self._tasks.clear()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        if writer.transport.is_closing():  # vanished meanwhile
            far_writer.transport.abort()
            return
        self._writers.append(far_writer)
        self._tasks += [
            asyncio.create_task(self._pass("asked", reader, far_writer, writer)),
            asyncio.create_task(self._pass("answered", far_reader, writer, far_writer)),
        ]

    async def _pass(
        self,
        way: Way,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
    ) -> None:
        try:
            while chunk := await reader.read(65536):
                await self._open.wait()
                if self.delay and way == "answered":
                    await asyncio.sleep(self.delay)
                if self._plan and self._plan[0] == way and self._plan[1] in chunk:
                    self._plan = None
                    self.cuts += 1
                    writer.transport.abort()
                    back.transport.abort()
                    return
                writer.write(chunk)
                await writer.drain()
            self.ended.set()
            if not self.lingers:
                writer.close()
        except ConnectionError:
            writer.transport.abort()
