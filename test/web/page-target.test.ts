/** What a page shares, and where it puts what it receives: one against the other, without a browser. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { RdvError } from "../../src/base/error.ts"
import { deriveKeys } from "../../src/capabilities/share/code/derive-keys.ts"
import type { SwarmKeys } from "../../src/capabilities/share/code/swarm-keys.ts"
import type { Content } from "../../src/capabilities/share/content/content.ts"
import { portableCrypto } from "../../src/capabilities/share/content/portable-crypto.ts"
import { openManifest } from "../../src/capabilities/share/content/sealed-manifest.ts"
import { memoryDrawer, memoryDrawerBytes } from "../../src/web/share/drawer.ts"
import type { Drawer } from "../../src/web/share/drawer.ts"
import { pageContent } from "../../src/web/share/page-content.ts"
import type { SharedFile } from "../../src/web/share/page-content.ts"
import { PageTarget } from "../../src/web/share/page-target.ts"
import type { PageHoldings } from "../../src/web/share/page-target.ts"
import { FakeClock } from "../kit/fake-clock.ts"

const key = (fill: number) => new Uint8Array(32).fill(fill)
const keys: SwarmKeys = { access: key(1), identity: key(2), seal: key(3), table: key(4), peer: key(5) }
const crypto = portableCrypto(keys, "blake3")
const { signal } = new AbortController()

function file(path: string, bytes: Uint8Array<ArrayBuffer> | string, mtimeMs?: number): SharedFile {
  return { path, content: new Blob([bytes]), mtimeMs }
}

function noise(bytes: number, seed = 1): Uint8Array<ArrayBuffer> {
  let state = seed
  return new Uint8Array(bytes).map(() => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24)
}

/** As a receiver gets it: the manifest out of its chunks. */
async function openAt(target: PageTarget, content: Content): Promise<PageHoldings> {
  const { table } = content
  const sealed: Uint8Array[] = []
  for (let chunk = 0; chunk < table.manifestChunks; chunk++) sealed.push(await content.read(chunk))
  return target.open({ table, manifest: await openManifest(sealed, crypto), crypto })
}

async function receive(from: Content, holdings: PageHoldings): Promise<void> {
  for (const chunk of holdings.have.missing()) await holdings.store(chunk, await from.read(chunk))
}

/** A drawer that outlives visits. */
function lasting(drawer: Drawer): { drawer: Drawer; notes: Uint8Array[] } {
  const notes: Uint8Array[] = []
  const kept: Drawer = {
    ...drawer,
    keep: (note) => void notes.push(note),
    kept: () => notes.at(-1),
    close: async () => undefined,
  }
  return { drawer: kept, notes }
}

const plainTarget = () =>
  new PageTarget({
    clock: new FakeClock(0),
    agree: async () => undefined,
    open: async (_, bytes) => memoryDrawer(bytes),
  })

test("a folder comes back file by file, as it was", async () => {
  const files = [
    file("b.bin", noise(150_000), 1_700_000_000_000),
    file("a/deep/c.txt", "text"),
    file("a/empty", ""),
    file("zeros", new Uint8Array(300_000)),
    file("b-again.bin", noise(150_000)),
  ]
  const content = await pageContent({ name: "folder", files, crypto, signal })
  const holdings = await openAt(plainTarget(), content)
  await receive(content, holdings)
  assert.deepEqual((await holdings.finish()).files, 5)
  const whole = await holdings.whole()
  assert.deepEqual(
    holdings.files.map(({ path }) => path),
    ["a/deep/c.txt", "a/empty", "b-again.bin", "b.bin", "zeros"],
  )
  for (const { path, from, bytes, mtimeMs } of holdings.files) {
    const given = files.find((each) => each.path === path) as SharedFile
    assert.deepEqual(await whole.slice(from, from + bytes).bytes(), await given.content.bytes(), path)
    assert.equal(mtimeMs, given.mtimeMs)
  }
})

test("what is stored is given to others, sealed to the same bytes", async () => {
  const content = await pageContent({ name: "a", files: [file("", noise(200_000))], crypto, signal })
  const holdings = await openAt(plainTarget(), content)
  await receive(content, holdings)
  assert.equal(holdings.have.isFull, true)
  for (let chunk = content.table.manifestChunks; chunk < content.table.count; chunk++) {
    assert.deepEqual(await holdings.read(chunk), await content.read(chunk))
    assert.ok(content.table.matches(chunk, await holdings.read(chunk)))
  }
})

test("equal parts and zeros travel once or not at all", async () => {
  const part = noise(65_536)
  const bytes = new Uint8Array(65_536 * 4)
  bytes.set(part, 0)
  bytes.set(part, 65_536 * 3)
  const content = await pageContent({ name: "a", files: [file("", bytes)], crypto, signal })
  assert.equal(content.table.count - content.table.manifestChunks, 1)
  const holdings = await openAt(plainTarget(), content)
  await receive(content, holdings)
  assert.deepEqual(await (await holdings.whole()).bytes(), bytes)
})

test("an empty file is whole from the start", async () => {
  const content = await pageContent({ name: "nothing", files: [file("", "")], crypto, signal })
  const holdings = await openAt(plainTarget(), content)
  assert.equal(holdings.have.isFull, true)
  assert.deepEqual(await holdings.finish(), { place: "nothing, in this browser", files: 1, bytes: 0, remarks: [] })
})

test("a chunk that is not what it should be is refused and not kept", async () => {
  const content = await pageContent({ name: "a", files: [file("", noise(70_000))], crypto, signal })
  const holdings = await openAt(plainTarget(), content)
  const chunk = content.table.manifestChunks
  const sealed = (await content.read(chunk)).slice()
  sealed[7] = (sealed[7] as number) ^ 1
  await assert.rejects(holdings.store(chunk, sealed), { code: "corrupt" })
  assert.equal(holdings.have.has(chunk), false)
})

test("nothing is taken before the user agrees, and a later visit goes on where this one stopped", async () => {
  const content = await pageContent({ name: "a", files: [file("", noise(400_000))], crypto, signal })
  const { drawer, notes } = lasting(memoryDrawer(400_000))
  const opened: string[] = []
  const clock = new FakeClock(0)
  const agreed = Promise.withResolvers<void>()
  const target = () =>
    new PageTarget({
      clock,
      agree: () => agreed.promise,
      open: async (name) => {
        opened.push(name)
        return drawer
      },
    })
  const opening = openAt(target(), content)
  await new Promise(setImmediate)
  assert.deepEqual(opened, [])
  agreed.resolve()
  const first = await opening
  const [one, two, three] = [...first.have.missing()] as [number, number, number]
  await first.store(one, await content.read(one))
  clock.advance(2_000)
  await first.store(two, await content.read(two))
  assert.equal(notes.length, 1)
  await first.store(three, await content.read(three))
  // The third one was written behind the note and is fetched again; the second one was lost by the storage.
  await drawer.write(70_000, new Uint8Array(1_000))
  const second = await openAt(target(), content)
  assert.deepEqual([second.have.has(one), second.have.has(two), second.have.has(three)], [true, false, false])
  assert.equal(second.foundBytes, 65_536)
  await receive(content, second)
  assert.deepEqual(await (await second.whole()).bytes(), noise(400_000))
  assert.equal(new Set(opened).size, 1)
})

test("another version takes what did not change", async () => {
  const before = noise(400_000)
  const after = before.slice()
  after.fill(7, 200_000, 200_010)
  const [one, two] = await Promise.all(
    [before, after].map((bytes) => pageContent({ name: "a", files: [file("", bytes)], crypto, signal })),
  )
  assert.ok(one !== undefined && two !== undefined)
  const target = plainTarget()
  await receive(one, await openAt(target, one))
  const holdings = await openAt(target, two)
  assert.equal([...holdings.have.missing()].length, 1)
  await receive(two, holdings)
  assert.deepEqual(await (await holdings.whole()).bytes(), after)
})

test("a file that changes while it is shared is noticed before a wrong byte leaves", async () => {
  const bytes = noise(70_000)
  let isChanged = false
  const blob = new Blob([bytes])
  const content = Object.assign(Object.create(blob) as Blob, {
    slice: (from: number, to: number) =>
      isChanged ? new Blob([new Uint8Array(to - from)]) : new Blob([bytes.slice(from, to)]),
  })
  Object.defineProperty(content, "size", { value: bytes.length })
  const shared = await pageContent({ name: "a", files: [{ path: "", content, mtimeMs: 0 }], crypto, signal })
  const chunk = shared.table.manifestChunks
  await shared.read(chunk)
  isChanged = true
  await assert.rejects(async () => shared.read(chunk), { code: "corrupt" })
  assert.equal(shared.have.has(chunk), false)
})

test("memory takes no more than its bound", () => {
  assert.throws(
    () => memoryDrawer(memoryDrawerBytes + 1),
    (error: unknown) => error instanceof RdvError && error.code === "limit",
  )
})

test("the keys of a page are those of a terminal", async () => {
  const derived = await deriveKeys({ swarm: "482713", secret: new Uint8Array(9) }, "ﬁ")
  assert.deepEqual(derived, await deriveKeys({ swarm: "482713", secret: new Uint8Array(9) }, "fi"))
})
