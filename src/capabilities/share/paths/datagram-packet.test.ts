import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { RdvError } from "../../../base/error.ts"
import {
  readBeacon,
  readHave,
  readHere,
  readMissing,
  readPiece,
  writeBeacon,
  writeHave,
  writeHere,
  writeMissing,
  writePiece,
} from "./cast-packet.ts"
import { readHello, roomOf, writeHello } from "./datagram-hello.ts"
import { deriveKey, isSealed, seal, tagBytes } from "./datagram-mac.ts"
import { controlKinds, PacketWriter, readFrames, readHead } from "./datagram-packet.ts"
import type { ControlKind } from "./datagram-packet.ts"
import { Ranges } from "./datagram-ranges.ts"
import { udpMac } from "../node/udp-mac.ts"

const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
/** With the prototype that what is read has. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record<T>(model, { noNullPrototype: true })
const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 })
const mac = udpMac(new Uint8Array(32).fill(1))

test("a packet reads as it was written", () => {
  const kind = fc.constantFrom(...(Object.keys(controlKinds) as ControlKind[]))
  const control = record({ kind, why: fc.nat(255), version: u16, subject: u32 })
  const body = fc.uint8Array({ minLength: 1, maxLength: 900 })
  fc.assert(
    fc.property(
      u32,
      u32,
      fc.array(control, { maxLength: 5 }),
      body,
      u16,
      u32,
      (path, number, controls, bytes, offset, id) => {
        const writer = new PacketWriter(1200)
        writer.begin(path, number, 1200)
        const ranges = new Ranges()
        ranges.add(3, 9)
        ranges.add(20, 21)
        writer.ack(ranges, 1.5)
        for (const [at, each] of controls.entries()) writer.control(at, each)
        const head = { transfer: id, version: 7, chunk: id, length: offset + bytes.length, offset }
        writer.piece(head, bytes)
        const datagram = seal(mac, writer.buffer, writer.length)
        assert.ok(isSealed(mac, datagram))
        assert.deepEqual(readHead(datagram), { path, number, flags: 0 })
        const read: unknown[] = []
        const eliciting = readFrames(datagram, {
          ping: () => assert.fail(),
          ack: (acked, delayMs) => read.push([acked, delayMs]),
          control: (sequence, each) => read.push([sequence, each]),
          piece: (facts, part) => read.push([facts, part.slice()]),
          close: () => assert.fail(),
        })
        assert.ok(eliciting)
        assert.deepEqual(read, [
          [
            [
              [20, 21],
              [3, 9],
            ],
            1.5,
          ],
          ...controls.map((each, at) => [at, each]),
          [head, bytes],
        ])
      },
    ),
  )
})

test("bytes that are no packet end in a word, whatever they are and wherever they are cut", () => {
  const nothing = { ping() {}, ack() {}, control() {}, piece() {}, close() {} }
  const read = (datagram: Uint8Array) => {
    try {
      if (readHead(datagram) !== undefined) readFrames(datagram, nothing)
    } catch (error) {
      assert.ok(error instanceof RdvError && error.code === "protocol", String(error))
    }
    for (const reader of [readBeacon, readPiece, readHere, readMissing, readHave]) reader(datagram)
  }
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom(0xb2, 0xb4, 0xb5),
      fc.nat(4),
      (bytes, kind, type) => {
        const datagram = Uint8Array.of(kind, type, ...bytes)
        read(datagram)
        read(datagram.subarray(0, bytes.length >> 1))
      },
    ),
    { numRuns: 2_000 },
  )
})

test("a hello reads as it was written, with addresses of both families", () => {
  const room = roomOf(udpMac, new Uint8Array(32).fill(2))
  const address = fc.oneof(fc.ipV4(), fc.constantFrom("fe80:0:0:0:0:0:0:1", "2001:db8:0:0:1:0:0:ff"))
  fc.assert(
    fc.property(
      u32,
      bytes16,
      bytes16,
      address,
      u16,
      fc.stringMatching(/^[\w-]{1,64}$/),
      (path, nonce, echo, at, port, name) => {
        const hello = { path, nonce, echo, seen: { address: at, port }, name }
        const datagram = writeHello(room, hello)
        assert.equal(datagram.length, 1200)
        assert.ok(isSealed(room.mac, datagram))
        assert.deepEqual(readHello(datagram), hello)
      },
    ),
  )
})

test("datagrams of a cast read as they were written", () => {
  const buffer = new Uint8Array(1400)
  const sealed = (length: number) => buffer.subarray(0, length + tagBytes)
  const beacon = record({
    session: u32,
    number: u32,
    nonce: bytes16,
    pieceBytes: fc.integer({ min: 1, max: 1400 }),
    receivers: u16,
    pass: u16,
    version: u16,
    flags: fc.nat(255),
    slot: u32,
    piece: u16,
    heard: fc.array(u32, { maxLength: 240 }),
  })
  fc.assert(fc.property(beacon, (each) => assert.deepEqual(readBeacon(sealed(writeBeacon(buffer, each))), each)))
  const head = record({
    session: u32,
    number: u32,
    pass: u16,
    version: u16,
    chunk: u32,
    length: u32,
    slot: u32,
    piece: u16,
  })
  fc.assert(
    fc.property(head, (each) => assert.deepEqual(readPiece(sealed(writePiece(buffer, each, Uint8Array.of(1)))), each)),
  )
  const here = record({ session: u32, receiver: u32, highest: u32, flags: fc.nat(255), received: u32 })
  fc.assert(fc.property(here, (each) => assert.deepEqual(readHere(sealed(writeHere(buffer, each))), each)))
  const slot = record({ slot: u32, ranges: fc.array(fc.tuple(u16, u16), { maxLength: 8 }) })
  const missing = record({
    session: u32,
    receiver: u32,
    highest: u32,
    pass: u16,
    slots: fc.array(slot, { maxLength: 20 }),
  })
  fc.assert(
    fc.property(missing, (each) => {
      const { length, slots } = writeMissing(buffer, each, 1400)
      assert.equal(slots, each.slots.length)
      assert.deepEqual(readMissing(sealed(length)), each)
    }),
  )
  const have = { session: 1, receiver: 2, highest: 3, pass: 4, first: 8, bits: Uint8Array.of(1, 2) }
  assert.deepEqual(readHave(sealed(writeHave(buffer, have))), have)
})

test("tags are those of HMAC-SHA-256", () => {
  // RFC 4231, test cases 2 and 6.
  const text = (hex: string) => Uint8Array.from(Buffer.from(hex, "utf8"))
  const sum = (key: Uint8Array, data: Uint8Array) => Buffer.from(udpMac(key)(data)).toString("hex")
  assert.equal(
    sum(text("Jefe"), text("what do ya want for nothing?")),
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  )
  assert.equal(
    sum(new Uint8Array(131).fill(0xaa), text("Test Using Larger Than Block-Size Key - Hash Key First")),
    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
  )
  assert.notDeepEqual(deriveKey(udpMac, new Uint8Array(32), "a"), deriveKey(udpMac, new Uint8Array(32), "b"))
})
