import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { base64url } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import { mostChunks } from "../content/chunk-table.ts"
import {
  mostAddresses,
  mostNamedChunks,
  readMemberMessage,
  readPiecesHeader,
  readRelayMessage,
  readShareHeader,
} from "./read-control.ts"

const key = base64url(new Uint8Array(32).fill(7))
const table = { version: 3, bytes: 88, mac: key }
const via = { relay: 1, direct: 2, cast: 0 }
const picture = {
  swarm: "482713",
  version: 3,
  chunks: 400,
  bytes: 1e8,
  copies: [0, 1, 399],
  cache: { chunks: 1, bytes: 2, hits: 3, misses: 4 },
  relay: { inBytes: 5, outBytes: 6 },
  members: [
    {
      label: "laptop",
      role: "receiver",
      state: "working",
      have: 4,
      line: "0123456789",
      inBytesPerSecond: 1.5,
      outBytesPerSecond: 0,
      via,
      paths: 2,
      note: "waits for chunk 17",
    },
  ],
  more: 0,
}

const headers: JsonObject[] = [
  { do: "publish", swarm: "482713", member: "a_-9", access: key, publisher: key, table },
  {
    do: "publish",
    swarm: "000000",
    member: "a",
    access: key,
    publisher: key,
    table,
    once: true,
    expiresMs: 0,
    maxPeers: 9,
    cache: false,
  },
  { do: "join", swarm: "482713", member: "a", access: key },
  { do: "join", swarm: "482713", member: "a", access: key, label: "browser" },
  { do: "watch", swarm: "482713", access: key },
]
const ofMembers: JsonObject[] = [
  { do: "version", table },
  { do: "holds", version: 1, bitmap: "_w" },
  { do: "have", version: 1, chunks: [0, 5, mostChunks - 1], via },
  { do: "lost", version: 4294967295, chunks: [] },
  { do: "window", bytes: 0 },
  { do: "uplink" },
  { do: "uplink", bytesPerSecond: 1e7 },
  { do: "failed", version: 1, chunk: 2, from: "relay", why: "corrupt" },
  { do: "reach", addresses: ["192.0.2.1:4000", "[2001:db8::1]:4000", "[fe80::1%eth0]:1", "host.example:65535"] },
  { do: "path", member: "m2", state: "up", over: "tcp" },
  { do: "done", version: 1 },
  { do: "failure", reason: "the disk is full" },
  { do: "cast", state: "heard" },
  { do: "casting", state: "begun" },
  { do: "begin" },
  { do: "end" },
  { do: "end", now: true },
]
const ofRelay: JsonObject[] = [
  { do: "welcome", you: "m1", ticket: key, connections: true, once: false },
  {
    do: "welcome",
    you: "m1",
    ticket: key,
    connections: false,
    url: "https://r/share/482713",
    once: true,
    expiresMs: 5,
  },
  { do: "table", table },
  {
    do: "take",
    version: 1,
    chunks: [
      [3, "m2"],
      [4, "m2"],
    ],
  },
  { do: "drop", version: 1, chunks: [1] },
  { do: "peers", peers: [{ member: "m2", addresses: ["192.0.2.1:4000"], dial: true }] },
  { do: "swarm", picture },
  { do: "finished", member: "laptop", ms: 12 },
  { do: "failure", member: "laptop", reason: "the disk is full" },
]
const readers: [string, (json: JsonObject) => unknown, JsonObject[]][] = [
  ["headers", readShareHeader, headers],
  ["messages of members", readMemberMessage, ofMembers],
  ["messages of the relay", readRelayMessage, ofRelay],
  ["headers of pieces", readPiecesHeader, [{ ticket: key }]],
]

const optional = new Set(["once", "expiresMs", "maxPeers", "cache", "label", "bytesPerSecond", "url", "note", "now"])
const junk: unknown[] = [null, true, -1, 0.5, 2 ** 53, "", "\u0000", "x".repeat(600), [], [[]], {}, Number.NaN]

for (const [name, read, samples] of readers) {
  test(`${name}: what is right is read as it is`, () => {
    for (const sample of samples) assert.deepEqual(read(sample), sample)
  })

  test(`${name}: keys of a later version are left out`, () => {
    for (const sample of samples) assert.deepEqual(read({ ...sample, later: { than: "now" } }), sample)
  })

  test(`${name}: a field that is missing or of another kind is named`, () => {
    for (const sample of samples) {
      for (const field of Object.keys(sample)) {
        const { [field]: _, ...rest } = sample
        if (!optional.has(field))
          assert.throws(() => read(rest), { code: "protocol", message: new RegExp(`"${field}"`) })
        for (const value of [{ a: 1 }, "", -1]) {
          assert.throws(
            () => read({ ...rest, [field]: value }),
            { code: "protocol" },
            `${field} of ${JSON.stringify(sample)}`,
          )
        }
      }
    }
  })

  test(`${name}: any JSON is read or refused`, () => {
    const values = fc.oneof(fc.jsonValue() as fc.Arbitrary<unknown>, fc.constantFrom(...junk))
    const changed = fc
      .tuple(fc.constantFrom(...samples), fc.array(fc.nat(), { maxLength: 4 }), values)
      .map(([sample, way, value]) => replace(sample, way, value) as JsonObject)
    fc.assert(
      fc.property(fc.oneof(changed, fc.dictionary(fc.string(), values) as fc.Arbitrary<JsonObject>), (json) => {
        try {
          const message = read(json)
          assert.deepEqual(read(message as JsonObject), message)
        } catch (error) {
          assert.ok(error instanceof RdvError && error.code === "protocol", String(error))
        }
      }),
      { numRuns: 1000 },
    )
  })
}

test("nothing has more parts than its bound", () => {
  const long = (count: number): number[] => Array.from({ length: count }, (_, index) => index)
  const refused = (read: () => unknown): void => assert.throws(read, { code: "protocol" })
  readMemberMessage({ do: "lost", version: 1, chunks: long(mostNamedChunks) })
  refused(() => readMemberMessage({ do: "lost", version: 1, chunks: long(mostNamedChunks + 1) }))
  refused(() => readMemberMessage({ do: "lost", version: 1, chunks: [mostChunks] }))
  refused(() => readRelayMessage({ do: "take", version: 1, chunks: long(mostNamedChunks + 1).map((at) => [at, "m"]) }))
  refused(() => readMemberMessage({ do: "reach", addresses: long(mostAddresses + 1).map((at) => `h:${at + 1}`) }))
  const bitmap = base64url(new Uint8Array(mostChunks / 8))
  readMemberMessage({ do: "holds", version: 1, bitmap })
  refused(() => readMemberMessage({ do: "holds", version: 1, bitmap: `${bitmap}AA` }))
  const member = picture.members[0]
  refused(() =>
    readRelayMessage({
      do: "swarm",
      picture: { ...picture, members: long(300).map(() => member) } as unknown as JsonObject,
    }),
  )
})

test("the largest bitmap fits into a metadata block", () => {
  const message = { do: "holds", version: 4294967295, bitmap: base64url(new Uint8Array(mostChunks / 8)) }
  assert.ok(JSON.stringify(message).length < 65_536)
})

test("addresses are a host and a port", () => {
  for (const wrong of [
    "",
    "host",
    ":80",
    "host:",
    "host:0",
    "host:65536",
    "host:80 ",
    "a b:80",
    "::1:80",
    "host:80/x",
    "@x:1",
    `${"h".repeat(270)}:80`,
  ]) {
    assert.throws(() => readMemberMessage({ do: "reach", addresses: [wrong] }), { code: "protocol" }, wrong)
  }
})

/** Puts the value where the way leads: an index of the keys at each step. */
function replace(json: unknown, way: readonly number[], value: unknown): unknown {
  const [step, ...rest] = way
  if (step === undefined || typeof json !== "object" || json === null) return json
  const keys = Object.keys(json)
  if (keys.length === 0) return json
  const chosen = keys[step % keys.length] as string
  const inner = (json as { [key: string]: unknown })[chosen]
  const next = rest.length === 0 || typeof inner !== "object" ? value : replace(inner, rest, value)
  if (Array.isArray(json)) return json.with(Number(chosen), next)
  return { ...json, [chosen]: next }
}
