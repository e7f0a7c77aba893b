"""Streams of `rdv/1`, with credit: section 6 of docs/protocol.md."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from typing import Protocol

from frames import MAX_CREDIT, MAX_PAYLOAD, Code, Kind, Violation, encode_json, encode_reset


class StreamEnded(Exception):
    """The stream was reset, or its session ended."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(f"{reason or code.name.lower()} (code {code.value})")
        self.code = code
        self.reason = reason


class StreamOwner(Protocol):
    """What a stream asks of its session."""

    closed: asyncio.Event

    def emit(self, kind: Kind, number: int, payload: bytes = b"") -> None: ...

    def release(self, stream: Stream) -> None: ...

    async def room(self) -> None: ...


class Stream:
    """One bidirectional sequence of bytes and metadata blocks. One task may read while another one writes."""

    def __init__(self, session: StreamOwner, number: int, service: str, header: dict, credit: int, window: int) -> None:
        self.session = session
        self.number = number
        self.service = service
        self.header = header
        self.failure: StreamEnded | None = None
        self._credit = credit  # payload bytes that we may still send
        self._window = window
        self._allowance = window  # payload bytes that the peer may still send
        self._consumed = 0  # bytes that the application took and no CREDIT told of yet
        self._inbox: deque[tuple[bytes | dict, int]] = deque()
        self._ended = False
        self._peer_ended = False
        self._changed = asyncio.Event()

    async def receive(self) -> bytes | dict | None:
        """The next bytes or the next metadata block, in order; None at the end. Raises StreamEnded."""
        await self._until(lambda: bool(self._inbox) or self._peer_ended)
        if not self._inbox:
            return None
        item, cost = self._inbox.popleft()
        self._consumed += cost
        if not self._peer_ended and self._consumed * 2 >= self._window:
            self.session.emit(Kind.CREDIT, self.number, struct.pack(">I", self._consumed))
            self._allowance += self._consumed
            self._consumed = 0
        return item

    async def write(self, octets: bytes) -> None:
        """Sends bytes as credit allows. Raises StreamEnded."""
        view = memoryview(octets)
        while view:
            await self._until(lambda: self._credit > 0)
            await self._room()
            size = min(len(view), self._credit, MAX_PAYLOAD)
            self._credit -= size
            self.session.emit(Kind.DATA, self.number, bytes(view[:size]))
            view = view[size:]

    async def send_meta(self, block: dict) -> None:
        """Sends a metadata block, whole, as credit allows. Raises StreamEnded."""
        payload = encode_json(block)
        if len(payload) > MAX_PAYLOAD:
            raise ValueError(f"a metadata block of {len(payload)} bytes; at most {MAX_PAYLOAD} fit")
        await self._until(lambda: self._credit >= len(payload))
        await self._room()
        self._credit -= len(payload)
        self.session.emit(Kind.META, self.number, payload)

    def end(self) -> None:
        """Ends our direction; the other one goes on."""
        if self._ended or self.failure is not None:
            return
        self._ended = True
        self.session.emit(Kind.END, self.number)
        self._release_if_over()

    def reset(self, code: Code = Code.CANCELLED, reason: str = "") -> None:
        """Ends both directions at once. A stream that is over stays as it is."""
        if self.failure is None and not (self._ended and self._peer_ended):
            self.session.emit(Kind.RESET, self.number, encode_reset(code, reason))
            self.fail(code, reason)

    # What the session calls.

    def charge(self, size: int) -> None:
        if self._peer_ended:
            raise Violation(f"payload after END on stream {self.number}")
        if size > self._allowance:
            raise Violation(f"stream {self.number} exceeds its credit")
        self._allowance -= size

    def deliver(self, item: bytes | dict, cost: int) -> None:
        if cost > 0:
            self._inbox.append((item, cost))
            self._changed.set()

    def add_credit(self, size: int) -> None:
        self._credit += size
        if self._credit > MAX_CREDIT:
            raise Violation(f"the credit of stream {self.number} grows above 2^30")
        self._changed.set()

    def end_peer(self) -> None:
        if self._peer_ended:
            raise Violation(f"a second END on stream {self.number}")
        self._peer_ended = True
        self._changed.set()
        self._release_if_over()

    def fail(self, code: Code, reason: str) -> None:
        if self.failure is None:
            self.failure = StreamEnded(code, reason)
            self._inbox.clear()
            self._changed.set()
            self.session.release(self)

    def _release_if_over(self) -> None:
        if self._ended and self._peer_ended:
            self.session.release(self)

    async def _room(self) -> None:
        await self.session.room()
        if self.failure is not None:
            raise self.failure

    async def _until(self, ready: Callable[[], bool]) -> None:
        while self.failure is None and not ready():
            self._changed.clear()
            await self._changed.wait()
        if self.failure is not None:
            raise self.failure
