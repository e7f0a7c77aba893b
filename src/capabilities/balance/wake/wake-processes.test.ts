/** Wakers with real programs: web servers of Node and Python, shells, webhooks. */

import assert from "node:assert/strict"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer as createHttpServer } from "node:http"
import { connect, createServer } from "node:net"
import type { AddressInfo, Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { until } from "../../../../test/kit/processes.ts"
import { systemClock } from "../../../base/clock.ts"
import type { RdvError } from "../../../base/error.ts"
import type { Log, LogFields } from "../../../base/log.ts"
import { defaultTarget } from "../config/defaults.ts"
import type { TargetSettings, WakeSettings } from "../config/settings.ts"
import { Target } from "../target/target.ts"
import { Waker } from "./waker.ts"

const never = new AbortController().signal
const node = process.execPath
const folder = mkdtempSync(join(tmpdir(), "rdv-wake-"))
const wakers = new Set<Waker>()

// Timers of the clock do not keep a process alive, and here nothing else does.
const alive = setInterval(() => undefined, 1_000)

after(async () => {
  for (const waker of wakers) await waker.stop()
  rmSync(folder, { recursive: true })
  clearInterval(alive)
})

/** Says its pid over HTTP; `PORT`, and `SLOW`: 503 for so long, ms. It ignores SIGTERM with `STUBBORN`. */
const webServer = `
const started = Date.now()
if (process.env.STUBBORN) process.on("SIGTERM", () => console.error("no"))
require("node:http").createServer((request, response) => {
  response.statusCode = Date.now() - started < Number(process.env.SLOW ?? 0) ? 503 : 200
  response.end(String(process.pid))
}).listen(Number(process.env.PORT), "127.0.0.1", () => console.log("listening"))
`

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return port
}

interface Woken {
  readonly port: number
  readonly target: Target
  readonly waker: Waker
  readonly log: { readonly event: string; readonly fields: LogFields }[]
}

async function sleeping(how: (port: number) => Partial<WakeSettings>, clock = systemClock): Promise<Woken> {
  const port = await freePort()
  const settings: TargetSettings = {
    address: { kind: "tcp", host: "127.0.0.1", port },
    ...defaultTarget,
  }
  const target = new Target(settings, clock)
  const lines: { event: string; fields: LogFields }[] = []
  const add = (event: string, fields: LogFields = {}) => void lines.push({ event, fields })
  const log: Log = { debug() {}, info: add, warn: add, error: add, with: () => log }
  const defaults: WakeSettings = {
    how: { kind: "process", command: [node, "-e", webServer], cwd: undefined },
    env: { PORT: String(port) },
    ready: { kind: "tcp" },
    idleMs: 60_000,
    timeoutMs: 10_000,
    stopMs: 2_000,
    queue: 1_000,
  }
  const waker = new Waker({ target, settings: { ...defaults, ...how(port) }, clock, log })
  wakers.add(waker)
  return { port, target, waker, log: lines }
}

/** What a client does: waits until it is ready, connects, asks, and leaves. Resolves with the answer's body. */
async function visit({ waker, port }: Woken): Promise<string> {
  await waker.ready(never)
  const socket = connect(port, "127.0.0.1")
  await once(socket, "connect")
  waker.busy()
  let answer = ""
  socket.setEncoding("latin1").on("data", (chunk: string) => (answer += chunk))
  socket.write("GET / HTTP/1.0\r\n\r\n")
  await once(socket, "close")
  waker.idle()
  return answer.slice(answer.indexOf("\r\n\r\n") + 4)
}

async function timed<T>(task: () => Promise<T>): Promise<{ ms: number; value: T }> {
  const start = performance.now()
  const value = await task()
  return { ms: performance.now() - start, value }
}

/** Rejections as values. */
function outcome(waker: Waker): Promise<RdvError | undefined> {
  return waker.ready(never).then(
    () => undefined,
    (error: RdvError) => error,
  )
}

function refuses(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy()
      resolve(false)
    }).on("error", () => resolve(true))
  })
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  // One that has ended and was not noticed by its parent does not run.
  return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
}

test("a herd of 200 clients starts a Node web server once; each gets its answer, later ones at once", async (t) => {
  const woken = await sleeping(() => ({}))
  const herd = await timed(() => Promise.all(Array.from({ length: 200 }, () => visit(woken))))
  assert.equal(new Set(herd.value).size, 1)
  assert.equal(woken.target.totals.wakes, 1)
  const later: number[] = []
  for (let round = 0; round < 20; round++) later.push((await timed(() => visit(woken))).ms)
  const ready = woken.log.find(({ event }) => event === "wake.ready")?.fields["ms"] as number
  t.diagnostic(
    `node: ready after ${ready.toFixed(0)} ms, herd of 200 served after ${herd.ms.toFixed(0)} ms, ` +
      `later requests ${later.toSorted((a, b) => a - b)[10]?.toFixed(2)} ms (median)`,
  )
  await woken.waker.stop()
  assert.ok(!runs(Number(herd.value[0])))
})

test("a Python web server is started for the first request and stopped when idle, again and again", async (t) => {
  const python = spawnSync("python3", ["-c", "print(1)"]).status === 0
  if (!python) {
    t.skip("there is no python3")
    return
  }
  const woken = await sleeping((port) => ({
    how: {
      kind: "process",
      command: ["python3", "-m", "http.server", "--bind", "127.0.0.1", String(port)],
      cwd: folder,
    },
    ready: { kind: "http", path: "/" },
    idleMs: 100,
  }))
  for (let round = 1; round <= 2; round++) {
    const first = await timed(() => visit(woken))
    const second = await timed(() => visit(woken))
    assert.match(first.value, /Directory listing/)
    t.diagnostic(`python3, round ${round}: first request ${first.ms.toFixed(0)} ms, second ${second.ms.toFixed(1)} ms`)
    await until(() => woken.waker.state === "asleep", "it is stopped")
    assert.equal(woken.target.totals.wakes, round)
  }
  assert.ok(woken.log.some(({ event, fields }) => event === "wake.output" && /GET \//.test(String(fields["line"]))))
})

test("a program that ends at its start refuses the whole herd with its own words, and the next callers at once", async () => {
  const script = 'console.error("cannot read\\u0007 settings"); process.exit(3)'
  const woken = await sleeping(() => ({ how: { kind: "process", command: [node, "-e", script], cwd: undefined } }))
  const errors = await Promise.all(Array.from({ length: 50 }, () => outcome(woken.waker)))
  const text = `127.0.0.1:${woken.port} could not be started: it ended with code 3 (it said: "cannot read settings")`
  assert.ok(errors.every((error) => error?.code === "unreachable" && error.message === text))
  const quick = await timed(() => outcome(woken.waker))
  assert.match(quick.value?.message ?? "", /; it is not tried again for 1 s$/)
  assert.ok(quick.ms < 20, `${quick.ms} ms`)
  assert.equal(woken.target.totals.wakes, 1)
  await until(() => woken.waker.state === "asleep", "the back-off is over")
  assert.equal((await outcome(woken.waker))?.message, text)
  assert.equal(woken.target.totals.wakes, 2)
})

test("with an HTTP probe nobody is let in before the program is really ready", async () => {
  const woken = await sleeping((port) => ({
    env: { PORT: String(port), SLOW: "300" },
    ready: { kind: "http", path: "/health" },
  }))
  const { ms } = await timed(() => visit(woken))
  assert.ok(ms >= 300, `${ms} ms`)
  await woken.waker.stop()
})

test("a program that is killed is started again for the next client", async () => {
  const woken = await sleeping(() => ({}))
  const first = Number(await visit(woken))
  process.kill(first, "SIGKILL")
  await until(() => woken.waker.state === "asleep", "the death is noticed")
  const second = Number(await visit(woken))
  assert.notEqual(first, second)
  assert.ok(woken.log.some(({ fields }) => fields["reason"] === 'it was ended by SIGKILL (it said: "listening")'))
  await woken.waker.stop()
})

test("a start that never gets ready ends with a time-out, and nothing of it stays", async () => {
  const pids = join(folder, "never-ready")
  const command = ["sh", "-c", `echo $$ > ${pids}; sleep 60 & echo $! >> ${pids}; wait`]
  const woken = await sleeping(() => ({ how: { kind: "process", command, cwd: undefined }, timeoutMs: 300 }))
  const error = await outcome(woken.waker)
  assert.equal(error?.code, "timeout")
  assert.match(error?.message ?? "", /was not ready within 300 ms: connect ECONNREFUSED/)
  await until(() => woken.waker.state === "failed", "it is stopped")
  for (const pid of readFileSync(pids, "latin1").trim().split("\n")) assert.ok(!runs(Number(pid)))
})

test("what ignores SIGTERM is killed when its time is over", async () => {
  const woken = await sleeping((port) => ({ env: { PORT: String(port), STUBBORN: "1" }, stopMs: 300 }))
  const pid = Number(await visit(woken))
  const { ms } = await timed(() => woken.waker.stop())
  assert.ok(ms >= 300 && ms < 1_500, `${ms} ms`)
  assert.ok(!runs(pid))
  assert.ok(woken.log.some(({ event }) => event === "wake.killed"))
})

test("a child of the program gets its time to end in good order, although the program itself ends at once", async () => {
  const said = join(folder, "good-order")
  const child = `
    process.on("SIGTERM", () => setTimeout(() => { require("node:fs").writeFileSync("${said}", "done"); process.exit() }, 200))
    ${webServer}`
  const script = `require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(child)}], { stdio: "inherit" })`
  const woken = await sleeping(() => ({ how: { kind: "process", command: [node, "-e", script], cwd: undefined } }))
  await visit(woken)
  await woken.waker.stop()
  assert.equal(readFileSync(said, "latin1"), "done")
})

test("a program that runs already is used, and left alone at the end", async () => {
  const woken = await sleeping(() => ({}))
  const server = createServer((socket) => socket.end()).listen(woken.port, "127.0.0.1")
  await once(server, "listening")
  await woken.waker.ready(never)
  assert.equal(woken.waker.state, "ready")
  await woken.waker.stop()
  assert.ok(server.listening)
  assert.equal(woken.target.totals.wakes, 0)
  server.close()
})

test("a program or folder that does not exist is named", async () => {
  const missing = await sleeping(() => ({ how: { kind: "process", command: ["no-such-program"], cwd: undefined } }))
  assert.match(
    (await outcome(missing.waker))?.message ?? "",
    /could not be started: there is no program no-such-program$/,
  )
  const lost = await sleeping(() => ({ how: { kind: "process", command: [node], cwd: "/no/such/folder" } }))
  assert.match((await outcome(lost.waker))?.message ?? "", /there is no folder \/no\/such\/folder$/)
})

test("a program gets the variables of its settings, and not our token", async () => {
  const before = process.env["RDV_TOKEN"]
  process.env["RDV_TOKEN"] = "secret"
  try {
    const script =
      "const { RDV_TOKEN, COLOUR, PATH } = process.env; console.error(RDV_TOKEN, COLOUR, PATH !== undefined)"
    const woken = await sleeping(() => ({
      how: { kind: "process", command: [node, "-e", script], cwd: undefined },
      env: { COLOUR: "red" },
    }))
    assert.match((await outcome(woken.waker))?.message ?? "", /it said: "undefined red true"/)
  } finally {
    if (before === undefined) delete process.env["RDV_TOKEN"]
    else process.env["RDV_TOKEN"] = before
  }
})

test("when the balancer is killed, what it had started ends too", async () => {
  const port = await freePort()
  const waker = new URL("waker.ts", import.meta.url).href
  const base = new URL("../../../base/", import.meta.url).href
  const target = new URL("../target/target.ts", import.meta.url).href
  const script = join(folder, "balancer.mjs")
  writeFileSync(
    script,
    `import { Waker } from ${JSON.stringify(waker)}
     import { systemClock } from ${JSON.stringify(`${base}clock.ts`)}
     import { silentLog } from ${JSON.stringify(`${base}log.ts`)}
     import { Target } from ${JSON.stringify(target)}
     const address = { kind: "tcp", host: "127.0.0.1", port: ${port} }
     const how = { kind: "process", command: ${JSON.stringify([node, "-e", webServer])} }
     const env = { PORT: "${port}", STUBBORN: "1" }
     const settings = { how, env, ready: { kind: "tcp" }, idleMs: 60000, timeoutMs: 10000, stopMs: 300, queue: 10 }
     const made = new Waker({ target: new Target({ address }, systemClock), settings, clock: systemClock, log: silentLog })
     setInterval(() => {}, 1000)
     await made.ready(new AbortController().signal)
     console.log(await (await fetch("http://127.0.0.1:${port}/")).text())`,
  )
  const balancer = spawn(node, [script], { stdio: ["ignore", "pipe", "inherit"] })
  const [said] = (await once(balancer.stdout, "data")) as [Buffer]
  const pid = Number(said.toString("latin1"))
  assert.ok(runs(pid))
  balancer.kill("SIGKILL")
  await once(balancer, "exit")
  const { ms } = await timed(() => until(() => !runs(pid), "the woken program has ended"))
  assert.ok(ms < 3_000, `${ms} ms`)
})

test("a pair of commands starts and stops what runs on without them", async () => {
  const pidFile = join(folder, "pair")
  writeFileSync(join(folder, "server.cjs"), webServer)
  const start = `${node} ${join(folder, "server.cjs")} & echo $! > ${pidFile}`
  const woken = await sleeping(() => ({
    how: { kind: "commands", start: ["sh", "-c", start], stop: ["sh", "-c", `kill $(cat ${pidFile})`] },
    idleMs: 100,
  }))
  const pid = Number(await visit(woken))
  assert.equal(pid, Number(readFileSync(pidFile, "latin1")))
  await until(() => woken.waker.state === "asleep", "it is stopped")
  assert.ok(!runs(pid))
  // It ends without a word to us; the next dial notices.
  const again = Number(await visit(woken))
  woken.waker.busy()
  process.kill(again, "SIGKILL")
  await until(() => refuses(woken.port), "it is gone")
  woken.waker.refused()
  woken.waker.idle()
  const third = Number(await visit(woken))
  assert.notEqual(third, again)
  await woken.waker.stop()
  await until(() => !runs(third), "the stop command was run")
})

test("a start command that fails or does not end is told with what it said", async () => {
  const failing = await sleeping(() => ({
    how: { kind: "commands", start: ["sh", "-c", "echo no such container >&2; exit 4"], stop: undefined },
  }))
  assert.match(
    (await outcome(failing.waker))?.message ?? "",
    /could not be started: the start command ended with code 4 \(it said: "no such container"\)$/,
  )
  const endless = await sleeping(() => ({
    how: { kind: "commands", start: ["sleep", "60"], stop: undefined },
    timeoutMs: 200,
  }))
  assert.match((await outcome(endless.waker))?.message ?? "", /was not ready within 200 ms: its start was not over$/)
  await until(() => endless.waker.state === "failed", "the command is over")
})

/** What listens to webhooks: `/on` makes the target answer, `/off` ends that, `/hang` never answers. */
async function hookServer(portOf: () => number): Promise<{ url: string; asked: unknown[]; close: () => void }> {
  const asked: unknown[] = []
  let machine: Server | undefined
  const server = createHttpServer((request, response) => {
    let body = ""
    request.on("data", (chunk: Buffer) => (body += chunk.toString()))
    request.on("end", () => {
      const { method, url, headers } = request
      asked.push([method, url, headers.authorization, JSON.parse(body)])
      if (url?.startsWith("/on"))
        machine = createServer((socket) => void socket.once("data", () => socket.end("\r\n\r\nhello"))).listen(
          portOf(),
          "127.0.0.1",
        )
      else if (url === "/off") machine?.close()
      else if (url?.startsWith("/hang") === true) return
      response.writeHead(url === "/no" ? 503 : 202).end("well")
    })
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  const close = () => {
    machine?.close()
    server.closeAllConnections()
    server.close()
  }
  return { url: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked, close }
}

test("webhooks start and stop a machine elsewhere", async () => {
  let port = 0
  const hooks = await hookServer(() => port)
  const how = {
    kind: "hooks",
    start: `http://me:secret@${hooks.url}/on?key=1`,
    stop: `http://${hooks.url}/off`,
  } as const
  const woken = await sleeping(() => ({ how, idleMs: 50 }))
  port = woken.port
  const target = `127.0.0.1:${port}`
  assert.equal(await visit(woken), "hello")
  await until(() => woken.waker.state === "asleep", "it is stopped")
  assert.deepEqual(hooks.asked, [
    ["POST", "/on?key=1", `Basic ${btoa("me:secret")}`, { action: "start", target }],
    ["POST", "/off", undefined, { action: "stop", target }],
  ])
  hooks.close()
})

test("a password in a webhook's address may hold a percent sign that encodes nothing", async () => {
  let port = 0
  const hooks = await hookServer(() => port)
  const how = { kind: "hooks", start: `http://m%c3%a9:50%off%40@${hooks.url}/on`, stop: undefined } as const
  const woken = await sleeping(() => ({ how }))
  port = woken.port
  assert.equal(await visit(woken), "hello")
  const authorization = `Basic ${Buffer.from("mé:50%off@").toString("base64")}`
  assert.deepEqual(hooks.asked, [["POST", "/on", authorization, { action: "start", target: `127.0.0.1:${port}` }]])
  hooks.close()
})

test("a webhook that refuses, hangs or is not there is told without its secret", async () => {
  const hooks = await hookServer(() => 0)
  const error = async (start: string) => {
    const woken = await sleeping(() => ({ how: { kind: "hooks", start, stop: undefined }, timeoutMs: 200 }))
    return (await outcome(woken.waker))?.message ?? ""
  }
  assert.match(await error(`http://me:secret@${hooks.url}/no`), /: the start hook at 127\.0\.0\.1:\d+ answered 503$/)
  assert.match(await error(`http://${hooks.url}/hang?secret`), /was not ready within 200 ms: its start was not over$/)
  const gone = await freePort()
  assert.match(
    await error(`http://127.0.0.1:${gone}/secret`),
    /: the start hook at 127\.0\.0\.1:\d+ failed: connect ECONNREFUSED/,
  )
  hooks.close()
})
