import assert from "node:assert/strict"
import { test } from "node:test"
import type { Stream } from "../../../base/stream.ts"
import { settle } from "../../../../test/kit/fake-clock.ts"
import { FrameWriter, Outlet } from "./frame-writer.ts"

class Written {
  readonly chunks: Uint8Array[] = []
  isFull = false
  onWrite: (() => void) | undefined
  readonly stream: Stream = {
    id: 1,
    service: "channel",
    header: {},
    attach: () => undefined,
    write: (chunk) => {
      this.chunks.push(new Uint8Array(chunk))
      this.onWrite?.()
      return !this.isFull
    },
    meta: () => true,
    end: () => undefined,
    reset: () => undefined,
    consumed: () => undefined,
  }

  get hex(): string {
    return Buffer.concat(this.chunks).toString("hex")
  }
}

test("frames of one round are one write", async () => {
  const written = new Written()
  const writer = new FrameWriter(new Outlet(), written.stream)
  for (let at = 0; at < 100; at++) {
    writer.begin(1, 3)
    writer.bytes(Uint8Array.of(at, 2, 3))
  }
  assert.equal(written.chunks.length, 0)
  await settle()
  assert.equal(written.chunks.length, 1)
  assert.equal(written.hex.slice(0, 16), "0000000401000203")
})

test("numbers are big-endian, and the source is asked before each write", async () => {
  const written = new Written()
  let asked = 0
  const source = { gather: () => void asked++ }
  const writer = new FrameWriter(new Outlet(), written.stream, source)
  writer.begin(9, 15)
  writer.u8(255)
  writer.u16(0x0102)
  writer.u32(0xfffefdfc)
  writer.u64(2 ** 52 + 5)
  await settle()
  assert.equal(written.hex, "0000001009ff0102fffefdfc0010000000000005")
  assert.equal(asked, 1)
  writer.touch()
  await settle()
  assert.deepEqual([asked, written.chunks.length], [2, 1])
})

test("what is begun from within a write is written too", async () => {
  const written = new Written()
  const writer = new FrameWriter(new Outlet(), written.stream)
  written.onWrite = () => {
    written.onWrite = undefined
    writer.begin(2, 0)
  }
  writer.begin(1, 0)
  await settle()
  assert.equal(written.hex, "00000001010000000102")
})

test("large bodies are not gathered, and order holds", async () => {
  const written = new Written()
  const writer = new FrameWriter(new Outlet(), written.stream)
  const sizes = [10, 40_000, 30_000, 30_000, 30_000, 100_000, 0, 32_768]
  for (const size of sizes) {
    writer.begin(1, size)
    writer.bytes(new Uint8Array(size).fill(size % 250))
  }
  await settle()
  const all = Buffer.concat(written.chunks)
  let at = 0
  for (const size of sizes) {
    assert.equal(all.readUInt32BE(at), size + 1)
    assert.ok(all.subarray(at + 5, at + 5 + size).every((byte) => byte === size % 250))
    at += 5 + size
  }
  assert.equal(at, all.length)
})

test("a full stream is told, and a stopped writer writes nothing", async () => {
  const written = new Written()
  written.isFull = true
  const writer = new FrameWriter(new Outlet(), written.stream)
  writer.begin(1, 0)
  assert.equal(writer.full, false)
  await settle()
  assert.equal(writer.full, true)
  writer.begin(1, 0)
  writer.stop()
  writer.touch()
  await settle()
  assert.equal(written.chunks.length, 1)
})

test("a reason is cut to what the document allows", async () => {
  const written = new Written()
  const writer = new FrameWriter(new Outlet(), written.stream)
  writer.verdict(5, 1, 4, "ü".repeat(2_000))
  await settle()
  assert.ok(Buffer.concat(written.chunks).length < 1_024)
})
