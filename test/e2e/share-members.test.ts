/** Shares over real sessions and sockets while the network and the relay fail: everybody ends with the same bytes. */

import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { MemoryPublications } from "../../src/capabilities/share/relay/publications.ts"
import { silentLog } from "../../src/base/log.ts"
import { SeededRandom } from "../../src/base/random.ts"
import { startRelay } from "../../src/node.ts"
import type { RunningRelay } from "../../src/node.ts"
import { get, share } from "../../src/share.ts"
import type { Get, GetEvent, GetOptions, Share, ShareEvent, ShareOptions } from "../../src/share.ts"
import { startShareRelay } from "../../src/start-share-relay.ts"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import type { ChaosProxy } from "../kit/chaos-proxy.ts"
import { temporaryFolder } from "../kit/command.ts"
import { until } from "../kit/processes.ts"

interface Rig {
  readonly home: string
  readonly proxy: ChaosProxy
  relay: RunningRelay
  share(options?: Partial<ShareOptions>): Promise<SharedTree>
  get(name: string, code: string, options?: Partial<GetOptions>): Promise<GetRun>
  restart(): Promise<void>
}

interface SharedTree {
  readonly sender: Share
  readonly digest: string
  readonly events: ShareEvent[]
}

interface GetRun {
  readonly get: Get
  readonly folder: string
  readonly events: GetEvent[]
  readonly ended: Promise<void>
}

/** Members reach the relay through a proxy that tests can cut; each connection has so many bytes/s. */
async function rig(t: TestContext, bytesPerSecond: number): Promise<Rig> {
  const owned: (() => unknown)[] = []
  // Members leave before the relay does.
  t.after(async () => {
    for (let end = owned.pop(); end !== undefined; end = owned.pop()) await end()
  })
  const temporary = temporaryFolder()
  owned.push(() => temporary[Symbol.dispose]())
  const home = temporary.path
  const store = new MemoryPublications()
  const begin = async (listen: string) => {
    const running = await startRelay({ listen: [listen], store: ":memory:", open: true, log: silentLog })
    startShareRelay(running, { url: "http://relay.test", log: silentLog, store, carrier: "direct" })
    return running
  }
  let relay = await begin("127.0.0.1:0")
  owned.push(() => relay.stop())
  const port = portOf(relay)
  const proxy = await chaosProxy({ target: { port }, bytesPerSecond })
  owned.push(() => proxy.close())
  const address = `127.0.0.1:${proxy.port}`
  return {
    home,
    proxy,
    get relay() {
      return relay
    },
    async share(options = {}) {
      const tree = join(home, "tree")
      if (options.paths === undefined) plant(tree)
      const events: ShareEvent[] = []
      const sender = await share({
        relay: address,
        paths: [tree],
        chunkBytes: 64 * 1024,
        onEvent: (event) => events.push(event),
        ...options,
      })
      owned.push(() => sender.stop())
      const published = until(() => events.some(({ kind }) => kind === "published"), "the share", 20_000)
      await Promise.race([published, sender.ended])
      return { sender, digest: digestOf(tree), events }
    },
    async get(name, code, options = {}) {
      const folder = join(home, name)
      mkdirSync(folder, { recursive: true })
      const events: GetEvent[] = []
      const running = await get({
        relay: address,
        code,
        output: folder,
        instance: name,
        label: name,
        onEvent: (event) => events.push(event),
        ...options,
      })
      owned.push(() => running.stop())
      running.ended.catch(() => undefined)
      return { get: running, folder, events, ended: running.ended }
    },
    async restart() {
      await relay.stop()
      relay = await begin(`127.0.0.1:${port}`)
    },
  }
}

function portOf({ addresses: [address] }: RunningRelay): number {
  assert.ok(address !== undefined && "port" in address)
  return address.port
}

/** About 6 MB in some files. */
function plant(tree: string): void {
  mkdirSync(join(tree, "deep", "er"), { recursive: true })
  writeFileSync(join(tree, "one.bin"), randomBytes(3_000_000))
  writeFileSync(join(tree, "deep", "two.bin"), randomBytes(2_500_001))
  writeFileSync(join(tree, "deep", "er", "three.bin"), randomBytes(700_000))
  for (let number = 0; number < 20; number++) writeFileSync(join(tree, `small-${number}`), randomBytes(number * 37))
}

function digestOf(folder: string): string {
  const hash = createHash("sha256")
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted()) {
    if (statSync(join(folder, name)).isFile()) hash.update(name).update(readFileSync(join(folder, name)))
  }
  return hash.digest("hex")
}

/** Of what it got. */
function digestAt({ folder }: GetRun): string {
  return digestOf(join(folder, "tree"))
}

async function finished(runs: readonly GetRun[], what = "everything"): Promise<void> {
  await until(() => runs.every(({ get: each }) => each.isDone), what, 40_000)
}

test(
  "five receivers end with the same bytes while connections are cut again and again",
  { timeout: 60_000 },
  async (t) => {
    const parts = await rig(t, 4_000_000)
    const { sender, digest } = await parts.share()
    const runs = await Promise.all(["a", "b", "c", "d", "e"].map((name) => parts.get(name, sender.code)))
    const random = new SeededRandom(7)
    const isOver = () => runs.every(({ get: each }) => each.isDone)
    for (let cuts = 0; cuts < 8 && !isOver(); cuts++) {
      await new Promise((resolve) => setTimeout(resolve, 150 + random.fraction() * 250))
      parts.proxy.cutAll(cuts % 2 === 0 ? "rst" : "fin")
    }
    await finished(runs)
    for (const run of runs) assert.equal(digestAt(run), digest)
  },
)

test("a relay that starts anew in between costs time and nothing else", { timeout: 60_000 }, async (t) => {
  const parts = await rig(t, 3_000_000)
  const { sender, digest } = await parts.share({ direct: false })
  const runs = await Promise.all(["a", "b", "c"].map((name) => parts.get(name, sender.code, { direct: false })))
  await until(() => runs.every(({ get: each }) => each.figures().haveBytes > 1_000_000), "a part", 20_000)
  await parts.restart()
  await finished(runs)
  for (const run of runs) assert.equal(digestAt(run), digest)
  for (const { get: each } of runs) {
    const { via, bytes } = each.figures()
    // What was under way when it stopped is sent once more; what was stored is not.
    assert.ok(via.relay < bytes * 1.3, `${via.relay} of ${bytes}`)
  }
})

test("bytes that change on the way are thrown away, and the right ones come", { timeout: 60_000 }, async (t) => {
  const parts = await rig(t, 20_000_000)
  const { sender, digest } = await parts.share({ direct: false })
  const runs = [await parts.get("a", sender.code, { direct: false })]
  for (let times = 0; times < 5; times++) {
    parts.proxy.corruptOnce({ direction: "toClient", afterBytes: 300_000 })
    await new Promise((resolve) => setTimeout(resolve, 60))
  }
  await finished(runs)
  for (const run of runs) assert.equal(digestAt(run), digest)
})

test(
  "the sender leaves when every part is elsewhere, and the others complete each other",
  { timeout: 60_000 },
  async (t) => {
    const parts = await rig(t, 20_000_000)
    const { sender, digest, events } = await parts.share({ limitBytesPerSecond: 2_000_000 })
    const slowly = { serveMs: 20_000, limitBytesPerSecond: 600_000 }
    const runs = await Promise.all(["a", "b", "c"].map((name) => parts.get(name, sender.code, slowly)))
    const isSafe = () =>
      events.some((event) => event.kind === "picture" && event.picture.copies[0] === 0 && event.picture.copies[1] === 0)
    await until(isSafe, "every part elsewhere", 30_000)
    await sender.leave()
    await finished(runs)
    for (const run of runs) assert.equal(digestAt(run), digest)
  },
)

test(
  "who was stopped goes on where it was, even when the sender came back meanwhile",
  { timeout: 60_000 },
  async (t) => {
    const parts = await rig(t, 2_000_000)
    const { sender, digest } = await parts.share({ instance: "sender" })
    const first = await parts.get("a", sender.code)
    await until(() => first.get.figures().haveBytes > 1_500_000, "a part", 20_000)
    await first.get.stop()
    await sender.leave()
    await parts.share({ instance: "sender", code: sender.code, paths: [join(parts.home, "tree")] })
    const second = await parts.get("a", sender.code)
    await finished([second])
    assert.equal(digestAt(second), digest)
    assert.ok(second.get.figures().foundBytes >= 1_500_000, `${second.get.figures().foundBytes}`)
  },
)
