"""
Channels over a session: section 9.5 of docs/protocol.md.

    channels = await Channels.connect("tcp://127.0.0.1:5640")
    sender = await channels.sender("/jobs", create={})
    await sender.send(b"hello")  # returns when a receiver has it
    async for message in await channels.receiver("/jobs"):
        print(message.octets)
        await message.done()

Everything raises ChannelError for one message, StreamEnded for a stream that is over.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from channel_frames import (
    FOREVER,
    NO_CASE,
    RECEIVE,
    SEND,
    BadFrame,
    ChannelFrames,
    FrameKind,
    encode_channel_frame,
)
from frames import Code
from links import connect
from rdv import Connect, dial
from session import Options, Session
from stream import Stream, StreamEnded

SERVICE = "channel"


class ChannelError(Exception):
    """What became of one message, one select or one request."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = Code(code)
        self.reason = reason or self.code.name.lower()
        super().__init__(f"{self.reason} (code {code})")


class Channels:
    """A server's channels, over one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._control: Control | None = None
        self._selector: Selector | None = None

    @classmethod
    async def connect(cls, server: str, options: Options = Options(), make_link: Connect | None = None) -> Channels:
        """Opens a session, over `make_link` when it is given. Raises LinkLost, Refused, TimeoutError."""
        return cls(await dial(make_link or (lambda: connect(server)), lambda service: None, options))

    async def sender(self, path: str, create: dict | None = None) -> Sender:
        """`create`: the channel is made when it is missing, with these settings."""
        return await Sender.open(self.session, path, create)

    async def receiver(self, path: str, create: dict | None = None, window: int = 1) -> Receiver:
        """`window`: messages that may be here unanswered while somebody receives; with 1 nothing is fetched ahead."""
        return await Receiver.open(self.session, path, create, window)

    async def select(self, cases: list[Case], seconds: float | None = None) -> Chosen:
        """Exactly one of the cases. Raises ChannelError: `timeout`, and `would_block` when `seconds` is 0."""
        if self._selector is None:
            self._selector = Selector(await self.session.open(SERVICE, {"do": "select"}))
        return await self._selector.select(cases, seconds)

    async def peek(self, path: str) -> bytes | None:
        """A copy of what a receiver would get next."""
        stream = await self.session.open(SERVICE, {"do": "peek", "path": path})
        stream.end()
        found, octets = False, bytearray()
        while (item := await stream.receive()) is not None:
            if isinstance(item, dict):
                found = item.get("found") is True
            else:
                octets += item
        return bytes(octets) if found else None

    async def list(self, path: str = "/", deep: bool = False) -> list[dict]:
        parts, _ = await self.ask("list", path=path, deep=deep)
        return parts

    async def stat(self, path: str) -> dict:
        _, done = await self.ask("stat", path=path)
        return done

    async def create(self, path: str, settings: dict | None = None, folders: bool = False) -> dict:
        _, done = await self.ask("create", path=path, settings=settings or {}, folders=folders)
        return done

    async def set(self, path: str, settings: dict) -> dict:
        _, done = await self.ask("set", path=path, settings=settings)
        return done

    async def remove(self, path: str) -> None:
        await self.ask("remove", path=path)

    async def end(self, path: str) -> None:
        """Closes the channel for everybody: receivers get what is left, and then the end."""
        await self.ask("close", path=path)

    async def ask(self, do: str, **fields: object) -> tuple[list[dict], dict]:
        if self._control is None:
            self._control = Control(await self.session.open(SERVICE, {"do": "control"}))
        return await self._control.ask(do, **fields)

    async def close(self) -> None:
        await self.session.close()


class _Party:
    """What sender, receiver and selector share: a stream whose frames are read by a task."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.ready: dict = {}
        self.failure: StreamEnded | None = None  # why nothing comes any more
        self.ended = False  # in good order
        self._frames = ChannelFrames()
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def until(self, holds: Callable[[], bool]) -> None:
        """Raises StreamEnded when the stream is over before."""
        while not holds():
            if self.failure is not None:
                raise self.failure
            self._changed.clear()
            await self._changed.wait()

    async def emit(self, kind: FrameKind, **fields: int | str | bytes) -> None:
        await self.stream.write(encode_channel_frame(kind, **fields))

    def take(self, kind: FrameKind, fields: dict) -> None:
        raise NotImplementedError

    def over(self) -> None:
        """Nothing comes any more."""

    async def _read(self) -> None:
        try:
            while (item := await self.stream.receive()) is not None:
                if isinstance(item, dict):
                    self.ready = item.get("ready", {})
                else:
                    self._frames.push(item)
                    while (frame := self._frames.pull()) is not None:
                        self.take(*frame)
                self._changed.set()
            self.ended = True
            self.failure = StreamEnded(Code.CLOSED, "the server has ended the stream")
        except StreamEnded as failure:
            self.failure = failure
        except BadFrame as error:
            self.stream.reset(Code.PROTOCOL, str(error))
            self.failure = StreamEnded(Code.PROTOCOL, str(error))
        self.over()
        self._changed.set()

    async def _say_end(self) -> None:
        """Ends our direction and waits for the server's."""
        self.stream.end()
        with contextlib.suppress(StreamEnded):
            await self.until(lambda: self.ended)


async def _open(session: Session, do: str, path: str, create: dict | None) -> Stream:
    header = {"do": do, "path": path} | ({"create": create} if create is not None else {})
    return await session.open(SERVICE, header)


# --- Sending ---


class Sender(_Party):
    """Messages one after another into a channel."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self._next = 0
        self._unsettled: dict[int, tuple[asyncio.Future[None], int]] = {}  # in the order of their numbers
        self._bytes = 0
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, session: Session, path: str, create: dict | None) -> Sender:
        sender = cls(await _open(session, "send", path, create))
        await sender.until(lambda: bool(sender.ready))
        return sender

    async def send(self, message: bytes, seconds: float | None = None) -> None:
        """
        Returns when the message has arrived, or stands in the channel's buffer. `seconds`: withdrawn when it has no
        receiver by then (ChannelError `timeout`); 0: when it has none at once (`would_block`).
        """
        number, settled = await self.offer(message, seconds)
        try:
            await asyncio.shield(settled)
        except asyncio.CancelledError:
            if not settled.done():
                await self.withdraw(number)
            raise

    async def offer(self, message: bytes, seconds: float | None = None) -> tuple[int, asyncio.Future[None]]:
        """Sends as soon as the window allows; the future hears what becomes of it."""
        async with self._turn:
            if len(message) > self.ready["maxMessage"]:
                raise ChannelError(Code.TOO_LARGE, f"{len(message)} bytes; at most {self.ready['maxMessage']} may be")
            await self.until(lambda: self._has_room(len(message)))
            if self.failure is not None:
                raise self.failure
            number, self._next = self._next, self._next + 1
            settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            settled.add_done_callback(lambda future: future.cancelled() or future.exception())  # need not be asked for
            self._unsettled[number] = (settled, len(message))
            self._bytes += len(message)
            if seconds is None:
                await self.emit(FrameKind.MESSAGE, message=message)
            else:
                await self.emit(FrameKind.TIMED, ms=_milliseconds(seconds), message=message)
            return number, settled

    async def withdraw(self, number: int) -> None:
        """Not wanted any more. Unless a receiver has it, it ends with ChannelError `cancelled`."""
        if number in self._unsettled:
            await self.emit(FrameKind.WITHDRAW, number=number)

    async def close(self) -> None:
        """Waits until everything that was sent is settled."""
        await self._say_end()

    def take(self, kind: FrameKind, fields: dict) -> None:
        if kind is FrameKind.CONFIRMED:
            if fields["number"] > self._next:
                raise BadFrame("a confirmation of what was never sent")
            while self._unsettled and (first := next(iter(self._unsettled))) < fields["number"]:
                self._settle(first, None)
        elif kind is FrameKind.SETTLED:
            code, reason = fields["code"], fields["reason"]
            self._settle(fields["number"], None if code == 0 else ChannelError(code, reason))
        else:
            raise BadFrame(f"{kind.name} to a sender")

    def over(self) -> None:
        # Nobody knows what became of them: section 9.5, Lost sessions.
        failure = self.failure or StreamEnded(Code.CLOSED, "")
        for number in list(self._unsettled):
            self._settle(number, failure)

    def _settle(self, number: int, error: Exception | None) -> None:
        settled, size = self._unsettled.pop(number, (None, 0))
        self._bytes -= size
        if settled is None or settled.done():
            return
        if error is None:
            settled.set_result(None)
        else:
            settled.set_exception(error)

    def _has_room(self, size: int) -> bool:
        if not self._unsettled:
            return True
        return len(self._unsettled) < self.ready["messages"] and self._bytes + size <= self.ready["bytes"]


# --- Receiving ---


@dataclass(frozen=True)
class Message:
    """It is the channel's until it is answered."""

    octets: bytes
    id: int
    attempt: int
    number: int  # its place on the stream
    answers: Callable[[int, int, str], object]

    async def done(self) -> None:
        """It is dealt with: its sender hears that it has arrived."""
        await self.answers(self.number, 0, "")

    async def fail(self, reason: str = "it failed") -> None:
        """It could not be dealt with: it goes to another receiver, or where the channel's settings say."""
        await self.answers(self.number, Code.CANCELLED, reason)


class Receiver(_Party):
    """Messages of a channel, as many as are asked for. Whoever receives takes turns."""

    def __init__(self, stream: Stream, window: int) -> None:
        super().__init__(stream)
        self._window = window
        self._inbox: deque[Message] = deque()
        self._open: dict[int, None] = {}  # arrived and not answered, in order
        self._next = 0
        self._asked = 0
        self._recalls = 0  # questions back that have no answer yet
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, session: Session, path: str, create: dict | None, window: int) -> Receiver:
        receiver = cls(await _open(session, "receive", path, create), window)
        await receiver.until(lambda: bool(receiver.ready) or receiver.ended)
        return receiver

    async def receive(self, seconds: float | None = None) -> Message | None:
        """None: the channel is closed and nothing is left in it. Raises ChannelError `timeout`, `would_block`."""
        async with self._turn:
            await self._ask()
            try:
                if seconds == 0 and not self._inbox:
                    await self._recall()
                async with asyncio.timeout(seconds or None):
                    await self.until(lambda: bool(self._inbox) or self.ended or seconds == 0)
            except TimeoutError:
                await self._recall()  # what comes before the answer is ours
            except asyncio.CancelledError:
                await asyncio.shield(self._give_back())
                raise
            if self._inbox:
                return self._inbox.popleft()
            if self.ended:
                return None
            raise ChannelError(Code.WOULD_BLOCK if seconds == 0 else Code.TIMEOUT, "no message came")

    async def __aiter__(self) -> AsyncIterator[Message]:
        while (message := await self.receive()) is not None:
            yield message

    async def close(self) -> None:
        """What was not answered goes back."""
        await self._say_end()

    def take(self, kind: FrameKind, fields: dict) -> None:
        if kind is FrameKind.DELIVERY:
            if self._asked == 0:
                raise BadFrame("a delivery that was not asked for")
            self._asked -= 1
            message = Message(fields["message"], fields["id"], fields["attempt"], self._next, self._answer)
            self._open[self._next] = None
            self._next += 1
            self._inbox.append(message)
        elif kind is FrameKind.RECALLED:
            self._asked = 0
            self._recalls -= 1
        else:
            raise BadFrame(f"{kind.name} to a receiver")

    async def _answer(self, number: int, code: int, reason: str) -> None:
        if number not in self._open or self.failure is not None and not self.ended:
            return
        is_first = next(iter(self._open)) == number
        del self._open[number]
        if code == 0 and is_first:
            await self.emit(FrameKind.NEXT, more=0, number=next(iter(self._open), self._next))
        else:
            await self.emit(FrameKind.ANSWER, number=number, code=code, reason=reason)

    async def _ask(self) -> None:
        """For one message, or ahead up to the window."""
        wanted = self._window - len(self._open) if self._window > 1 else 1 - len(self._inbox)
        if not self._inbox and not self.ended and wanted > self._asked:
            more, self._asked = wanted - self._asked, wanted
            await self.emit(FrameKind.NEXT, more=more, number=next(iter(self._open), self._next))

    async def _recall(self) -> None:
        """Takes back what was asked for and did not come."""
        if self._asked > 0:
            self._recalls += 1
            await self.emit(FrameKind.RECALL)
            await self.until(lambda: self._recalls == 0 or self.ended)

    async def _give_back(self) -> None:
        with contextlib.suppress(StreamEnded):
            await self._recall()
            while self._inbox:
                await self._inbox.pop().fail("nobody waits for it any more")


# --- Select ---


@dataclass(frozen=True)
class Case:
    """Receives from the channel, or sends `message` to it."""

    path: str
    message: bytes | None = None


@dataclass(frozen=True)
class Chosen:
    case: int
    message: Message | None = None  # of a receive; None when its channel is closed and empty, too
    closed: bool = False


class Selector(_Party):
    """One select after another on a stream."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self._turn = asyncio.Lock()
        self._answers: deque[tuple[FrameKind, dict]] = deque()
        self._received = 0

    async def select(self, cases: list[Case], seconds: float | None) -> Chosen:
        async with self._turn:
            for case in cases:
                way = RECEIVE if case.message is None else SEND
                await self.emit(FrameKind.CASE, way=way, path=case.path, message=case.message or b"")
            await self.emit(FrameKind.GO, ms=FOREVER if seconds is None else _milliseconds(seconds))
            try:
                await self.until(lambda: bool(self._answers))
            except asyncio.CancelledError:
                await asyncio.shield(self._cancel())
                raise
            kind, fields = self._answers.popleft()
        if kind is FrameKind.CHOSEN:
            message = None
            if fields["way"] == RECEIVE:
                message = self._message(fields)
            return Chosen(fields["case"], message)
        index, code = fields["case"], fields["code"]
        if code == Code.CLOSED and index != NO_CASE and cases[index].message is None:
            return Chosen(index, closed=True)
        raise ChannelError(code, fields["reason"])

    def take(self, kind: FrameKind, fields: dict) -> None:
        if kind not in (FrameKind.CHOSEN, FrameKind.NONE):
            raise BadFrame(f"{kind.name} to a select")
        self._answers.append((kind, fields))

    async def _cancel(self) -> None:
        """Every select has one answer; a message that comes with it goes back."""
        with contextlib.suppress(StreamEnded):
            await self.emit(FrameKind.CANCEL)
            await self.until(lambda: bool(self._answers))
            kind, fields = self._answers.popleft()
            if kind is FrameKind.CHOSEN and fields["way"] == RECEIVE:
                await self._message(fields).fail("the select was cancelled")

    def _message(self, fields: dict) -> Message:
        number, self._received = self._received, self._received + 1
        return Message(fields["message"], fields["id"], fields["attempt"], number, self._answer)

    async def _answer(self, number: int, code: int, reason: str) -> None:
        await self.emit(FrameKind.ANSWER, number=number, code=code, reason=reason)


def _milliseconds(seconds: float) -> int:
    return 0 if seconds <= 0 else min(max(1, round(seconds * 1000)), FOREVER - 1)


# --- Control ---


class Control:
    """Requests and their answers, by id."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._turn = asyncio.Lock()
        self._next = 0

    async def ask(self, do: str, **fields: object) -> tuple[list[dict], dict]:
        """What came in parts, and the last answer. Raises ChannelError."""
        async with self._turn:
            identity, self._next = self._next, self._next + 1
            await self._stream.send_meta({"id": identity, "do": do, **fields})
            parts: list[dict] = []
            while True:
                answer = await self._stream.receive()
                if not isinstance(answer, dict):
                    raise StreamEnded(Code.PROTOCOL, "the server has ended the stream")
                if answer.get("id") != identity:
                    continue  # the rest of a request that was given up
                if "code" in answer:
                    raise ChannelError(answer["code"], str(answer.get("reason", "")))
                if "done" in answer:
                    return parts, answer["done"]
                parts += answer.get("part", [])
