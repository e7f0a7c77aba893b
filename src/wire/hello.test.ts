import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import { announcedJson, readHello } from "./hello.ts"

const announcement = announcedJson({ windowBytes: 131_072, streams: 100, check: true })
const nonce = "AAECAwQFBgcICQoLDA0ODw"
const messages: { readonly [kind: string]: JsonObject } = {
  new: { kind: "new", versions: [1], token: "t", agent: "rdv/0.1", instance: "i", ...announcement },
  welcome: { kind: "welcome", version: 1, session: "s", secret: "c2VjcmV0", graceMs: 60_000, ...announcement },
  resume: { kind: "resume", versions: [1], session: "s", nonce, check: false },
  challenge: { kind: "challenge", nonce, check: false },
  proof: { kind: "proof", proof: "cHJvb2Y", received: 12 },
  resumed: { kind: "resumed", proof: "cHJvb2Y", received: 2 ** 40 },
  refuse: { kind: "refuse", code: 7, reason: "no" },
}

for (const [kind, message] of Object.entries(messages)) {
  test(`a ${kind} is read, and unknown keys are ignored`, () => {
    assert.equal(readHello(message).kind, kind)
    assert.deepEqual(readHello({ ...message, later: { version: 2 } }), readHello(message))
  })

  test(`a ${kind} with any key of another type is refused or reads as if the key were absent`, () => {
    for (const key of Object.keys(message)) {
      for (const value of [null, true, "", "x".repeat(5000), -1, 1.5, 2 ** 60, [], [[]], {}, undefined]) {
        try {
          readHello({ ...message, [key]: value })
        } catch (error) {
          assert.ok(error instanceof RdvError && error.code === "protocol")
        }
      }
    }
  })
}

const wrong: [string, JsonObject][] = [
  ["no kind", {}],
  ["an unknown kind", { kind: "hello" }],
  ["versions that are no numbers", { ...messages["new"], versions: ["1"] }],
  ["17 versions", { ...messages["new"], versions: Array.from({ length: 17 }, () => 1) }],
  ["no limits", { ...messages["new"], limits: undefined }],
  ["a window below two frames", { ...messages["new"], limits: { window: 131_071, streams: 1 } }],
  ["a window above 2^30", { ...messages["new"], limits: { window: 2 ** 30 + 1, streams: 1 } }],
  ["a negative number of streams", { ...messages["new"], limits: { window: 131_072, streams: -1 } }],
  ["a token of 257 characters", { ...messages["new"], token: "t".repeat(257) }],
  ["an empty session", { ...messages["resume"], session: "" }],
  ["a nonce of 15 bytes", { ...messages["resume"], nonce: "AAECAwQFBgcICQoLDA0O" }],
  ["a nonce with a dot", { ...messages["challenge"], nonce: "AAECAwQFBgcICQoLDA0O.w" }],
  ["a nonce with a space", { ...messages["challenge"], nonce: "AAECAwQFBgcICQoLDA0O w" }],
  ["a count that is no whole number", { ...messages["proof"], received: 0.5 }],
  ["a count beyond 2^53", { ...messages["proof"], received: 2 ** 53 }],
  ["a code of 17 bits", { ...messages["refuse"], code: 65_536 }],
]

for (const [what, message] of wrong) {
  test(`a HELLO with ${what} is refused`, () => {
    assert.throws(() => readHello(message), { code: "protocol" })
  })
}

test("any JSON object is read or refused", () => {
  const kinds = fc.constantFrom(...Object.keys(messages), "other")
  const keys = fc.constantFrom("versions", "token", "limits", "nonce", "check", "proof", "received", "session", "code")
  fc.assert(
    fc.property(kinds, fc.array(fc.tuple(keys, fc.jsonValue()), { maxLength: 6 }), (kind, entries) => {
      try {
        readHello({ ...messages[kind], kind, ...(Object.fromEntries(entries) as JsonObject) })
      } catch (error) {
        assert.ok(error instanceof RdvError && error.code === "protocol")
      }
    }),
    { numRuns: 1000 },
  )
})
