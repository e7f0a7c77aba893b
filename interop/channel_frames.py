"""Frames of the service `channel`: section 9.5 of docs/protocol.md. Bytes only."""

from __future__ import annotations

import enum
import struct
from typing import NamedTuple

HEADER_SIZE = 5  # length and kind
MAX_BODY = 2**30 + 4200  # a message of the largest size, and what stands before it
FOREVER = 2**32 - 1  # milliseconds
NO_CASE = 2**16 - 1
RECEIVE, SEND = 0, 1  # the ways of a case


class FrameKind(enum.IntEnum):
    MESSAGE = 0x01
    TIMED = 0x02
    WITHDRAW = 0x03
    CONFIRMED = 0x04
    SETTLED = 0x05
    NEXT = 0x10
    DELIVERY = 0x11
    ANSWER = 0x12
    RECALL = 0x13
    RECALLED = 0x14
    CASE = 0x20
    GO = 0x21
    CHOSEN = 0x22
    NONE = 0x23
    CANCEL = 0x24


class BadFrame(Exception):
    """The peer broke section 9.5; the stream is reset with code 6."""


class _Layout(NamedTuple):
    numbers: str  # of struct
    names: tuple[str, ...]
    rest: str | None = None  # what the bytes behind the numbers are


_LAYOUTS = {
    FrameKind.MESSAGE: _Layout(">", (), "message"),
    FrameKind.TIMED: _Layout(">I", ("ms",), "message"),
    FrameKind.WITHDRAW: _Layout(">Q", ("number",)),
    FrameKind.CONFIRMED: _Layout(">Q", ("number",)),
    FrameKind.SETTLED: _Layout(">QH", ("number", "code"), "reason"),
    FrameKind.NEXT: _Layout(">IQ", ("more", "number")),
    FrameKind.DELIVERY: _Layout(">QH", ("id", "attempt"), "message"),
    FrameKind.ANSWER: _Layout(">QH", ("number", "code"), "reason"),
    FrameKind.RECALL: _Layout(">", ()),
    FrameKind.RECALLED: _Layout(">", ()),
    FrameKind.CASE: _Layout(">BH", ("way",), "message"),  # the second number is the length of the path
    FrameKind.GO: _Layout(">I", ("ms",)),
    FrameKind.CHOSEN: _Layout(">HB", ("case", "way")),  # of a receive, id, attempt and message follow
    FrameKind.NONE: _Layout(">HH", ("case", "code"), "reason"),
    FrameKind.CANCEL: _Layout(">", ()),
}
_RECEIVED = _Layout(">HBQH", ("case", "way", "id", "attempt"), "message")


def encode_channel_frame(kind: FrameKind, **fields: int | str | bytes) -> bytes:
    """A whole frame. `message` is bytes; `path` and `reason` are texts."""
    layout = _RECEIVED if kind is FrameKind.CHOSEN and fields["way"] == RECEIVE else _LAYOUTS[kind]
    values = [fields[name] for name in layout.names]
    rest = b"" if layout.rest is None else fields.get(layout.rest, b"")
    if isinstance(rest, str):
        rest = rest.encode("utf-8")
    if kind is FrameKind.CASE:
        path = str(fields["path"]).encode("utf-8")
        values.append(len(path))
        rest = path + rest
    body = struct.pack(layout.numbers, *values) + rest
    return struct.pack(">IB", len(body) + 1, kind) + body


def decode_channel_frame(kind: int, body: bytes) -> tuple[FrameKind, dict[str, int | str | bytes]]:
    """The fields of a body. Raises BadFrame."""
    try:
        known = FrameKind(kind)
    except ValueError as error:
        raise BadFrame(f"a frame of kind {kind}") from error
    layout = _LAYOUTS[known]
    if known is FrameKind.CHOSEN and body[2:3] == bytes([RECEIVE]):
        layout = _RECEIVED
    size = struct.calcsize(layout.numbers)
    if len(body) < size or (layout.rest is None and len(body) > size):
        raise BadFrame(f"{known.name} of {len(body)} bytes")
    values = struct.unpack(layout.numbers, body[:size])
    fields: dict[str, int | str | bytes] = dict(zip(layout.names, values, strict=False))
    rest = body[size:]
    if known is FrameKind.CASE:
        if len(rest) < values[1]:
            raise BadFrame("a path that ends outside of its frame")
        fields["path"] = rest[: values[1]].decode("utf-8", "replace")
        rest = rest[values[1] :]
    if layout.rest is not None:
        fields[layout.rest] = rest.decode("utf-8", "replace") if layout.rest == "reason" else rest
    return known, fields


class ChannelFrames:
    """Bytes of a stream to frames, however they are cut."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def push(self, octets: bytes) -> None:
        self._bytes += octets

    def pull(self) -> tuple[FrameKind, dict[str, int | str | bytes]] | None:
        """The next whole frame; None until more bytes come. Raises BadFrame."""
        if len(self._bytes) < HEADER_SIZE:
            return None
        length, kind = struct.unpack_from(">IB", self._bytes)
        if not 1 <= length <= MAX_BODY + 1:
            raise BadFrame(f"a length of {length}")
        end = 4 + length
        if len(self._bytes) < end:
            return None
        body = bytes(self._bytes[HEADER_SIZE:end])
        del self._bytes[:end]
        return decode_channel_frame(kind, body)
