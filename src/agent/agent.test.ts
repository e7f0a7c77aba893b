import assert from "node:assert/strict"
import { once } from "node:events"
import * as net from "node:net"
import { test } from "node:test"
import { eventually } from "../../test/kit/raw-http.ts"
import { silentLog } from "../base/log.ts"
import type { AcceptOptions } from "../host/host.ts"
import { startAgent, startRelay } from "../node.ts"

test("what the relay refuses for a reason that may pass is announced again, and nothing else", async (t) => {
  const relay = await startRelay({ listen: ["127.0.0.1:0"], store: ":memory:", open: true, log: silentLog })
  t.after(() => relay.stop())
  const [address] = relay.addresses
  assert.ok(address !== undefined && "port" in address)
  const { agent, stop } = startAgent({ relay: `127.0.0.1:${address.port}`, log: silentLog })
  t.after(() => stop())
  const busy = net.createServer().listen(0, "127.0.0.1")
  await once(busy, "listening")
  const { port } = busy.address() as net.AddressInfo

  const told: string[] = []
  const note = (service: string): AcceptOptions => ({
    onExposed: ({ name }) => void told.push(`${service} exposed ${name}`),
    onDelayed: (error) => void told.push(`${service} delayed ${(error as Error & { code: string }).code}`),
    onRefused: (error) => void told.push(`${service} refused ${(error as Error & { code: string }).code}`),
  })
  agent.accept("tcp/x", () => undefined, { ...note("tcp"), expose: { kind: "tcp", port } })
  agent.accept("http/x", () => undefined, { ...note("http"), expose: { kind: "http", name: "admin" } })
  await eventually("both are refused", () => told.length === 2)
  assert.deepEqual(told.toSorted(), ["http refused usage", "tcp delayed in_use"])
  const services = agent.status()["services"] as unknown as { delayed: { code: string; retryMs: number } | null }[]
  assert.deepEqual([services[0]?.delayed?.code, services[1]?.delayed], ["in_use", null])
  assert.ok((services[0]?.delayed?.retryMs as number) <= 1_000)
  const waiting = relay.relay.status()["delayed"] as unknown as { name: string; code: string }[]
  assert.deepEqual(
    waiting.map(({ name, code }) => [name, code]),
    [[String(port), "in_use"]],
  )
  busy.close()
  await once(busy, "close")
  await eventually("the port is announced again", () => told.length === 3)
  assert.equal(told[2], `tcp exposed ${port}`)
  assert.deepEqual(relay.relay.status()["delayed"], [])
  const [service] = agent.status()["services"] as unknown as { delayed: unknown }[]
  assert.equal(service?.delayed, null)
})
