"""
Section 9.5 of docs/protocol.md: the golden bytes of `test/vectors/channels.json`, and, where RDV_TEST_CHANNELS is the
address of a server of channels, those conversations and others with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import unittest
from pathlib import Path

from channel_frames import HEADER_SIZE, BadFrame, ChannelFrames, FrameKind, decode_channel_frame, encode_channel_frame
from channels import SERVICE, Case, ChannelError, Channels
from frames import Code
from stream import Stream, StreamEnded

VECTORS = json.loads((Path(__file__).parent.parent / "test" / "vectors" / "channels.json").read_text("utf-8"))
SERVER = os.environ.get("RDV_TEST_CHANNELS")
SECONDS = 10


def fields_of(vector: dict) -> dict:
    """The fields as this implementation has them: messages are bytes, numbers are numbers."""
    fields = {key: value for key, value in vector.items() if key not in ("name", "kind", "hex")}
    if "message" in fields:
        fields["message"] = fields["message"].encode("utf-8")
    return {key: int(value) if key == "id" else value for key, value in fields.items()}


class FrameVectors(unittest.TestCase):
    def test_frames(self) -> None:
        for vector in VECTORS["frames"]:
            with self.subTest(vector["name"]):
                kind, octets = FrameKind[vector["kind"].upper()], bytes.fromhex(vector["hex"])
                fields = fields_of(vector)
                self.assertEqual(encode_channel_frame(kind, **fields), octets)
                self.assertEqual(decode_channel_frame(octets[4], octets[HEADER_SIZE:]), (kind, fields))

    def test_frames_of_conversations_however_they_are_cut(self) -> None:
        steps = [step for each in VECTORS["conversations"] for step in each["steps"]]
        for step in (step for step in steps if "hex" in step and step["stream"] not in ("p", "q")):
            octets = bytes.fromhex(step["hex"])
            for size in (1, 3, len(octets)):
                frames = ChannelFrames()
                made = b""
                for at in range(0, len(octets), size):
                    frames.push(octets[at : at + size])
                    while (frame := frames.pull()) is not None:
                        made += encode_channel_frame(frame[0], **frame[1])
                self.assertEqual(made, octets)

    def test_frames_that_cannot_be(self) -> None:
        wrong = ("a length of 0", "an unknown kind", "without", "of 4 bytes", "with a body", "ends outside", "of 2 bytes")
        for vector in VECTORS["invalid"]:
            if any(words in vector["why"] for words in wrong):
                with self.subTest(vector["why"]), self.assertRaises(BadFrame):
                    frames = ChannelFrames()
                    frames.push(bytes.fromhex(vector["hex"]))
                    frames.pull()


@unittest.skipIf(SERVER is None, "RDV_TEST_CHANNELS names no server")
class LiveServer(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.channels = await Channels.connect(SERVER)
        self.other = await Channels.connect(SERVER)

    async def asyncTearDown(self) -> None:
        await self.channels.close()
        await self.other.close()

    async def make(self, path: str, settings: dict | None = None) -> None:
        await self.channels.create(path, settings)
        self.addAsyncCleanup(self._forget, path)

    async def _forget(self, path: str) -> None:
        channels = await Channels.connect(SERVER)
        await channels.remove(path)
        await channels.close()

    async def test_conversations(self) -> None:
        for conversation in VECTORS["conversations"]:
            with self.subTest(conversation["name"]):
                await self.channels.create("/jobs", conversation["settings"])
                streams: dict[str, Stream] = {}
                async with asyncio.timeout(SECONDS):
                    for step in conversation["steps"]:
                        await self.play(streams, step)
                for stream in streams.values():
                    stream.reset()
                await self.channels.remove("/jobs")

    async def play(self, streams: dict[str, Stream], step: dict) -> None:
        name = step["stream"]
        if "open" in step:
            streams[name] = await self.channels.session.open(SERVICE, step["open"])
            return
        stream = streams[name]
        if step["from"] == "client":
            if "hex" in step:
                await stream.write(bytes.fromhex(step["hex"]))
            elif "meta" in step:
                await stream.send_meta(step["meta"])
            else:
                stream.end()
        elif "hex" in step:
            expected, got = bytes.fromhex(step["hex"]), b""
            while len(got) < len(expected):
                item = await stream.receive()
                self.assertIsInstance(item, bytes)
                got += item
            self.assertEqual(got, expected)
        elif "meta" in step:
            self.assertEqual(await stream.receive(), step["meta"])
        elif "reset" in step:
            with self.assertRaises(StreamEnded) as caught:
                await stream.receive()
            self.assertEqual(caught.exception.code, step["reset"])
        else:
            self.assertIsNone(await stream.receive())

    async def test_what_breaks_the_document_is_reset(self) -> None:
        await self.make("/jobs")
        for vector in VECTORS["invalid"]:
            with self.subTest(vector["why"]):
                stream = await self.channels.session.open(SERVICE, vector["open"])
                if vector["open"]["do"] != "select":
                    self.assertIn("ready", await stream.receive())
                await stream.write(bytes.fromhex(vector["hex"]))
                with self.assertRaises(StreamEnded) as caught:
                    async with asyncio.timeout(SECONDS):
                        while await stream.receive() is not None:
                            pass
                self.assertEqual(caught.exception.code, Code.PROTOCOL)

    async def test_a_receive_that_is_cancelled_takes_nothing(self) -> None:
        await self.make("/jobs")
        receiver, sender = await self.channels.receiver("/jobs"), await self.other.sender("/jobs")
        for round_ in range(20):
            waiting = asyncio.create_task(receiver.receive())
            sending = asyncio.create_task(sender.send(b"%d" % round_))
            await asyncio.sleep(0.001 * (round_ % 4))
            waiting.cancel()
            try:
                message = await waiting
            except asyncio.CancelledError:
                message = await receiver.receive(SECONDS)
            self.assertEqual(message.octets, b"%d" % round_)
            await message.done()
            await sending

    async def test_a_send_that_is_cancelled_is_not_delivered(self) -> None:
        await self.make("/jobs")
        sender = await self.channels.sender("/jobs")
        sending = asyncio.create_task(sender.send(b"never mind"))
        while (await self.other.stat("/jobs"))["counts"]["waitingSenders"] == 0:
            await asyncio.sleep(0.01)
        sending.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await sending
        await sender.close()
        self.assertIsNone(await self.other.peek("/jobs"))

    async def test_many_at_once_settle_in_order_as_the_window_allows(self) -> None:
        await self.make("/jobs")
        sender, receiver = await self.channels.sender("/jobs"), await self.other.receiver("/jobs", window=64)
        count = sender.ready["messages"] * 2
        settled: list[int] = []

        async def send_all() -> None:
            for number in range(count):
                _, future = await sender.offer(b"%d" % number)
                future.add_done_callback(lambda _, number=number: settled.append(number))
            await sender.close()

        sending = asyncio.create_task(send_all())
        got = []
        while len(got) < count:
            message = await receiver.receive(SECONDS)
            got.append(int(message.octets))
            await message.done()
        await sending
        self.assertEqual((got, settled), (list(range(count)), list(range(count))))

    async def test_a_select_sends_or_receives_and_an_abandoned_one_takes_nothing(self) -> None:
        await self.make("/a")
        await self.make("/b", {"size": 1})
        cases = [Case("/a"), Case("/b", b"sent")]
        self.assertEqual((await self.channels.select(cases)).case, 1)
        with self.assertRaises(ChannelError) as caught:
            await self.channels.select(cases, 0)
        self.assertEqual(caught.exception.code, Code.WOULD_BLOCK)
        waiting = asyncio.create_task(self.channels.select(cases))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await waiting
        sender = await self.other.sender("/a")
        with self.assertRaises(ChannelError) as caught:
            await sender.send(b"nobody", 0)
        self.assertEqual(caught.exception.code, Code.WOULD_BLOCK)
        sending = asyncio.create_task(sender.send(b"hello"))
        chosen = await self.channels.select([Case("/a")], SECONDS)
        self.assertEqual(chosen.message.octets, b"hello")
        self.assertFalse(sending.done())
        await chosen.message.done()
        await sending
        with self.assertRaises(ChannelError) as caught:
            await self.channels.select([Case("/nowhere")])
        self.assertEqual(caught.exception.code, Code.NOT_FOUND)

    async def test_a_channel_that_goes_tells_everybody(self) -> None:
        await self.make("/jobs")
        sender, receiver = await self.channels.sender("/jobs"), await self.other.receiver("/jobs")
        await self.other.end("/jobs")
        self.assertIsNone(await receiver.receive())
        with self.assertRaises(ChannelError) as caught:
            await sender.send(b"late")
        self.assertEqual(caught.exception.code, Code.CLOSED)
        await self.make("/gone")
        waiting = await self.other.receiver("/gone")
        receiving = asyncio.create_task(waiting.receive())
        sender = await self.channels.sender("/gone")
        with self.assertRaises(ChannelError) as caught:
            await sender.send(b"x" * (sender.ready["maxMessage"] + 1))
        self.assertEqual(caught.exception.code, Code.TOO_LARGE)
        await self.channels.remove("/gone")
        with self.assertRaises(StreamEnded) as ended:
            await receiving
        self.assertEqual(ended.exception.code, Code.REMOVED)
        with self.assertRaises(ChannelError) as caught:
            await sender.send(b"late")
        self.assertEqual(caught.exception.code, Code.REMOVED)
        await self.channels.create("/gone")
