import assert from "node:assert/strict"
import { test } from "node:test"
import { RdvError } from "../../../base/error.ts"
import type { AttachRequest } from "../../../ninep/tree.ts"
import type { Identity } from "../files/identity.ts"
import { Gate } from "./gate.ts"
import type { ConnectionFacts, GateOptions } from "./gate.ts"
import { readIdMap } from "./id-map.ts"

const token = `rdv_${"a".repeat(47)}`

function attach(
  options: Partial<GateOptions>,
  facts: Partial<ConnectionFacts>,
  aname = "",
  uid: number | undefined = 1000,
): Identity {
  const gate = new Gate({
    open: false,
    strict: false,
    isValid: () => true,
    verify: (text) => {
      if (text === token) return { name: "laptop", rules: ["/team:r"] }
      throw new RdvError("unauthorized", "unknown")
    },
    ...options,
  })
  const request: AttachRequest = { user: { name: "glenda", uid }, aname }
  return gate.identify({ peer: "10.0.0.1:5", isLocal: false, ...facts })(request) as Identity
}

test("who comes from elsewhere needs a token, who comes from this machine does not", () => {
  assert.throws(() => attach({}, {}), { errno: "EACCES" })
  assert.equal(attach({}, { isLocal: true }).uid, 1000)
  assert.throws(() => attach({ strict: true }, { isLocal: true }), { errno: "EACCES" })
  assert.equal(attach({ open: true }, {}).name, "glenda")
  assert.equal(attach({}, { owner: { name: "cert", rules: undefined } }).name, "cert")
})

test("a token bounds what can be done; a wrong one is refused also on this machine", () => {
  const identity = attach({}, {}, token)
  assert.equal(identity.name, "laptop")
  assert.ok(identity.mayReceive("/team/jobs") && !identity.maySend("/team/jobs") && !identity.mayReceive("/other"))
  assert.throws(() => attach({}, { isLocal: true }, `rdv_${"b".repeat(47)}`), { errno: "EACCES" })
})

test("the attach name says what is the root, with or without a token", () => {
  assert.equal(attach({}, {}, `${token}/team/`).prefix, "/team")
  assert.equal(attach({}, { isLocal: true }, "/team").prefix, "/team")
  assert.throws(() => attach({}, { isLocal: true }, "team"), { errno: "EACCES" })
  for (const path of ["/team/..", "/./team", "/team//jobs", "/team/../other"])
    assert.throws(() => attach({}, {}, token + path), { errno: "EACCES" }, path)
})

test("root and clients without numbers pass permission bits; numbers are mapped first", () => {
  assert.equal(attach({}, { isLocal: true }, "", 0).admin, true)
  assert.equal(attach({}, { isLocal: true }).admin, false)
  const squashed = attach({ mapUid: readIdMap(["0=65534"], "--map-uid") }, { isLocal: true }, "", 0)
  assert.deepEqual([squashed.uid, squashed.admin], [65_534, false])
})

test("a map of numbers: single ones, and all others", () => {
  const map = readIdMap(["1000=1", "*=7"], "--map-uid")
  assert.deepEqual([1000, 1001].map(map), [1, 7])
  assert.throws(() => readIdMap(["1000"], "--map-uid"), { code: "usage", message: /--map-uid/ })
})
