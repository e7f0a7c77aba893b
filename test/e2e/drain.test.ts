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
}

async function setUp(drainMs: number): Promise<Course> {
  const origin = await chaosOrigin()
  cleanUps.push(() => origin.close())
  const relay = await startRelayProcess({ drainMs })
  cleanUps.push(() => relay.kill())
  const agent = await startAgentProcess({
    relay: `127.0.0.1:${relay.port}`,
    instance: "home",
    drainMs,
    tunnels: [{ kind: "http", target: String(origin.port), name: "course" }],
  })
  cleanUps.push(() => agent.kill())
  return { origin, relay, agent, target: { port: relay.port, host: "course.localhost" } }
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

test("a relay that is told to stop finishes what runs, closes what is idle and takes no connections", async () => {
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
  await assert.rejects(request(target, "/"), { code: "ECONNREFUSED" })
  await agent.event("draining")
  for (const { status, body } of await Promise.all(running))
    assert.deepEqual({ status, body }, { status: 200, body: String(slow) })
  assert.equal(await loading, course.origin.digests.get(32 * 1024 * 1024))
  assert.equal(await relay.exited, 0)
  assert.ok(performance.now() - stoppedAt < 5_000, "it ends when the last request has, not at the deadline")
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

test("a restart of the relay costs visitors at most the request that crossed the end of an idle connection", async (t) => {
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
  t.diagnostic(`${crossed.length} of 20 connections ended under a request that was on its way`)
  assert.deepEqual(unkind.slice(crossed.length), [])
  assert.ok(crossed.length <= 20, "one for each kept connection")
})
