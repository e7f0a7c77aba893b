"""Frames, checks and codes of `rdv/1`: sections 2, 5, 6 (OPEN) and 8 of docs/protocol.md. Bytes only."""

from __future__ import annotations

import enum
import json
import re
import struct
import zlib
from collections import deque
from typing import NamedTuple

HEADER_SIZE = 8
MAX_PAYLOAD = 65536  # section 2
MAX_HELLO = 8192
MAX_REASON = 512
MAX_BETWEEN_CHECKS = 262144  # section 5
MIN_WINDOW = 131072  # sections 3 and 6
MAX_CREDIT = 2**30  # section 6
SERVICE_NAME = re.compile(r"[a-z0-9][a-z0-9._/-]{0,99}")


class Kind(enum.IntEnum):
    """Types of frames (section 2). Those below 0x10 are sequenced: counted, kept and sent again."""

    OPEN = 0x01
    META = 0x02
    DATA = 0x03
    CREDIT = 0x04
    END = 0x05
    RESET = 0x06
    DRAIN = 0x07
    HELLO = 0x10
    ACK = 0x11
    PING = 0x12
    PONG = 0x13
    DGRAM = 0x14
    CHECK = 0x15

    @property
    def sequenced(self) -> bool:
        return self < Kind.HELLO


class Code(enum.IntEnum):
    """Why something ended (section 8)."""

    CANCELLED = 1
    NO_SERVICE = 2
    INTERNAL = 3
    TIMEOUT = 4
    LIMIT = 5
    PROTOCOL = 6
    UNAUTHORIZED = 7
    FORBIDDEN = 8
    UNKNOWN_SESSION = 9
    EXPIRED = 10
    REPLACED = 11
    DRAINING = 12
    UNREACHABLE = 13
    CONNECTION_RESET = 14
    VERSION = 15
    CORRUPT = 16
    CLOSED = 17
    CLAIMED = 18
    NO_ROUTE = 19
    LINK_LOST = 20
    BAD_RESPONSE = 21
    USAGE = 22
    IN_USE = 23
    RATE_LIMITED = 24
    NOT_FOUND = 25
    EXISTS = 26
    REMOVED = 27
    WOULD_BLOCK = 28
    TOO_LARGE = 29

    @classmethod
    def _missing_(cls, value: object) -> Code:
        return cls.INTERNAL


class Violation(Exception):
    """The peer broke the document; the session ends with code 6 (section 2)."""


class Corrupt(Exception):
    """The link changed bytes; the link is dropped, the session goes on with the next one (section 5)."""


class _Rule(NamedTuple):
    """What the table of section 2 allows in a header."""

    smallest: int
    largest: int
    lowest_stream: int
    highest_stream: int


_ANY_STREAM = 2**32 - 1
_RULES = {
    Kind.OPEN: _Rule(0, MAX_PAYLOAD, 1, _ANY_STREAM),
    Kind.META: _Rule(0, MAX_PAYLOAD, 1, _ANY_STREAM),
    Kind.DATA: _Rule(0, MAX_PAYLOAD, 1, _ANY_STREAM),
    Kind.CREDIT: _Rule(4, 4, 1, _ANY_STREAM),
    Kind.END: _Rule(0, 0, 1, _ANY_STREAM),
    Kind.RESET: _Rule(2, 2 + MAX_REASON, 0, _ANY_STREAM),
    Kind.DRAIN: _Rule(0, 0, 0, 0),
    Kind.HELLO: _Rule(0, MAX_HELLO, 0, 0),
    Kind.ACK: _Rule(8, 8, 0, 0),
    Kind.PING: _Rule(8, 8, 0, 0),
    Kind.PONG: _Rule(8, 8, 0, 0),
    Kind.DGRAM: _Rule(0, MAX_PAYLOAD, 1, _ANY_STREAM),
    Kind.CHECK: _Rule(4, 4, 0, 0),
}
_header = struct.Struct(">II")  # type and length share the first word


class Header(NamedTuple):
    kind: Kind
    length: int
    stream: int


def encode_frame(kind: Kind, stream: int, payload: bytes = b"") -> bytes:
    return _header.pack(kind << 24 | len(payload), stream) + payload


def decode_header(octets: bytes | bytearray) -> Header:
    """Reads 8 bytes. What it raises for must be refused before the payload is stored (section 2)."""
    word, stream = _header.unpack(octets)
    return _allowed(word >> 24, word & 0xFFFFFF, stream)


def _allowed(number: int, length: int, stream: int) -> Header:
    try:
        kind = Kind(number)
    except ValueError:
        raise Violation(f"unknown frame type {number:#04x}") from None
    rule = _RULES[kind]
    if not rule.smallest <= length <= rule.largest:
        raise Violation(f"{kind.name} with a payload of {length} bytes")
    if not rule.lowest_stream <= stream <= rule.highest_stream:
        raise Violation(f"{kind.name} on stream {stream}")
    return Header(kind, length, stream)


class Open(NamedTuple):
    """The payload of OPEN (sections 2 and 6)."""

    window: int
    service: str
    header: dict | None  # None: there is no header, not even an empty one
    first: bytes


def encode_open(opening: Open) -> bytes:
    service = opening.service.encode("ascii")
    header = b"" if opening.header is None else encode_json(opening.header)
    parts = (struct.pack(">IB", opening.window, len(service)), service, struct.pack(">H", len(header)), header)
    return b"".join(parts) + opening.first


def decode_open(payload: bytes) -> Open:
    try:
        window, name_size = struct.unpack_from(">IB", payload)
        (header_size,) = struct.unpack_from(">H", payload, 5 + name_size)
    except struct.error:
        raise Violation("OPEN ends too early") from None
    header_at = 7 + name_size
    first_at = header_at + header_size
    if first_at > len(payload):
        raise Violation("OPEN ends too early")
    try:
        service = payload[5 : 5 + name_size].decode("ascii")
    except UnicodeDecodeError:
        service = ""
    if not SERVICE_NAME.fullmatch(service):
        raise Violation("OPEN with a service name that is none")
    if not MIN_WINDOW <= window <= MAX_CREDIT:
        raise Violation(f"OPEN with a window of {window} bytes")
    header = decode_json(payload[header_at:first_at]) if header_size else None
    return Open(window, service, header, payload[first_at:])


def encode_reset(code: int, reason: str = "") -> bytes:
    octets = reason.encode("utf-8", "replace")[:MAX_REASON]
    return struct.pack(">H", code) + octets.decode("utf-8", "ignore").encode("utf-8")


def decode_reset(payload: bytes) -> tuple[Code, str]:
    """An unknown code reads as 3 (section 8)."""
    (number,) = struct.unpack_from(">H", payload)
    return Code(number), decode_text(payload[2:])


def encode_json(value: dict) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def decode_json(octets: bytes) -> dict:
    try:
        value = json.loads(decode_text(octets), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Violation("a payload that is not JSON") from None
    if not isinstance(value, dict):
        raise Violation("a payload that is not a JSON object")
    return value


def decode_text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise Violation("text that is not UTF-8") from None


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity, which Python would take


class Piece(NamedTuple):
    """A frame, or a part of the payload of a DATA frame whose rest is still on its way."""

    kind: Kind
    stream: int
    length: int
    offset: int
    data: bytes

    @property
    def ends_frame(self) -> bool:
        return self.offset + len(self.data) == self.length


class Incoming:
    """
    Cuts the bytes of one direction of one link into frames.

    While `checked`, frames come out only after the CHECK behind them has matched, and so do violations: before that,
    the link may have made them (section 5). Else the payload of DATA comes out as it arrives. Every link starts
    checked, because HELLO frames always are.
    """

    def __init__(self) -> None:
        self.checked = True
        self._buffer = bytearray()
        self._frame: Header | _Bad | None = None  # whose payload is due
        self._offset = 0  # bytes of the current DATA payload that are out already
        self._crc = 0
        self._span = 0  # bytes since the last CHECK
        self._held: list[Piece | Violation] = []
        self._ready: deque[Piece | Violation] = deque()

    @property
    def idle(self) -> bool:
        """No verified frame waits."""
        return not self._ready

    def push(self, octets: bytes) -> None:
        self._buffer += octets

    def pull(self) -> Piece | None:
        """The next piece, or None until more bytes are pushed. Raises Violation, and Corrupt on a checked link."""
        while not self._ready:
            piece = self._next()
            if piece is None:
                return None
            if isinstance(piece, Piece) and piece.kind is Kind.CHECK:
                self._verify(piece.data)
            elif self.checked:
                self._held.append(piece)
            else:
                self._ready.append(piece)
        piece = self._ready.popleft()
        if isinstance(piece, Violation):
            raise piece
        return piece

    def _verify(self, sum_of_sender: bytes) -> None:
        if not self.checked:
            raise Violation("CHECK on a link where neither side wanted any")
        if int.from_bytes(sum_of_sender, "big") != self._crc:
            raise Corrupt("a CHECK does not match the bytes before it")
        self._ready.extend(self._held)
        self._held.clear()
        self._crc = self._span = 0

    def _next(self) -> Piece | Violation | None:
        if self._frame is None:
            if len(self._buffer) < HEADER_SIZE:
                return None
            self._frame = self._read_header()
        frame, offset = self._frame, self._offset
        available = min(frame.length - offset, len(self._buffer))
        if offset + available < frame.length and (self.checked or frame.kind is not Kind.DATA or available == 0):
            return None
        data = bytes(self._buffer[:available])
        del self._buffer[:available]
        self._offset += available
        if self._offset == frame.length:
            self._frame, self._offset = None, 0
        if self.checked and frame.kind is not Kind.CHECK:
            self._crc = zlib.crc32(data, self._crc)
        if isinstance(frame, _Bad):
            return frame.violation
        return Piece(frame.kind, frame.stream, frame.length, offset, data)

    def _read_header(self) -> Header | _Bad:
        octets = self._buffer[:HEADER_SIZE]
        word, stream = _header.unpack(octets)
        number, length = word >> 24, word & 0xFFFFFF
        del self._buffer[:HEADER_SIZE]
        if not self.checked:
            return _allowed(number, length, stream)
        frame: Header | _Bad
        try:
            frame = _allowed(number, length, stream)
        except Violation as violation:
            if number == Kind.CHECK or length > MAX_PAYLOAD:
                raise Corrupt(str(violation)) from None
            frame = _Bad(None, length, violation)
        if number != Kind.CHECK:
            self._crc = zlib.crc32(octets, self._crc)
            self._span += HEADER_SIZE + length
            if self._span > MAX_BETWEEN_CHECKS:
                raise Corrupt("too many bytes without a CHECK")
        return frame


class _Bad(NamedTuple):
    """A frame on a checked link whose header is a violation, if the CHECK behind it matches."""

    kind: None
    length: int
    violation: Violation


class Outgoing:
    """Collects the bytes of the other direction, with a CHECK where `seal` is called (section 5)."""

    def __init__(self) -> None:
        self.checked = True
        self._crc = 0
        self._frames: list[bytes] = []

    def put(self, frame: bytes) -> int:
        """Takes one encoded frame; returns its size. The caller seals at least every 262144 bytes."""
        self._frames.append(frame)
        if self.checked:
            self._crc = zlib.crc32(frame, self._crc)
        return len(frame)

    def seal(self) -> None:
        if self.checked:
            self._frames.append(encode_frame(Kind.CHECK, 0, self._crc.to_bytes(4, "big")))
            self._crc = 0

    def take(self) -> bytes:
        octets = b"".join(self._frames)
        self._frames.clear()
        return octets
