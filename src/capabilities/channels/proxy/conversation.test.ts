import assert from "node:assert/strict"
import { describe, it } from "node:test"
import fc from "fast-check"
import { bytePair } from "../../../../test/kit/byte-links.ts"
import type { BytePairEnd } from "../../../../test/kit/byte-links.ts"
import { CutUpstream } from "../../../../test/kit/cut-upstream.ts"
import type { Cut } from "../../../../test/kit/cut-upstream.ts"
import { RamTree, sampleTree } from "../../../../test/kit/ram-tree.ts"
import type { RamNode } from "../../../../test/kit/ram-tree.ts"
import { systemClock } from "../../../base/clock.ts"
import type { Clock } from "../../../base/clock.ts"
import type { RdvError } from "../../../base/error.ts"
import { silentLog } from "../../../base/log.ts"
import { NinepClient } from "../../../ninep/client.ts"
import { NinepError } from "../../../ninep/errno.ts"
import { messageType } from "../../../ninep/message.ts"
import type { Dialect } from "../../../ninep/message.ts"
import type { Tree } from "../../../ninep/tree.ts"
import { Conversation } from "./conversation.ts"
import { defaultProxyLimits } from "./limits.ts"
import type { ProxyLimits } from "./limits.ts"

/** Waits are a hundredth as long. */
const hastyClock: Clock = {
  ...systemClock,
  after: (delayMs, callback) => systemClock.after(delayMs / 100, callback),
}

interface Rig {
  readonly client: NinepClient
  readonly upstream: CutUpstream
  readonly conversation: Conversation
  readonly ended: Promise<RdvError | undefined>
  /** The client's end. */
  readonly link: BytePairEnd
}

interface RigOptions {
  readonly cuts?: readonly Cut[]
  readonly dialect?: Dialect
  readonly limits?: Partial<ProxyLimits>
  readonly splitBytes?: number
  /** Its connections may go silent. */
  readonly silent?: boolean
  readonly clock?: Clock
}

async function rig(tree: Tree | (() => Tree), options: RigOptions = {}): Promise<Rig> {
  const { cuts = [], dialect = "9P2000.L", limits = {}, splitBytes } = options
  const upstream = new CutUpstream(typeof tree === "function" ? tree : () => tree, cuts)
  upstream.mayGoSilent = options.silent ?? false
  const pair = bytePair(splitBytes === undefined ? {} : { splitBytes })
  const ended = Promise.withResolvers<RdvError | undefined>()
  const conversation = new Conversation({
    client: pair.b,
    upstream,
    limits: { ...defaultProxyLimits, ...limits },
    clock: options.clock ?? hastyClock,
    log: silentLog,
    onEnd: ended.resolve,
  })
  const client = await NinepClient.connect({ link: pair.a, dialects: [dialect] })
  return { client, upstream, conversation, ended: ended.promise, link: pair.a }
}

async function until(look: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 3_000
  while (!look()) {
    if (performance.now() > end) throw new Error(`Not within 3 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()
const bytes = (from: string) => new Uint8Array(Buffer.from(from))

const dialects: readonly Dialect[] = ["9P2000", "9P2000.u", "9P2000.L"]

/** What is done to a tree, and to a plain model of it. */
type Step =
  | { readonly do: "make" | "read" | "remove" | "list"; readonly name: string }
  | { readonly do: "write"; readonly name: string; readonly offset: number; readonly text: string }

const names = ["a", "b", "c"]
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constantFrom("make" as const, "read" as const, "remove" as const),
    name: fc.constantFrom(...names),
  }),
  fc.record({ do: fc.constant("list" as const), name: fc.constant("") }),
  fc.record({
    do: fc.constant("write" as const),
    name: fc.constantFrom(...names),
    offset: fc.nat(20),
    text: fc.string({ minLength: 1, maxLength: 12 }),
  }),
)
const cut: fc.Arbitrary<Cut> = fc.record({
  at: fc.integer({ min: 3, max: 80 }),
  kind: fc.constantFrom("before", "within", "unanswered", "answer"),
})

async function run(client: NinepClient, { ...each }: Step): Promise<string> {
  try {
    switch (each.do) {
      case "make": {
        const file = await client.create(`folder/${each.name}`, 0o644, { read: true, write: true })
        await file.leave()
        return "made"
      }
      case "read": {
        const file = await client.open(`folder/${each.name}`, { read: true })
        const content = text(await file.readAll(1_000))
        await file.leave()
        return content
      }
      case "write": {
        const file = await client.open(`folder/${each.name}`, { write: true })
        await file.writeAll(bytes(each.text), each.offset)
        await file.leave()
        return "written"
      }
      case "remove":
        await client.remove(`folder/${each.name}`)
        return "removed"
      case "list":
        return (await client.list("folder"))
          .map(({ name }) => name)
          .sort()
          .join()
    }
  } catch (error) {
    if (error instanceof NinepError) return error.errno
    throw error
  }
}

describe("a conversation through the proxy", () => {
  for (const dialect of dialects) {
    it(`gives the same answers however often its server is lost, over ${dialect}`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { minLength: 1, maxLength: 12 }),
          fc.array(cut, { maxLength: 6 }),
          fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
          async (steps, cuts, splitBytes) => {
            const [plain, tried] = [new RamTree(), new RamTree()]
            for (const tree of [plain, tried]) tree.root.add("folder", "folder")
            const split = splitBytes === undefined ? {} : { splitBytes }
            const calm = await rig(plain, { dialect })
            const wild = await rig(tried, { dialect, cuts, ...split })
            for (const each of steps) {
              const [answer, calmAnswer] = [await run(wild.client, each), await run(calm.client, each)]
              // "It exists already" may be the first try's doing, so it counts as success when it was repeated.
              const isRepeated = each.do === "make" && calmAnswer === "EEXIST" && answer === "made"
              if (!isRepeated) assert.equal(answer, calmAnswer)
            }
            assert.deepEqual(contents(tried), contents(plain))
            wild.client.close()
            calm.client.close()
            await Promise.all([wild.ended, calm.ended])
            assert.equal(tried.counts.opened, tried.counts.closed + tried.counts.gone)
          },
        ),
        { numRuns: 150 },
      )
    })
  }

  it("lets a blocked read wait through an outage, and no message is taken twice", async () => {
    const tree = sampleTree()
    const { client, upstream, conversation } = await rig(tree)
    const pipe = (tree.root.children.get("pipe") as RamNode).pipe
    const file = await client.open("pipe", { read: true })
    const reading = file.read(0, 100)
    await until(() => pipe.waitingReads === 1, "the read waits")
    upstream.isAway = true
    upstream.cut()
    await until(() => pipe.waitingReads === 0, "the server has noticed")
    assert.equal(conversation.status().state, "away")
    upstream.isAway = false
    await until(() => pipe.waitingReads === 1, "the read waits again")
    const writer = await client.open("pipe", { write: true })
    await writer.write(0, bytes("hello"))
    assert.equal(text(await reading), "hello")
    assert.equal(conversation.status().losses, 1)
    client.close()
  })

  it("withdraws a request that is flushed while the server is away", async () => {
    const tree = sampleTree()
    const { client, upstream, conversation } = await rig(tree)
    const pipe = (tree.root.children.get("pipe") as RamNode).pipe
    const file = await client.open("pipe", { write: true })
    const signal = new AbortController()
    const writing = file.write(0, bytes("never"), signal.signal)
    await until(() => pipe.waitingWrites === 1, "the write waits")
    upstream.isAway = true
    upstream.cut()
    await until(() => conversation.status().state === "away", "the loss is seen")
    signal.abort(new Error("enough"))
    await assert.rejects(writing, /enough/)
    upstream.isAway = false
    await until(() => conversation.status().state === "live", "it is back")
    assert.equal(pipe.waitingWrites, 0)
    assert.equal(conversation.status().requests, 0)
    client.close()
  })

  it("answers a flush that was under way when the server was lost", async () => {
    const tree = sampleTree()
    const { client, upstream } = await rig(tree)
    const pipe = (tree.root.children.get("pipe") as RamNode).pipe
    pipe.withdrawal = () => new Promise(() => undefined)
    const file = await client.open("pipe", { read: true })
    const signal = new AbortController()
    const reading = file.read(0, 10, signal.signal)
    await until(() => pipe.waitingReads === 1, "the read waits")
    signal.abort(new Error("enough"))
    await until(() => upstream.types.at(-1) === messageType.Tflush, "the flush has come")
    upstream.cut()
    await assert.rejects(reading, /enough/)
    client.close()
  })

  it("fails what was removed meanwhile, with the reason, and nothing else", async () => {
    const tree = sampleTree()
    const { client, upstream, conversation } = await rig(tree)
    const gone = await client.open("deep/er/est", { read: true })
    const stays = await client.open("hello", { read: true })
    assert.equal(text(await stays.read(0, 5)), "hello")
    upstream.isAway = true
    upstream.cut()
    const folder = (tree.root.children.get("deep") as RamNode).children.get("er") as RamNode
    folder.children.delete("est")
    upstream.isAway = false
    await until(() => conversation.status().state === "live" && upstream.connects === 2, "it is back")
    await assert.rejects(gone.read(0, 5), { errno: "ENOENT" })
    assert.equal(text(await stays.read(5, 100)), ", world\n")
    await gone.clunk()
    await assert.rejects(client.open("deep/er/est", {}), { errno: "ENOENT" })
    client.close()
  })

  it("keeps the client from sending more than it may hold", async () => {
    const tree = sampleTree()
    const { client, upstream, conversation } = await rig(tree, { limits: { requests: 20 } })
    upstream.isAway = true
    upstream.cut()
    const stats = Array.from({ length: 100 }, () => client.root.attributes())
    await until(() => conversation.status().requests >= 20, "it is full")
    upstream.isAway = false
    assert.equal((await Promise.all(stats)).length, 100)
    client.close()
  })

  it("ends when the server wants smaller messages than before", async () => {
    const tree = sampleTree()
    const { client, upstream, ended } = await rig(tree)
    upstream.ninepLimits = { messageBytes: 8_192 }
    upstream.cut()
    assert.match((await ended)?.message ?? "", /msize 8192 now/)
    client.close()
  })

  it("gives up when it was told to", async () => {
    const { client, upstream, ended } = await rig(sampleTree(), { limits: { giveUpMs: 2_000 } })
    upstream.isAway = true
    upstream.cut()
    assert.equal((await ended)?.code, "timeout")
    client.close()
  })

  it("finds a server that is silent, and lets one live that only has nothing to say", async () => {
    const tree = sampleTree()
    const { client, upstream, conversation } = await rig(tree, {
      limits: { silenceMs: 20 },
      silent: true,
      clock: systemClock,
    })
    const file = await client.open("pipe", { read: true })
    const reading = file.read(0, 10)
    await until(() => upstream.types.filter((type) => type === messageType.Tflush).length >= 3, "it is asked")
    assert.equal(conversation.status().losses, 0)
    upstream.isSilent = true
    await until(() => conversation.status().losses === 1, "its silence is heard")
    upstream.isSilent = false
    const pipe = (tree.root.children.get("pipe") as RamNode).pipe
    await until(() => pipe.waitingReads > 0 && conversation.status().state === "live", "the read waits again")
    const writer = await client.open("pipe", { write: true })
    await writer.write(0, bytes("there"))
    assert.equal(text(await reading), "there")
    client.close()
  })

  it("does not take a server for silent that it does not listen to, because the client takes nothing", async () => {
    const { client, conversation, link } = await rig(sampleTree(), {
      limits: { silenceMs: 20 },
      silent: true,
      clock: systemClock,
    })
    const file = await client.create("large", 0o644, { read: true, write: true })
    await file.writeAll(new Uint8Array(100_000))
    const blocked = (await client.open("pipe", { read: true })).read(0, 10)
    link.pause()
    const reads = Array.from({ length: 10 }, () => file.read(0, 100_000))
    await new Promise((resolve) => setTimeout(resolve, 150))
    assert.equal(conversation.status().losses, 0)
    link.resume()
    assert.deepEqual(
      (await Promise.all(reads)).map(({ length }) => length),
      reads.map(() => 100_000),
    )
    assert.equal(conversation.status().losses, 0)
    client.close()
    await assert.rejects(blocked)
  })

  it("stops a client that takes no answers, also of those that are made here", async () => {
    const { client, link } = await rig(sampleTree())
    link.pause()
    const flushes = new Uint8Array(9 * 1_000)
    for (let at = 0; at < flushes.length; at += 9) flushes.set([9, 0, 0, 0, messageType.Tflush, 5, 0, 99, 0], at)
    let rounds = 0
    while (link.write(flushes)) {
      assert.ok(++rounds < 200, "it may send on and on")
      await new Promise((resolve) => setImmediate(resolve))
    }
    client.close()
  })

  it("ends with a client whose message nobody can read, and asks no server what it thinks of it", async () => {
    const soundless: readonly (readonly number[])[] = [
      [23, 0, 0, 0, messageType.Twrite, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0],
      [12, 0, 0, 0, messageType.Tclunk, 5, 0, 0, 0, 0, 0, 0],
      [11, 0, 0, 0, messageType.Tgetattr, 5, 0, 0, 0, 0, 0],
    ]
    for (const message of soundless) {
      const { upstream, ended, link } = await rig(sampleTree())
      link.write(Uint8Array.from(message))
      assert.equal((await ended)?.code, "protocol")
      assert.equal(upstream.connects, 1)
    }
  })
})

function contents(tree: RamTree): unknown {
  const folder = tree.root.children.get("folder") as RamNode
  return [...folder.children].map(([name, { content }]) => `${name}=${text(content)}`).sort((a, b) => (a < b ? -1 : 1))
}
