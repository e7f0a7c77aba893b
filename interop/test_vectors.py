"""The golden bytes of `test/vectors/`; the key `about` of each file says what they are."""

from __future__ import annotations

import asyncio
import json
import struct
import unittest
import zlib
from pathlib import Path
from unittest import mock

from frames import (
    HEADER_SIZE,
    Code,
    Corrupt,
    Incoming,
    Kind,
    Open,
    Outgoing,
    Piece,
    Violation,
    decode_header,
    decode_json,
    decode_open,
    decode_reset,
    encode_frame,
    encode_json,
    encode_open,
    encode_reset,
)
from rdv import Acceptor, Refused, _resume, decode_base64url, dial, proof
from session import Limits, Options, Session, Wire
from stream import Stream, StreamEnded

FOLDER = Path(__file__).parent.parent / "test" / "vectors"
SIZED_NUMBERS = {Kind.CREDIT: ("bytes", ">I"), Kind.CHECK: ("crc", ">I")} | {
    kind: ("value", ">Q") for kind in (Kind.ACK, Kind.PING, Kind.PONG)
}


def load(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def octets_of(vector: dict) -> bytes:
    fill = vector.get("fill")
    return bytes.fromhex(vector["hex"]) + (bytes.fromhex(fill["byte"]) * fill["count"] if fill is not None else b"")


def pulled(incoming: Incoming, octets: bytes, step: int) -> list[Piece]:
    """What comes out when the octets arrive in pieces of `step`."""
    pieces = []
    for at in range(0, len(octets), step):
        incoming.push(octets[at : at + step])
        while (piece := incoming.pull()) is not None:
            pieces.append(piece)
    return pieces


class ScriptedLink:
    """Reads what the test gives, then breaks or stays silent; remembers what is written."""

    detects_changes = True

    def __init__(self, octets: bytes, breaks: bool = False, step: int = 65536) -> None:
        self.written = bytearray()
        self._pieces = [octets[at : at + step] for at in range(0, len(octets), step)]
        self._breaks = breaks
        self._over = asyncio.Event()

    async def read(self) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        if not self._breaks:
            await self._over.wait()
        return b""

    def add(self, octets: bytes) -> None:
        self._pieces.append(octets)

    def write(self, octets: bytes) -> None:
        self.written += octets

    async def flush(self) -> None:
        await asyncio.sleep(0)

    async def close(self) -> None:
        self.cut()

    def cut(self) -> None:
        self._over.set()


class FrameVectors(unittest.TestCase):
    def test_a_writer_gives_these_frames(self) -> None:
        for vector in load("frames")["frames"]:
            with self.subTest(vector["name"]):
                octets = octets_of(vector)
                kind = Kind[vector["type"]]
                frame = encode_frame(kind, vector["stream"], self._payload(kind, vector))
                self.assertEqual(frame, octets)

    def test_a_reader_gets_these_fields_from_any_pieces(self) -> None:
        for vector in load("frames")["frames"]:
            octets = octets_of(vector)
            steps = (1, 7, len(octets)) if len(octets) < 2000 else (4099, len(octets))
            for step in steps:
                for checked in (False, True):
                    if vector["type"] == "CHECK":
                        continue  # It is no frame of its own for a reader; check.json has it.
                    with self.subTest(vector["name"], step=step, checked=checked):
                        incoming = Incoming()
                        incoming.checked = checked
                        crc = struct.pack(">I", zlib.crc32(octets))
                        tail = encode_frame(Kind.CHECK, 0, crc) if checked else b""
                        pieces = pulled(incoming, octets + tail, step)
                        self._compare(vector, pieces)

    def test_crc32(self) -> None:
        for vector in load("frames")["crc32"]:
            self.assertEqual(zlib.crc32(bytes.fromhex(vector["hex"])), vector["crc"])

    def _payload(self, kind: Kind, vector: dict) -> bytes:
        if kind is Kind.OPEN:
            header = json.loads(vector["header"]) if vector["header"] else None
            first = self._bytes(vector, "first")
            return encode_open(Open(vector["window"], vector["service"], header, first))
        if kind is Kind.META:
            return encode_json(json.loads(vector["json"]))
        if kind is Kind.RESET:
            return encode_reset(vector["code"], vector["reason"])
        if kind in (Kind.DATA, Kind.DGRAM):
            return self._bytes(vector, "payload")
        if kind in SIZED_NUMBERS:
            key, form = SIZED_NUMBERS[kind]
            return struct.pack(form, int(vector[key]))
        return b""

    def _bytes(self, vector: dict, key: str) -> bytes:
        if key in vector:
            return bytes.fromhex(vector[key])
        return bytes.fromhex(vector["fill"]["byte"]) * vector["fill"]["count"]

    def _compare(self, vector: dict, pieces: list[Piece]) -> None:
        first = pieces[0]
        payload = b"".join(piece.data for piece in pieces)
        self.assertTrue(pieces[-1].ends_frame)
        self.assertEqual((first.kind.name, first.stream), (vector["type"], vector["stream"]))
        if first.kind is Kind.OPEN:
            header = json.loads(vector["header"]) if vector["header"] else None
            expected = (vector["window"], vector["service"], header, self._bytes(vector, "first"))
            self.assertEqual(decode_open(payload), expected)
        elif first.kind is Kind.META:
            self.assertEqual(decode_json(payload), json.loads(vector["json"]))
        elif first.kind is Kind.RESET:
            self.assertEqual(decode_reset(payload), (Code(vector["code"]), vector["reason"]))
        else:
            self.assertEqual(payload, self._payload(first.kind, vector))


class CheckVectors(unittest.TestCase):
    def setUp(self) -> None:
        self.vectors = load("check")
        self.stream = bytes.fromhex(self.vectors["stream"])

    def test_a_writer_gives_these_checks(self) -> None:
        out = Outgoing()
        for batch in self.vectors["batches"]:
            for frame in batch["frames"]:
                out.put(bytes.fromhex(frame))
            out.seal()
        self.assertEqual(out.take(), self.stream)

    def test_nothing_is_applied_before_its_check(self) -> None:
        unchecked = bytes.fromhex(self.vectors["unchecked"])
        for step in (1, 7, len(self.stream)):
            self.assertEqual(self._applied(self.stream + unchecked, step).hex(), self.vectors["delivered"])

    def test_a_changed_byte_drops_the_link(self) -> None:
        for change in self.vectors["changed"]:
            for step in (1, 7, len(self.stream)):
                with self.subTest(**change, step=step):
                    octets = bytearray(self.stream)
                    octets[change["offset"]] ^= change["mask"]
                    applied = bytearray()
                    with self.assertRaises(Corrupt):
                        self._applied(bytes(octets), step, applied)
                    self.assertEqual(applied.hex(), self.vectors["delivered"][: 2 * change["deliveredBytes"]])

    def _applied(self, octets: bytes, step: int, applied: bytearray | None = None) -> bytes:
        applied = bytearray() if applied is None else applied
        incoming = Incoming()
        for at in range(0, len(octets), step):
            incoming.push(octets[at : at + step])
            while (piece := incoming.pull()) is not None:
                applied += encode_frame(piece.kind, piece.stream, piece.data)
        return bytes(applied)


class HandshakeVectors(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.vectors = load("handshake")
        self.secret = decode_base64url(self.vectors["secret"], 32)
        self.nonces = (self.vectors["dialNonce"], self.vectors["acceptNonce"])

    def test_proofs(self) -> None:
        for vector in self.vectors["proofs"]:
            word = vector["text"].split(" ")[1]
            self.assertEqual(proof(self.secret, word, *self.nonces, vector["received"]), vector["proof"])

    async def test_every_message_is_read_and_written(self) -> None:
        for name in ("new", "anonymous", "resume"):
            for vector in self.vectors[name]:
                octets = bytes.fromhex(vector["hex"])
                for step in (1, 7, len(octets)):
                    link = ScriptedLink(octets, step=step)
                    self.assertEqual(await Wire(link).hear(), json.loads(vector["json"]))
                out = Outgoing()
                out.put(encode_frame(Kind.HELLO, 0, vector["json"].encode("utf-8")))
                out.seal()
                self.assertEqual(out.take(), octets)

    async def test_the_dialer_of_a_new_session(self) -> None:
        new, welcome = (json.loads(vector["json"]) for vector in self.vectors["new"])
        link = ScriptedLink(bytes.fromhex(self.vectors["new"][1]["hex"]))
        options = Options(limits=Limits(**new["limits"]), check=True, token=new["token"], agent=new["agent"])
        options = Options(**{**vars(options), "instance": new["instance"]})
        session = await dial(mock.AsyncMock(return_value=link), {}.get, options)
        self.assertEqual(self._messages(link), [new])
        self.assertEqual((session.identity, session.secret), (welcome["session"], self.secret))
        self.assertEqual(session.grace_seconds * 1000, welcome["graceMs"])
        session.keeper.cancel()

    async def test_the_dialer_that_is_refused(self) -> None:
        _, refuse = (json.loads(vector["json"]) for vector in self.vectors["anonymous"])
        link = ScriptedLink(bytes.fromhex(self.vectors["anonymous"][1]["hex"]))
        with self.assertRaises(Refused) as caught:
            await dial(mock.AsyncMock(return_value=link), {}.get)
        self.assertEqual((caught.exception.code, caught.exception.reason), (refuse["code"], refuse["reason"]))

    async def test_the_acceptor_of_a_new_session(self) -> None:
        for name, admitted in (("new", True), ("anonymous", False)):
            link = ScriptedLink(bytes.fromhex(self.vectors[name][0]["hex"]), breaks=True)
            acceptor = Acceptor({}.get, Options(), admits=lambda token: token == "rdv_0123456789")
            await acceptor.accept(link)
            answer = self._messages(link)[0]
            self.assertEqual(answer["kind"], "welcome" if admitted else "refuse")
            if not admitted:
                self.assertEqual(answer["code"], 7)
            for session in acceptor.sessions.values():
                session.keeper.cancel()

    async def test_the_dialer_of_a_resume(self) -> None:
        resume, challenge, proved, resumed = self._resume_messages()
        session = Session(resume["session"], self.secret, True, Options(check=True), Limits(), 60, {}.get)
        session.applied = proved["received"]
        link = ScriptedLink(bytes.fromhex(self.vectors["resume"][1]["hex"] + self.vectors["resume"][3]["hex"]))
        with mock.patch("secrets.token_bytes", return_value=decode_base64url(self.nonces[0], 16)):
            await _resume(session, link)
        self.assertEqual(self._messages(link), [resume, proved])
        self.assertEqual(session.resumes, 1)

    async def test_the_acceptor_of_a_resume(self) -> None:
        resume, challenge, proved, resumed = self._resume_messages()
        link, session = await self._accept_resume(proved)
        self.assertEqual(self._messages(link)[:2], [challenge, resumed])
        self.assertEqual(session.resumes, 1)
        session.keeper.cancel()

    async def test_wrong_proofs_are_refused(self) -> None:
        for vector in self.vectors["wrong"]:
            with self.subTest(vector["why"]):
                message = {"kind": "proof", "received": vector["received"], "proof": vector["proof"]}
                link, session = await self._accept_resume(message)
                self.assertEqual(self._messages(link)[1]["code"], 7)
                self.assertEqual(session.resumes, 0)

    async def _accept_resume(self, proved: dict) -> tuple[ScriptedLink, Session]:
        resume = self._resume_messages()[0]
        acceptor = Acceptor({}.get, Options(check=False))
        session = Session(resume["session"], self.secret, False, Options(check=False), Limits(), 60, {}.get)
        # What the vector takes for granted: this side has sent as much as the dialer says to have received.
        session._made = session._sent = session._acked = 4294967396
        acceptor.sessions[resume["session"]] = session
        link = ScriptedLink(bytes.fromhex(self.vectors["resume"][0]["hex"]), breaks=True)
        wire = Wire(ScriptedLink(b""))
        wire.say(proved)
        link.add(wire.out.take())
        with mock.patch("secrets.token_bytes", return_value=decode_base64url(self.nonces[1], 16)):
            await acceptor.accept(link)
        return link, session

    def _resume_messages(self) -> list[dict]:
        return [json.loads(vector["json"]) for vector in self.vectors["resume"]]

    def _messages(self, link: ScriptedLink) -> list[dict]:
        pieces = pulled(Incoming(), bytes(link.written), 65536)
        return [decode_json(piece.data) for piece in pieces if piece.kind is Kind.HELLO]


class InvalidVectors(unittest.IsolatedAsyncioTestCase):
    async def test_each_violation_ends_the_session_with_its_code(self) -> None:
        for vector in load("invalid")["cases"]:
            with self.subTest(vector["name"]):
                octets = octets_of(vector)
                if vector["found"] == "header":
                    with self.assertRaises(Violation):
                        decode_header(octets[:HEADER_SIZE])
                session = make_acceptors_session(leave_unread)
                link = ScriptedLink(octets)
                await run_over(session, link)
                self.assertEqual(session.ended.code, vector["code"])
                last = [piece for piece in frames_of(link) if piece.kind is Kind.RESET][-1]
                self.assertEqual((last.stream, decode_reset(last.data)[0]), (0, vector["code"]))


class ResumeVectors(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.vectors = load("resume")

    async def test_the_dialer_sends_again_what_was_not_received(self) -> None:
        for vector in self.vectors["replays"]:
            with self.subTest(received=vector["received"]):
                session = await self._sent_all()
                session.rewind(vector["received"])
                link = await self._send(session)
                self.assertEqual(link.written.hex(), vector["hex"])

    async def test_counts_that_cannot_be_are_violations(self) -> None:
        for vector in self.vectors["refused"]:
            session = await self._sent_all()
            with self.assertRaises(Violation):
                session.rewind(vector["received"])

    async def test_the_acceptor_applies_everything_once(self) -> None:
        for vector in self.vectors["receiver"]:
            for step in (1, 7, 65536):
                with self.subTest(vector["name"], step=step):
                    events: list[list] = []
                    session = make_acceptors_session(lambda stream, events=events: record(stream, events))
                    await session.open("any")  # the stream 2 that the dialer gives credit to
                    for link in vector["links"]:
                        await run_over(session, ScriptedLink(bytes.fromhex(link["hex"]), breaks=True, step=step))
                        self.assertIsNone(session.ended)
                        self.assertEqual(session.applied, link["received"])
                    await asyncio.gather(*session._handlers)
                    self.assertEqual(events, vector["events"])

    async def test_a_torn_frame_must_be_continued(self) -> None:
        for vector in self.vectors["notContinued"]:
            session = make_acceptors_session(leave_unread)
            await run_over(session, ScriptedLink(bytes.fromhex(vector["first"]), breaks=True))
            self.assertIsNone(session.ended)
            await run_over(session, ScriptedLink(bytes.fromhex(vector["second"])))
            self.assertEqual(session.ended.code, vector["code"])

    async def _sent_all(self) -> Session:
        session = Session("any", bytes(32), True, Options(), Limits(), 60, {}.get)
        for text in self.vectors["frames"]:
            octets = bytes.fromhex(text)
            kind, _, stream = decode_header(octets[:HEADER_SIZE])
            session.emit(kind, stream, octets[HEADER_SIZE:])
        self.assertEqual([end for end, _ in session._unsent], self.vectors["ends"])
        await self._send(session)
        return session

    async def _send(self, session: Session) -> ScriptedLink:
        link = ScriptedLink(b"")
        running = asyncio.create_task(run_over(session, link))
        while session.wire is None or session._sent < session._made:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        link.cut()
        await running
        return link


def make_acceptors_session(handler: object) -> Session:
    options = Options(limits=Limits(window=131072))
    return Session("any", bytes(32), False, options, Limits(), 60, lambda service: handler)


async def run_over(session: Session, link: ScriptedLink) -> None:
    """Carries the session over the link, as behind a handshake without checks."""
    wire = Wire(link)
    wire.end_handshake(False)
    session.attach(wire)
    async with asyncio.timeout(10):
        await session.carry(wire)


def frames_of(link: ScriptedLink) -> list[Piece]:
    incoming = Incoming()
    incoming.checked = False
    return pulled(incoming, bytes(link.written), 65536)


async def leave_unread(stream: Stream) -> None:
    await stream.session.closed.wait()


async def record(stream: Stream, events: list[list]) -> None:
    try:
        while (item := await stream.receive()) is not None:
            if isinstance(item, dict):
                events.append(["meta", encode_json(item).decode("utf-8")])
            elif events and events[-1][0] == "data":
                events[-1][1] += item.hex()
            else:
                events.append(["data", item.hex()])
        events.append(["end"])
    except StreamEnded as ended:
        events.append(["reset", ended.code])


if __name__ == "__main__":
    unittest.main()
