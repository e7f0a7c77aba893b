/**
 * Processes that die without a word and come back: names go home at once, to their owner and to nobody else.
 */

import assert from "node:assert/strict"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, test } from "node:test"
import { systemClock } from "../../src/base/clock.ts"
import { silentLog } from "../../src/base/log.ts"
import { startAgent, startRelay, startTunnel } from "../../src/node.ts"
import { openSqliteStore } from "../../src/store/sqlite-store.ts"
import { chaosOrigin } from "../kit/chaos-origin.ts"
import type { ChaosOrigin } from "../kit/chaos-origin.ts"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import { bodyOf, request } from "../kit/chaos-visitors.ts"
import { httpOrigin } from "../kit/origin.ts"
import { startAgentProcess, startRelayProcess, until } from "../kit/processes.ts"
import type { TestProcess } from "../kit/processes.ts"
import { eventually } from "../kit/raw-http.ts"

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

function owned<T extends TestProcess>(process: T): T {
  cleanUps.push(() => process.kill())
  return process
}

async function origin(): Promise<ChaosOrigin> {
  const started = await chaosOrigin()
  cleanUps.push(() => started.close())
  return started
}

/** A database with two tokens; the relay process opens it. */
function storeWithTokens(): { path: string; ours: string; theirs: string } {
  const folder = mkdtempSync(join(tmpdir(), "rdv-takeover-"))
  cleanUps.push(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, "relay.db")
  const store = openSqliteStore({ path, clock: systemClock, log: silentLog })
  const ours = store.createToken({ name: "ours" }).token
  const theirs = store.createToken({ name: "theirs" }).token
  store.close()
  return { path, ours, theirs }
}

async function answers(port: number, host: string): Promise<boolean> {
  const response = await request({ port, host }, "/").catch(() => undefined)
  if (response === undefined) return false
  await bodyOf(response)
  return response.statusCode === 200
}

async function refusal(process: TestProcess): Promise<unknown> {
  return (await process.event(({ event }) => event === "refused")).code
}

for (const owner of ["a token", "an anonymous installation"] as const) {
  for (const silent of [false, true]) {
    const how = silent ? "while the relay still takes its link for alive" : "at once"
    test(`the route of ${owner} is back ${how} when its killed agent starts again`, async (t) => {
      const local = await origin()
      const store = storeWithTokens()
      const relay = owned(await startRelayProcess({ store: store.path, open: true }))
      const proxy = await chaosProxy({ target: { port: relay.port } })
      cleanUps.push(() => proxy.close())
      const who = owner === "a token" ? { token: store.ours, instance: "home" } : { instance: "home" }
      const settings = {
        relay: `127.0.0.1:${proxy.port}`,
        ...who,
        tunnels: [{ kind: "http", target: String(local.port), name: "mine" }],
      } as const
      const first = owned(await startAgentProcess(settings))
      assert.ok(await answers(relay.port, "mine.localhost"))
      const waiting = request({ port: relay.port, host: "mine.localhost" }, "/echo?ms=60000", {
        body: Buffer.from("x"),
      })
      await until(() => local.counts.get("/echo"), "the request is at the service")

      if (silent) proxy.blackHole(true)
      await first.kill()
      const restartedAt = performance.now()
      const second = owned(await startAgentProcess(settings))
      const [ready, exposed] = ["ready", "exposed"].map((name) => second.events.find(({ event }) => event === name))
      await until(() => answers(relay.port, "mine.localhost"), "the route is back", 1_000)
      const namedMs = (exposed?.at ?? Infinity) - (ready?.at ?? 0)
      t.diagnostic(
        `back ${(performance.now() - restartedAt).toFixed(0)} ms after the start of the process, ` +
          `${namedMs.toFixed(0)} ms after it was ready to dial`,
      )
      // Node's own start takes its time where everything runs at once; ours does not.
      assert.ok(namedMs < 500)
      assert.equal(exposed?.["name"], "mine")

      if (silent) proxy.cutAll("rst")
      const left = await waiting
      assert.equal(left.statusCode, 503, "a visitor of the dead agent is told, and does not wait for the grace time")
      assert.equal(left.headers["retry-after"], "1")
      await until(async () => (await relay.sessions()).length === 1, "the dead session is gone")
    })
  }
}

test("nobody else gets a name that is claimed or in use, and its owner gets it back", async () => {
  const local = await origin()
  const store = storeWithTokens()
  const relay = owned(await startRelayProcess({ store: store.path, open: true }))
  const settings = {
    relay: `127.0.0.1:${relay.port}`,
    tunnels: [{ kind: "http", target: String(local.port), name: "mine" }],
  } as const
  const first = owned(await startAgentProcess({ ...settings, token: store.ours, instance: "home" }))
  await first.kill()
  const thief = owned(await startAgentProcess({ ...settings, token: store.theirs, instance: "home" }))
  assert.equal(await refusal(thief), "claimed")
  const stranger = owned(await startAgentProcess({ ...settings, instance: "home" }))
  assert.equal(await refusal(stranger), "claimed")
  const second = owned(await startAgentProcess({ ...settings, token: store.ours, instance: "elsewhere" }))
  assert.equal(second.events.find(({ event }) => event === "exposed")?.["name"], "mine")
})

test("anonymous agents keep their names from each other, also those that do not say where they come from", async () => {
  const local = await origin()
  const relay = owned(await startRelayProcess())
  const settings = {
    relay: `127.0.0.1:${relay.port}`,
    tunnels: [{ kind: "http", target: String(local.port), name: "mine" }],
  } as const
  const nobody = owned(await startAgentProcess(settings))
  for (const instance of [undefined, "home"]) {
    const other = owned(await startAgentProcess({ ...settings, ...(instance !== undefined && { instance }) }))
    assert.equal(await refusal(other), "claimed")
    await other.kill()
  }
  await nobody.kill()
})

test("a killed relay that starts again has its agents and their names back within 1.5 s", async (t) => {
  const local = await origin()
  const store = storeWithTokens()
  let relay = owned(await startRelayProcess({ store: store.path, open: true }))
  const { port } = relay
  const common = { relay: `127.0.0.1:${port}` }
  const target = String(local.port)
  const agents = [
    owned(await startAgentProcess({ ...common, token: store.ours, tunnels: [{ kind: "http", target, name: "mine" }] })),
    owned(await startAgentProcess({ ...common, instance: "home", tunnels: [{ kind: "http", target }] })),
    owned(await startAgentProcess({ ...common, instance: "office", tunnels: [{ kind: "tcp", target }] })),
  ]
  const names = agents.map(({ events }) => events.find(({ event }) => event === "exposed")?.["name"])
  assert.equal(names[0], "mine")
  await relay.kill()
  // Long enough for the pauses between the agents' attempts to reach their full length.
  await Promise.all(
    agents.map((agent) =>
      until(() => agent.events.filter(({ event }) => event === "retry").length >= 6, "the agents try again", 10_000),
    ),
  )
  const from = agents.map(({ events }) => events.length)
  relay = owned(await startRelayProcess({ store: store.path, open: true, port }))
  const listeningAt = performance.now()
  const back = await Promise.all(agents.map((agent, at) => agent.event("exposed", { from: from[at] as number })))
  const tookMs = performance.now() - listeningAt
  t.diagnostic(`all back ${tookMs.toFixed(0)} ms after the relay listened again`)
  assert.ok(tookMs < 1_500)
  assert.deepEqual(
    back.map(({ name }) => name),
    names,
  )
  assert.ok(await answers(port, "mine.localhost"))
})

test("a TCP port passes to the owner's newer session and stays open", async () => {
  const echo = net.createServer((socket) => socket.on("error", () => undefined).pipe(socket)).listen(0, "127.0.0.1")
  cleanUps.push(() => echo.close())
  await once(echo, "listening")
  const relay = owned(await startRelayProcess())
  const settings = {
    relay: `127.0.0.1:${relay.port}`,
    instance: "home",
    tunnels: [{ kind: "tcp", target: `127.0.0.1:${(echo.address() as net.AddressInfo).port}` }],
  } as const
  let port: unknown
  for (let start = 0; start < 3; start++) {
    const agent = owned(await startAgentProcess(settings))
    const exposed = agent.events.find(({ event }) => event === "exposed")
    port ??= exposed?.["name"]
    assert.equal(exposed?.["name"], port, "the port stays the same")
    const socket = net.connect(Number(port), "127.0.0.1")
    socket.write("hello")
    const [bytes] = (await once(socket, "data")) as [Buffer]
    assert.equal(String(bytes), "hello")
    socket.destroy()
    await agent.kill()
  }
})

test("who gave its only name to another agent of its installation, and serves something else since, comes back from a cut", async () => {
  const service = await httpOrigin()
  cleanUps.push(() => service[Symbol.asyncDispose]())
  const relay = await startRelay({ listen: ["127.0.0.1:0"], store: ":memory:", open: true, log: silentLog })
  cleanUps.push(() => relay.stop())
  const { port } = relay.addresses[0] as { port: number }
  const line = await chaosProxy({ target: { port } })
  cleanUps.push(() => line.close())
  const start = (by: number) => {
    const { agent, stop } = startAgent({ relay: `127.0.0.1:${by}`, instance: "home", log: silentLog })
    cleanUps.push(() => stop())
    const serve = (name: string) =>
      new Promise<void>((onExposed, onRefused) => {
        const settings = { kind: "http", target: service.target, name } as const
        startTunnel(agent, settings, { onExposed: () => onExposed(), onRefused: () => undefined }).catch(onRefused)
      })
    return { agent, serve }
  }
  const first = start(line.port)
  await first.serve("blog")
  await start(port).serve("blog")
  await first.serve("shop")
  const session = () => (first.agent.status()["session"] as { id: string; resumes: number } | null) ?? undefined
  const before = session()
  line.cutAll("rst")
  await eventually("it is back", () => session()?.resumes === 1 || session()?.id !== before?.id)
  assert.equal(session()?.id, before?.id)
})
