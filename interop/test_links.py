"""The links against servers of this file: HTTP upgrade and WebSocket, with a session over each."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import tempfile
import unittest
from pathlib import Path

from links import Link, LinkLost, _masked, connect
from rdv import Acceptor, dial
from session import Options
from test_session import EXCHANGED, SERVICES, exchange


class ServerSideWebSocket(Link):
    """Just enough of the server's side: each message in two parts with a ping between them."""

    async def read(self) -> bytes:
        try:
            while True:
                first, second = await self._reader.readexactly(2)
                assert second & 0x80, "a client masks"
                size = second & 0x7F
                if size >= 126:
                    size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8), "big")
                key = await self._reader.readexactly(4)
                payload = _masked(await self._reader.readexactly(size), key)
                if first == 0x82 and payload:
                    return payload
                if first == 0x88:
                    return b""
                assert first == 0x8A and payload == b"there?" or first == 0x82
        except (asyncio.IncompleteReadError, OSError) as error:
            raise LinkLost(str(error)) from error

    def write(self, octets: bytes) -> None:
        half = len(octets) // 2
        self._writer.write(self._frame(0x02, octets[:half]))
        self._writer.write(self._frame(0x89, b"there?"))
        self._writer.write(self._frame(0x80, octets[half:]))

    @staticmethod
    def _frame(first: int, payload: bytes) -> bytes:
        size = len(payload)
        if size < 126:
            return bytes([first, size]) + payload
        if size < 65536:
            return bytes([first, 126]) + size.to_bytes(2, "big") + payload
        return bytes([first, 127]) + size.to_bytes(8, "big") + payload


class LinksTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        await self.enterAsyncContext(asyncio.timeout(10))
        self.acceptor = Acceptor(SERVICES.get, Options())

    async def take_plain(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.acceptor.accept(Link(reader, writer))

    async def take_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
        request, *lines = head.rstrip().split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        assert request == "GET /.rdv/session HTTP/1.1" and fields["connection"] == "Upgrade"
        if fields["upgrade"] == "rdv/1":
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: rdv/1\r\n\r\n")
            return await self.acceptor.accept(Link(reader, writer))
        text = fields["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()
        answer = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket"]
        answer += [f"Sec-WebSocket-Accept: {accept}", f"Sec-WebSocket-Protocol: {fields['sec-websocket-protocol']}"]
        writer.write("\r\n".join([*answer, "", ""]).encode())
        await self.acceptor.accept(ServerSideWebSocket(reader, writer))

    async def carry(self, address: str) -> None:
        session = await dial(lambda: connect(address), SERVICES.get)
        self.assertEqual(await exchange(session), EXCHANGED)
        session.wire.link.cut()
        self.assertEqual(await exchange(session), EXCHANGED)
        self.assertEqual(session.resumes, 1)
        big = await session.open("source", {"size": 300_000})
        big.end()
        size = 0
        while (item := await big.receive()) is not None:
            size += len(item)
        self.assertEqual(size, 300_000)
        await session.close()

    async def test_a_session_over_tcp_upgrade_and_websocket(self) -> None:
        for scheme, take in [("tcp", self.take_plain), ("http", self.take_http), ("ws", self.take_http)]:
            with self.subTest(scheme):
                async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
                    port = server.sockets[0].getsockname()[1]
                    await self.carry(f"{scheme}://127.0.0.1:{port}")

    async def test_a_session_over_a_unix_socket(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "relay")
            async with await asyncio.start_unix_server(self.take_plain, path):
                await self.carry(f"unix:{path}")

    async def test_an_answer_that_is_no_upgrade_is_a_lost_link(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            for scheme in ("http", "ws"):
                with self.assertRaisesRegex(LinkLost, "404"):
                    await connect(f"{scheme}://127.0.0.1:{port}")

    def test_masking_is_that_of_rfc_6455(self) -> None:
        self.assertEqual(_masked(b"Hello", bytes.fromhex("37fa213d")), bytes.fromhex("7f9f4d5158"))  # section 5.7


if __name__ == "__main__":
    unittest.main()
