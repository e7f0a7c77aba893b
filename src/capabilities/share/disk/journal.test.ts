import assert from "node:assert/strict"
import * as fs from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { trialFolder } from "../../../../test/kit/share-disk.ts"
import { Bitmap } from "../content/bitmap.ts"
import { Journal } from "./journal.ts"

test("a journal gives back what was written last, and the one before when the last is torn at any byte", (t) => {
  const path = join(trialFolder(t), "journal")
  const root = new Uint8Array(32).fill(7)
  const have = new Bitmap(100)
  const journal = Journal.open(path, root, have)
  for (let chunk = 0; chunk < 60; chunk++) {
    have.add(chunk)
    journal.write(have, 1_000 + chunk)
  }
  journal.close()
  const facts = Journal.read(path, 100)
  assert.deepEqual([facts?.have.count, facts?.mtimeMs, facts?.isSameBoot], [60, 1_059, true])
  assert.deepEqual(facts?.root, root)
  assert.equal(Journal.read(path, 99 * 512), undefined)
  const whole = fs.readFileSync(path)
  // 62 writes in turns: the last one went to the first slot.
  for (let at = 0; at < whole.length / 2; at++) {
    const torn = Buffer.from(whole)
    torn[at] = (torn[at] as number) ^ 0x41
    fs.writeFileSync(path, torn)
    assert.equal(Journal.read(path, 100)?.have.count, 59)
  }
  fs.writeFileSync(path, Buffer.alloc(whole.length))
  assert.equal(Journal.read(path, 100), undefined)
  fs.writeFileSync(path, "short")
  assert.equal(Journal.read(path, 100), undefined)
  fs.rmSync(path)
  assert.equal(Journal.read(path, 100), undefined)
})

test("a journal with a second name is not believed, since somebody else may write it", (t) => {
  const folder = trialFolder(t)
  const path = join(folder, "journal")
  Journal.open(path, new Uint8Array(32), new Bitmap(100)).close()
  assert.ok(Journal.read(path, 100))
  fs.linkSync(path, join(folder, "second"))
  assert.equal(Journal.read(path, 100), undefined)
})
