/**
 * Everything at once: clients of all manners, targets that freeze, die and come back, and a file that changes all the time.
 * Afterwards `rdv balance` is as it was: nothing runs, nothing waits, nothing is open, and everybody is served again.
 * RDV_CHAOS_SEED repeats a run, as far as processes can; RDV_CHAOS_FULL=1 takes a minute.
 */

import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { connect } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { test } from "node:test"
import { SeededRandom } from "../../src/base/random.ts"
import { FaultTarget } from "../kit/fault-target.ts"
import { until } from "../kit/processes.ts"
import { RunningBalancer, freePorts } from "../kit/running-balancer.ts"
import { Visitor, visitMany } from "../kit/visitor.ts"

const seconds = process.env["RDV_CHAOS_FULL"] === "1" ? 60 : 6

const noise = randomBytes(4_000_000)

/** Sends it, now fast and now slowly, and reads what comes back to its end. */
async function mirrorOf(port: number, bytes: Buffer): Promise<Buffer> {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true })
  const parts: Buffer[] = []
  socket.on("data", (part: Buffer) => {
    parts.push(part)
    if (parts.length % 50 !== 0) return
    socket.pause()
    setTimeout(() => socket.resume(), 20)
  })
  socket.end(bytes)
  await once(socket, "end", { signal: AbortSignal.timeout(20_000) })
  socket.destroy()
  return Buffer.concat(parts)
}

test(
  "after much trouble nothing is left of it",
  { skip: process.platform !== "linux", timeout: 120_000 },
  async (t) => {
    const seed = Number(process.env["RDV_CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31))
    t.diagnostic(`RDV_CHAOS_SEED=${seed}`)
    const random = new SeededRandom(seed)
    const below = (most: number) => Math.floor(random.fraction() * most)
    const oneOf = <T>(list: readonly T[]): T => list[below(list.length)] as T

    const [port, held, whole, flapping] = (await freePorts(4)) as [number, number, number, number]
    const steady = await FaultTarget.start({ behaviour: "echo", name: "steady" })
    const mirror = await FaultTarget.start({ behaviour: "echo" })
    const rude = await FaultTarget.start({ behaviour: "reset" })
    const slow = await FaultTarget.start({ behaviour: "slow", delayMs: 40, name: "slow" })
    const flood = await FaultTarget.start({ behaviour: "flood", bytes: 3_000_000 })
    let unsteady = await FaultTarget.start({ behaviour: "echo", name: "unsteady", port: flapping })
    t.after(() => Promise.all([steady, mirror, rude, slow, flood, unsteady].map((each) => each.kill())))

    const addresses = [steady, rude, slow, flood, unsteady].map(({ address }) => address)
    // Untouched by all trouble but that of the balancer itself.
    const mirrored = { name: "whole", listen: [`127.0.0.1:${whole}`], targets: [mirror.address] }
    const config = () => {
      const targets = [steady.address, ...addresses.filter(() => random.fraction() < 0.7), "nobody.invalid:80"]
      const settings = {
        policy: oneOf(["round-robin", "random", "least-connections", "peak-ewma", "hash"]),
        removed: oneOf(["keep", "drain", "cut"]),
        drain: "300ms",
        down: oneOf(["keep", "cut"]),
        timeouts: { connect: "300ms", dial: "1s", "half-closed": "500ms", idle: "2s", answer: "1500ms" },
        outlier: { "connect-failures": 2, "early-resets": 3, eject: "200ms", "max-eject": "1s" },
        health: oneOf(["off", { check: "tcp", interval: "100ms", timeout: "200ms", rise: 1, fall: 1 }]),
        limits: oneOf([{}, { connections: 30, queue: 20, "queue-timeout": "300ms" }, { "per-client": 60 }]),
        bandwidth: oneOf([{}, { app: "20MB/s", connection: "4MB/s" }, { client: { up: "1MB/s", down: "30MB/s" } }]),
        breaker: oneOf([{}, { "max-pending": 5 }, { "failure-rate": "50%", "min-dials": 5, open: "200ms" }]),
      }
      const unique = [...new Set(targets)]
      const each = { targets: unique, ...settings, "each-target": { warm: oneOf([0, 0, 3]) } }
      return {
        log: { connections: "failed" },
        apps: [
          { ...mirrored, policy: settings.policy, bandwidth: settings.bandwidth },
          { name: "app", listen: [`127.0.0.1:${port}`], ...each },
          { name: "held", listen: [`127.0.0.1:${held}`], ...each, "when-down": oneOf(["hold", "refuse", "accept"]) },
        ],
      }
    }
    const calm = {
      log: { connections: "failed" },
      apps: [
        mirrored,
        { name: "app", listen: [`127.0.0.1:${port}`], targets: [steady.address] },
        { name: "held", listen: [`127.0.0.1:${held}`], targets: [steady.address] },
      ],
    }
    await using balancer = await RunningBalancer.start(calm)
    await visitMany([port, held], 300, 32)
    const before = { open: balancer.descriptors(), memory: await balancer.memory() }

    const end = performance.now() + seconds * 1_000
    let visits = 0
    const visitor = async () => {
      while (performance.now() < end) {
        visits++
        const client = new Visitor(oneOf([port, held]))
        const manner = below(7)
        if (manner > 0) client.socket.write("x".repeat(below(20_000)))
        if (manner === 1) client.socket.end()
        if (manner === 2) client.socket.pause()
        await Promise.race([client.end().catch(() => undefined), sleep(below(300))])
        if (manner === 3) client.socket.resetAndDestroy()
        if (manner === 4) client.socket.end("the rest")
        if (manner === 4) await Promise.race([client.end().catch(() => undefined), sleep(300)])
        client.socket.destroy()
      }
    }
    let mirroredBytes = 0
    const stream = async () => {
      while (performance.now() < end) {
        const from = below(noise.length / 2)
        const bytes = noise.subarray(from, from + 1 + below(noise.length / 2))
        mirroredBytes += bytes.length
        assert.ok((await mirrorOf(whole, bytes)).equals(bytes), `${bytes.length} bytes came back changed`)
      }
    }
    const trouble = async () => {
      while (performance.now() < end) {
        const kind = below(4)
        if (kind === 0) {
          await unsteady.kill()
          await sleep(below(400))
          unsteady = await FaultTarget.start({ behaviour: "echo", name: "unsteady", port: flapping })
        } else if (kind === 1) {
          const frozen = oneOf([slow, flood])
          frozen.freeze()
          await sleep(below(600))
          frozen.thaw()
        } else await sleep(below(300))
      }
    }
    const reloads = async () => {
      while (performance.now() < end) {
        balancer.replace(config())
        await balancer.admin.reload()
        const live = (await balancer.admin.connections(200)).filter(({ app }) => app !== "whole")
        if (live.length > 0 && below(3) === 0) await balancer.admin.cut(oneOf(live).id)
        await sleep(below(200))
      }
    }
    await Promise.all([...Array.from({ length: 40 }, visitor), stream(), stream(), stream(), trouble(), reloads()])
    const { reloads: told } = await balancer.admin.snapshot()
    t.diagnostic(`${visits} connections, ${(mirroredBytes / 1e6).toFixed(0)} MB, ${told.good} reloads`)
    assert.equal(told.bad, 0)

    balancer.replace(calm)
    await balancer.admin.reload()
    await until(async () => (await balancer.admin.snapshot()).connections === 0, "nobody is left", 15_000)
    assert.deepEqual(Object.keys(await visitMany([port, held], 100, 32)), ["steady"])
    for (const name of ["app", "held"]) {
      const app = await balancer.app(name)
      assert.deepEqual([app.active, app.queued], [0, 0])
      assert.deepEqual(
        app.targets.map(({ active, pending, obstacle }) => [active, pending, obstacle]),
        [[0, 0, undefined]],
      )
    }
    await until(() => balancer.descriptors().sockets <= before.open.sockets + 2, "all descriptors are closed")
    const grown = ((await balancer.memory()).used - before.memory.used) / 1_024
    t.diagnostic(`in use afterwards: ${grown.toFixed(0)} KiB more`)
    // Buffers for the next busy connections stay, up to 4 MiB.
    assert.ok(grown < 12 * 1_024, `${grown} KiB`)
    assert.deepEqual(
      balancer.log("connection.ended").filter(({ ending }) => ending === "failed"),
      [],
    )
  },
)
