"""
Sessions of `rdv/1` that outlive their link: sections 4, 6 and 7 of docs/protocol.md.

All of it runs in one asyncio event loop, so code between two `await`s is never interrupted.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from frames import (
    HEADER_SIZE,
    MAX_PAYLOAD,
    SERVICE_NAME,
    Code,
    Corrupt,
    Incoming,
    Kind,
    Open,
    Outgoing,
    Piece,
    Violation,
    decode_json,
    decode_open,
    decode_reset,
    encode_frame,
    encode_json,
    encode_open,
    encode_reset,
)
from links import Link, LinkLost
from stream import Stream, StreamEnded

DEAD_SECONDS = 10.0  # section 7
MAX_KEPT = 16 * 2**20  # section 4: sequenced bytes that are not acknowledged
MAX_UNSENT = 256 * 1024  # what waits for the link, so that no stream queues far ahead of the others
MAX_BATCH = 128 * 1024  # bytes per write, and so per CHECK
MAX_PROMPT = 16  # section 7: PINGs beyond may go unanswered
LIFE_BYTES = 4096  # section 5: fewer bytes that wait for their CHECK are no sign of life
ACK_BYTES = 32 * 1024  # section 4 asks for 131072 at most
ACK_SECONDS = 0.02  # section 4 asks for 25 ms at most
MAX_BAD_LINKS = 5  # links in a row that end with Corrupt and bring nothing; then the session ends
LARGEST_STREAM = 2**32 - 1

Handler = Callable[[Stream], Awaitable[None]]
#: Who handles a stream for a service; None when there is no such service.
Services = Callable[[str], Handler | None]


@dataclass(frozen=True)
class Limits:
    """What one side announces (section 3)."""

    window: int = 256 * 1024
    streams: int = 1024


@dataclass(frozen=True)
class Options:
    """What a side may choose for its sessions."""

    limits: Limits = Limits()
    check: bool | None = None  # None: when the transport does not notice changed bytes itself
    dead_seconds: float = DEAD_SECONDS
    redial_seconds: float = 0.05  # the pause behind the first failed attempt; it doubles up to 5 s
    agent: str = "rdv-interop/1 (Python)"
    instance: str | None = None
    token: str | None = None


class Wire:
    """A link with its frames and checks in both directions (sections 2 and 5)."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.heard = time.monotonic()
        self.prompt: list[bytes] = []  # PING and PONG frames that wait to be sent; they end with the link
        self.told = 0  # what the peer knows to be applied
        self.ack_due = False
        self.ack_timer: asyncio.TimerHandle | None = None
        self.out = Outgoing()
        self._in = Incoming()
        self._unverified = 0  # bytes that arrived since the last sign of life

    async def read(self) -> Piece:
        while (piece := self._in.pull()) is None:
            octets = await self.link.read()
            if not octets:
                raise LinkLost("the peer ended the link")
            self._unverified += len(octets)
            if self._unverified >= LIFE_BYTES or not self._in.checked:
                self._note_life()
            self._in.push(octets)
        if self._unverified > 0:
            self._note_life()
        return piece

    def _note_life(self) -> None:
        self.heard = time.monotonic()
        self._unverified = 0

    async def flush(self) -> None:
        self.link.write(self.out.take())
        await self.link.flush()

    async def hear(self) -> dict:
        """The next message of the handshake."""
        try:
            piece = await self.read()
            if piece.kind is not Kind.HELLO or not self._in.idle:
                raise Violation(f"{piece.kind.name} in the handshake")
            return decode_json(piece.data)
        except (Corrupt, Violation) as error:
            raise LinkLost(f"bad handshake: {error}") from error

    def say(self, message: dict) -> None:
        """Queues a message of the handshake, with its CHECK."""
        self.out.put(encode_frame(Kind.HELLO, 0, encode_json(message)))
        self.out.seal()

    def end_handshake(self, checked: bool) -> None:
        self._in.checked = self.out.checked = checked


class Session:
    """The durable association of two peers. Made by `dial` or an `Acceptor`."""

    def __init__(
        self,
        identity: str,
        secret: bytes,
        dialer: bool,
        options: Options,
        peer_limits: Limits,
        grace_seconds: float,
        services: Services,
    ) -> None:
        self.identity = identity
        self.grace_seconds = grace_seconds
        self.closed = asyncio.Event()
        self.ended: StreamEnded | None = None
        self.peer_drains = False
        self.resumes = 0
        self.replayed_bytes = 0
        self.on_resume: Callable[[int], None] = lambda replayed: None
        self.secret = secret
        self._dialer = dialer
        self.options = options
        self._peer_limits = peer_limits
        self._services = services
        self._drained_at: int | None = None  # the position behind our DRAIN
        self.wire: Wire | None = None
        self.keeper: asyncio.Task[None] | None = None
        self._handlers: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()  # room, streams, end
        self._work = asyncio.Event()  # something to send
        # Positions count the bytes of sequenced frames (section 4).
        self._made = 0
        self._sent = 0
        self._acked = 0
        self.applied = 0
        self._unsent: deque[tuple[int, bytes]] = deque()  # (position behind the frame, frame)
        self._kept: deque[tuple[int, bytes]] = deque()  # sent, not acknowledged
        self._partial: tuple[int, int, int] | None = None  # DATA delivered in part: stream, length, bytes delivered
        self._bad_links = 0
        self._streams: dict[int, Stream] = {}
        self._next_number = 1 if dialer else 2
        self._wrapped = False
        self._last_peer_number = 0
        self._peer_wrapped = False

    async def open(self, service: str, header: dict | None = None, first: bytes = b"") -> Stream:
        """Opens a stream when the peer's limit allows one more. Raises StreamEnded when the session takes none."""
        while self.ended is None and not self.peer_drains and self._count_ours() >= self._peer_limits.streams:
            await self._change()
        await self.room()
        if self.ended is not None:
            raise self.ended
        if self.peer_drains:
            raise StreamEnded(Code.DRAINING, "the peer takes no new streams")
        opening = Open(self.options.limits.window, service, header, first)
        payload = encode_open(opening)
        if not SERVICE_NAME.fullmatch(service) or len(payload) > MAX_PAYLOAD:
            raise ValueError("the service's name is none, or header and first bytes are too long")
        credit = self._peer_limits.window - len(first)
        stream = Stream(self, self._take_number(), service, header or {}, credit, opening.window)
        self._streams[stream.number] = stream
        self.emit(Kind.OPEN, stream.number, payload)
        return stream

    def drain(self) -> None:
        """Asks the peer to open no more streams."""
        if self._drained_at is None:
            self.emit(Kind.DRAIN, 0)
            self._drained_at = self._made

    async def close(self, code: Code = Code.CLOSED, reason: str = "") -> None:
        """Ends the session with its streams, and tells the peer if there is a link."""
        if self.ended is None:
            self.emit(Kind.RESET, 0, encode_reset(code, reason))
            self.finish(code, reason)
        wire = self.wire
        if wire is not None:
            with contextlib.suppress(TimeoutError, LinkLost):
                async with asyncio.timeout(1):
                    while self._sent < self._made and self.wire is wire:
                        await self._change()
            await wire.link.close()
        if self.keeper is not None and wire is None:
            self.keeper.cancel()

    # Sending.

    def emit(self, kind: Kind, number: int, payload: bytes = b"") -> None:
        """Queues a sequenced frame, and keeps it until it is acknowledged."""
        if self.ended is not None:
            return
        frame = encode_frame(kind, number, payload)
        self._made += len(frame)
        self._unsent.append((self._made, frame))
        self._work.set()

    async def room(self) -> None:
        """Waits while too much is kept or waits for the link. CREDIT, END and RESET are small and need no room."""
        while self.ended is None and (self._made - self._acked > MAX_KEPT or self._made - self._sent > MAX_UNSENT):
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _acknowledge(self, position: int) -> None:
        """The peer has applied our sequenced bytes up to `position`."""
        if position > self._sent:
            raise Violation("more is acknowledged than was sent")
        if position <= self._acked:
            return
        while self._kept and self._kept[0][0] <= position:
            self._acked, _ = self._kept.popleft()
        if self._acked != position:
            raise Violation("a part of a frame is acknowledged")
        self._changed.set()

    def rewind(self, received: int) -> None:
        """
        For a new link: everything behind what the peer has received is to be sent again (section 3, step 4). Raises
        LinkLost for a count from the past, Violation for one that cannot be (step 6).
        """
        if received < self._acked:
            raise LinkLost("the peer states less than it acknowledged; its link was too slow")
        replay_end = self._sent
        self._acknowledge(received)
        self._unsent.extendleft(reversed(self._kept))
        self._kept.clear()
        self._sent = received
        self.resumes += 1
        self.replayed_bytes += replay_end - received
        self._work.set()
        self.on_resume(replay_end - received)

    # One link.

    def attach(self, wire: Wire) -> None:
        wire.told = self.applied
        self.wire = wire

    def detach(self) -> None:
        """From here on nothing of the old link is applied (section 3, step 2)."""
        if self.wire is not None:
            self.wire.link.cut()
            self.wire = None

    async def carry(self, wire: Wire) -> None:
        """Runs the session over an attached link until that link ends, for whatever reason."""
        before = self.applied
        parts = (self._read(wire), self._write(wire), self._beat(wire))
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if self.wire is wire:
                self.detach()
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            self._changed.set()
        faults = [result for result in results if isinstance(result, Exception) and not isinstance(result, LinkLost)]
        if faults and not isinstance(faults[0], Corrupt):
            self.finish(Code.INTERNAL, "a fault in this program")
            raise faults[0]
        self._bad_links = self._bad_links + 1 if faults and self.applied == before else 0
        if self._bad_links == MAX_BAD_LINKS:
            self.finish(Code.CORRUPT, str(faults[0]))

    async def _read(self, wire: Wire) -> None:
        try:
            while self.ended is None:
                piece = await wire.read()
                if self.wire is not wire:
                    return
                self._apply(wire, piece)
        except Violation as violation:
            await self.close(Code.PROTOCOL, str(violation))

    async def _write(self, wire: Wire) -> None:
        await wire.flush()  # the last message of the handshake
        while True:
            self._work.clear()
            if self._put_batch(wire) == 0:
                await self._work.wait()
                continue
            wire.out.seal()
            self._changed.set()
            await wire.flush()

    def _put_batch(self, wire: Wire) -> int:
        """Moves what waits to the wire, up to a bound; returns its size."""
        size = 0
        if self.wire is not wire:
            return size
        news = self.applied - wire.told
        if news > 0 and (wire.ack_due or news >= ACK_BYTES or wire.prompt or self._unsent):
            wire.told = self.applied
            wire.ack_due = False
            size += wire.out.put(encode_frame(Kind.ACK, 0, struct.pack(">Q", self.applied)))
        for frame in wire.prompt:
            size += wire.out.put(frame)
        wire.prompt.clear()
        while self._unsent and size < MAX_BATCH:
            self._sent, frame = self._unsent.popleft()
            self._kept.append((self._sent, frame))
            size += wire.out.put(frame)
        return size

    async def _beat(self, wire: Wire) -> None:
        """Section 7: a PING four times in the dead time; returns when the link is dead."""
        dead = self.options.dead_seconds
        count = 0
        while (left := wire.heard + dead - time.monotonic()) > 0:
            await asyncio.sleep(min(dead / 4, left))
            count += 1
            wire.prompt.append(encode_frame(Kind.PING, 0, struct.pack(">Q", count)))
            self._work.set()

    # Receiving.

    def _apply(self, wire: Wire, piece: Piece) -> None:
        kind = piece.kind
        if kind.sequenced:
            self._apply_sequenced(piece)
            self._plan_ack(wire)
        elif kind is Kind.ACK:
            self._acknowledge(int.from_bytes(piece.data, "big"))
        elif kind is Kind.PING and len(wire.prompt) < MAX_PROMPT:
            wire.prompt.append(encode_frame(Kind.PONG, 0, piece.data))
            self._work.set()
        elif kind is Kind.HELLO:
            raise Violation("HELLO after the handshake")

    def _plan_ack(self, wire: Wire) -> None:
        """An ACK waits a moment for company, but not when much is applied already."""
        if self.applied - wire.told >= ACK_BYTES:
            self._work.set()
        elif wire.ack_timer is None:
            wire.ack_timer = asyncio.get_running_loop().call_later(ACK_SECONDS, self._end_ack_wait, wire)

    def _end_ack_wait(self, wire: Wire) -> None:
        wire.ack_timer = None
        wire.ack_due = self.applied > wire.told
        self._work.set()

    def _apply_sequenced(self, piece: Piece) -> None:
        if piece.kind is Kind.DATA:
            self._apply_data(piece)
        elif self._partial is not None:
            raise Violation(f"{piece.kind.name} in place of the DATA frame that the last link tore")
        elif piece.kind is Kind.OPEN:
            self._apply_open(piece)
        elif piece.stream == 0:
            self._apply_to_session(piece)
        else:
            self._apply_to_stream(piece)
        if piece.ends_frame:
            self.applied += HEADER_SIZE + piece.length

    def _apply_data(self, piece: Piece) -> None:
        """Section 4, last paragraph: bytes that came over the old link before it tore are not delivered again."""
        number, length, delivered = self._partial or (piece.stream, piece.length, 0)
        if (number, length) != (piece.stream, piece.length):
            raise Violation("another frame in place of the DATA frame that the last link tore")
        stream = self._find(number)
        if stream is not None:
            if self._partial is None:
                stream.charge(length)
            fresh = piece.data[max(0, delivered - piece.offset) :]
            stream.deliver(fresh, len(fresh))
        delivered = max(delivered, piece.offset + len(piece.data))
        self._partial = None if piece.ends_frame else (number, length, delivered)

    def _apply_open(self, piece: Piece) -> None:
        opening = decode_open(piece.data)
        number = piece.stream
        if number % 2 == (1 if self._dialer else 0) or number in self._streams:
            raise Violation(f"OPEN with stream number {number}")
        self._peer_wrapped = self._peer_wrapped or number < self._last_peer_number
        self._last_peer_number = number
        limits = self.options.limits
        stream = Stream(self, number, opening.service, opening.header or {}, opening.window, limits.window)
        handler = self._services(opening.service)
        if len(self._streams) - self._count_ours() >= limits.streams:
            return stream.reset(Code.LIMIT, "too many streams")
        if self._drained_at is not None and self._acked >= self._drained_at:
            return stream.reset(Code.DRAINING, "nothing new is taken")
        if handler is None:
            return stream.reset(Code.NO_SERVICE, f"no service {opening.service} here")
        self._streams[number] = stream
        stream.charge(len(opening.first))
        stream.deliver(opening.first, len(opening.first))
        task = asyncio.create_task(_serve(handler, stream))
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)

    def _apply_to_session(self, piece: Piece) -> None:
        if piece.kind is Kind.RESET:
            self.finish(*decode_reset(piece.data))
        else:
            self.peer_drains = True  # DRAIN
            self._changed.set()

    def _apply_to_stream(self, piece: Piece) -> None:
        block = decode_json(piece.data) if piece.kind is Kind.META else {}
        reset = decode_reset(piece.data) if piece.kind is Kind.RESET else None
        stream = self._find(piece.stream)
        if stream is None:
            return
        if reset is not None:
            stream.fail(*reset)
        elif piece.kind is Kind.META:
            stream.charge(piece.length)
            stream.deliver(block, piece.length)
        elif piece.kind is Kind.CREDIT:
            stream.add_credit(int.from_bytes(piece.data, "big"))
        else:
            stream.end_peer()

    # Streams and their numbers.

    def _find(self, number: int) -> Stream | None:
        """The stream, or None when it is over. Raises Violation when it was never opened."""
        stream = self._streams.get(number)
        if stream is None:
            ours = number % 2 == (1 if self._dialer else 0)
            opened = self._wrapped or number < self._next_number if ours else (
                self._peer_wrapped or number <= self._last_peer_number
            )
            if not opened:
                raise Violation(f"a frame for stream {number}, which was never opened")
        return stream

    def _take_number(self) -> int:
        while True:
            number = self._next_number
            self._next_number += 2
            if self._next_number > LARGEST_STREAM:
                self._next_number = 1 if self._dialer else 2
                self._wrapped = True
            if number not in self._streams:
                return number

    def _count_ours(self) -> int:
        parity = 1 if self._dialer else 0
        return sum(1 for number in self._streams if number % 2 == parity)

    def release(self, stream: Stream) -> None:
        if self._streams.get(stream.number) is stream:
            del self._streams[stream.number]
        self._changed.set()

    def finish(self, code: Code, reason: str) -> None:
        if self.ended is not None:
            return
        self.ended = StreamEnded(code, reason)
        for stream in list(self._streams.values()):
            stream.fail(code, reason)
        self._changed.set()
        self._work.set()
        self.closed.set()


async def _serve(handler: Handler, stream: Stream) -> None:
    try:
        await handler(stream)
    except StreamEnded:
        pass  # The peer knows already.
    except Exception as error:
        stream.reset(Code.INTERNAL, type(error).__name__)
        raise
