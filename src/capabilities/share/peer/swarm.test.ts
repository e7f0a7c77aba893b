import assert from "node:assert/strict"
import { test } from "node:test"
import { settle } from "../../../../test/kit/fake-clock.ts"
import { MemoryTarget } from "../../../../test/kit/share-content.ts"
import { ShareRig, someBytes } from "../../../../test/kit/share-rig.ts"
import { someKeys } from "../../../../test/kit/swarm-keys.ts"

test("what is shared arrives through the relay, and each chunk is read once", async () => {
  const rig = new ShareRig()
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
  const rig = new ShareRig()
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
  const rig = new ShareRig(1_000_000)
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
  const rig = new ShareRig(1_000_000)
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
    const rig = new ShareRig(1_000_000)
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
  const rig = new ShareRig()
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
  const rig = new ShareRig(1_000_000)
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
  const rig = new ShareRig(1_000_000)
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

test("a member that gives a false chunk is not asked again, and nothing false is kept", async () => {
  const rig = new ShareRig(1_000_000)
  const bytes = someBytes(400_000)
  rig.relay.carrier = "direct"
  const content = await rig.content(bytes)
  const honest = rig.sender(content)
  await settle()
  // It has the code and everything, and lies about one chunk.
  const false9 = {
    ...content,
    read: (chunk: number) => (chunk === 9 ? new Uint8Array(content.table.lengthOf(9)) : content.read(chunk)),
  }
  const liar = rig.liar(false9, rig.net.join())
  await rig.clock.pass(100)
  const target = new MemoryTarget()
  const corrupt: number[] = []
  const receiver = rig.receiver("one", target, {
    direct: rig.net.join(),
    events: { corrupt: (chunk) => corrupt.push(chunk) },
  })
  await rig.until(() => target.finishes === 1, "everything")
  assert.deepEqual(target.result, bytes)
  assert.ok(corrupt.length <= 1, `${corrupt.join()}`)
  if (corrupt.length === 1) {
    assert.equal(receiver.traffic.peers, 0)
    assert.equal(rig.relay.messages("path", "one").filter((each) => "state" in each && each.state === "down").length, 1)
  }
  assert.ok(honest.traffic.sent.relay > 0)
  let isOver = false
  void liar.stop().then(() => (isOver = true))
  await rig.until(() => isOver, "the liar's end")
  await rig.close()
})

test("a member that falls silent costs a second, not the transfer", async () => {
  const rig = new ShareRig(1_000_000)
  const bytes = someBytes(400_000)
  rig.relay.carrier = "direct"
  rig.sender(await rig.content(bytes), { direct: rig.net.join() })
  await settle()
  const target = new MemoryTarget()
  rig.receiver("one", target, { direct: rig.net.join() })
  await rig.until(() => target.stores > 20, "20 chunks")
  for (const pair of rig.net.pairs) pair.block()
  const at = rig.clock.now()
  await rig.until(() => target.finishes === 1, "everything")
  assert.deepEqual(target.result, bytes)
  assert.ok(rig.clock.now() - at < 6_000, `${rig.clock.now() - at} ms`)
  assert.ok(rig.relay.messages("failed", "one").some((each) => "why" in each && each.why === "late"))
  await rig.close()
})

test("direct paths that are cut are made again", async () => {
  const rig = new ShareRig(500_000)
  const bytes = someBytes(800_000)
  rig.relay.carrier = "direct"
  rig.sender(await rig.content(bytes), { direct: rig.net.join() })
  await settle()
  const target = new MemoryTarget()
  const receiver = rig.receiver("one", target, { direct: rig.net.join() })
  await rig.until(() => receiver.traffic.received.direct > 100_000, "some")
  rig.net.cut()
  assert.equal(target.finishes, 0)
  await rig.until(
    () => rig.relay.messages("path", "one").filter((each) => "state" in each && each.state === "up").length === 2,
    "another path",
  )
  await rig.until(() => target.finishes === 1, "everything")
  assert.deepEqual(target.result, bytes)
  await rig.close()
})

test("a new version fetches what has changed, whether the old one was finished or not", async () => {
  const rig = new ShareRig(1_000_000)
  const bytes = someBytes(400_000)
  const sender = rig.sender(await rig.content(bytes))
  await settle()
  const [done, midway] = [new MemoryTarget(), new MemoryTarget()]
  const versions: number[] = []
  rig.receiver("done", done, { follow: true, events: { done: (_finished, version) => versions.push(version) } })
  await rig.until(() => done.finishes === 1, "the first version")
  rig.receiver("midway", midway)
  await rig.until(() => midway.stores > 30 && midway.stores < 90, "a part of it")
  const changed = bytes.slice()
  changed.set(someBytes(10_000, 9), 200_000)
  const before = done.stores
  await sender.update(await rig.content(changed, 2))
  await rig.until(() => done.finishes === 2 && midway.finishes === 1, "the second version")
  assert.deepEqual(done.result, changed)
  assert.deepEqual(midway.result, changed)
  assert.deepEqual(versions, [1, 2])
  assert.ok(done.stores - before <= 4, `${done.stores - before} chunks for 10 kB`)
  assert.ok(midway.stores <= 98 + 4)
  await rig.close()
})

test("who does not follow has the version that it finished, and leaves for a new one", async () => {
  const rig = new ShareRig()
  const bytes = someBytes(20_000)
  const sender = rig.sender(await rig.content(bytes))
  await settle()
  const target = new MemoryTarget()
  const receiver = rig.receiver("one", target, { stayMs: Infinity })
  await rig.until(() => target.finishes === 1, "everything")
  await sender.update(await rig.content(someBytes(20_000, 5), 2))
  let isOver = false
  void receiver.ended.then(() => (isOver = true))
  await rig.until(() => isOver, "its end")
  assert.deepEqual(target.result, bytes)
  await rig.close()
})

test("a table that nobody with the code has made is refused before anything is fetched", async () => {
  const rig = new ShareRig()
  rig.sender(await rig.content(someBytes(20_000)), { keys: someKeys(4) })
  await settle()
  const target = new MemoryTarget()
  const receiver = rig.receiver("one", target)
  await assert.rejects(
    (async () => {
      let error: unknown
      void receiver.done.catch((thrown: unknown) => (error = thrown))
      await rig.until(() => error !== undefined, "an error")
      throw error
    })(),
    { code: "corrupt" },
  )
  assert.equal(rig.relay.pushed.length, 0)
  await rig.close()
})

test("it says what it waits for, and that it goes on", async () => {
  const rig = new ShareRig(1_000_000)
  const bytes = someBytes(400_000)
  const sender = rig.sender(await rig.content(bytes))
  await settle()
  const target = new MemoryTarget()
  const said: (string | undefined)[] = []
  rig.receiver("one", target, { events: { waiting: (what) => said.push(what) } })
  await rig.until(() => target.stores > 20, "20 chunks")
  let isGone = false
  void sender.stop("leave").then(() => (isGone = true))
  await rig.until(() => isGone, "the sender's end")
  rig.relay.forgetCache()
  rig.relay.say({ do: "nowhere", version: 1, ranges: [[90, 97]], more: 0 }, "one")
  await rig.until(() => said.length > 0, "a word")
  assert.match(String(said[0]), /parts of file\.bin \(32\.0 KiB\) are with nobody who is here/)
  rig.relay.isDown = true
  rig.relay.restart({ forgets: false })
  await rig.clock.pass(4_000)
  assert.match(String(said.at(-1)), /the relay, which is tried again/)
  rig.relay.up()
  rig.sender(await rig.content(bytes), { member: "again" })
  await rig.until(() => target.finishes === 1, "everything").catch(() => undefined)
  await rig.close()
})

test("nobody who shares, a code that is wrong, a share that is over: each ends it at once", async () => {
  for (const code of ["not_found", "unauthorized", "removed", "expired"] as const) {
    const rig = new ShareRig()
    rig.relay.refusal = code
    const receiver = rig.receiver("one", new MemoryTarget())
    let error: unknown
    void receiver.done.catch((thrown: unknown) => (error = thrown))
    await rig.until(() => error !== undefined, "an error", 3_000)
    assert.equal((error as { code: string }).code, code)
    await rig.close()
  }
})

test("who is through leaves when nobody needs it, and after its time in any case", async () => {
  const rig = new ShareRig()
  rig.sender(await rig.content(someBytes(20_000)))
  await settle()
  const targets = [new MemoryTarget(), new MemoryTarget(), new MemoryTarget()]
  const ended: number[] = []
  for (const [at, target] of targets.entries()) {
    const stayMs = [10_000, 10_000, 0][at] as number
    rig.receiver(`r${at}`, target, { stayMs, events: { ended: () => ended.push(at) } })
  }
  await rig.until(() => targets.every(({ finishes }) => finishes === 1), "everything")
  await rig.until(() => ended.length === 1, "the one that does not stay")
  rig.relay.say({ do: "needed", needed: false }, "r0")
  await rig.clock.pass(100)
  assert.deepEqual(ended, [2, 0])
  await rig.clock.pass(9_000)
  assert.deepEqual(ended, [2, 0])
  await rig.clock.pass(1_500)
  assert.deepEqual(ended, [2, 0, 1])
  await rig.close()
})

test("a chunk whose file has changed is told, and the rest arrives", async () => {
  const rig = new ShareRig()
  const content = await rig.content(someBytes(100_000))
  content.spoil(5)
  const changed: number[] = []
  rig.sender(content, { events: { changed: (chunk) => changed.push(chunk) } })
  await settle()
  const target = new MemoryTarget()
  const receiver = rig.receiver("one", target)
  await rig.until(() => receiver.progress.haveChunks === 25, "all but one")
  assert.deepEqual(changed, [5])
  assert.deepEqual(rig.relay.messages("lost", "sender"), [{ do: "lost", version: 1, chunks: [5] }])
  await rig.close()
})

test("a stop leaves nothing that runs", async () => {
  const rig = new ShareRig(100_000)
  rig.sender(await rig.content(someBytes(400_000)), { direct: rig.net.join() })
  await settle()
  const target = new MemoryTarget()
  const receiver = rig.receiver("one", target, { direct: rig.net.join() })
  await rig.until(() => target.stores > 5, "some chunks")
  let isOver = false
  void receiver.stop().then(() => (isOver = true))
  await rig.until(() => isOver, "an end", 5_000)
  await rig.close()
  await rig.clock.pass(40_000)
  assert.equal(rig.clock.pending, 0)
})

test("with limited uplinks members carry nearly as fast as can be", async () => {
  const rig = new ShareRig()
  const bytes = someBytes(4_000_000)
  const bytesPerSecond = 1_000_000
  rig.relay.carrier = "direct"
  rig.sender(await rig.content(bytes, 1, 32_768), { bytesPerSecond, direct: rig.net.join() })
  await settle()
  const begun = rig.clock.now()
  const targets = Array.from({ length: 8 }, () => new MemoryTarget())
  for (const [at, target] of targets.entries())
    rig.receiver(`r${at}`, target, { bytesPerSecond, direct: rig.net.join() })
  await rig.until(() => targets.every(({ finishes }) => finishes === 1), "everything")
  // The sender needs four seconds to send everything once, and the last chunks have to spread.
  const took = rig.clock.now() - begun
  assert.ok(took < 4_000 * 1.15, `${took} ms`)
  for (const target of targets) assert.deepEqual(target.result, bytes)
  await rig.close()
})
