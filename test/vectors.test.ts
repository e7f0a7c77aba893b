import assert from "node:assert/strict"
import { createHmac } from "node:crypto"
import { readFileSync } from "node:fs"
import { test } from "node:test"
import * as zlib from "node:zlib"
import { concat } from "../src/base/bytes.ts"
import { codeNumber, RdvError } from "../src/base/error.ts"
import type { JsonObject } from "../src/base/json.ts"
import type { Stream } from "../src/base/stream.ts"
import { HelloChannel } from "../src/mux/hello-channel.ts"
import { acceptHandshake } from "../src/mux/handshake.ts"
import { ReplayLog } from "../src/mux/replay-log.ts"
import { memoryPair } from "../src/transport/memory.ts"
import { CheckReader } from "../src/wire/check.ts"
import { crc32 } from "../src/wire/crc32.ts"
import { readU32, readU64 } from "../src/wire/decode.ts"
import { encodeCheck, encodeFrame, encodeU64Frame, resetPayload } from "../src/wire/encode.ts"
import { frameName, frameType } from "../src/wire/frame.ts"
import type { Hello } from "../src/wire/hello.ts"
import { openPayloadBound, readOpenPayload, writeOpenPayload } from "../src/wire/open.ts"
import { FakeClock, settle } from "./kit/fake-clock.ts"
import { readFrames, u64 } from "./kit/frames.ts"
import { rawPeer } from "./kit/raw-peer.ts"
import { print, vectors } from "./vectors/generate.ts"

interface Bytes {
  readonly name: string
  readonly hex: string
  readonly fill?: { readonly byte: string; readonly count: number }
}

function load<T>(file: string): T {
  return JSON.parse(readFileSync(new URL(`vectors/${file}`, import.meta.url), "utf8")) as T
}

function bytesOf({ hex, fill }: Pick<Bytes, "hex" | "fill">): Uint8Array {
  const bytes = Buffer.from(hex, "hex")
  return fill === undefined ? bytes : concat([bytes, new Uint8Array(fill.count).fill(Number.parseInt(fill.byte, 16))])
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

for (const [file, content] of Object.entries(vectors)) {
  test(`${file} is what its generator writes`, () => {
    const text = readFileSync(new URL(`vectors/${file}`, import.meta.url), "utf8")
    assert.equal(text, print(content), "run: node test/vectors/generate.ts")
  })
}

// frames.json

interface FrameVector extends Bytes {
  readonly type:
    | "OPEN"
    | "META"
    | "DATA"
    | "CREDIT"
    | "END"
    | "RESET"
    | "DRAIN"
    | "ACK"
    | "PING"
    | "PONG"
    | "DGRAM"
    | "CHECK"
  readonly stream: number
  readonly [field: string]: unknown
}

const frames = load<{ frames: FrameVector[]; crc32: { hex: string; crc: number }[] }>("frames.json")

for (const vector of frames.frames) {
  test(`frame: ${vector.name}`, () => {
    const bytes = bytesOf(vector)
    const events = readFrames([bytes])
    assert.equal(events.length, 1)
    assert.equal(frameName(events[0]?.type as number), vector.type)
    assert.equal(events[0]?.stream, vector.stream)
    const payload = bytes.subarray(8)
    assert.equal(events[0]?.payload, hexOf(payload))
    assert.deepEqual(hexOf(encode(vector, payload)), hexOf(bytes))
  })
}

/** Checks the fields and writes the frame from them. */
function encode(vector: FrameVector, payload: Uint8Array): Uint8Array {
  const type = frameType[vector.type.toLowerCase() as keyof typeof frameType]
  switch (vector.type) {
    case "OPEN": {
      const open = readOpenPayload(payload, 0, payload.length)
      const json = vector["header"] as string
      assert.deepEqual([open.window, open.service], [vector["window"], vector["service"]])
      assert.deepEqual(open.header, json === "" ? {} : JSON.parse(json))
      const first = payload.subarray(open.firstAt)
      if (vector.fill === undefined) assert.equal(hexOf(first), vector["first"])
      const head = new Uint8Array(openPayloadBound(open.service, json))
      const end = writeOpenPayload(open.window, open.service, json, head, 0)
      return encodeFrame(type, vector.stream, concat([head.subarray(0, end), first]))
    }
    case "META":
      return encodeFrame(type, vector.stream, Buffer.from(vector["json"] as string))
    case "CREDIT":
      assert.equal(readU32(payload, 0), vector["bytes"])
      return encodeFrame(type, vector.stream, payload)
    case "RESET":
      return encodeFrame(type, vector.stream, resetPayload(vector["code"] as number, vector["reason"] as string))
    case "CHECK":
      return encodeCheck(vector["crc"] as number)
    case "ACK":
      assert.equal(readU64(payload, 0), Number(vector["value"]))
      return encodeU64Frame(type, Number(vector["value"]))
    case "PING":
    case "PONG":
      return encodeFrame(type, 0, u64(BigInt(vector["value"] as string)))
    case "DATA":
    case "DGRAM":
      if (vector.fill === undefined) assert.equal(hexOf(payload), vector["payload"])
      return encodeFrame(type, vector.stream, payload)
    case "END":
    case "DRAIN":
      return encodeFrame(type, vector.stream, new Uint8Array(0))
  }
}

test("checksums", () => {
  for (const { hex, crc } of frames.crc32) assert.equal(crc32(Buffer.from(hex, "hex"), 0), crc)
})

// handshake.json

interface Message {
  readonly from: "dialer" | "acceptor"
  readonly json: string
  readonly hex: string
}

interface Proof {
  readonly text: string
  readonly received: number
  readonly proof: string
}

const handshake = load<{
  secret: string
  dialNonce: string
  acceptNonce: string
  proofs: Proof[]
  wrong: { why: string; proof: string; received: number }[]
  new: Message[]
  anonymous: Message[]
  resume: Message[]
}>("handshake.json")
const secret = Buffer.from(handshake.secret, "base64url")

test("every handshake message is read, and written with its CHECK", async () => {
  for (const message of [...handshake.new, ...handshake.anonymous, ...handshake.resume]) {
    const json = JSON.parse(message.json) as JsonObject
    const clock = new FakeClock()
    const pair = memoryPair(clock, { splitBytes: 5, poison: true })
    const reader = new HelloChannel(pair.a, crc32, clock)
    const read = reader.next().then(
      (hello): Hello | RdvError => hello,
      (error: RdvError) => error,
    )
    let written = ""
    pair.b.attach({ data: (bytes) => ((written += hexOf(bytes)), false), drain() {}, closed() {} })
    pair.b.send([Buffer.from(message.hex, "hex")])
    const hello = await read
    if (json["kind"] === "refuse") assert.ok(hello instanceof RdvError && codeNumber(hello.code) === json["code"])
    else assert.ok(!(hello instanceof RdvError) && hello.kind === json["kind"])
    if (json["kind"] === "refuse") continue
    reader.send(json)
    await settle()
    assert.equal(written, message.hex)
    reader.abort(new RdvError("cancelled"))
  }
})

test("every proof is the HMAC of its text", () => {
  for (const { text, received, proof } of handshake.proofs) {
    assert.match(
      text,
      new RegExp(`^rdv/1 (dial|accept) ${handshake.dialNonce}\\.${handshake.acceptNonce} ${received}$`),
    )
    assert.equal(createHmac("sha256", secret).update(text).digest("base64url"), proof)
  }
})

test("wrong proofs, and right ones that were made for another nonce, are refused", async () => {
  const given = [...handshake.wrong, ...handshake.proofs]
  for (const { proof, received } of given) {
    const clock = new FakeClock()
    const pair = memoryPair(clock)
    let touched = false
    const done = acceptHandshake(
      pair.b,
      { clock, checksum: crc32 },
      {
        admit: () => assert.fail("nobody asked for a new session"),
        secretOf: () => secret,
        freeze: () => ((touched = true), 0),
        resumed: () => void (touched = true),
      },
    )
    let got = new Uint8Array(0)
    pair.a.attach({ data: (bytes) => ((got = concat([got, bytes]) as typeof got), true), drain() {}, closed() {} })
    const say = (message: object) => {
      const frame = encodeFrame(frameType.hello, 0, Buffer.from(JSON.stringify(message)))
      pair.a.send([frame, encodeCheck(crc32(frame, 0))])
    }
    pair.a.send([Buffer.from(handshake.resume[0]?.hex ?? "", "hex")])
    await settle()
    say({ kind: "proof", proof, received })
    await done
    await settle()
    const last = readFrames([got])
      .filter(({ type }) => type === frameType.hello)
      .at(-1)
    assert.deepEqual(JSON.parse(Buffer.from(last?.payload ?? "", "hex").toString()).code, codeNumber("unauthorized"))
    assert.equal(touched, false)
  }
})

// check.json

const checked = load<{
  batches: { frames: string[]; check: string }[]
  stream: string
  delivered: string
  unchecked: string
  changed: { offset: number; mask: number; deliveredBytes: number }[]
}>("check.json")

function deliver(stream: Uint8Array, pieces: number): { delivered: string; error: unknown } {
  const delivered: Uint8Array[] = []
  const reader = new CheckReader(zlib.crc32, (bytes) => {
    delivered.push(bytes.slice())
    return false
  })
  let error: unknown
  try {
    for (let at = 0; at < stream.length; at += pieces) reader.push(stream.subarray(at, at + pieces))
  } catch (thrown) {
    error = thrown
  }
  return { delivered: hexOf(concat(delivered)), error }
}

test("batches and their CHECKs", () => {
  for (const { frames: batch, check } of checked.batches) {
    const sum = batch.reduce((crc, hex) => crc32(Buffer.from(hex, "hex"), crc), 0)
    assert.equal(hexOf(encodeCheck(sum)), check)
  }
  for (const pieces of [1, 3, 8, 10_000]) {
    const { delivered, error } = deliver(Buffer.from(checked.stream + checked.unchecked, "hex"), pieces)
    assert.equal(error, undefined)
    assert.equal(delivered, checked.delivered)
  }
})

test("changed bytes cost the link, and nothing of their batch is delivered", () => {
  for (const { offset, mask, deliveredBytes } of checked.changed) {
    const stream = Buffer.from(checked.stream, "hex")
    stream[offset] = (stream[offset] as number) ^ mask
    const { delivered, error } = deliver(stream, 7)
    assert.ok(error instanceof RdvError && error.code === "corrupt", `byte ${offset}`)
    assert.equal(delivered, checked.delivered.slice(0, 2 * deliveredBytes))
  }
})

// invalid.json

function hold(stream: Stream): void {
  stream.attach({ data() {}, meta() {}, end() {}, drain() {}, closed() {} })
}

const invalid = load<{ cases: (Bytes & { found: "header" | "payload" | "session"; code: number })[] }>("invalid.json")

for (const vector of invalid.cases) {
  test(`refused: ${vector.name}`, async () => {
    const bytes = bytesOf(vector)
    if (vector.found === "header") assert.throws(() => readFrames([bytes.subarray(0, 8)]), { code: "protocol" })
    const peer = rawPeer({ onStream: hold })
    await peer.say(bytes)
    const ended = peer.ended()
    assert.ok(ended instanceof RdvError && codeNumber(ended.code) === vector.code, String(ended))
    const last = peer.frames().at(-1)
    assert.deepEqual(
      [last?.type, last?.stream, Number.parseInt(last?.payload.slice(0, 4) ?? "", 16)],
      [frameType.reset, 0, vector.code],
    )
  })
}

// resume.json

type Event = ["data", string] | ["meta", string] | ["end"]

const resume = load<{
  frames: string[]
  ends: number[]
  replays: { received: number; hex: string }[]
  refused: { received: number; code: number }[]
  receiver: { name: string; links: { hex: string; received: number }[]; events: Event[] }[]
  notContinued: { first: string; second: string; code: number }[]
}>("resume.json")

function filledLog(): ReplayLog {
  const log = new ReplayLog()
  for (const hex of resume.frames) {
    const bytes = Buffer.from(hex, "hex")
    log.append([bytes.subarray(0, 8), bytes.subarray(8)], bytes.length)
    assert.ok(resume.ends.includes(log.end))
  }
  return log
}

test("what the peer did not receive is sent again", () => {
  for (const { received, hex } of resume.replays) {
    const log = filledLog()
    log.rewind(received)
    const parts = []
    while (log.replaying) parts.push(...log.next(20))
    assert.equal(hexOf(concat(parts)), hex, `from ${received}`)
  }
  for (const { received } of resume.refused) assert.throws(() => filledLog().rewind(received), { code: "protocol" })
})

for (const { name, links, events } of resume.receiver) {
  test(`received over several links: ${name}`, async () => {
    const got: Event[] = []
    const peer = rawPeer({
      onStream(stream) {
        stream.attach({
          data(chunk) {
            const last = got.at(-1)
            if (last?.[0] === "data") last[1] += hexOf(chunk)
            else got.push(["data", hexOf(chunk)])
            stream.consumed(chunk.length)
          },
          meta: (block) => void got.push(["meta", JSON.stringify(block)]),
          end: () => void got.push(["end"]),
          drain() {},
          closed() {},
        })
      },
    })
    for (const [at, { hex, received }] of links.entries()) {
      if (at > 0) peer.relink(0)
      await peer.say(Buffer.from(hex, "hex"))
      peer.session.detachLink(new RdvError("link_lost"))
      assert.equal(peer.session.received, received)
    }
    assert.deepEqual(got, events)
    assert.equal(peer.ended(), "open")
  })
}

test("a replay that does not continue the frame that was cut is refused", async () => {
  for (const { first, second, code } of resume.notContinued) {
    const peer = rawPeer({ onStream: hold })
    await peer.say(Buffer.from(first, "hex"))
    peer.relink(0)
    await peer.say(Buffer.from(second, "hex"))
    const ended = peer.ended()
    assert.ok(ended instanceof RdvError && codeNumber(ended.code) === code)
  }
})
