/** What connections that stand ready gain when the target is 20 ms away, there and back: seen by clients, and in the log. */

import assert from "node:assert/strict"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import type { AddressInfo } from "node:net"
import { test } from "node:test"
import type { TestContext } from "node:test"
import * as tls from "node:tls"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import { until } from "../kit/processes.ts"
import { RunningBalancer, freePorts } from "../kit/running-balancer.ts"
import { TlsSecrets } from "../kit/tls-secrets.ts"
import { Visitor } from "../kit/visitor.ts"

const wayMs = 10
const visits = 8

/**
 * A target with TLS behind a proxy that delays. Such a proxy takes connections at once, so it is the handshake that
 * costs a round trip here, and not the connect.
 */
async function farTarget(t: TestContext) {
  const secrets = new TlsSecrets(t)
  const { cert, key } = secrets.server("target", ["target.test"])
  const target = tls.createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (socket) => {
    socket.on("error", () => undefined)
    socket.pipe(socket)
  })
  target.on("tlsClientError", () => undefined)
  await once(target.listen(0, "127.0.0.1"), "listening")
  const proxy = await chaosProxy({ target: { port: (target.address() as AddressInfo).port }, delayMs: wayMs })
  t.after(async () => {
    await proxy.close()
    target.close()
  })
  return { proxy, tls: { "server-name": "target.test", ca: secrets.caFile } }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] as number

test("a client of a far target is joined at once, and has its answer a round trip earlier", async (t) => {
  const far = await farTarget(t)
  const address = `127.0.0.1:${far.proxy.port}`
  const [coldPort = 0, warmPort = 0] = await freePorts(2)
  await using balancer = await RunningBalancer.start({
    log: { connections: "all" },
    apps: [
      { name: "cold", listen: [`127.0.0.1:${coldPort}`], targets: [{ address, tls: far.tls }] },
      { name: "warm", listen: [`127.0.0.1:${warmPort}`], targets: [{ address, tls: far.tls, warm: 2 }] },
    ],
  })
  const answerMs: Record<string, number[]> = { cold: [], warm: [] }
  for (let visit = 0; visit < visits; visit++) {
    await until(async () => (await balancer.app("warm")).targets[0]?.warm === 2, "two that stand ready")
    for (const [name, port] of [
      ["cold", coldPort],
      ["warm", warmPort],
    ] as const) {
      using visitor = new Visitor(port)
      await visitor.until(() => visitor.connected, "a connection")
      const since = performance.now()
      await visitor.echoes("hello")
      answerMs[name]?.push(performance.now() - since)
      await visitor.leave()
    }
  }
  const records = await balancer.logged("connection.ended", visits * 2)
  const connectMs = (app: string) =>
    median(records.filter((line) => line.app === app).map((line) => Number(line.connectMs)))
  const cold = { connect: connectMs("cold"), answer: median(answerMs.cold as number[]) }
  const warm = { connect: connectMs("warm"), answer: median(answerMs.warm as number[]) }
  t.diagnostic(`joined after ${cold.connect.toFixed(1)} ms, warm ${warm.connect.toFixed(1)} ms`)
  t.diagnostic(`answered after ${cold.answer.toFixed(1)} ms, warm ${warm.answer.toFixed(1)} ms`)
  assert.ok(cold.connect >= 2 * wayMs, `${cold.connect} ms to join a cold one`)
  assert.ok(warm.connect < wayMs, `${warm.connect} ms to join a ready one`)
  assert.ok(warm.answer >= 2 * wayMs - 1, "an answer takes its round trip")
  assert.ok(cold.answer - warm.answer >= wayMs, `${cold.answer} ms and ${warm.answer} ms`)
})

test("a target that breaks all that stood ready is dialled anew, and no client hears of it", async (t) => {
  const far = await farTarget(t)
  const address = `127.0.0.1:${far.proxy.port}`
  const [port = 0] = await freePorts(1)
  await using balancer = await RunningBalancer.start({
    apps: [{ name: "a", listen: [`127.0.0.1:${port}`], targets: [{ address, tls: far.tls, warm: 4 }] }],
  })
  const target = async () => (await balancer.app("a")).targets[0]
  for (const [round, how] of (["rst", "fin"] as const).entries()) {
    await until(async () => (await target())?.warm === 4, "four that stand ready")
    const clients = Array.from({ length: 3 }, () => new Visitor(port))
    try {
      await until(async () => (await target())?.active === 3, "three clients that are joined")
      // Those that wait break, and those of clients that have said nothing yet.
      far.proxy.cutAll(how)
      await until(async () => {
        const { active = 0, totals } = (await target()) ?? {}
        return active === 3 && totals?.connections === round * 6 + 6
      }, "three that are joined again")
      await Promise.all(clients.map((client) => client.echoes("hello")))
      await Promise.all(clients.map((client) => client.leave()))
    } finally {
      for (const client of clients) client[Symbol.dispose]()
    }
  }
  assert.deepEqual((await balancer.app("a")).endings, { done: 6 })
})
