/** A network that is away for some seconds and comes back with the same addresses: nothing tells the agent but an answer. */

import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { afterEach, test } from "node:test"
import { chaosOrigin } from "../kit/chaos-origin.ts"
import { bodyOf, request } from "../kit/chaos-visitors.ts"
import { startAgentProcess, startRelayProcess } from "../kit/processes.ts"

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

const ip = (...args: string[]) => execFileSync("ip", args, { stdio: ["ignore", "ignore", "ignore"] })

interface Wire {
  readonly namespace: string
  readonly here: string
  /** Whether answers from here find the way there; what is sent here arrives all the same, and is lost. */
  answer(on: boolean): void
}

function wire(): Wire | undefined {
  const namespace = `rdvo${process.pid}`
  const name = `rdvo${process.pid}`
  try {
    ip("netns", "add", namespace)
  } catch {
    return undefined
  }
  cleanUps.push(() => ip("netns", "del", namespace))
  ip("link", "add", name, "type", "veth", "peer", "name", `${name}p`, "netns", namespace)
  ip("addr", "add", "10.213.3.1/30", "dev", name)
  ip("link", "set", name, "up")
  ip("-n", namespace, "addr", "add", "10.213.3.2/30", "dev", `${name}p`)
  ip("-n", namespace, "link", "set", `${name}p`, "up")
  // Kernels since 6.5 ask four times at intervals of a second first; this one shall be like the others.
  execFileSync("ip", ["netns", "exec", namespace, "sh", "-c", `echo 0 > ${linear} || true`], { stdio: "ignore" })
  const far = "10.213.3.2/32"
  let answers = true
  const answer = (on: boolean) => {
    if (on !== answers) ip("route", on ? "del" : "add", "blackhole", far)
    answers = on
  }
  cleanUps.push(() => answer(true))
  return { namespace, here: "10.213.3.1", answer }
}

const linear = "/proc/sys/net/ipv4/tcp_syn_linear_timeouts"

test("a network that is back is used within a second, however long it was away", { timeout: 60_000 }, async (t) => {
  const between = process.platform === "linux" && process.getuid?.() === 0 ? wire() : undefined
  if (between === undefined) {
    t.skip("needs root and network namespaces")
    return
  }
  const origin = await chaosOrigin()
  cleanUps.push(() => origin.close())
  const limits = { deadAfterMs: 1_000 }
  const relay = await startRelayProcess({ listen: ["0.0.0.0:0"], sessionLimits: limits })
  cleanUps.push(() => relay.kill())
  const agent = await startAgentProcess(
    {
      relay: `${between.here}:${relay.port}`,
      limits,
      tunnels: [{ kind: "http", target: "127.0.0.1:1", name: "course" }],
    },
    ["ip", "netns", "exec", between.namespace],
  )
  cleanUps.push(() => agent.kill())
  const took: number[] = []
  // A kernel asks 1, 3 and 7 s after its first question: the worst moments to come back are just behind these.
  for (const awayMs of [1_200, 3_200]) {
    const from = agent.events.length
    between.answer(false)
    await agent.event("down", { from })
    await new Promise((resolve) => setTimeout(resolve, awayMs))
    between.answer(true)
    const backAt = performance.now()
    await agent.event("up", { from })
    took.push(performance.now() - backAt)
  }
  t.diagnostic(`used ${took.map((ms) => ms.toFixed(0)).join(", ")} ms after it was back`)
  assert.ok(Math.max(...took) < 1_500)
  const [session] = await relay.sessions()
  assert.equal(session?.resumes, took.length, "the same session all the time")
  const answer = await request({ port: relay.port, host: "course.localhost" }, "/")
  await bodyOf(answer)
  assert.equal(answer.statusCode, 502, "the agent answers that its service is down")
})
