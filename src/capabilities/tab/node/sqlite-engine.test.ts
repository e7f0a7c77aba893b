import assert from "node:assert/strict"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, test } from "node:test"
import type { TestContext } from "node:test"
import { RdvError } from "../../../base/error.ts"
import { engineTests } from "../../../../test/suites/sqlite-engine-suite.ts"
import { foreignDatabase } from "../../../../test/kit/foreign-database.ts"
import { openNodeEngine } from "./sqlite-engine.ts"

describe("the engine of Node", () => {
  for (const { name, run } of engineTests) {
    test(name, async (t) => {
      const file = join(folder(t), "tab.db")
      await run({
        open: async () => openNodeEngine(file),
        memory: async () => openNodeEngine(":memory:"),
        foreign: async () => foreignDatabase(folder(t)),
      })
    })
  }

  test("a file that is no database is refused with its name, and left as it is", (t) => {
    const file = join(folder(t), "tab.db")
    writeFileSync(file, "a letter to somebody\n".repeat(500))
    assert.throws(
      () => openNodeEngine(file),
      (error) => error instanceof RdvError && error.code === "corrupt" && error.message.includes(file),
    )
  })

  test("a folder that is not there is said with the file's name", (t) => {
    const file = join(folder(t), "none", "tab.db")
    assert.throws(
      () => openNodeEngine(file),
      (error) => error instanceof RdvError && error.code === "unreachable" && error.message.includes(file),
    )
  })

  test("an import leaves no file beside the database", (t) => {
    const file = join(folder(t), "tab.db")
    const engine = openNodeEngine(file)
    engine.exec("CREATE TABLE things (name)")
    engine.import(engine.export())
    assert.throws(() => engine.import(new Uint8Array(100)), { code: "corrupt" })
    assert.equal(existsSync(`${file}.import`), false)
    engine.close()
    assert.equal(existsSync(`${file}-wal`), false)
  })
})

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "rdv-tab-"))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}
