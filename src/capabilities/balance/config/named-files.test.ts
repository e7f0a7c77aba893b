import assert from "node:assert/strict"
import { rmSync, utimesSync, writeFileSync } from "node:fs"
import { test } from "node:test"
import { TlsSecrets } from "../../../../test/kit/tls-secrets.ts"
import { readDocument } from "../../../config/document.ts"
import { fileChanges, fileMarks } from "./named-files.ts"
import { readSettings } from "./read-settings.ts"

test("files that say something else are told by name, a certificate with its last day", (t) => {
  const secrets = new TlsSecrets(t)
  const [shown, own] = [secrets.server("shown", ["a.test"]), secrets.server("own", ["b.test"])]
  const list = secrets.at("list.txt")
  writeFileSync(list, "10.0.0.1\n")
  const app = {
    ports: [80],
    targets: [{ address: "b:1", tls: { ca: secrets.caFile, cert: own.cert, key: own.key } }],
    tls: { cert: shown.cert, key: shown.key },
    access: [{ "deny-file": list }],
  }
  const apps = [
    { name: "a", ...app },
    { name: "b", ...app, ports: [81] },
  ]
  const settings = readSettings(readDocument(JSON.stringify({ apps }), { file: secrets.at("b.json") }))
  let before = fileMarks(settings)
  const changes = () => {
    const after = fileMarks(settings)
    const lines = fileChanges(before, after)
    before = after
    return lines
  }
  assert.equal(before.size, 4)
  utimesSync(list, 1, 1)
  assert.deepEqual(changes(), [])
  secrets.server("shown", ["a.test"])
  const until = new Date(Date.now() + 90 * 86_400_000).toISOString().slice(0, 10)
  assert.deepEqual(changes(), [`certificate ${shown.cert} renewed, valid until ${until}`])
  writeFileSync(list, "10.0.0.2\n")
  rmSync(own.key)
  assert.deepEqual(changes(), [`certificate ${own.cert} renewed, valid until ${until}`, `list ${list} changed`])
  writeFileSync(secrets.caFile, "other")
  writeFileSync(own.cert, "no certificate")
  assert.deepEqual(changes(), [`certificate ${own.cert} changed`, `authorities ${secrets.caFile} changed`])
  assert.deepEqual(fileChanges(new Map(), before), [], "a file that is new to the settings is told with these")
})
