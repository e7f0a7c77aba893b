import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { RdvError } from "../base/error.ts"
import { isJsonObject } from "../base/json.ts"
import { readAgentMessage, readRelayMessage } from "./control.ts"
import { readPrivateCall, readPrivateCaller } from "./private-call.ts"

const announce = (expose: object) => ({ do: "announce", id: 1, service: "box/one", expose: { ...expose } })

test("each kind of exposure is read as it was sent", () => {
  for (const expose of [
    { kind: "http" },
    { kind: "http", name: "blog", seed: "a" },
    { kind: "http", name: "blog", epoch: 2 ** 40 },
    { kind: "tcp", port: 0 },
    { kind: "tcp", port: 2222, seed: "b" },
    { kind: "private", name: "box/one" },
  ]) {
    assert.deepEqual(readAgentMessage(announce(expose)), announce(expose))
  }
})

test("an exposure that says too little or too much is refused", () => {
  for (const expose of [
    {},
    { kind: "udp" },
    { kind: "tcp" },
    { kind: "tcp", port: 65_536 },
    { kind: "private" },
    { kind: "private", name: "" },
    { kind: "private", name: 7 },
    { kind: "private", name: "x".repeat(101) },
    { kind: "http", name: "x".repeat(101) },
    { kind: "http", name: "x", epoch: -1 },
    { kind: "http", name: "x", epoch: 1.5 },
    { kind: "http", name: "x", epoch: 2 ** 53 },
    { kind: "http", name: "x", epoch: "1" },
  ]) {
    assert.throws(() => readAgentMessage(announce(expose)), { code: "protocol" }, JSON.stringify(expose))
  }
})

test("a private call has a name, and a header that may be left out", () => {
  assert.deepEqual(readPrivateCall({ name: "box" }), { name: "box", header: {} })
  assert.deepEqual(readPrivateCall({ name: "box", header: { a: 1 } }), { name: "box", header: { a: 1 } })
  assert.deepEqual(readPrivateCaller({ from: "1.2.3.4:5", header: {} }), { from: "1.2.3.4:5", header: {} })
  for (const wrong of [{}, { from: 1, header: {} }, { from: "x".repeat(513), header: {} }, { from: "a" }]) {
    assert.throws(() => readPrivateCaller(wrong), { code: "protocol" })
  }
})

test("no JSON makes a reader fail in another way", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      if (!isJsonObject(value)) return
      for (const read of [readAgentMessage, readRelayMessage, readPrivateCall, readPrivateCaller]) {
        try {
          read(value)
        } catch (error) {
          assert.ok(error instanceof RdvError && error.code === "protocol")
        }
      }
    }),
  )
})
