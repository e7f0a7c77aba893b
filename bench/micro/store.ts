/**
 * What the relay's store costs: opening it, verifying a token, claiming a name on disk. By hand:
 * `node bench/micro/store.ts`. The figures stand in docs/decisions/0008-sqlite-from-node.md.
 */

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { systemClock } from "../../src/base/clock.ts"
import { silentLog } from "../../src/base/log.ts"
import { openSqliteStore } from "../../src/store/sqlite-store.ts"

const folder = mkdtempSync(join(tmpdir(), "rdv-store-"))
const path = join(folder, "relay.db")
try {
  openSqliteStore({ path, clock: systemClock, log: silentLog }).close()
  const started = performance.now()
  const store = openSqliteStore({ path, clock: systemClock, log: silentLog })
  tell("open and check", performance.now() - started)
  const { token } = store.createToken({ name: "bench" })
  measure("verify a token", 20_000, () => store.verifyToken(token))
  measure("claim a name", 500, (round) => store.claimName("http", `name-${round}`, `owner-${round}`))
  store.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function measure(name: string, rounds: number, run: (round: number) => unknown): void {
  const started = performance.now()
  for (let round = 0; round < rounds; round++) run(round)
  tell(name, (performance.now() - started) / rounds)
}

function tell(name: string, ms: number): void {
  console.log(`${name.padEnd(16)}${(ms * 1000).toFixed(0).padStart(8)} µs`)
}
