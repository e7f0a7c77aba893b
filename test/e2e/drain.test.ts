/** SIGTERM at either side: what runs finishes, what is new is refused in plain words, and the process ends by itself. */

import assert from "node:assert/strict"
import { once } from "node:events"
import * as http from "node:http"
import * as net from "node:net"
import { afterEach, test } from "node:test"
import { chaosOrigin } from "../kit/chaos-origin.ts"
import type { ChaosOrigin } from "../kit/chaos-origin.ts"
import { bodyOf, download, request, smallRequests } from "../kit/chaos-visitors.ts"
import type { VisitorTarget } from "../kit/chaos-visitors.ts"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import type { ChaosProxy } from "../kit/chaos-proxy.ts"
import { silentLog } from "../../src/base/log.ts"
import { startAgent } from "../../src/node.ts"
import { startAgentProcess, startRelayProcess, until } from "../kit/processes.ts"
import type { RelayProcess, TestProcess } from "../kit/processes.ts"

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

interface Course {
  readonly origin: ChaosOrigin
  readonly relay: RelayProcess
  readonly agent: TestProcess
  readonly target: VisitorTarget
  /** Between agent and relay, where it was asked for. */
  readonly proxy: ChaosProxy | undefined
}

async function setUp(drainMs: number, withProxy = false): Promise<Course> {
  const origin = await chaosOrigin()
  cleanUps.push(() => origin.close())
  const relay = await startRelayProcess({ drainMs })
  cleanUps.push(() => relay.kill())
  const proxy = withProxy ? await chaosProxy({ target: { port: relay.port } }) : undefined
  cleanUps.push(() => proxy?.close())
  const agent = await startAgentProcess({
    relay: `127.0.0.1:${(proxy ?? relay).port}`,
    instance: "home",
    drainMs,
    tunnels: [{ kind: "http", target: String(origin.port), name: "course" }],
  })
  cleanUps.push(() => agent.kill())
  return { origin, relay, agent, target: { port: relay.port, host: "course.localhost" }, proxy }
}

const slow = Buffer.from("worth waiting for")

/** A request that is at the service and takes its time. */
async function runningRequest(
  { origin, target }: Course,
  ms: number,
): Promise<Promise<{ status: number; body: string }>[]> {
  const before = origin.counts.get("/echo") ?? 0
  const running = Array.from({ length: 5 }, async () => {
    const response = await request(target, `/echo?ms=${ms}`, { body: slow })
    return { status: response.statusCode as number, body: (await bodyOf(response)).toString() }
  })
  await until(() => (origin.counts.get("/echo") ?? 0) === before + 5, "the requests are at the service")
  return running
}

test("an agent that is told to stop finishes what runs and refuses what is new with 503", async () => {
  const course = await setUp(10_000)
  const { agent, target, relay } = course
  const running = await runningRequest(course, 800)
  const loading = download(target, 32 * 1024 * 1024, () => undefined)
  await until(() => course.origin.counts.get("/download"), "the download runs")
  agent.signal("SIGTERM")
  await agent.event("stopping")
  await until(async () => {
    const response = await request(target, "/")
    await bodyOf(response)
    return response.statusCode === 503 && response.headers["retry-after"] !== undefined
  }, "new requests are refused")
  for (const { status, body } of await Promise.all(running))
    assert.deepEqual({ status, body }, { status: 200, body: String(slow) })
  assert.equal(await loading, course.origin.digests.get(32 * 1024 * 1024))
  assert.equal(await agent.exited, 0)
  await until(async () => (await relay.sessions()).length === 0, "the session has ended in good order", 1_000)
  const after = await request(target, "/")
  await bodyOf(after)
  assert.equal(after.statusCode, 404)
})

test("no request is refused or lost that came before the visitor's side knew of an agent's drain", async () => {
  const course = await setUp(10_000)
  const { agent, target } = course
  const load = smallRequests(target, 50, 5)
  await until(() => load.done > 200, "requests are under way")
  agent.signal("SIGTERM")
  assert.equal(await agent.exited, 0)
  await load.stop()
  const unkind = load.failures.filter((failure) => !/^503|^404/.test(failure))
  assert.deepEqual(unkind, [], "every request gets the service's answer or a refusal")
})

test("a relay that is told to stop finishes what runs, closes what is idle and refuses what is new", async () => {
  const course = await setUp(10_000)
  const { relay, agent, target } = course
  const idle = net.connect(relay.port, "127.0.0.1")
  idle.write("GET / HTTP/1.1\r\nHost: course.localhost\r\n\r\n")
  await once(idle, "data")
  const running = await runningRequest(course, 800)
  const loading = download(target, 32 * 1024 * 1024, () => undefined)
  await until(() => course.origin.counts.get("/download"), "the download runs")
  const stoppedAt = performance.now()
  relay.signal("SIGTERM")
  await once(idle.resume(), "end")
  assert.ok(performance.now() - stoppedAt < 500, "an idle connection is closed at once")
  for (const host of [target.host, "nobody.localhost"]) {
    const refused = await request({ ...target, host }, "/")
    await bodyOf(refused)
    assert.equal(refused.statusCode, 503)
    assert.ok(Number(refused.headers["retry-after"]) > 0)
    assert.equal(refused.headers["connection"], "close")
  }
  await agent.event("draining")
  for (const { status, body } of await Promise.all(running))
    assert.deepEqual({ status, body }, { status: 200, body: String(slow) })
  assert.equal(await loading, course.origin.digests.get(32 * 1024 * 1024))
  assert.equal(await relay.exited, 0)
  assert.ok(performance.now() - stoppedAt < 5_000, "it ends when the last request has, not at the deadline")
  await assert.rejects(request(target, "/"), { code: "ECONNREFUSED" })
})

test("an agent whose link breaks while the relay drains comes back, and what runs finishes; a new agent is refused", async () => {
  const course = await setUp(10_000, true)
  const { relay, agent, target, proxy } = course
  const running = await runningRequest(course, 1_500)
  const loading = download(target, 32 * 1024 * 1024, () => undefined)
  await until(() => course.origin.counts.get("/download"), "the download runs")
  relay.signal("SIGTERM")
  await agent.event("draining")
  const from = agent.events.length
  proxy?.cutAll("rst")
  assert.equal((await agent.event("up", { from }))["again"], true)

  const refused = Promise.withResolvers<string>()
  const stranger = startAgent({
    relay: `127.0.0.1:${relay.port}`,
    log: silentLog,
    onEvent: (event) => {
      if (event.kind === "retry") refused.resolve(event.error.code)
    },
  })
  assert.equal(await refused.promise, "draining")
  await stranger.stop()

  for (const { status, body } of await Promise.all(running))
    assert.deepEqual({ status, body }, { status: 200, body: String(slow) })
  assert.equal(await loading, course.origin.digests.get(32 * 1024 * 1024))
  const doneAt = performance.now()
  assert.equal(await relay.exited, 0)
  assert.ok(performance.now() - doneAt < 2_000, "it ends when the last request has, not at the deadline")
})

test("a drain does not wait for a peer that is gone and has nothing to come back for", async () => {
  for (const gone of ["agent", "relay"] as const) {
    const course = await setUp(10_000)
    const [left, stays] = gone === "agent" ? [course.agent, course.relay] : [course.relay, course.agent]
    left.signal("SIGKILL")
    await left.exited
    await until(async () => (await stays.sessions())[0]?.state === "suspended", "the link is lost")
    const stoppedAt = performance.now()
    stays.signal("SIGTERM")
    assert.equal(await stays.exited, 0)
    assert.ok(performance.now() - stoppedAt < 4_000, `the ${gone} is gone`)
  }
})

test("a connection that is kept alive by requests is closed behind the one that runs", async () => {
  const course = await setUp(10_000)
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const target = { ...course.target, agent }
  await bodyOf(await request(target, "/"))
  const last = request(target, "/echo?ms=500", { body: slow })
  await until(() => course.origin.counts.get("/echo"), "the request is at the service")
  course.relay.signal("SIGTERM")
  assert.equal((await bodyOf(await last)).toString(), String(slow))
  assert.equal(await course.relay.exited, 0)
  agent.destroy()
})

test("what does not end by itself is cut at the deadline", async () => {
  const course = await setUp(700)
  const events = await request(course.target, "/events?every=50")
  const ended = bodyOf(events).then(
    () => "whole",
    () => "cut",
  )
  const stoppedAt = performance.now()
  course.relay.signal("SIGTERM")
  assert.equal(await course.relay.exited, 0)
  const tookMs = performance.now() - stoppedAt
  assert.ok(tookMs >= 600 && tookMs < 2_500, `took ${tookMs.toFixed(0)} ms`)
  assert.equal(await ended, "cut", "an answer that was broken off does not look complete")
})

test("a restart of the relay costs visitors at most the requests that crossed the end of a connection or of the port", async (t) => {
  const course = await setUp(5_000)
  const load = smallRequests(course.target, 20, 20)
  await until(() => load.done > 100, "requests are under way")
  const from = course.agent.events.length
  course.relay.signal("SIGTERM")
  assert.equal(await course.relay.exited, 0)
  const again = await startRelayProcess({ port: course.relay.port })
  cleanUps.push(() => again.kill())
  await course.agent.event("exposed", { from })
  const before = load.done
  await until(() => load.done > before + 100, "requests are answered again")
  await load.stop()
  const unkind = load.failures.filter((failure) => !/ECONNREFUSED|^503|^404/.test(failure))
  // RFC 9112 section 9.5: such a request was never begun, and its sender sees that no answer came.
  const crossed = unkind.filter((failure) => /socket hang up|ECONNRESET|EPIPE/.test(failure))
  t.diagnostic(`${crossed.length} connections of 20 visitors ended under a request that was on its way`)
  assert.deepEqual(unkind.slice(crossed.length), [])
  // A kept connection at the begin of the drain, and one that the kernel had taken when the port was closed behind it.
  assert.ok(crossed.length <= 2 * 20, "two for each visitor")
})
