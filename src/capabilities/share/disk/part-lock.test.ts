import assert from "node:assert/strict"
import * as fs from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { trialFolder } from "../../../../test/kit/share-disk.ts"
import { PartLock } from "./part-lock.ts"

test("one process has a lock, until it gives it back", (t) => {
  const folder = trialFolder(t)
  const path = join(folder, ".x.rdv-lock")
  const lock = PartLock.take(path, folder)
  assert.throws(() => PartLock.take(path, folder), { code: "in_use", message: new RegExp(`^Process ${process.pid} `) })
  assert.deepEqual(fs.readdirSync(folder), [".x.rdv-lock"])
  lock.release()
  PartLock.take(path, folder).release()
  assert.deepEqual(fs.readdirSync(folder), [])
})

test("a process that has ended, or whose number another one has now, holds nothing", (t) => {
  const folder = trialFolder(t)
  const path = join(folder, ".x.rdv-lock")
  for (const text of ["4194305 17\n", `${process.pid} 17\n`, "", "nonsense"]) {
    fs.writeFileSync(path, text)
    PartLock.take(path, folder).release()
    assert.deepEqual(fs.readdirSync(folder), [])
  }
})

test("a folder that allows no writing is said", { skip: process.platform !== "linux" }, () => {
  assert.throws(() => PartLock.take("/proc/.x.rdv-lock", "/proc"), RegExp("/proc"))
})
