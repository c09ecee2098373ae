"""Text comes in, the bytes of one unmasked WebSocket frame (RFC 6455, section 5.2) go out."""

from __future__ import annotations

import struct

_TEXT = 0x81  # final fragment, text
_SHORT, _MEDIUM = 126, 65_536


def text_frame(text: str) -> bytes:
    """Encode a text message as one frame from a server."""
    return frame(text.encode())


def frame(payload: bytes) -> bytes:
    """Encode bytes as one text frame, valid UTF-8 or not."""
    length = len(payload)
    if length < _SHORT:
        return bytes((_TEXT, length)) + payload
    if length < _MEDIUM:
        return struct.pack("!BBH", _TEXT, 126, length) + payload
    return struct.pack("!BBQ", _TEXT, 127, length) + payload
