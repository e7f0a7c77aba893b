import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { test } from "node:test"
import { systemClock } from "../../../base/clock.ts"
import { Hooks } from "./hooks.ts"
import type { HookFacts, HooksOptions } from "./hooks.ts"

const facts: HookFacts = { event: "client-done", swarm: "482713", name: "big.iso", client: "lab-1", durationMs: 1_200 }

function rig(hooks: HooksOptions["hooks"], options: Partial<HooksOptions> = {}) {
  const troubles: string[] = []
  const output: string[] = []
  const all = new Hooks({
    hooks,
    clock: systemClock,
    onTrouble: (text) => troubles.push(text),
    onOutput: (line) => output.push(line),
    againMs: 5,
    ...options,
  })
  return { hooks: all, troubles, output }
}

/** Answers with these statuses, then 200; `none` leaves the request without an answer. */
async function webhook(...statuses: (number | "none")[]) {
  const bodies: Record<string, unknown>[] = []
  const server = createServer((request, answer) => {
    let body = ""
    request.setEncoding("utf8").on("data", (text: string) => (body += text))
    request.on("end", () => {
      bodies.push(JSON.parse(body) as Record<string, unknown>)
      const status = statuses.shift() ?? 200
      if (status !== "none") answer.writeHead(status).end("noted")
    })
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?key=secret`,
    bodies,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, "close")
    },
  }
}

test("a URL gets a POST of the facts, again when it fails, twice at most", async () => {
  await using target = await webhook(503, 500)
  const { hooks, troubles } = rig({ "client-done": [target.url] })
  hooks.tell(facts)
  await hooks.finish(5_000)
  assert.deepEqual(troubles, [])
  assert.equal(target.bodies.length, 3)
  const { at, ...rest } = target.bodies[0] as { at: string }
  assert.deepEqual(rest, facts)
  assert.ok(!Number.isNaN(Date.parse(at)))
})

test("who refuses is not asked again, and the warning keeps the secret of the URL", async () => {
  await using target = await webhook(404)
  const { hooks, troubles } = rig({ "client-done": [target.url] })
  hooks.tell(facts)
  await hooks.finish(5_000)
  assert.equal(target.bodies.length, 1)
  const { origin } = new URL(target.url)
  assert.deepEqual(troubles, [`the hook for client-done, ${origin}, failed: it answered 404`])
})

test("who never answers is given up in time", async () => {
  await using target = await webhook("none", "none", "none")
  const { hooks, troubles } = rig({ "client-done": [target.url] }, { requestMs: 50 })
  hooks.tell(facts)
  await hooks.finish(5_000)
  assert.match(troubles[0] as string, /no answer in time/)
  assert.equal(target.bodies.length, 3)
})

test("nobody there is a warning", async () => {
  const { hooks, troubles } = rig({ failed: ["http://127.0.0.1:1/"] })
  hooks.tell({ event: "failed", swarm: "482713", reason: "disk full" })
  await hooks.finish(5_000)
  assert.equal(troubles.length, 1)
})

test("a command finds the facts in its environment; what it writes is told", async () => {
  const { hooks, troubles, output } = rig({
    "client-done": ['echo "$RDV_SHARE_EVENT $RDV_SHARE_SWARM $RDV_SHARE_CLIENT $RDV_SHARE_DURATION_MS"'],
    "all-done": ["echo wrong >&2; exit 3"],
  })
  hooks.tell(facts)
  hooks.tell({ ...facts, event: "all-done" })
  await hooks.finish(5_000)
  assert.deepEqual(output.toSorted(), ["client-done 482713 lab-1 1200", "wrong"])
  assert.deepEqual(troubles, ['the hook for all-done, "echo wrong >&2; exit 3", failed: it ended with 3'])
})

test("nothing in a fact is run, and the secrets of this process stay here", async (t) => {
  process.env["RDV_SHARE_PASSWORD"] = "correct horse"
  t.after(() => delete process.env["RDV_SHARE_PASSWORD"])
  const name = "$(echo pwned); `echo pwned`\n'\"; echo pwned; #"
  const { hooks, output } = rig({ "client-done": ['echo "$RDV_SHARE_NAME|$RDV_SHARE_PASSWORD|"'] })
  hooks.tell({ ...facts, name })
  await hooks.finish(5_000)
  assert.equal(output.join("\n"), `${name}||`)
  hooks.tell(facts)
  await hooks.finish(5_000)
  assert.equal(output.length, 2)
})

test("a command that hangs ends with all that it started", async () => {
  const { hooks, troubles } = rig({ "client-done": ["sleep 60 | cat"] }, { commandMs: 50 })
  hooks.tell(facts)
  await hooks.finish(5_000)
  assert.match(troubles[0] as string, /took longer/)
})

test("finish waits as long as it may, and what waits is left out", async () => {
  const { hooks, troubles } = rig({ "client-done": ["sleep 60"] })
  for (let at = 0; at < 10; at++) hooks.tell(facts)
  const started = performance.now()
  await hooks.finish(50)
  assert.ok(performance.now() - started < 3_000)
  assert.equal(troubles.length, 4)
})

test("a flood of events is bounded", async () => {
  const { hooks, troubles } = rig({ "client-done": ["sleep 60"] })
  for (let at = 0; at < 2_000; at++) hooks.tell(facts)
  assert.deepEqual(troubles, ["hooks are too slow for what happens: some events were left out"])
  await hooks.finish(0)
})
