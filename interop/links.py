"""Links: the transports of section 1 of docs/protocol.md, as reliable, ordered sequences of bytes that may break."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import secrets
import socket
import ssl
import struct
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

SESSION_PATH = "/.rdv/session"
UPGRADE = "rdv/1"
SUBPROTOCOL = "rdv.1"
ALPN = "rdv/1"

_CHUNK = 65536
_MAX_HEAD = 16384


class LinkLost(Exception):
    """The link broke or could not be made; another one may follow."""


class Link:
    """A connected TCP, TLS or unix socket; after an HTTP upgrade, too."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._socket: socket.socket = writer.get_extra_info("socket")
        if self._socket.family in (socket.AF_INET, socket.AF_INET6):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        #: Whether the transport itself notices changed bytes, so that CHECK frames are not needed (section 5).
        self.detects_changes = (
            self._socket.family == socket.AF_UNIX or writer.get_extra_info("ssl_object") is not None
        )

    async def read(self) -> bytes:
        """The next bytes; none at the end."""
        try:
            return await self._reader.read(_CHUNK)
        except OSError as error:
            raise LinkLost(str(error)) from error

    def write(self, octets: bytes) -> None:
        self._writer.write(octets)

    async def flush(self) -> None:
        """Returns when there is room for more."""
        try:
            await self._writer.drain()
        except OSError as error:
            raise LinkLost(str(error)) from error

    async def close(self) -> None:
        """Sends what was written, then ends the link."""
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await self._writer.wait_closed()

    def cut(self) -> None:
        """Drops the link at once; over TCP the peer sees a reset."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class WebSocketLink(Link):
    """The client's side of a WebSocket (RFC 6455): binary messages whose borders mean nothing."""

    _CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

    async def read(self) -> bytes:
        try:
            while True:
                opcode, payload = await self._read_frame()
                if opcode in (self._BINARY, self._CONTINUATION):
                    if payload:
                        return payload
                elif opcode == self._PING:
                    self._write_frame(self._PONG, payload)
                elif opcode == self._CLOSE:
                    self._write_frame(self._CLOSE, payload[:2])
                    return b""
                elif opcode != self._PONG:
                    raise LinkLost(f"a WebSocket frame with opcode {opcode}, which has no place here")
        except asyncio.IncompleteReadError:
            return b""
        except OSError as error:
            raise LinkLost(str(error)) from error

    def write(self, octets: bytes) -> None:
        self._write_frame(self._BINARY, octets)

    async def close(self) -> None:
        self._write_frame(self._CLOSE, (1000).to_bytes(2, "big"))
        await super().close()

    async def _read_frame(self) -> tuple[int, bytes]:
        first, second = await self._reader.readexactly(2)
        size = second & 0x7F
        if first & 0x70 or second & 0x80:
            raise LinkLost("a WebSocket frame with reserved bits or a mask")
        if first & 0x08 and (size > 125 or not first & 0x80):
            raise LinkLost("a WebSocket control frame that is long or in parts")
        if size >= 126:
            size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8), "big")
        return first & 0x0F, await self._reader.readexactly(size)

    def _write_frame(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            head = struct.pack(">BB", 0x80 | opcode, 0x80 | size)
        elif size < 65536:
            head = struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, size)
        else:
            head = struct.pack(">BBQ", 0x80 | opcode, 0x80 | 127, size)
        key = secrets.token_bytes(4)
        self._writer.write(head + key + _masked(payload, key))


def _masked(payload: bytes, key: bytes) -> bytes:
    """RFC 6455 section 5.3, all octets at once."""
    size = len(payload)
    mask = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return (int.from_bytes(payload, "big") ^ mask).to_bytes(size, "big")


class CuttingLink:
    """Another link, cut when a byte budget that it shares with the links before and after it is used up."""

    def __init__(self, link: Link, budget: CutBudget) -> None:
        self._link = link
        self._budget = budget
        self._is_cut = False
        self.detects_changes = link.detects_changes

    async def read(self) -> bytes:
        octets = await self._link.read()
        if self._is_cut:
            return b""
        allowed, cut = self._budget.spend(len(octets))
        if cut:
            self.cut()
        return octets[:allowed]

    def write(self, octets: bytes) -> None:
        if self._is_cut:
            return
        allowed, cut = self._budget.spend(len(octets))
        self._link.write(octets[:allowed])
        if cut:
            self.cut()

    async def flush(self) -> None:
        await self._link.flush()

    async def close(self) -> None:
        await self._link.close()

    def cut(self) -> None:
        self._is_cut = True
        self._link.cut()


class CutBudget:
    """Says when to cut: at each of the given totals of bytes, sent and received, over all links."""

    def __init__(self, totals: list[int]) -> None:
        self._totals = sorted(totals)
        self.spent = 0
        self.cuts = 0
        self.on_cut: Callable[[int], None] = lambda total: None

    def spend(self, size: int) -> tuple[int, bool]:
        """How many of the next `size` bytes pass, and whether the cut comes then."""
        if not self._totals or self.spent + size < self._totals[0]:
            self.spent += size
            return size, False
        allowed = max(0, self._totals.pop(0) - self.spent)
        self.spent += allowed
        self.cuts += 1
        self.on_cut(self.spent)
        return allowed, True


async def connect(address: str, ca_file: str | None = None) -> Link:
    """
    Makes a link to `tcp://host:port`, `tls://host:port`, `unix:/path`, `http(s)://host:port` (upgrade) or
    `ws(s)://host:port`. Raises LinkLost when that fails, ValueError for an address that is none of these.
    """
    url = urlsplit(address)
    try:
        if url.scheme == "unix":
            return Link(*await asyncio.open_unix_connection(url.path))
        if url.scheme in ("tcp", "tls"):
            return Link(*await _open(url, ca_file, ALPN))
        if url.scheme in ("http", "https"):
            reader, writer = await _open(url, ca_file, "http/1.1")
            await _upgrade(reader, writer, url, {"Upgrade": UPGRADE})
            return Link(reader, writer)
        if url.scheme in ("ws", "wss"):
            reader, writer = await _open(url, ca_file, "http/1.1")
            await _upgrade_to_websocket(reader, writer, url)
            return WebSocketLink(reader, writer)
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise LinkLost(f"{address}: {error}") from error
    raise ValueError(f'"{address}" is no relay address; write tcp://, tls://, unix:, http(s):// or ws(s)://')


async def _open(url: SplitResult, ca_file: str | None, alpn: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    secure = url.scheme in ("tls", "https", "wss")
    port = url.port or {"http": 80, "ws": 80, "https": 443, "wss": 443}.get(url.scheme)
    if url.hostname is None or port is None:
        raise ValueError(f'"{url.geturl()}" needs a host and a port')
    context = None
    if secure:
        context = ssl.create_default_context(cafile=ca_file)
        context.set_alpn_protocols([alpn])
    return await asyncio.open_connection(url.hostname, port, ssl=context)


async def _upgrade(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: SplitResult, fields: dict[str, str]
) -> dict[str, str]:
    """Asks for an upgrade of the connection; returns the fields of the 101 answer, names in lower case."""
    lines = [f"GET {SESSION_PATH} HTTP/1.1", f"Host: {url.netloc}", "Connection: Upgrade"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode("ascii"))
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *field_lines = head.rstrip("\r\n").split("\r\n")
    answer = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in field_lines)}
    if len(head) > _MAX_HEAD or status_line.split(" ")[1:2] != ["101"]:
        writer.transport.abort()
        raise LinkLost(f"the relay did not upgrade the connection: {status_line}")
    if answer.get("upgrade", "").lower() != fields["Upgrade"].lower():
        writer.transport.abort()
        raise LinkLost("the relay upgraded the connection to something else")
    return answer


async def _upgrade_to_websocket(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: SplitResult) -> None:
    key = base64.b64encode(secrets.token_bytes(16)).decode("ascii")
    fields = {
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Protocol": SUBPROTOCOL,
    }
    answer = await _upgrade(reader, writer, url, fields)
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode("ascii")).digest()
    if answer.get("sec-websocket-accept") != base64.b64encode(digest).decode("ascii"):
        raise LinkLost("the relay answered another WebSocket key")
    if answer.get("sec-websocket-protocol") != SUBPROTOCOL:
        raise LinkLost(f"the relay does not speak {SUBPROTOCOL} over WebSocket")
