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

test("a limit may change at any time: no byte is lost, and what is kept stays as it was", async (t) => {
  const sent = Buffer.alloc(12_000_000)
  for (let at = 0; at < sent.length; at++) sent[at] = (at * 7 + (at >> 10)) % 251
  const server = net.createServer((socket) => void socket.end(sent))
  await once(server.listen(0, "127.0.0.1"), "listening")
  t.after(() => void server.close())
  const reader = new SocketReader()
  const { port } = server.address() as net.AddressInfo
  const socket = net.connect({ port, host: "127.0.0.1", onread: reader.onread })
  const limits = [
    [2, 3_000],
    [3, 100_000],
    [4, 65_536],
    [5, 1_000_000],
    [8, 20_000],
    [9, 262_144],
  ] as const
  let got = 0
  let step = 0
  let isRight = true
  const kept: { readonly at: number; readonly bytes: Uint8Array }[] = []
  const check = ({ at, bytes }: { readonly at: number; readonly bytes: Uint8Array }) => {
    isRight &&= sent.subarray(at, at + bytes.length).equals(bytes)
  }
  reader.receive = (bytes) => {
    const piece = { at: got, bytes }
    check(piece)
    got += bytes.length
    const limit = limits[step]
    if (limit !== undefined && got >= limit[0] * 1_000_000) {
      reader.limitTo(limit[1])
      step++
    }
    // Every other large one is kept for a while.
    if (bytes.length <= 65_536 || got % 2 === 0) return false
    kept.push(piece)
    if (kept.length > 3) {
      const first = kept.shift()
      if (first !== undefined) {
        check(first)
        reader.recycle(first.bytes)
      }
    }
    return true
  }
  await once(socket, "close")
  for (const piece of kept) check(piece)
  assert.deepEqual([got, step, isRight], [sent.length, limits.length, true])
})
