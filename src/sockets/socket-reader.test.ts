import assert from "node:assert/strict"
import { once } from "node:events"
import * as net from "node:net"
import { test } from "node:test"
import { SocketReader } from "./socket-reader.ts"

test("who is limited before the first read gets every byte, and small pieces from the second on", async (t) => {
  const sent = Buffer.alloc(400_000)
  for (let at = 0; at < sent.length; at++) sent[at] = (at * 7) % 251
  const server = net.createServer((socket) => void socket.end(sent))
  await once(server.listen(0, "127.0.0.1"), "listening")
  t.after(() => void server.close())
  const reader = new SocketReader()
  const { port } = server.address() as net.AddressInfo
  const socket = net.connect({ port, host: "127.0.0.1", onread: reader.onread })
  socket.pause()
  const pieces: Uint8Array[] = []
  reader.receive = (bytes) => {
    pieces.push(Uint8Array.from(bytes))
    return false
  }
  await once(socket, "connect")
  reader.limitTo(1_000)
  socket.resume()
  await once(socket, "close")
  assert.ok(Buffer.concat(pieces).equals(sent))
  assert.ok(pieces.slice(1).every(({ length }) => length <= 1_000))
})
