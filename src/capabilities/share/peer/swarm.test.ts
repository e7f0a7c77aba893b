import assert from "node:assert/strict"
import { test } from "node:test"
import { SeededRandom } from "../../../base/random.ts"
import { silentLog } from "../../../base/log.ts"
import { FakeClock, settle } from "../../../../test/kit/fake-clock.ts"
import { FakeShareRelay } from "../../../../test/kit/fake-share-relay.ts"
import { MemoryNet } from "../../../../test/kit/memory-net.ts"
import { memoryContent, MemoryTarget } from "../../../../test/kit/share-content.ts"
import type { MemoryContent } from "../../../../test/kit/share-content.ts"
import { someKeys } from "../../../../test/kit/swarm-keys.ts"
import { nodeCrypto } from "../node/node-crypto.ts"
import { startReceiver } from "./receiver.ts"
import type { Receiver, ReceiverOptions } from "./receiver.ts"
import { startSender } from "./sender.ts"
import type { Sender, SenderOptions } from "./sender.ts"

const keys = someKeys(3)
const crypto = nodeCrypto(keys, "sha256")

class Rig {
  readonly clock = new FakeClock()
  readonly relay: FakeShareRelay
  readonly net: MemoryNet
  readonly #running: (Sender | Receiver)[] = []

  /** `bytesPerSecond` is that of each connection, each way. */
  constructor(bytesPerSecond?: number) {
    this.relay = new FakeShareRelay(this.clock, bytesPerSecond)
    this.net = new MemoryNet(this.clock, bytesPerSecond === undefined ? {} : { bytesPerSecond })
  }

  async content(bytes: Uint8Array, version = 1): Promise<MemoryContent> {
    return memoryContent({ bytes, crypto, version })
  }

  sender(content: MemoryContent, options: Partial<SenderOptions> = {}): Sender {
    const sender = startSender({
      swarm: "123456",
      keys,
      member: "sender",
      access: this.relay.access(),
      content,
      clock: this.clock,
      log: silentLog,
      random: () => 0.5,
      ...options,
    })
    this.#running.push(sender)
    return sender
  }

  receiver(member: string, target: MemoryTarget, options: Partial<ReceiverOptions> = {}): Receiver {
    const receiver = startReceiver({
      swarm: "123456",
      keys,
      member,
      access: this.relay.access(),
      target,
      crypto: () => crypto,
      clock: this.clock,
      log: silentLog,
      random: () => 0.5,
      ...options,
    })
    this.#running.push(receiver)
    return receiver
  }

  /** Moves time until it holds. */
  async until(holds: () => boolean, what: string, mostMs = 60_000): Promise<void> {
    const end = this.clock.now() + mostMs
    while (!holds()) {
      assert.ok(this.clock.now() < end, `${what} within ${mostMs} ms`)
      await this.clock.pass(5)
    }
  }

  async close(): Promise<void> {
    let isOver = false
    const over = Promise.all(this.#running.map((each) => each.stop())).then(() => (isOver = true))
    await this.until(() => isOver, "an end")
    await over
    this.relay.close()
    await settle()
  }
}

function someBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  new SeededRandom(seed).fill(bytes)
  return bytes
}

test("what is shared arrives through the relay, and each chunk is read once", async () => {
  const rig = new Rig()
  const bytes = someBytes(100_000)
  const content = await rig.content(bytes)
  rig.sender(content)
  await settle()
  const target = new MemoryTarget()
  const receiver = rig.receiver("one", target)
  await rig.until(() => target.finishes === 1, "everything")
  assert.deepEqual(target.result, bytes)
  assert.ok([...content.reads.values()].every((times) => times === 1))
  assert.equal(receiver.traffic.duplicateBytes, 0)
  assert.equal(receiver.progress.haveBytes, bytes.length)
  await rig.close()
})

test("a stream of the session carries the chunks where the relay takes no connection", async () => {
  const rig = new Rig()
  rig.relay.takesConnections = false
  const bytes = someBytes(50_000)
  rig.sender(await rig.content(bytes))
  await settle()
  const target = new MemoryTarget()
  const receiver = rig.receiver("one", target)
  await rig.until(() => target.finishes === 1, "everything")
  assert.deepEqual(target.result, bytes)
  assert.equal(receiver.traffic.relayOver, "session")
  await rig.close()
})

test("a lost path is made again, and nothing that is stored is fetched twice", async () => {
  const rig = new Rig(1_000_000)
  const bytes = someBytes(400_000)
  rig.sender(await rig.content(bytes))
  await settle()
  const target = new MemoryTarget()
  rig.receiver("one", target)
  for (const least of [10, 40, 80]) {
    await rig.until(() => target.stores >= least, `${least} chunks`)
    rig.relay.cutPaths()
  }
  await rig.until(() => target.finishes === 1, "everything")
  assert.deepEqual(target.result, bytes)
  assert.equal(target.stores, 98)
  await rig.close()
})

test("a lost stream is opened again, and the receiver says what it has", async () => {
  const rig = new Rig(1_000_000)
  const bytes = someBytes(400_000)
  rig.sender(await rig.content(bytes))
  await settle()
  const target = new MemoryTarget()
  rig.receiver("one", target)
  await rig.until(() => target.stores >= 20, "20 chunks")
  rig.relay.cutStreams()
  await rig.until(() => target.finishes === 1, "everything")
  assert.deepEqual(target.result, bytes)
  assert.equal(target.stores, 98)
  assert.equal(rig.relay.messages("holds", "one").length, 3)
  await rig.close()
})

for (const forgets of [false, true]) {
  test(`a relay that starts anew ${forgets ? "and has forgotten the share" : "with the share"} loses nothing`, async () => {
    const rig = new Rig(1_000_000)
    const bytes = someBytes(400_000)
    rig.sender(await rig.content(bytes))
    await settle()
    const target = new MemoryTarget()
    rig.receiver("one", target)
    await rig.until(() => target.stores >= 20, "20 chunks")
    rig.relay.isDown = true
    rig.relay.restart({ forgets })
    await rig.clock.pass(5_000)
    rig.relay.up()
    await rig.until(() => target.finishes === 1, "everything")
    assert.deepEqual(target.result, bytes)
    assert.equal(target.stores, 98)
    await rig.close()
  })
}

test("a chunk that the relay changed is thrown away, told, and comes again", async () => {
  const rig = new Rig()
  const bytes = someBytes(100_000)
  rig.sender(await rig.content(bytes))
  await settle()
  let lies = 2
  rig.relay.spoil = (chunk, sealed) => {
    if (chunk !== 7 || lies-- <= 0) return sealed
    const changed = sealed.slice()
    changed[5] = (changed[5] as number) ^ 1
    return changed
  }
  const target = new MemoryTarget()
  const corrupt: string[] = []
  rig.receiver("one", target, { events: { corrupt: (chunk, from) => corrupt.push(`${chunk} of ${from}`) } })
  await rig.until(() => target.finishes === 1, "everything")
  assert.deepEqual(target.result, bytes)
  assert.deepEqual(corrupt, ["7 of relay", "7 of relay"])
  assert.equal(rig.relay.messages("failed").filter((each) => "why" in each && each.why === "corrupt").length, 2)
  await rig.close()
})

test("a full disk ends it with the reason, and the next run goes on where it was", async () => {
  const rig = new Rig(1_000_000)
  const bytes = someBytes(400_000)
  rig.sender(await rig.content(bytes))
  await settle()
  const target = new MemoryTarget()
  target.fullAfter = 30
  const first = rig.receiver("one", target)
  let error: unknown
  void first.done.catch((thrown: unknown) => (error = thrown))
  await rig.until(() => error !== undefined, "an error")
  assert.match(String(error), /disk is full/)
  assert.deepEqual(rig.relay.messages("failure", "one"), [{ do: "failure", reason: "The disk is full" }])
  target.fullAfter = Infinity
  const pushedBefore = rig.relay.pushed.length
  const second = rig.receiver("one", target)
  await rig.until(() => target.finishes === 1, "everything")
  assert.deepEqual(target.result, bytes)
  assert.equal(second.progress.foundBytes, 30 * 4096)
  assert.equal(target.stores, 98)
  // The manifest comes again, and what was missing.
  assert.equal(rig.relay.pushed.length - pushedBefore, 98 - 30 + 1)
  await rig.close()
})

test("two receivers complete each other when the sender has left", async () => {
  const rig = new Rig(1_000_000)
  const bytes = someBytes(400_000)
  const content = await rig.content(bytes)
  rig.relay.carrier = "direct"
  let isSafe = false
  const sender = rig.sender(content, { events: { safe: () => (isSafe = true) }, direct: rig.net.join() })
  await settle()
  const targets = [new MemoryTarget(), new MemoryTarget()]
  const receivers = targets.map((target, at) =>
    rig.receiver(`r${at}`, target, { direct: rig.net.join(), stayMs: 60_000 }),
  )
  await rig.until(() => {
    rig.relay.say({ do: "swarm", picture: rig.relay.picture() }, "sender")
    return isSafe
  }, "every chunk elsewhere")
  let isGone = false
  void sender.stop("leave").then(() => (isGone = true))
  rig.relay.forgetCache()
  await rig.until(() => isGone, "the sender's end")
  await rig.until(() => targets.every(({ finishes }) => finishes === 1), "everything")
  for (const target of targets) assert.deepEqual(target.result, bytes)
  assert.ok(receivers.every((receiver) => receiver.traffic.received.direct > 0))
  await rig.close()
})
