import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { dataFlag, relayFlags } from "./common-flags.ts"
import { FlagReader } from "./flags.ts"
import type { Flags } from "./flags.ts"
import { Output } from "./output.ts"
import { uplinkOptions } from "./uplink-options.ts"
import type { UplinkFlags, UplinkOptions } from "./uplink-options.ts"

const folder = mkdtempSync(join(tmpdir(), "rdv-uplink-"))
after(() => rmSync(folder, { recursive: true }))

const sink = { write: () => true }
const table: Flags = { ...relayFlags, ...dataFlag, "relay-ca": { kind: "text", summary: "" } }

function read(given: { readonly [flag: string]: string }, names?: UplinkFlags): UplinkOptions | undefined {
  const flags = new FlagReader(table, new Map(Object.entries(given).map(([name, value]) => [name, [value]])), {})
  return uplinkOptions(
    { flags, env: { RDV_DATA: folder }, output: new Output({ stdout: sink, stderr: sink, json: true, env: {} }) },
    names,
  )
}

test("without a relay there is no session to speak of", () => {
  assert.equal(read({ token: "no token at all" }), undefined)
})

test("a host alone is taken as its public address, and the identity stays the same", () => {
  const first = read({ relay: "relay.example.test" })
  assert.equal(first?.relay, "https://relay.example.test")
  assert.equal(first.token, undefined)
  assert.equal(first.tokenInClear, false)
  assert.match(first.instance ?? "", /^[\w-]{22}$/)
  const second = read({ relay: "127.0.0.1:7000", "token-in-clear": "true" })
  assert.equal(second?.relay, "tcp://127.0.0.1:7000")
  assert.equal(second.tokenInClear, true)
  assert.equal(second.instance, first.instance)
})

test("a command whose --ca is about something else names the flag that is about the relay", () => {
  const ours = join(folder, "relay.pem")
  writeFileSync(ours, "of the relay")
  const given = { relay: "127.0.0.1:7000", ca: join(folder, "of-the-target.pem"), "relay-ca": ours }
  assert.equal(read(given, { ca: "relay-ca" })?.dial.ca, "of the relay")
  const lost = { relay: "127.0.0.1:7000", "relay-ca": join(folder, "lost.pem") }
  assert.throws(() => read(lost, { ca: "relay-ca" }), {
    code: "usage",
    message: /lost\.pem of --relay-ca does not exist/,
  })
  assert.throws(() => read(given), { code: "usage", message: /of-the-target\.pem of --ca does not exist/ })
})
