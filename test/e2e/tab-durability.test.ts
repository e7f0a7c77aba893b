/** What a server of Node has promised is there after it was killed. */

import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { fileURLToPath } from "node:url"
import { openNodeEngine } from "../../src/capabilities/tab/node/sqlite-engine.ts"

const program = fileURLToPath(new URL("../kit/run-tab-writer.ts", import.meta.url))

test("killed ten times at random, a database loses no row that was acknowledged", { timeout: 120_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rdv-tab-kill-"))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, "tab.db")
  const acknowledged = new Set<number>()
  for (let round = 0; round < 10; round++) {
    const before = acknowledged.size
    await writeAndDie(file, acknowledged, 20 + Math.random() * 300)
    assert.ok(acknowledged.size > before, "nothing was written")
    const engine = openNodeEngine(file)
    const rows = new Set(engine.all("SELECT id FROM rows", []).map(({ id }) => id as number))
    assert.equal(engine.all("PRAGMA integrity_check", [])[0]?.["integrity_check"], "ok")
    assert.deepEqual(
      [...acknowledged].filter((id) => !rows.has(id)),
      [],
    )
    // Transactions are there as a whole.
    const halves = engine.all("SELECT count(*) AS count FROM rows WHERE text = 'one of two'", [])[0]?.[
      "count"
    ] as number
    assert.equal(halves % 2, 0)
    engine.close()
  }
  t.diagnostic(`${acknowledged.size} acknowledged rows, none lost`)
})

/** Kills it `ms` after its first row. */
async function writeAndDie(file: string, acknowledged: Set<number>, ms: number): Promise<void> {
  const child = spawn(process.execPath, [program, file], { stdio: ["ignore", "pipe", "inherit"] })
  const ended = once(child, "close")
  let rest = ""
  child.stdout.setEncoding("utf8")
  child.stdout.on("data", (text: string) => {
    const lines = (rest + text).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) acknowledged.add(Number(line))
  })
  await Promise.race([once(child.stdout, "data"), ended])
  await new Promise((resolve) => setTimeout(resolve, ms))
  child.kill("SIGKILL")
  await ended
}
