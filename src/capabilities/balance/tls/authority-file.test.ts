import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { test } from "node:test"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { eventually } from "../../../../test/kit/raw-http.ts"
import { TlsSecrets } from "../../../../test/kit/tls-secrets.ts"
import { silentLog } from "../../../base/log.ts"
import type { Log, LogFields } from "../../../base/log.ts"
import { AuthorityFile } from "./authority-file.ts"

test("authorities that are exchanged count within two looks, and a bad file is told once", async (t) => {
  const secrets = new TlsSecrets(t)
  const others = new TlsSecrets(t)
  const clock = new FakeClock()
  const told: string[] = []
  const note = (event: string, fields: LogFields = {}) => void told.push(`${event} ${String(fields["reason"] ?? "")}`)
  const log: Log = { ...silentLog, info: note, warn: note }
  const file = secrets.caFile
  let changes = 0
  const authority = new AuthorityFile({ file, clock, log, onChanged: () => changes++ })
  const twoLooks = async () => {
    for (let look = 0; look < 2; look++) {
      clock.advance(5_000)
      await eventually("it was looked at", () => clock.pending === 1)
    }
  }
  await twoLooks()
  assert.deepEqual([changes, told], [0, []])
  writeFileSync(file, secrets.ca + others.ca)
  await twoLooks()
  assert.deepEqual([changes, told], [1, ["authorities.changed "]])
  assert.equal(authority.pem, secrets.ca + others.ca)
  writeFileSync(file, `${secrets.ca}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`)
  await twoLooks()
  await twoLooks()
  assert.equal(changes, 1)
  assert.equal(told.length, 2)
  assert.match(told[1] ?? "", /^authorities\.refused .*holds no certificates .*: give them in PEM/)
  assert.equal(authority.pem, secrets.ca + others.ca)
  authority.stop()
  assert.equal(clock.pending, 0)
})
