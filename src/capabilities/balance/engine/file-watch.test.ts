import assert from "node:assert/strict"
import { renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { stat } from "node:fs/promises"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { temporaryFolder } from "../../../../test/kit/command.ts"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { until } from "../../../../test/kit/processes.ts"
import { fileStateNow } from "../../../config/file-state.ts"
import { FileWatch } from "./file-watch.ts"

async function watched(t: TestContext) {
  const folder = temporaryFolder()
  t.after(() => folder[Symbol.dispose]())
  const file = join(folder.path, "config.yaml")
  writeFileSync(file, "one")
  const clock = new FakeClock()
  let told = 0
  const watch = new FileWatch({ clock, file, onChange: () => void told++ })
  t.after(() => watch.stop())
  /** One look, to its end: the next one is set up then. */
  const look = async () => {
    clock.advance(1_000)
    const until = performance.now() + 2_000
    while (clock.pending === 0 && performance.now() < until) await stat(file).catch(() => undefined)
    return told
  }
  await look()
  return { folder: folder.path, file, clock, watch, look }
}

test("a change is told once, when the file has been quiet for one look", async (t) => {
  const { file, look } = await watched(t)
  assert.equal(await look(), 0)
  writeFileSync(file, "half")
  assert.equal(await look(), 0)
  writeFileSync(file, "the whole of it")
  assert.equal(await look(), 0)
  assert.equal(await look(), 1)
  assert.equal(await look(), 1)
})

test("a file that is renamed over it, a link that moves, and one that goes and comes are changes", async (t) => {
  const { folder, file, look } = await watched(t)
  writeFileSync(`${file}.new`, "one")
  renameSync(`${file}.new`, file)
  await look()
  assert.equal(await look(), 1)
  const other = join(folder, "other.yaml")
  writeFileSync(other, "one")
  symlinkSync(other, `${file}.link`)
  renameSync(`${file}.link`, file)
  await look()
  assert.equal(await look(), 2)
  rmSync(file)
  await look()
  assert.equal(await look(), 3)
  writeFileSync(file, "back")
  await look()
  assert.equal(await look(), 4)
})

test("whoever has read a change is not told of it, but of the next one", async (t) => {
  const { file, watch, look } = await watched(t)
  writeFileSync(file, "changed")
  watch.wasRead(fileStateNow(file))
  await look()
  assert.equal(await look(), 0)
  writeFileSync(file, "seen by a look")
  await look()
  watch.wasRead(fileStateNow(file))
  await look()
  assert.equal(await look(), 0)
  writeFileSync(file, "the next one")
  await look()
  assert.equal(await look(), 1)
})

test("a look that is under way does not tell of a state before the one that was read", async (t) => {
  const { file, clock, watch, look } = await watched(t)
  // It has asked the system when it is read, and is answered later.
  clock.advance(1_000)
  writeFileSync(file, "changed")
  watch.wasRead(fileStateNow(file))
  await until(() => clock.pending === 1, "the look is over")
  await look()
  assert.equal(await look(), 0)
})

test("what has changed between reading and the first look is told", async (t) => {
  const folder = temporaryFolder()
  t.after(() => folder[Symbol.dispose]())
  const file = join(folder.path, "config.yaml")
  writeFileSync(file, "one")
  const read = fileStateNow(file)
  writeFileSync(file, "another")
  const told = Promise.withResolvers<void>()
  const clock = new FakeClock()
  const watch = new FileWatch({ clock, file, read, onChange: () => told.resolve() })
  t.after(() => watch.stop())
  await until(() => clock.pending === 1, "the first look is over")
  clock.advance(1_000)
  await told.promise
})

test("after a stop nothing is looked at any more", async (t) => {
  const { file, clock, watch, look } = await watched(t)
  writeFileSync(file, "else")
  await look()
  watch.stop()
  assert.equal(clock.pending, 0)
})
