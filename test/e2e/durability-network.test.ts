/** The machine changes its network, and the time after which a session is given up. */

import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, test } from "node:test"
import { chaosOrigin, patternBytes } from "../kit/chaos-origin.ts"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import { bodyOf, echoSocket, eventStream, request, smallRequests } from "../kit/chaos-visitors.ts"
import type { VisitorTarget } from "../kit/chaos-visitors.ts"
import { startAgentProcess, startRelayProcess, until } from "../kit/processes.ts"
import type { TestProcess } from "../kit/processes.ts"

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

function owned<T extends TestProcess>(process: T): T {
  cleanUps.push(() => process.kill())
  return process
}

test("an agent that hears of another network changes its link at once and loses nothing", async (t) => {
  const origin = await chaosOrigin()
  cleanUps.push(() => origin.close())
  // The default dead time: nothing here waits for it.
  const relay = owned(await startRelayProcess())
  const proxy = await chaosProxy({ target: { port: relay.port } })
  cleanUps.push(() => proxy.close())
  const agent = owned(
    await startAgentProcess({
      relay: `127.0.0.1:${proxy.port}`,
      tunnels: [{ kind: "http", target: String(origin.port), name: "course" }],
    }),
  )
  const target: VisitorTarget = { port: relay.port, host: "course.localhost" }
  const [socket, events] = await Promise.all([echoSocket(target, 10), eventStream(target, 20)])
  const small = smallRequests(target, 20, 20)
  const took: number[] = []
  for (let changes = 0; changes < 5; changes++) {
    const before = small.done
    await until(() => small.done > before + 50, "requests are answered")
    const from = agent.events.length
    proxy.blackHole(true)
    const startedAt = performance.now()
    await agent.ask("refresh")
    await agent.event("up", { from, deadlineMs: 2_000 })
    took.push(performance.now() - startedAt)
  }
  await Promise.all([small.stop(), socket.stop(), events.stop()])
  t.diagnostic(`on the other link after ${took.map((ms) => ms.toFixed(0)).join(" ")} ms`)
  assert.deepEqual([...small.failures, ...socket.failures, ...events.failures], [])
  assert.equal((await relay.sessions())[0]?.resumes, 5)
})

const ip = (...args: string[]) => execFileSync("ip", args, { stdio: ["ignore", "ignore", "ignore"] })

/** Two wires between here and a namespace; the second is not up there yet. */
function twoWires(): { readonly namespace: string; readonly here: string; change(): void } | undefined {
  const namespace = `rdv${process.pid}`
  const [a, b] = [`rdva${process.pid}`, `rdvb${process.pid}`]
  try {
    ip("netns", "add", namespace)
  } catch {
    return undefined
  }
  cleanUps.push(() => ip("netns", "del", namespace))
  for (const [wire, net] of [
    [a, "10.213.1"],
    [b, "10.213.2"],
  ] as const) {
    ip("link", "add", wire, "type", "veth", "peer", "name", `${wire}p`, "netns", namespace)
    ip("addr", "add", `${net}.1/30`, "dev", wire)
    ip("link", "set", wire, "up")
  }
  cleanUps.push(() => ip("link", "del", b))
  const inside = (...args: string[]) => ip("-n", namespace, ...args)
  inside("addr", "add", "10.213.1.2/30", "dev", `${a}p`)
  inside("link", "set", `${a}p`, "up")
  inside("route", "add", "default", "via", "10.213.1.1")
  return {
    namespace,
    // The far wire's address: reached by either.
    here: "10.213.2.1",
    change() {
      inside("link", "del", `${a}p`)
      inside("addr", "add", "10.213.2.2/30", "dev", `${b}p`)
      inside("link", "set", `${b}p`, "up")
    },
  }
}

test("a download goes on when the agent's interface disappears and another comes", { timeout: 60_000 }, async (t) => {
  const wires = process.platform === "linux" && process.getuid?.() === 0 ? twoWires() : undefined
  if (wires === undefined) {
    t.skip("needs root and network namespaces")
    return
  }
  const folder = mkdtempSync(join(tmpdir(), "rdv-network-"))
  cleanUps.push(() => rmSync(folder, { recursive: true, force: true }))
  const bytes = Buffer.concat([...patternBytes(48 * 1024 * 1024)])
  writeFileSync(join(folder, "large.bin"), bytes)
  const relay = owned(await startRelayProcess({ listen: ["0.0.0.0:0"] }))
  const agent = owned(
    await startAgentProcess(
      { relay: `${wires.here}:${relay.port}`, tunnels: [{ kind: "http", target: folder, name: "course" }] },
      ["ip", "netns", "exec", wires.namespace],
    ),
  )
  const response = await request({ port: relay.port, host: "course.localhost" }, "/large.bin")
  assert.equal(response.statusCode, 200)
  const hash = createHash("sha256")
  let got = 0
  let changedAt = 0
  const from = agent.events.length
  for await (const chunk of response) {
    hash.update(chunk as Buffer)
    got += (chunk as Buffer).length
    if (changedAt === 0 && got > 4 * 1024 * 1024) {
      wires.change()
      changedAt = performance.now()
      void agent
        .event("up", { from })
        .then(() =>
          t.diagnostic(`on the other interface ${(performance.now() - changedAt).toFixed(0)} ms after the change`),
        )
    }
  }
  assert.equal(got, bytes.length)
  assert.equal(hash.digest("hex"), createHash("sha256").update(bytes).digest("hex"))
  assert.equal(agent.events.slice(from).filter(({ event }) => event === "up").length, 1)
  assert.ok(performance.now() - changedAt < 5_000, "without waiting for the dead time of 10 s")
})

test(
  "beyond the grace time every stream ends, visitors get 503, and memory returns",
  { timeout: 60_000 },
  async (t) => {
    const origin = await chaosOrigin()
    cleanUps.push(() => origin.close())
    const limits = { deadAfterMs: 2_000, graceMs: 2_000 }
    const relay = owned(await startRelayProcess({ sessionLimits: limits }))
    const proxy = await chaosProxy({ target: { port: relay.port } })
    cleanUps.push(() => proxy.close())
    const agent = owned(
      await startAgentProcess({
        relay: `127.0.0.1:${proxy.port}`,
        limits,
        tunnels: [{ kind: "http", target: String(origin.port), name: "course" }],
      }),
    )
    const target: VisitorTarget = { port: relay.port, host: "course.localhost" }
    const warm = smallRequests(target, 50, 10)
    await until(() => warm.done > 1_000, "both processes are warm")
    const flood = () => request(target, "/flood?bytes=30000000").then(bodyOf)
    await Promise.all([flood(), flood(), flood(), flood()])
    await warm.stop()
    const level = await memoryOf(relay, agent)

    const waiting = Array.from({ length: 50 }, () => request(target, "/echo?ms=60000", { body: Buffer.alloc(10_000) }))
    const stalled = await Promise.all(Array.from({ length: 20 }, () => request(target, "/flood?bytes=50000000")))
    const events = await request(target, "/events?every=50")
    await until(() => origin.running === 50 + 20 + 1, "all are at the service")
    proxy.refuse(true)
    const from = agent.events.length
    proxy.cutAll("rst")
    const cutAt = performance.now()
    for (const answer of await Promise.all(waiting)) {
      assert.equal(answer.statusCode, 503)
      assert.ok(Number(answer.headers["retry-after"]) > 0)
      answer.resume()
    }
    const toldMs = performance.now() - cutAt
    assert.ok(toldMs > 1_500 && toldMs < 4_000, `told after ${toldMs.toFixed(0)} ms`)
    for (const broken of [events, ...stalled]) await assert.rejects(bodyOf(broken))
    const down = await agent.event(({ event, code }) => event === "down" && code === "expired", { from })
    assert.equal(down.code, "expired")
    await until(() => origin.running === 0, "the service is told too")
    await until(async () => (await relay.sessions()).length === 0, "the relay forgot the session")
    const nobody = await request(target, "/")
    await bodyOf(nobody)
    assert.equal(nobody.statusCode, 404)

    proxy.refuse(false)
    await agent.event("exposed", { from })
    const again = smallRequests(target, 50, 10)
    await until(() => again.done > 200, "the new session serves")
    await again.stop()
    assert.deepEqual(again.failures, [])
    for (const process of [relay, agent]) {
      const [session] = await process.sessions()
      assert.equal(session?.streams, 1, "only the control stream")
      await until(async () => (await process.sessions())[0]?.unacknowledgedBytes === 0, "everything is acknowledged")
      assert.ok((session?.windowGrantedBytes ?? Infinity) <= 256 * 1024)
    }
    await until(
      async () => {
        const now = await memoryOf(relay, agent)
        return now.every((used, at) => used < (level[at] as number) + 12 * 1024 * 1024)
      },
      // Buffers that wait for the next busy connection (4 MiB) and segments that are used again stay.
      "memory is back at its level",
      10_000,
    )
    const now = await memoryOf(relay, agent)
    const print = (list: readonly number[]) => list.map((used) => (used / 2 ** 20).toFixed(1)).join(", ")
    t.diagnostic(`heap and buffers of relay, agent before: ${print(level)} MiB; after: ${print(now)} MiB`)
  },
)

/** Heap and buffers after a collection, bytes. */
async function memoryOf(...processes: readonly TestProcess[]): Promise<number[]> {
  const each = (await Promise.all(processes.map((process) => process.ask("memory")))) as NodeJS.MemoryUsage[]
  return each.map(({ heapUsed, external }) => heapUsed + external)
}
