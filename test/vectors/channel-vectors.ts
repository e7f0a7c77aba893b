/** The golden bytes of section 9.5 of docs/protocol.md, built from its tables by hand. */

const kinds = {
  message: 0x01,
  timed: 0x02,
  withdraw: 0x03,
  confirmed: 0x04,
  settled: 0x05,
  next: 0x10,
  delivery: 0x11,
  answer: 0x12,
  recall: 0x13,
  recalled: 0x14,
  case: 0x20,
  go: 0x21,
  chosen: 0x22,
  none: 0x23,
  cancel: 0x24,
} as const

type Kind = keyof typeof kinds

function number(value: bigint | number, bytes: number): Buffer {
  return Buffer.from(BigInt(value).toString(16).padStart(bytes * 2, "0"), "hex")
}

function frame(kind: Kind | number, ...body: readonly (Uint8Array | string)[]): Buffer {
  const bytes = Buffer.concat(body.map((part) => (typeof part === "string" ? Buffer.from(part) : part)))
  const code = typeof kind === "number" ? kind : kinds[kind]
  return Buffer.concat([number(bytes.length + 1, 4), number(code, 1), bytes])
}

const u8 = (value: number): Buffer => number(value, 1)
const u16 = (value: number): Buffer => number(value, 2)
const u32 = (value: number): Buffer => number(value, 4)
const u64 = (value: bigint | number): Buffer => number(value, 8)
const hex = (...parts: readonly Uint8Array[]): string => Buffer.concat(parts).toString("hex")

const message = (text: string): Buffer => frame("message", text)
const next = (more: number, taken: number): Buffer => frame("next", u32(more), u64(taken))
const answer = (at: number, code: number, reason: string): Buffer => frame("answer", u64(at), u16(code), reason)
const settled = (at: number, code: number, reason: string): Buffer => frame("settled", u64(at), u16(code), reason)
const delivery = (id: number, attempt: number, text: string): Buffer => frame("delivery", u64(id), u16(attempt), text)
const selectCase = (way: 0 | 1, path: string, text = ""): Buffer =>
  frame("case", u8(way), u16(Buffer.byteLength(path)), path, text)

function one(name: string, kind: Kind, fields: object, bytes: Buffer): object {
  return { name, kind, ...fields, hex: hex(bytes) }
}

const client = (stream: string, ...parts: readonly Buffer[]): object => ({ from: "client", stream, hex: hex(...parts) })
const server = (stream: string, ...parts: readonly Buffer[]): object => ({ from: "server", stream, hex: hex(...parts) })
const opens = (stream: string, header: object): object => ({ from: "client", stream, open: header })
const says = (from: "client" | "server", stream: string, meta: object): object => ({ from, stream, meta })
const ends = (from: "client" | "server", stream: string): object => ({ from, stream, end: true })
const resets = (stream: string, code: number): object => ({ from: "server", stream, reset: code })

const sendReady = { ready: { path: "/jobs", messages: 1024, bytes: 1_048_576, maxMessage: 1_048_576 } }
const receiveReady = { ready: { path: "/jobs", messages: 65_536, bytes: 0, maxMessage: 1_048_576 } }

export const channelVectors: object = {
  about: [
    "The native protocol of channels. `frames`: one of each kind; beside `hex` stand the fields of its body by the names of the",
    "document's table, messages and reasons as text, numbers of 64 bits as text where they are beyond 2^53.",
    "`conversations`: a server with one new channel /jobs with these `settings`. `steps` in order: what the client opens, sends, says",
    "(`meta`) or ends, and what it must get then. A server may split `hex` of one step and join frames in other ways where the",
    "document says that they are cumulative; this one sends these bytes.",
    "`invalid`: after `open` and what the server says to it, `hex` must be answered by RESET with code 6.",
  ],
  frames: [
    one("message", "message", { message: "hello" }, message("hello")),
    one("message, empty", "message", { message: "" }, message("")),
    one("timed", "timed", { ms: 1500, message: "hé" }, frame("timed", u32(1500), "hé")),
    one("timed, at once", "timed", { ms: 0, message: "x" }, frame("timed", u32(0), "x")),
    one("withdraw", "withdraw", { number: 4_294_967_296 }, frame("withdraw", u64(2 ** 32))),
    one("confirmed", "confirmed", { number: 300 }, frame("confirmed", u64(300))),
    one("settled, arrived", "settled", { number: 7, code: 0, reason: "" }, settled(7, 0, "")),
    one("settled, timeout", "settled", { number: 7, code: 4, reason: "too late" }, settled(7, 4, "too late")),
    one("next", "next", { more: 2, number: 5 }, next(2, 5)),
    one("delivery", "delivery", { id: 9, attempt: 1, message: "job" }, delivery(9, 1, "job")),
    one(
      "delivery, the largest id",
      "delivery",
      { id: String(2n ** 53n - 1n), attempt: 65_535, message: "" },
      frame("delivery", u64(2n ** 53n - 1n), u16(65_535)),
    ),
    one("answer, taken", "answer", { number: 3, code: 0, reason: "" }, answer(3, 0, "")),
    one("answer, given back", "answer", { number: 3, code: 1, reason: "no disk" }, answer(3, 1, "no disk")),
    one("recall", "recall", {}, frame("recall")),
    one("recalled", "recalled", {}, frame("recalled")),
    one("case, receive", "case", { way: 0, path: "/a", message: "" }, selectCase(0, "/a")),
    one("case, send", "case", { way: 1, path: "/ü", message: "m" }, selectCase(1, "/ü", "m")),
    one("go, for ever", "go", { ms: 4_294_967_295 }, frame("go", u32(0xffff_ffff))),
    one("go, only now", "go", { ms: 0 }, frame("go", u32(0))),
    one(
      "chosen, receive",
      "chosen",
      { case: 1, way: 0, id: 2, attempt: 1, message: "got" },
      frame("chosen", u16(1), u8(0), u64(2), u16(1), "got"),
    ),
    one("chosen, send", "chosen", { case: 0, way: 1 }, frame("chosen", u16(0), u8(1))),
    one("none", "none", { case: 65_535, code: 4, reason: "" }, frame("none", u16(65_535), u16(4))),
    one("none, for a case", "none", { case: 2, code: 17, reason: "closed" }, frame("none", u16(2), u16(17), "closed")),
    one("cancel", "cancel", {}, frame("cancel")),
  ],
  conversations: [
    {
      name: "a message meets its receiver",
      settings: {},
      steps: [
        opens("s", { do: "send", path: "/jobs" }),
        says("server", "s", sendReady),
        opens("r", { do: "receive", path: "/jobs" }),
        says("server", "r", receiveReady),
        client("s", message("one"), message("two")),
        client("r", next(1, 0)),
        server("r", delivery(1, 1, "one")),
        client("r", next(1, 1)),
        server("s", frame("confirmed", u64(1))),
        server("r", delivery(2, 1, "two")),
        client("r", next(0, 2)),
        server("s", frame("confirmed", u64(2))),
        ends("client", "s"),
        ends("server", "s"),
        ends("client", "r"),
        ends("server", "r"),
      ],
    },
    {
      name: "messages that are taken in another order, and one that comes again",
      settings: { size: 0 },
      steps: [
        opens("s", { do: "send", path: "/jobs" }),
        says("server", "s", sendReady),
        opens("r", { do: "receive", path: "/jobs" }),
        says("server", "r", receiveReady),
        client("r", next(2, 0)),
        client("s", message("one"), message("two")),
        server("r", delivery(1, 1, "one"), delivery(2, 1, "two")),
        client("r", answer(1, 0, "")),
        server("s", settled(1, 0, "")),
        client("r", answer(0, 1, "no disk"), next(1, 2)),
        server("r", delivery(1, 2, "one")),
        client("r", next(0, 3)),
        server("s", frame("confirmed", u64(2))),
      ],
    },
    {
      name: "what cannot wait, and what is taken back",
      settings: {},
      steps: [
        opens("s", { do: "send", path: "/jobs" }),
        says("server", "s", sendReady),
        client("s", frame("timed", u32(0), "now")),
        server("s", settled(0, 28, "Nobody receives from /jobs now"), frame("confirmed", u64(1))),
        client("s", message("late"), frame("withdraw", u64(1))),
        server("s", settled(1, 1, "The message was withdrawn"), frame("confirmed", u64(2))),
        opens("r", { do: "receive", path: "/jobs" }),
        says("server", "r", receiveReady),
        client("r", next(1, 0), frame("recall")),
        server("r", frame("recalled")),
      ],
    },
    {
      name: "the end of a channel",
      settings: { size: 4 },
      steps: [
        opens("s", { do: "send", path: "/jobs" }),
        says("server", "s", sendReady),
        client("s", message("last")),
        server("s", frame("confirmed", u64(1))),
        opens("c", { do: "control" }),
        says("client", "c", { id: 1, do: "close", path: "/jobs" }),
        says("server", "c", { id: 1, done: {} }),
        client("s", message("more")),
        server("s", settled(1, 17, "/jobs is closed"), frame("confirmed", u64(2))),
        opens("r", { do: "receive", path: "/jobs" }),
        says("server", "r", receiveReady),
        client("r", next(2, 0)),
        server("r", delivery(1, 1, "last")),
        client("r", next(0, 1)),
        ends("server", "r"),
      ],
    },
    {
      name: "a select, and another one on the same stream",
      settings: { size: 1 },
      steps: [
        opens("x", { do: "select" }),
        client("x", selectCase(0, "/jobs"), frame("go", u32(0))),
        server("x", frame("none", u16(65_535), u16(28), "No case can happen now")),
        client("x", selectCase(1, "/jobs", "in"), frame("go", u32(0xffff_ffff))),
        server("x", frame("chosen", u16(0), u8(1))),
        client("x", selectCase(0, "/jobs"), frame("go", u32(1000))),
        server("x", frame("chosen", u16(0), u8(0), u64(1), u16(1), "in")),
        client("x", answer(0, 0, "")),
      ],
    },
    {
      name: "a copy of the head",
      settings: { size: 1 },
      steps: [
        opens("p", { do: "peek", path: "/jobs" }),
        says("server", "p", { found: false, length: 0 }),
        ends("server", "p"),
        opens("s", { do: "send", path: "/jobs" }),
        says("server", "s", sendReady),
        client("s", message("head")),
        server("s", frame("confirmed", u64(1))),
        opens("q", { do: "peek", path: "/jobs" }),
        says("server", "q", { found: true, length: 4 }),
        server("q", Buffer.from("head")),
        ends("server", "q"),
      ],
    },
    {
      name: "a channel that is not there",
      settings: {},
      steps: [
        opens("s", { do: "send", path: "/other" }),
        resets("s", 25),
        opens("c", { do: "control" }),
        says("client", "c", { id: 2, do: "stat", path: "/other" }),
        says("server", "c", { id: 2, code: 25, reason: "There is no /other" }),
      ],
    },
  ],
  invalid: [
    { open: { do: "send", path: "/jobs" }, hex: hex(number(0, 4), u8(1)), why: "a length of 0" },
    { open: { do: "send", path: "/jobs" }, hex: hex(u32(2_000_000), u8(1)), why: "longer than the channel takes" },
    { open: { do: "send", path: "/jobs" }, hex: hex(frame(0x06)), why: "an unknown kind" },
    { open: { do: "send", path: "/jobs" }, hex: hex(frame("timed", u16(1))), why: "a timed message without its time" },
    { open: { do: "send", path: "/jobs" }, hex: hex(frame("withdraw", u32(1))), why: "a withdraw of 4 bytes" },
    { open: { do: "send", path: "/jobs" }, hex: hex(frame("next", u32(1), u64(0))), why: "next on a stream that sends" },
    { open: { do: "receive", path: "/jobs" }, hex: hex(message("x")), why: "a message on a stream that receives" },
    { open: { do: "receive", path: "/jobs" }, hex: hex(next(0, 1)), why: "an answer to what was never sent" },
    { open: { do: "receive", path: "/jobs" }, hex: hex(next(65_537, 0)), why: "more asked for than may be open" },
    { open: { do: "receive", path: "/jobs" }, hex: hex(frame("answer", u64(0))), why: "an answer without a code" },
    { open: { do: "receive", path: "/jobs" }, hex: hex(frame("recall", u8(0))), why: "a recall with a body" },
    { open: { do: "select" }, hex: hex(frame("case", u8(0), u16(9), "/a")), why: "a path that ends outside" },
    { open: { do: "select" }, hex: hex(selectCase(0, "/jobs"), frame("go", u32(2000)), frame("go", u32(1))), why: "go twice" },
    { open: { do: "select" }, hex: hex(frame("go", u16(1))), why: "a go of 2 bytes" },
  ],
}
