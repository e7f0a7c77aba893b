"""Python against Python over socket pairs: `python3 -m unittest discover -s interop`."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import struct
import unittest

from frames import Code, Kind, Open, Violation, decode_header, encode_frame, encode_open
from links import CutBudget, CuttingLink, Link, LinkLost
from rdv import Acceptor, Refused, _keep, _redial, dial, encode_base64url
from session import Limits, Options, Session, Wire
from stream import Stream, StreamEnded

PATIENCE_SECONDS = 60


class FlippingLink:
    """Another link, with one bit changed at a given place of what is read."""

    def __init__(self, link: Link, place: int) -> None:
        self._link = link
        self._place = place
        self.detects_changes = False

    async def read(self) -> bytes:
        octets = bytearray(await self._link.read())
        if 0 <= self._place < len(octets):
            octets[self._place] ^= 0x04
        self._place -= len(octets)
        return bytes(octets)

    def __getattr__(self, name: str) -> object:
        return getattr(self._link, name)


class Pair:
    """An acceptor, and the means to dial it over socket pairs."""

    def __init__(self, check: bool = False, grace_seconds: float = 5.0, **options: object) -> None:
        self.options = Options(check=check, redial_seconds=0.001, **options)
        self.acceptor = Acceptor(SERVICES.get, self.options, grace_seconds, on_session=self._note)
        self.accepted: Session | None = None
        self.dials = 0
        self.reachable = True
        self.wrap = lambda link: link
        self._links: set[asyncio.Task[None]] = set()

    async def connect(self) -> Link:
        self.dials += 1
        if not self.reachable:
            raise LinkLost("unreachable, says the test")
        near, far = socket.socketpair()
        accepting = asyncio.create_task(self.acceptor.accept(Link(*await asyncio.open_connection(sock=far))))
        self._links.add(accepting)
        return self.wrap(Link(*await asyncio.open_connection(sock=near)))

    async def dial(self) -> Session:
        return await dial(self.connect, SERVICES.get, self.options)

    async def end(self, session: Session) -> None:
        await session.close()
        if self.accepted is not None and self.accepted.ended is None:
            await self.accepted.close()
        for link in self._links:
            link.cancel()
        faults = [fault for fault in await asyncio.gather(*self._links, return_exceptions=True)]
        unexpected = [fault for fault in faults if isinstance(fault, Exception)]
        if unexpected:
            raise unexpected[0]

    def _note(self, session: Session) -> None:
        self.accepted = session


async def serve_echo(stream: Stream) -> None:
    while (item := await stream.receive()) is not None:
        await (stream.send_meta(item) if isinstance(item, dict) else stream.write(item))
    stream.end()


async def serve_source(stream: Stream) -> None:
    await stream.write(pattern(stream.header["size"]))
    stream.end()


async def serve_nothing(stream: Stream) -> None:
    await stream.session.closed.wait()


SERVICES = {"echo": serve_echo, "source": serve_source, "nothing": serve_nothing}


PERIOD = bytes((place * place + (place >> 3)) & 0xFF for place in range(65521))


def pattern(size: int) -> bytes:
    return (PERIOD * (size // len(PERIOD) + 1))[:size]


async def collect(stream: Stream) -> tuple[bytes, list[tuple[int, dict]]]:
    """All bytes, and the metadata blocks with their places between the bytes."""
    octets, blocks = bytearray(), []
    while (item := await stream.receive()) is not None:
        if isinstance(item, dict):
            blocks.append((len(octets), item))
        else:
            octets += item
    return bytes(octets), blocks


async def exchange(session: Session) -> tuple[bytes, list[tuple[int, dict]]]:
    """A small dialogue with every kind of frame that a stream has."""
    stream = await session.open("echo", {"from": "test"}, first=b"first")
    await stream.write(pattern(70))
    await stream.send_meta({"trailers": ["a", "b"]})
    await stream.write(b"last")
    stream.end()
    return await collect(stream)


EXCHANGED = (b"first" + pattern(70) + b"last", [(75, {"trailers": ["a", "b"]})])


class SessionTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # which makes thousands of sessions ten times as slow
        await self.enterAsyncContext(asyncio.timeout(PATIENCE_SECONDS))

    async def ends_with(self, stream: Stream, code: Code) -> None:
        with self.assertRaises(StreamEnded) as caught:
            await collect(stream)
        self.assertEqual(caught.exception.code, code)

    async def test_streams_carry_bytes_and_blocks_in_order_both_ways(self) -> None:
        for check in (False, True):
            pair = Pair(check)
            session = await pair.dial()
            self.assertEqual(await exchange(session), EXCHANGED)
            back = await pair.accepted.open("echo", first=b"from the acceptor")
            self.assertEqual(back.number, 2)
            back.end()
            self.assertEqual(await collect(back), (b"from the acceptor", []))
            await pair.end(session)

    async def test_a_cut_at_any_byte_loses_and_doubles_nothing(self) -> None:
        for check in (False, True):
            for totals in await self._places_to_cut(check):
                pair = Pair(check)
                budget = CutBudget(totals)
                pair.wrap = lambda link, budget=budget: CuttingLink(link, budget)
                session = await pair.dial()
                self.assertEqual(await exchange(session), EXCHANGED, f"check {check}, cut at {totals}")
                self.assertEqual(await exchange(session), EXCHANGED, f"afterwards; check {check}, cut at {totals}")
                self.assertEqual(budget.cuts, len(totals))
                await pair.end(session)

    async def _places_to_cut(self, check: bool) -> list[list[int]]:
        """Each byte behind the first handshake; then, after one cut, every third byte of the second link."""
        pair = Pair(check)
        budget = CutBudget([])
        pair.wrap = lambda link: CuttingLink(link, budget)
        session = await pair.dial()
        opened = budget.spent
        await exchange(session)
        closed = budget.spent
        middle = (opened + closed) // 2
        session.wire.link.cut()
        await exchange(session)
        resumed = budget.spent
        await pair.end(session)
        singles = [[place] for place in range(opened + 1, closed - 30)]
        return singles + [[middle, middle + more] for more in range(1, resumed - closed - 60, 3)]

    async def test_a_torn_data_frame_is_delivered_once(self) -> None:
        pair = Pair()
        session = await pair.dial()
        stream = await session.open("echo")
        payload = pattern(1000)
        while session._sent < session._made:
            await session._change()
        # By hand: a DATA frame that breaks off within its payload. The session sends it again, whole.
        session.wire.link.write(encode_frame(Kind.DATA, stream.number, payload)[:300])
        self.assertEqual(await stream.receive(), payload[:292])
        self.assertEqual(pair.accepted._partial, (stream.number, 1000, 292))
        session.wire.link.cut()
        await stream.write(payload)
        stream.end()
        self.assertEqual(await collect(stream), (payload[292:], []))
        await pair.end(session)

    async def test_another_frame_in_place_of_a_torn_one_is_a_violation(self) -> None:
        pair = Pair()
        session = await pair.dial()
        stream = await session.open("echo")
        while session._sent < session._made:
            await session._change()
        session.wire.link.write(encode_frame(Kind.DATA, stream.number, bytes(100))[:50])
        await stream.receive()
        session.wire.link.cut()
        await stream.write(bytes(99))
        await self.ends_with(stream, Code.PROTOCOL)
        await pair.end(session)

    async def test_a_changed_bit_drops_the_link_and_is_never_passed_on(self) -> None:
        pair = Pair(True, dead_seconds=0.2)
        session = await pair.dial()
        dropped = 0
        for place in range(0, 1200, 7):
            places = [place]
            pair.wrap = lambda link, places=places: FlippingLink(link, places.pop()) if places else link
            session.wire.link.cut()
            dials = pair.dials
            self.assertEqual(await exchange(session), EXCHANGED, f"bit changed in byte {place}")
            dropped += pair.dials - dials - 1
        self.assertGreater(dropped, 50)
        self.assertIsNone(session.ended)
        await pair.end(session)

    async def test_bulk_survives_many_cuts(self) -> None:
        size = 6 * 2**20
        pair = Pair()
        budget = CutBudget([place * 611_953 for place in range(1, 10)])
        pair.wrap = lambda link: CuttingLink(link, budget)
        session = await pair.dial()
        stream = await session.open("source", {"size": size})
        stream.end()
        octets, _ = await collect(stream)
        self.assertEqual(hashlib.sha256(octets).digest(), hashlib.sha256(pattern(size)).digest())
        self.assertEqual(budget.cuts, 9)
        await pair.end(session)

    async def test_a_reader_that_stops_stops_the_writer(self) -> None:
        pair = Pair()
        session = await pair.dial()
        slow = await session.open("source", {"size": 2**20})
        other = await session.open("echo", first=b"x")
        self.assertEqual(await other.receive(), b"x")
        while slow._allowance > 0:
            await asyncio.sleep(0.001)
        self.assertEqual(sum(cost for _, cost in slow._inbox), slow._window)
        octets, _ = await collect(slow)
        self.assertEqual(octets, pattern(2**20))
        await pair.end(session)

    async def test_a_reset_reaches_the_other_side_and_the_number_is_over(self) -> None:
        pair = Pair()
        session = await pair.dial()
        stream = await session.open("nothing")
        while not pair.accepted._streams:
            await asyncio.sleep(0.001)
        far = pair.accepted._streams[stream.number]
        stream.reset(Code.CANCELLED, "enough")
        await self.ends_with(far, Code.CANCELLED)
        session.emit(Kind.DATA, stream.number, b"late")  # ignored there
        self.assertEqual(await exchange(session), EXCHANGED)
        await pair.end(session)

    async def test_refusals_of_streams(self) -> None:
        pair = Pair(limits=Limits(streams=1))
        session = await pair.dial()
        await self.ends_with(await session.open("missing"), Code.NO_SERVICE)
        session._peer_limits = Limits(streams=2)
        first = await session.open("nothing")
        await self.ends_with(await session.open("nothing"), Code.LIMIT)
        first.reset()
        early = await session.open("echo", first=b"in good faith")
        pair.accepted.drain()  # crosses the OPEN, which is not sent yet
        self.assertEqual(await early.receive(), b"in good faith")
        early.end()
        self.assertIsNone(await early.receive())
        while pair.accepted._acked < pair.accepted._drained_at:
            await pair.accepted._change()
        session.peer_drains = False
        await self.ends_with(await session.open("echo"), Code.DRAINING)
        session.peer_drains = True
        with self.assertRaises(StreamEnded) as caught:
            await session.open("echo")
        self.assertEqual(caught.exception.code, Code.DRAINING)
        await pair.end(session)

    async def test_violations_end_the_session_with_code_6(self) -> None:
        opening = Open(131072, "nothing", None, b"")
        cases = {
            "an even number of the dialer": encode_frame(Kind.OPEN, 2, encode_open(opening)),
            "a small window": encode_frame(Kind.OPEN, 3, encode_open(opening._replace(window=131071))),
            "a bad service name": encode_frame(Kind.OPEN, 3, encode_open(opening._replace(service="No"))),
            "a number in use": encode_frame(Kind.OPEN, 1, encode_open(opening)),
            "a stream that was never opened": encode_frame(Kind.DATA, 3, b"x"),
            "more than the credit": encode_frame(Kind.DATA, 1, bytes(65536)) * 5,
            "credit above the bound": encode_frame(Kind.CREDIT, 1, struct.pack(">I", 2**30)),
            "bytes after END": encode_frame(Kind.END, 1) + encode_frame(Kind.DATA, 1, b"x"),
            "META that is no object": encode_frame(Kind.META, 1, b"[]"),
            "an unknown type": struct.pack(">II", 0x08 << 24, 0),
            "a long payload": struct.pack(">II", 0x03 << 24 | 65537, 1),
            "ACK beyond what was sent": encode_frame(Kind.ACK, 0, struct.pack(">Q", 2**40)),
            "a second HELLO": encode_frame(Kind.HELLO, 0, b"{}"),
        }
        for name, octets in cases.items():
            with self.subTest(name):
                pair = Pair()
                session = await pair.dial()
                stream = await session.open("nothing")
                while session._sent < session._made:
                    await session._change()
                session.wire.link.write(octets)
                await self.ends_with(stream, Code.PROTOCOL)
                self.assertEqual(session.ended.code, Code.PROTOCOL)
                await pair.end(session)

    async def test_a_violation_counts_once_its_check_has_matched(self) -> None:
        for good, code in [(True, Code.PROTOCOL), (False, None)]:
            pair = Pair(True)
            session = await pair.dial()
            stream = await session.open("echo", first=b"x")
            await stream.receive()
            wire = session.wire
            wire.out.put(struct.pack(">II", 0x08 << 24, 0))
            wire.out._crc ^= 0 if good else 1
            wire.out.seal()
            await wire.flush()
            if good:
                await self.ends_with(stream, code)
            else:
                self.assertEqual(await exchange(session), EXCHANGED)
                self.assertEqual(session.resumes, 1)
            await pair.end(session)

    async def test_counts_of_a_resume_that_cannot_be(self) -> None:
        pair = Pair()
        session = await pair.dial()
        self.assertEqual(await exchange(session), EXCHANGED)
        while pair.accepted._acked == 0:
            await pair.accepted._change()
        true_count, session.applied = session.applied, 0
        session.wire.link.cut()
        while pair.dials < 3:  # the acceptor drops each link that comes from the past
            await asyncio.sleep(0.001)
        self.assertIsNone(pair.accepted.ended)
        session.applied = true_count
        self.assertEqual(await exchange(session), EXCHANGED)
        session.applied += 1
        session.wire.link.cut()
        await session.closed.wait()
        self.assertEqual((session.ended.code, pair.accepted.ended.code), (Code.PROTOCOL, Code.PROTOCOL))
        await pair.end(session)

    async def test_a_new_link_replaces_a_live_one(self) -> None:
        pair = Pair()
        session = await pair.dial()
        stream = await session.open("echo", first=b"before")
        self.assertEqual(await stream.receive(), b"before")
        old = session.wire.link
        session.detach = lambda: setattr(session, "wire", None)  # the old link stays open at this side
        session.keeper.cancel()
        await asyncio.gather(session.keeper, return_exceptions=True)
        session.keeper = asyncio.create_task(_keep(session, await _redial(session, pair.connect), pair.connect))
        del session.detach
        await stream.write(b"after")
        self.assertEqual(await stream.receive(), b"after")
        self.assertEqual(pair.accepted.resumes, 1)
        self.assertEqual(await old.read(), b"", "the acceptor ends the old link")
        old.cut()
        await pair.end(session)

    async def test_a_wrong_proof_is_refused_and_leaves_the_session_alone(self) -> None:
        pair = Pair()
        session = await pair.dial()
        wire = Wire(await pair.connect())
        nonce = encode_base64url(bytes(16))
        wire.say({"kind": "resume", "versions": [1], "session": session.identity, "nonce": nonce})
        await wire.flush()
        self.assertEqual((await wire.hear())["kind"], "challenge")
        wire.say({"kind": "proof", "received": 0, "proof": encode_base64url(bytes(32))})
        await wire.flush()
        self.assertEqual((await wire.hear())["code"], Code.UNAUTHORIZED)
        wire.link.cut()
        self.assertEqual(await exchange(session), EXCHANGED)
        self.assertEqual(session.resumes, 0)
        await pair.end(session)

    async def test_refusals_of_sessions(self) -> None:
        pair = Pair()
        pair.acceptor._admits = lambda token: token == "let me in"
        with self.assertRaises(Refused) as caught:
            await pair.dial()
        self.assertEqual(caught.exception.code, Code.UNAUTHORIZED)
        wire = Wire(await pair.connect())
        wire.say({"kind": "new", "versions": [2], "limits": {"window": 131072, "streams": 1}})
        await wire.flush()
        self.assertEqual((await wire.hear())["code"], Code.VERSION)
        wire.link.cut()

    async def test_an_unknown_session_ends_its_streams_as_expired(self) -> None:
        pair = Pair()
        session = await pair.dial()
        stream = await session.open("nothing")
        pair.acceptor.sessions.clear()
        session.wire.link.cut()
        await self.ends_with(stream, Code.EXPIRED)
        await pair.end(session)

    async def test_a_session_without_a_link_ends_after_the_grace_time_on_both_sides(self) -> None:
        pair = Pair(grace_seconds=0.1)
        session = await pair.dial()
        stream = await session.open("nothing")
        pair.reachable = False
        session.wire.link.cut()
        await self.ends_with(stream, Code.EXPIRED)
        await pair.accepted.closed.wait()
        self.assertEqual(pair.accepted.ended.code, Code.EXPIRED)
        self.assertEqual(pair.acceptor.sessions, {})
        await pair.end(session)

    async def test_a_silent_link_is_replaced_after_the_dead_time(self) -> None:
        pair = Pair(dead_seconds=0.2)
        session = await pair.dial()
        await asyncio.sleep(0.5)
        self.assertEqual(session.resumes, 0, "PING and PONG keep an idle link")
        hole = session.wire.link
        hole._reader.feed_data = lambda octets: None  # everything that arrives is lost
        self.assertEqual(await exchange(session), EXCHANGED)
        self.assertEqual(session.resumes, 1)
        await pair.end(session)

    async def test_stream_numbers_start_over_and_skip_those_in_use(self) -> None:
        pair = Pair()
        session = await pair.dial()
        first = await session.open("nothing")
        session._next_number = 2**32 - 1
        numbers = [(await session.open("nothing")).number for _ in range(2)]
        self.assertEqual((first.number, numbers), (1, [2**32 - 1, 3]))
        self.assertEqual(await exchange(session), EXCHANGED)
        await pair.end(session)


class HeaderTest(unittest.TestCase):
    def test_headers_that_the_table_does_not_allow_are_refused(self) -> None:
        for kind in Kind:
            with self.assertRaises(Violation):
                decode_header(struct.pack(">II", kind << 24 | 65537, 1))
        for kind, length, stream in [
            (Kind.DATA, 1, 0),
            (Kind.PING, 8, 1),
            (Kind.PING, 7, 0),
            (Kind.RESET, 1, 1),
            (Kind.RESET, 515, 1),
            (Kind.HELLO, 8193, 0),
            (Kind.END, 1, 1),
            (Kind.DRAIN, 0, 1),
        ]:
            with self.assertRaises(Violation):
                decode_header(struct.pack(">II", kind << 24 | length, stream))


if __name__ == "__main__":
    unittest.main()
