import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { decode, encode, encodeInto, messageBytes, nameOfType } from "./codec.ts"
import { NinepError } from "./errno.ts"
import { layouts, type Kind } from "./layout.ts"
import { messageType, NOFID, NOTAG, NONUNAME, type Dialect, type Message, type MessageName } from "./message.ts"
import { NinepProtocolError } from "./protocol-error.ts"
import { decodeStats, encodeStat } from "./stat-record.ts"

const dialects: readonly Dialect[] = ["9P2000", "9P2000.u", "9P2000.L"]

const u8 = fc.integer({ min: 0, max: 0xff })
const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const u64 = fc
  .oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(0n, 2n ** 53n + 2n), fc.bigInt(0n, 100n))
  .map((value) => (value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value))
const text = fc.string({ unit: "binary", maxLength: 40 }).map((value) => value.replaceAll("\0", ""))
const name = text.map((value) => value.replaceAll("/", ""))
const plainly = { noNullPrototype: true }
const qid = fc.record({ type: u8, version: u32, path: u64 }, plainly)
const plainStat = {
  type: u16,
  dev: u32,
  qid,
  mode: u32,
  atime: u32,
  mtime: u32,
  length: u64,
  name: text,
  uid: text,
  gid: text,
  muid: text,
}
const stat = (dialect: Dialect) =>
  dialect === "9P2000.u"
    ? fc.record({ ...plainStat, extension: text, nUid: u32, nGid: u32, nMuid: u32 }, plainly)
    : fc.record(plainStat, plainly)

function valueOf(kind: Kind, dialect: Dialect): fc.Arbitrary<unknown> {
  switch (kind) {
    case "u8":
      return u8
    case "u16":
      return u16
    case "u32":
    case "later":
      return u32
    case "u64":
      return u64
    case "text":
      return text
    case "name":
      return name
    case "names":
      return fc.array(name, { maxLength: 16 })
    case "qid":
      return qid
    case "qids":
      return fc.array(qid, { maxLength: 16 })
    case "data":
      return fc.uint8Array({ maxLength: 100 })
    case "stat":
      return stat(dialect)
    case "entries":
      return fc.array(fc.record({ qid, offset: u64, type: u8, name }, plainly), { maxLength: 5 })
  }
}

function messageOf(dialect: Dialect, type: MessageName): fc.Arbitrary<Message> {
  const fields: Record<string, fc.Arbitrary<unknown>> = {}
  const requiredKeys = ["type", "tag"]
  for (const [key, kind] of layouts[dialect][type] ?? []) {
    fields[key] = valueOf(kind, dialect)
    if (kind !== "later") requiredKeys.push(key)
  }
  return fc.record({ type: fc.constant(type), tag: u16, ...fields }, {
    requiredKeys,
    noNullPrototype: true,
  } as never) as never
}

/** Data come as views into other memory. */
function comparable(message: Message): unknown {
  return "data" in message ? { ...message, data: Array.from(message.data) } : message
}

function read(bytes: Uint8Array, dialect: Dialect, type: MessageName): Message {
  return type.startsWith("T") ? decode(bytes, dialect, "T") : decode(bytes, dialect, "R")
}

for (const dialect of dialects) {
  for (const type of Object.keys(layouts[dialect]) as MessageName[]) {
    test(`${dialect} ${type} is read as it was written, and broken wherever it is cut`, () => {
      fc.assert(
        fc.property(messageOf(dialect, type), (message) => {
          const bytes = encode(message, dialect)
          assert.equal(bytes.length, messageBytes(message, dialect))
          assert.equal(bytes[4], messageType[type])
          const back = read(bytes, dialect, type)
          assert.deepEqual(comparable(back), comparable(message))
          assert.deepEqual(encode(back, dialect), bytes)
          for (let length = 0; length < bytes.length; length++) {
            const cut = bytes.slice(0, length)
            assert.throws(() => read(cut, dialect, type), { name: "NinepProtocolError", flaw: "broken" })
            if (length < 7) continue
            new DataView(cut.buffer).setUint32(0, length, true)
            assertSound(() => read(cut, dialect, type))
          }
          const longer = new Uint8Array([...bytes, 0])
          new DataView(longer.buffer).setUint32(0, longer.length, true)
          assertSound(() => read(longer, dialect, type))
        }),
        { numRuns: 15 },
      )
    })
  }
}

/** A cut message with a corrected size: broken, unless what was cut may be missing (the datasync of Tfsync). */
function assertSound(run: () => Message): void {
  try {
    const message = run()
    assert.equal(message.type, "Tfsync")
  } catch (error) {
    assert.ok(error instanceof NinepProtocolError, String(error))
    assert.equal(error.flaw, "broken")
  }
}

test("any bytes are a message or a protocol error", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...dialects),
      fc.constantFrom("T", "R"),
      fc.constantFrom(...Object.values(messageType), 0, 6, 106, 128, 255),
      fc.uint8Array({ maxLength: 120 }),
      (dialect, direction, type, body) => {
        const bytes = new Uint8Array(7 + body.length)
        bytes.set(body, 7)
        new DataView(bytes.buffer).setUint32(0, bytes.length, true)
        bytes[4] = type
        try {
          const message = decode(bytes, dialect, direction as "T")
          assert.deepEqual(encode(message, dialect), bytes)
        } catch (error) {
          assert.ok(error instanceof NinepProtocolError, String(error))
        }
      },
    ),
    { numRuns: 2000 },
  )
})

/** `size` is put in front. */
function hex(text: string): Uint8Array {
  const body = Buffer.from(text.replaceAll(/[^0-9a-f]/g, ""), "hex")
  const size = Buffer.alloc(4)
  size.writeUInt32LE(body.length + 4)
  return new Uint8Array([...size, ...body])
}

/** Written by hand from section 5 of the Plan 9 manual and the descriptions of the two extensions. */
const golden: readonly (readonly [Dialect, string, Message])[] = [
  ["9P2000", "64 ffff 00200000 0600 395032303030", { type: "Tversion", tag: NOTAG, msize: 8192, version: "9P2000" }],
  ["9P2000", "65 ffff 00200000 0700 756e6b6e6f776e", { type: "Rversion", tag: NOTAG, msize: 8192, version: "unknown" }],
  [
    "9P2000",
    "68 0100 02000000 ffffffff 0500 676c656e64 0000",
    { type: "Tattach", tag: 1, fid: 2, afid: NOFID, uname: "glend", aname: "" },
  ],
  [
    "9P2000.u",
    "68 0100 02000000 ffffffff 0000 0100 61 e8030000",
    { type: "Tattach", tag: 1, fid: 2, afid: NOFID, uname: "", aname: "a", nUname: 1000 },
  ],
  [
    "9P2000",
    "69 0100 80 01000000 0203000000000000",
    { type: "Rattach", tag: 1, qid: { type: 0x80, version: 1, path: 770 } },
  ],
  ["9P2000", "6b 0100 0400 6e6f7065", { type: "Rerror", tag: 1, ename: "nope" }],
  ["9P2000.u", "6b 0100 0400 6e6f7065 02000000", { type: "Rerror", tag: 1, ename: "nope", errno: 2 }],
  ["9P2000.L", "07 0100 02000000", { type: "Rlerror", tag: 1, ecode: 2 }],
  ["9P2000", "6c 0200 0100", { type: "Tflush", tag: 2, oldtag: 1 }],
  [
    "9P2000",
    "6e 0200 01000000 02000000 0200 0300 757372 0400 c3bc2d65",
    { type: "Twalk", tag: 2, fid: 1, newfid: 2, wname: ["usr", "ü-e"] },
  ],
  ["9P2000", "6f 0200 0000", { type: "Rwalk", tag: 2, wqid: [] }],
  ["9P2000", "70 0200 01000000 11", { type: "Topen", tag: 2, fid: 1, mode: 0x11 }],
  [
    "9P2000",
    "72 0200 01000000 0100 78 ed010080 00",
    { type: "Tcreate", tag: 2, fid: 1, name: "x", perm: 0x800001ed, mode: 0 },
  ],
  [
    "9P2000",
    "74 0300 01000000 ffffffffffff1f00 18000100",
    { type: "Tread", tag: 3, fid: 1, offset: Number.MAX_SAFE_INTEGER, count: 65560 },
  ],
  [
    "9P2000",
    "74 0300 01000000 0000000000002000 18000100",
    { type: "Tread", tag: 3, fid: 1, offset: 2n ** 53n, count: 65560 },
  ],
  ["9P2000", "75 0300 02000000 6869", { type: "Rread", tag: 3, data: new Uint8Array([0x68, 0x69]) }],
  [
    "9P2000",
    "7d 0300 3400 3200 0100 02000000 00 03000000 0400000000000000 a4010000 05000000 06000000 0700000000000000" +
      "0100 66 0100 75 0000 0100 6d",
    {
      type: "Rstat",
      tag: 3,
      stat: {
        type: 1,
        dev: 2,
        qid: { type: 0, version: 3, path: 4 },
        mode: 0o644,
        atime: 5,
        mtime: 6,
        length: 7,
        name: "f",
        uid: "u",
        gid: "",
        muid: "m",
      },
    },
  ],
  [
    "9P2000.L",
    "29 0300 19000000 80 00000000 0100000000000000 ffffffffffffff7f 04 0100 64",
    {
      type: "Rreaddir",
      tag: 3,
      entries: [{ qid: { type: 0x80, version: 0, path: 1 }, offset: 2n ** 63n - 1n, type: 4, name: "d" }],
    },
  ],
  ["9P2000.L", "32 0300 01000000 01000000", { type: "Tfsync", tag: 3, fid: 1, datasync: 1 }],
  ["9P2000.L", "32 0300 01000000", { type: "Tfsync", tag: 3, fid: 1 }],
  [
    "9P2000.L",
    "34 0300 01000000 01 01000000 0000000000000000 ffffffffffffffff 07000000 0100 68",
    {
      type: "Tlock",
      tag: 3,
      fid: 1,
      lockType: 1,
      flags: 1,
      start: 0,
      length: 2n ** 64n - 1n,
      procId: 7,
      clientId: "h",
    },
  ],
  ["9P2000.L", "4c 0300 01000000 0100 64 00020000", { type: "Tunlinkat", tag: 3, dirfid: 1, name: "d", flags: 0x200 }],
]

for (const [dialect, bytes, message] of golden) {
  test(`${dialect} ${message.type} has the manual's bytes: ${bytes.slice(0, 40)}`, () => {
    assert.deepEqual(encode(message, dialect), hex(bytes))
    assert.deepEqual(comparable(read(hex(bytes), dialect, message.type)), comparable(message))
  })
}

const flawed: readonly (readonly [string, string, Dialect, NinepProtocolError["flaw"]])[] = [
  ["a NUL in a text", "68 0100 02000000 ffffffff 0100 00 0000", "9P2000", "text"],
  ["a / in a name", "6e 0200 01000000 02000000 0100 0300 612f62", "9P2000", "text"],
  ["a name that is not UTF-8", "6e 0200 01000000 02000000 0100 0200 c3c3", "9P2000", "text"],
  ["half a surrogate pair", "6e 0200 01000000 02000000 0100 0300 eda080", "9P2000", "text"],
  ["a text that is longer than its message", "6e 0200 01000000 02000000 0100 ffff 61", "9P2000", "broken"],
  ["data that are longer than their message", "76 0200 01000000 0000000000000000 ffffffff 61", "9P2000", "broken"],
  ["a walk of 17 elements", `6e 0200 01000000 02000000 1100 ${"0000".repeat(17)}`, "9P2000", "broken"],
  ["bytes behind the last field", "78 0100 01000000 00", "9P2000", "broken"],
  ["Topen in 9P2000.L", "70 0200 01000000 11", "9P2000.L", "unknown"],
  ["Tlopen in 9P2000", "0c 0200 01000000 00000000", "9P2000", "unknown"],
  ["Terror, which does not exist", "6a 0200", "9P2000", "unknown"],
  ["an answer where a request belongs", "6d 0200", "9P2000", "unknown"],
  ["a stat record with another size", "7e 0100 01000000 0400 0200 0000", "9P2000", "broken"],
]

for (const [what, bytes, dialect, flaw] of flawed) {
  test(`${what} is ${flaw}`, () => {
    assert.throws(() => decode(hex(bytes), dialect, "T"), { name: "NinepProtocolError", flaw })
  })
}

test("a byte order mark is a character of a name", () => {
  const bytes = encode({ type: "Twalk", tag: 1, fid: 1, newfid: 2, wname: ["\ufeffx"] }, "9P2000")
  assert.deepEqual(decode(bytes, "9P2000", "T"), { type: "Twalk", tag: 1, fid: 1, newfid: 2, wname: ["\ufeffx"] })
})

test("what 9P cannot say is refused before a byte is written", () => {
  const walk = (element: string) => encode({ type: "Twalk", tag: 1, fid: 1, newfid: 2, wname: [element] }, "9P2000")
  const fails = (errno: string) => (error: unknown) => error instanceof NinepError && error.errno === errno
  assert.throws(() => walk("a/b"), fails("EINVAL"))
  assert.throws(() => walk("a\0b"), fails("EINVAL"))
  assert.throws(() => walk("\ud800"), fails("EINVAL"))
  assert.throws(() => walk("\ud800a"), fails("EINVAL"))
  assert.throws(() => walk("x".repeat(65536)), fails("ENAMETOOLONG"))
  assert.equal(walk("x".repeat(65535)).length, 17 + 2 + 65535)
  assert.throws(() => encode({ type: "Tstat", tag: 1, fid: 1 }, "9P2000.L"), fails("EOPNOTSUPP"))
})

test("what only the extensions have may be left out of a message", () => {
  const attach = { type: "Tattach", tag: 1, fid: 1, afid: NOFID, uname: "u", aname: "" } as const
  assert.deepEqual(decode(encode(attach, "9P2000.u"), "9P2000.u", "T"), { ...attach, nUname: NONUNAME })
  assert.deepEqual(decode(encode({ ...attach, nUname: 5 }, "9P2000"), "9P2000", "T"), attach)
})

test("several messages can be written behind one another", () => {
  const bytes = new Uint8Array(40)
  const end = encodeInto({ type: "Rclunk", tag: 1 }, "9P2000", bytes, 3)
  assert.equal(end, 10)
  assert.equal(encodeInto({ type: "Rlerror", tag: 2, ecode: 5 }, "9P2000.L", bytes, end), 21)
  assert.deepEqual(decode(bytes.subarray(3, 10), "9P2000", "R"), { type: "Rclunk", tag: 1 })
  assert.deepEqual(decode(bytes.subarray(10, 21), "9P2000.L", "R"), { type: "Rlerror", tag: 2, ecode: 5 })
})

test("the contents of a folder are stat records one after the other", () => {
  for (const dialect of ["9P2000", "9P2000.u"] as const) {
    fc.assert(
      fc.property(fc.array(stat(dialect), { maxLength: 4 }), (stats) => {
        const bytes = Buffer.concat(stats.map((each) => encodeStat(each, dialect)))
        assert.deepEqual(decodeStats(bytes, dialect), stats)
        for (let length = 1; length < bytes.length; length += 7) {
          try {
            decodeStats(bytes.subarray(0, length), dialect)
          } catch (error) {
            assert.ok(error instanceof NinepProtocolError)
          }
        }
      }),
      { numRuns: 20 },
    )
  }
})

test("every number has its name", () => {
  for (const [type, number] of Object.entries(messageType)) assert.equal(nameOfType(number), type)
  assert.equal(nameOfType(106), undefined)
})
