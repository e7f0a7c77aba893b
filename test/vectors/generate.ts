/**
 * Writes the golden bytes of docs/protocol.md beside itself: `node test/vectors/generate.ts`. They are checked in, and a test
 * fails when this would write others: a change of a byte here is a change of the protocol. Everything is built from the
 * document's tables by hand, not by the product's own writers.
 */

import { createHmac } from "node:crypto"
import { writeFileSync } from "node:fs"
import { crc32 } from "node:zlib"
import { channelVectors } from "./channel-vectors.ts"
import { shareVectors } from "./share-vectors.ts"

const types = {
  OPEN: 0x01,
  META: 0x02,
  DATA: 0x03,
  CREDIT: 0x04,
  END: 0x05,
  RESET: 0x06,
  DRAIN: 0x07,
  HELLO: 0x10,
  ACK: 0x11,
  PING: 0x12,
  PONG: 0x13,
  DGRAM: 0x14,
  CHECK: 0x15,
} as const

type TypeName = keyof typeof types

function number(value: bigint | number, bytes: number): Buffer {
  return Buffer.from(BigInt(value).toString(16).padStart(bytes * 2, "0"), "hex")
}

function frame(type: TypeName | number, stream: number, payload: Uint8Array | string = ""): Buffer {
  const bytes = typeof payload === "string" ? Buffer.from(payload) : payload
  const code = typeof type === "number" ? type : types[type]
  return Buffer.concat([number(code, 1), number(bytes.length, 3), number(stream, 4), bytes])
}

function header(type: TypeName, length: number, stream: number): Buffer {
  return Buffer.concat([number(types[type], 1), number(length, 3), number(stream, 4)])
}

function open(stream: number, window: number, service: string, json: string, first: Uint8Array | string = ""): Buffer {
  return frame("OPEN", stream, openPayload(window, service, json, first))
}

function openPayload(window: number, service: string, json: string, first: Uint8Array | string = ""): Buffer {
  const [name, head] = [Buffer.from(service), Buffer.from(json)]
  return Buffer.concat([number(window, 4), number(name.length, 1), name, number(head.length, 2), head, Buffer.from(first)])
}

function check(...frames: readonly Uint8Array[]): Buffer {
  return frame("CHECK", 0, number(crc32(Buffer.concat(frames)), 4))
}

const hex = (...parts: readonly Uint8Array[]): string => Buffer.concat(parts).toString("hex")

/** A long run of one byte at the end stays out of the file. */
function compact(bytes: Buffer): { hex: string; fill?: { byte: string; count: number } } {
  let from = bytes.length
  while (from > 0 && bytes[from - 1] === bytes.at(-1)) from--
  if (bytes.length - from < 256) return { hex: hex(bytes) }
  return { hex: hex(bytes.subarray(0, from)), fill: { byte: hex(bytes.subarray(from, from + 1)), count: bytes.length - from } }
}

// frames.json

function one(name: string, type: TypeName, stream: number, fields: object, bytes: Buffer): object {
  return { name, type, stream, ...fields, ...compact(bytes) }
}

const most = 65_536
const longReason = "é".repeat(256)

const frames = {
  about: [
    "One frame of each type and at each edge. `type` and `stream` are the header's fields; the other keys are the payload's:",
    "OPEN window, service, header (JSON as text; empty text: the header is left out), first (hex); META json (text); DATA and DGRAM",
    "payload (hex; left out where only `fill` tells it); CREDIT bytes; RESET code, reason; ACK, PING, PONG value (decimal text, 64",
    "bits); CHECK crc. `hex` is the whole frame. Where `fill` stands, `count` times its `byte` follow `hex`.",
    "A reader takes `hex` (+ `fill`), in any pieces, and gets the fields; a writer takes the fields and gives these bytes.",
  ],
  frames: [
    one(
      "open",
      "OPEN",
      1,
      { window: 262_144, service: "echo", header: '{"path":"/"}', first: "" },
      open(1, 262_144, "echo", '{"path":"/"}'),
    ),
    one(
      "open, no header, with first bytes",
      "OPEN",
      2,
      { window: 131_072, service: "a", header: "", first: "00ff" },
      open(2, 131_072, "a", "", Buffer.from("00ff", "hex")),
    ),
    one(
      "open, the longest service name, the largest window and stream",
      "OPEN",
      4_294_967_295,
      { window: 2 ** 30, service: `http/${"x".repeat(95)}`, header: "{}", first: "" },
      open(4_294_967_295, 2 ** 30, `http/${"x".repeat(95)}`, "{}"),
    ),
    one(
      "open, a header outside ASCII",
      "OPEN",
      3,
      { window: 262_144, service: "tcp/22", header: '{"from":"é€😀"}', first: "" },
      open(3, 262_144, "tcp/22", '{"from":"é€😀"}'),
    ),
    one("open, filled by its first bytes", "OPEN", 5, { window: 262_144, service: "a", header: "" }, open(5, 262_144, "a", "", Buffer.alloc(most - 8, 0x61))),
    one("meta, the shortest", "META", 1, { json: "{}" }, frame("META", 1, "{}")),
    one("meta", "META", 7, { json: '{"status":200,"headers":["a","ü"]}' }, frame("META", 7, '{"status":200,"headers":["a","ü"]}')),
    one("data", "DATA", 1, { payload: hex(Buffer.from("hello")) }, frame("DATA", 1, "hello")),
    one("data, empty", "DATA", 1, { payload: "" }, frame("DATA", 1)),
    one("data, the longest", "DATA", 9, {}, frame("DATA", 9, Buffer.alloc(most, 0x62))),
    one("credit, 0", "CREDIT", 1, { bytes: 0 }, frame("CREDIT", 1, number(0, 4))),
    one("credit", "CREDIT", 1, { bytes: 131_072 }, frame("CREDIT", 1, number(131_072, 4))),
    one("end", "END", 4_294_967_294, {}, frame("END", 4_294_967_294)),
    one("reset, no reason", "RESET", 1, { code: 1, reason: "" }, frame("RESET", 1, number(1, 2))),
    one("reset, of the session", "RESET", 0, { code: 17, reason: "bye" }, frame("RESET", 0, Buffer.concat([number(17, 2), Buffer.from("bye")]))),
    one("reset, an unknown code and the longest reason", "RESET", 3, { code: 65_535, reason: longReason }, frame("RESET", 3, Buffer.concat([number(65_535, 2), Buffer.from(longReason)]))),
    one("drain", "DRAIN", 0, {}, frame("DRAIN", 0)),
    one("ack, 0", "ACK", 0, { value: "0" }, frame("ACK", 0, number(0, 8))),
    one("ack, beyond 32 bits", "ACK", 0, { value: "4294967296" }, frame("ACK", 0, number(2n ** 32n, 8))),
    one("ack, 2^53 - 1", "ACK", 0, { value: String(2n ** 53n - 1n) }, frame("ACK", 0, number(2n ** 53n - 1n, 8))),
    one("ping", "PING", 0, { value: "1234567890123" }, frame("PING", 0, number(1_234_567_890_123n, 8))),
    one("pong, all bits", "PONG", 0, { value: String(2n ** 64n - 1n) }, frame("PONG", 0, number(2n ** 64n - 1n, 8))),
    one("dgram", "DGRAM", 6, { payload: "01" }, frame("DGRAM", 6, Buffer.of(1))),
    one("dgram, empty", "DGRAM", 6, { payload: "" }, frame("DGRAM", 6)),
    one("check", "CHECK", 0, { crc: 0xcbf4_3926 }, frame("CHECK", 0, number(0xcbf4_3926, 4))),
  ],
  crc32: [
    { hex: "", crc: 0 },
    { hex: hex(Buffer.from("123456789")), crc: 0xcbf4_3926 },
    { hex: hex(Buffer.alloc(32, 0xff)), crc: crc32(Buffer.alloc(32, 0xff)) },
  ],
}

// handshake.json

const secret = Buffer.from(Array.from({ length: 32 }, (_, at) => at))
const dialNonce = Buffer.from(Array.from({ length: 16 }, (_, at) => 0x10 + at)).toString("base64url")
const acceptNonce = Buffer.from(Array.from({ length: 16 }, (_, at) => 0xff - at)).toString("base64url")

function proofText(who: "dial" | "accept", received: number): string {
  return `rdv/1 ${who} ${dialNonce}.${acceptNonce} ${received}`
}

function proof(who: "dial" | "accept", received: number): { text: string; received: number; proof: string } {
  const text = proofText(who, received)
  return { text, received, proof: createHmac("sha256", secret).update(text).digest("base64url") }
}

function hello(from: "dialer" | "acceptor", message: object): object {
  const json = JSON.stringify(message)
  const bytes = frame("HELLO", 0, json)
  return { from, json, hex: hex(bytes, check(bytes)) }
}

const announced = { limits: { window: 131_072, streams: 10_000 }, check: true }
const [dialProof, acceptProof] = [proof("dial", 4_294_967_396), proof("accept", 0)]

const handshake = {
  about: [
    "Every handshake message: `json` is the payload of the HELLO as it was sent, `hex` the HELLO frame and the CHECK behind it.",
    "Keys may stand in any order; a reader must take these bytes, a writer's may differ in the order of keys and in spaces.",
    "`new`, `anonymous` and `resume` are whole conversations, in order; `proofs` has the text under each HMAC-SHA-256. `secret` and",
    "nonces are base64url without padding. `wrong` are proofs that must be refused with code 7 in the conversation `resume`.",
  ],
  secret: secret.toString("base64url"),
  dialNonce,
  acceptNonce,
  proofs: [dialProof, acceptProof, proof("dial", 0), proof("accept", 9_007_199_254_740_991)],
  wrong: [
    { why: "the acceptor's word", proof: createHmac("sha256", secret).update(proofText("accept", dialProof.received)).digest("base64url"), received: dialProof.received },
    { why: "another count", proof: dialProof.proof, received: dialProof.received + 1 },
    { why: "the nonces turned round", proof: createHmac("sha256", secret).update(`rdv/1 dial ${acceptNonce}.${dialNonce} ${dialProof.received}`).digest("base64url"), received: dialProof.received },
    { why: "the secret as text", proof: createHmac("sha256", secret.toString("base64url")).update(dialProof.text).digest("base64url"), received: dialProof.received },
    { why: "cut short", proof: dialProof.proof.slice(0, 42), received: dialProof.received },
  ],
  new: [
    hello("dialer", { kind: "new", versions: [1], token: "rdv_0123456789", agent: "rdv/0.1.0", instance: "laptop", ...announced }),
    hello("acceptor", { kind: "welcome", version: 1, session: "c2Vzc2lvbg", secret: secret.toString("base64url"), graceMs: 60_000, ...announced }),
  ],
  anonymous: [
    hello("dialer", { kind: "new", versions: [1, 2], agent: "ü", limits: { window: 2 ** 30, streams: 0 }, check: false, later: [1] }),
    hello("acceptor", { kind: "refuse", code: 7, reason: "This relay wants a token" }),
  ],
  resume: [
    hello("dialer", { kind: "resume", versions: [1], session: "c2Vzc2lvbg", nonce: dialNonce, check: true }),
    hello("acceptor", { kind: "challenge", nonce: acceptNonce, check: false }),
    hello("dialer", { kind: "proof", received: dialProof.received, proof: dialProof.proof }),
    hello("acceptor", { kind: "resumed", received: acceptProof.received, proof: acceptProof.proof }),
  ],
}

// check.json

const batches = [
  [frame("DATA", 1, "hello"), frame("END", 1)],
  [frame("PING", 0, number(1, 8))],
  [open(3, 262_144, "echo", ""), frame("DATA", 3, Buffer.alloc(300, 0x2a)), frame("ACK", 0, number(21, 8))],
]

const checked = {
  about: [
    "A checked link behind its handshake. Each batch is frames and the CHECK over exactly their bytes; `stream` is all of them in a",
    "row, and `delivered` what may be applied of it, in any pieces. `unchecked` is a frame behind that must not be applied yet.",
    "`changed`: the byte of `stream` at `offset` is XORed with `mask`; the link must be dropped, and what was applied before is",
    "`delivered` without its end, `deliveredBytes` long.",
  ],
  batches: batches.map((each) => ({ frames: each.map((bytes) => hex(bytes)), check: hex(check(...each)) })),
  stream: hex(...batches.flatMap((each) => [...each, check(...each)])),
  delivered: hex(...batches.flat()),
  unchecked: hex(frame("DATA", 3, "not yet")),
  changed: [
    { offset: 8, mask: 1, deliveredBytes: 0 },
    { offset: 7, mask: 128, deliveredBytes: 0 },
    { offset: 32, mask: 16, deliveredBytes: 0 },
    { offset: 46, mask: 4, deliveredBytes: 21 },
    { offset: 120, mask: 255, deliveredBytes: 37 },
  ],
}

// invalid.json

const begun = open(1, 262_144, "echo", "{}")

function refused(name: string, found: "header" | "payload" | "session", ...bytes: readonly Buffer[]): object {
  return { name, found, code: 6, ...compact(Buffer.concat(bytes)) }
}

const invalid = {
  about: [
    "What a dialer must not send behind the handshake; the acceptor must end the session with RESET on stream 0 and this `code`.",
    "The acceptor announced a window of 131072 bytes and takes every stream without reading it: it gives no credit but, at most, to",
    "262144 bytes in all. It has sent nothing sequenced. `found` says when the violation is known: at a frame's `header`, before its",
    "payload has arrived; from a frame's `payload`; or from the state of the `session`. Bytes as in frames.json: `hex`, then `fill`.",
  ],
  cases: [
    ...[0x00, 0x08, 0x0f, 0x16, 0xff].map((type) => refused(`unknown type ${type}`, "header", frame(type, 1))),
    refused("DATA over the limit", "header", header("DATA", most + 1, 1)),
    refused("META over the limit", "header", header("META", most + 1, 1)),
    refused("OPEN over the limit", "header", header("OPEN", 0xffffff, 1)),
    refused("RESET with a reason of 513 bytes", "header", header("RESET", 515, 1)),
    refused("RESET without a code", "header", header("RESET", 1, 1)),
    refused("END with a payload", "header", header("END", 1, 1)),
    refused("CREDIT of 8 bytes", "header", header("CREDIT", 8, 1)),
    refused("ACK of 4 bytes", "header", header("ACK", 4, 0)),
    refused("PING of 0 bytes", "header", header("PING", 0, 0)),
    refused("CHECK of 5 bytes", "header", header("CHECK", 5, 0)),
    refused("DATA on stream 0", "header", header("DATA", 1, 0)),
    refused("OPEN on stream 0", "header", header("OPEN", 20, 0)),
    refused("END on stream 0", "header", header("END", 0, 0)),
    refused("DGRAM on stream 0", "header", header("DGRAM", 0, 0)),
    refused("ACK on a stream", "header", header("ACK", 8, 1)),
    refused("DRAIN on a stream", "header", header("DRAIN", 0, 1)),
    refused("OPEN with a service name that ends outside", "payload", frame("OPEN", 1, Buffer.concat([number(262_144, 4), number(9, 1), Buffer.from("echo"), number(0, 2)]))),
    refused("OPEN with a header that ends outside", "payload", frame("OPEN", 1, Buffer.concat([number(262_144, 4), number(4, 1), Buffer.from("echo"), number(1, 2)]))),
    refused("OPEN with a header that is no object", "payload", open(1, 262_144, "echo", "[]")),
    refused("OPEN with an empty service name", "payload", open(1, 262_144, "", "")),
    refused("OPEN with a capital letter in the service name", "payload", open(1, 262_144, "Echo", "")),
    refused("OPEN with a service name of 101 characters", "payload", open(1, 262_144, "a".repeat(101), "")),
    refused("OPEN with a window below 131072", "payload", open(1, 131_071, "echo", "")),
    refused("OPEN with a window above 2^30", "payload", open(1, 2 ** 30 + 1, "echo", "")),
    refused("META that is no JSON", "payload", begun, frame("META", 1, "{a}")),
    refused("META that is a list", "payload", begun, frame("META", 1, "[]")),
    refused("HELLO behind the handshake", "session", frame("HELLO", 0, "{}")),
    refused("OPEN with the acceptor's parity", "session", open(2, 262_144, "echo", "")),
    refused("OPEN of a stream that is open", "session", begun, begun),
    ...(["DATA", "END"] as const).map((type) => refused(`${type} on a stream that was never opened`, "session", frame(type, 1))),
    refused("META on a stream that was never opened", "session", frame("META", 1, "{}")),
    refused("CREDIT on a stream that was never opened", "session", frame("CREDIT", 1, number(1, 4))),
    refused("RESET on a stream that was never opened", "session", frame("RESET", 1, number(1, 2))),
    refused("DATA on a stream of the acceptor that was never opened", "session", frame("DATA", 2, "x")),
    refused("two ENDs", "session", begun, frame("END", 1), frame("END", 1)),
    refused("DATA behind END", "session", begun, frame("END", 1), frame("DATA", 1, "x")),
    refused("CREDIT above 2^30", "session", begun, frame("CREDIT", 1, number(2 ** 30, 4))),
    refused("ACK beyond what was sent", "session", frame("ACK", 0, number(1, 8))),
  ],
}

// resume.json

const log = [
  open(1, 262_144, "echo", '{"a":1}', "first"),
  frame("DATA", 1, "0123456789abcdefghij"),
  frame("META", 1, '{"n":1}'),
  frame("DATA", 1, "klmnopqrst"),
  frame("CREDIT", 1, number(65_536, 4)),
  frame("END", 1),
]
const wholeLog = Buffer.concat(log)
const ends = log.reduce<number[]>((all, bytes) => [...all, (all.at(-1) ?? 0) + bytes.length], [])
const [openEnd = 0, dataEnd = 0, metaEnd = 0] = ends
const [ping, ackFrame] = [frame("PING", 0, number(7, 8)), frame("ACK", 0, number(0, 8))]

const resume = {
  about: [
    "A dialer's log of sequenced frames: `frames` in order, `ends` the byte count behind each. `replays`: the acceptor said",
    "`received` in the handshake of the next link; the first sequenced bytes on it must be `hex`. Counts that no `ends` has, or",
    "beyond the last, are violations and do not occur here but in `refused`.",
    "`receiver`: the acceptor's side. `links` are the bytes that arrive on one link after the other, each up to its cut; `received`",
    "is what the acceptor must say in the handshake behind it (whole frames only). `events` is what its application must have seen",
    "in the end: for each stream the first bytes and DATA joined, METAs and the end, in order.",
    "`notContinued`: after the first link, the second begins with something else than the frame that was cut: code 6.",
  ],
  frames: log.map((bytes) => hex(bytes)),
  ends,
  replays: [0, ...ends].map((received) => ({ received, hex: hex(wholeLog.subarray(received)) })),
  refused: [{ received: wholeLog.length + 1, code: 6 }],
  receiver: [
    {
      name: "cut between frames",
      links: [
        { hex: hex(wholeLog.subarray(0, dataEnd)), received: dataEnd },
        { hex: hex(wholeLog.subarray(dataEnd)), received: wholeLog.length },
      ],
    },
    {
      name: "cut within a header",
      links: [
        { hex: hex(wholeLog.subarray(0, openEnd + 3)), received: openEnd },
        { hex: hex(wholeLog.subarray(openEnd)), received: wholeLog.length },
      ],
    },
    {
      name: "cut within the payload of a DATA frame, with unsequenced frames before the replay",
      links: [
        { hex: hex(wholeLog.subarray(0, openEnd + 8 + 7)), received: openEnd },
        { hex: hex(ping, ackFrame, wholeLog.subarray(openEnd)), received: wholeLog.length },
      ],
    },
    {
      name: "cut three times within the same DATA frame, the second time before where it was",
      links: [
        { hex: hex(wholeLog.subarray(0, openEnd + 8 + 12)), received: openEnd },
        { hex: hex(wholeLog.subarray(openEnd, openEnd + 8 + 4)), received: openEnd },
        { hex: hex(wholeLog.subarray(openEnd, openEnd + 8 + 19)), received: openEnd },
        { hex: hex(wholeLog.subarray(openEnd)), received: wholeLog.length },
      ],
    },
    {
      name: "cut within META",
      links: [
        { hex: hex(wholeLog.subarray(0, dataEnd + 10)), received: dataEnd },
        { hex: hex(wholeLog.subarray(dataEnd)), received: wholeLog.length },
      ],
    },
  ].map((each) => ({ ...each, events: [["data", hex(Buffer.from("first0123456789abcdefghij"))], ["meta", '{"n":1}'], ["data", hex(Buffer.from("klmnopqrst"))], ["end"]] })),
  notContinued: [
    { first: hex(wholeLog.subarray(0, openEnd + 10)), second: hex(wholeLog.subarray(dataEnd, metaEnd)), code: 6 },
    { first: hex(wholeLog.subarray(0, openEnd + 10)), second: hex(frame("DATA", 1, "0123")), code: 6 },
    { first: hex(wholeLog.subarray(0, openEnd + 10)), second: hex(frame("DATA", 3, "0123456789abcdefghij")), code: 6 },
  ],
}

/** File name → what must stand in it. */
export const vectors: { readonly [file: string]: object } = {
  "frames.json": frames,
  "handshake.json": handshake,
  "check.json": checked,
  "invalid.json": invalid,
  "resume.json": resume,
  "channels.json": channelVectors,
  "share.json": shareVectors,
}

export function print(content: object): string {
  return `${JSON.stringify(content, null, 2)}\n`
}

if (import.meta.main) {
  for (const [file, content] of Object.entries(vectors)) writeFileSync(new URL(file, import.meta.url), print(content))
}
