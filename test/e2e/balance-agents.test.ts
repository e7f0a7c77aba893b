/** Targets behind agents (`rdv:NAME`): relay, agents and balancer in processes of their own. */

import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import { mkdirSync, writeFileSync } from "node:fs"
import * as http from "node:http"
import * as net from "node:net"
import { join, resolve } from "node:path"
import { after, before, test } from "node:test"
import type { TestContext } from "node:test"
import { promisify } from "node:util"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import {
  assertOneLine,
  newToken,
  runCommand,
  RunningCommand,
  startRelayCommand,
  temporaryFolder,
} from "../kit/command.ts"
import { pattern, patternHash, rawOrigin } from "../kit/origin.ts"
import { until } from "../kit/processes.ts"
import { eventually, rawClient, standsStill } from "../kit/raw-http.ts"
import { EventTarget, tcpEvents } from "../kit/tcp-events.ts"
import type { Stage } from "../kit/tcp-events.ts"

const mebibyte = 1024 * 1024
const folder = temporaryFolder()
const relayData = join(folder.path, "relay")
let relay: RunningCommand
let address = ""
let port = 0
let token = ""
let folders = 0
const graceMs = 3_000

before(async () => {
  mkdirSync(relayData)
  const started = await startRelayCommand(["--grace", `${graceMs}ms`], { data: relayData })
  relay = started.relay
  address = started.address
  port = started.port
  token = await newToken("fleet", relayData, "--services", "private")
})
after(async () => {
  await relay[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

/** As on a machine of its own, unless it is given one's folder. */
function options(data = join(folder.path, `machine${++folders}`)) {
  mkdirSync(data, { recursive: true })
  return { data, env: { RDV_TOKEN: token } }
}

interface Place {
  readonly through?: string
  readonly data?: string
}

async function agent(target: string | number, name: string, place: Place = {}): Promise<RunningCommand> {
  const { through = address, data } = place
  const words = ["tcp", String(target), "--private", name, "--relay", through, "--json"]
  const command = new RunningCommand(words, options(data))
  await command.event("exposed")
  return command
}

/** A balancer with one app; resolves with its port. */
async function balance(
  t: TestContext,
  app: object,
  through = address,
  env: Record<string, string> = {},
): Promise<{ command: RunningCommand; port: number }> {
  const listen = await freePort()
  const place = options()
  const file = join(place.data, "balance.json")
  writeFileSync(file, JSON.stringify({ apps: [{ name: "web", listen: `127.0.0.1:${listen}`, ...app }] }))
  const words = ["balance", file, "--relay", through, "--json", "--log-format", "json"]
  const command = new RunningCommand(words, { ...place, env: { ...place.env, ...env } })
  t.after(() => command[Symbol.asyncDispose]())
  await command.event("listening")
  // Its session.
  await command.says(/session\.opened/)
  return { command, port: listen }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port: free } = server.address() as net.AddressInfo
  server.close()
  await once(server, "close")
  return free
}

interface Site {
  readonly port: number
  /** Requests so far. */
  asked(): number
  stop(): void
}

/** A web server that answers with its name, `/slow` after a while. */
async function site(t: TestContext, name: string): Promise<Site> {
  let asked = 0
  const server = http.createServer({ keepAlive: false }, (request, response) => {
    asked++
    if (request.url === "/slow") setTimeout(() => response.end(name), 1_000)
    else response.end(name)
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const stop = () => {
    server.closeAllConnections()
    server.close()
  }
  t.after(stop)
  return { port: (server.address() as net.AddressInfo).port, asked: () => asked, stop }
}

/** What curl prints; rejects when it fails. */
async function curl(at: number, path = "/"): Promise<string> {
  const { stdout } = await promisify(execFile)("curl", ["-sS", "--max-time", "10", `http://127.0.0.1:${at}${path}`])
  return stdout
}

async function curls(at: number, count: number): Promise<string> {
  let all = ""
  for (let time = 0; time < count; time++) all += await curl(at)
  return all
}

/** How the connections have ended, as its log tells. */
function endings(command: RunningCommand): { ending: string; detail?: string; target?: string }[] {
  return command.stderr
    .split("\n")
    .filter((line) => line.includes('"connection.ended"'))
    .map((line) => JSON.parse(line) as { ending: string })
}

test("eleven events of TCP connections pass an agent as they pass a balancer alone", async (t) => {
  const target = await EventTarget.start()
  t.after(() => target.stop())
  await using _events = await agent(target.port, "events")
  await using _dead = await agent(await freePort(), "dead")
  const env = { NODE_OPTIONS: `--expose-gc --import ${resolve(import.meta.dirname, "../kit/collect.ts")}` }
  const live = await balance(t, { targets: ["rdv:events"] }, address, env)
  const dead = await balance(t, { targets: ["rdv:dead"] })
  await target.settle(live.port)
  let asked = 0
  const memory = async (): Promise<number> => {
    live.command.kill("SIGUSR2")
    const line = new RegExp(`^memory ${++asked} \\d+ (\\d+)\n`, "m")
    await live.command.says(line)
    return Number(line.exec(live.command.stderr)?.[1])
  }
  const stage: Stage = { port: live.port, deadPort: dead.port, target, memory }
  for (const event of tcpEvents) {
    await t.test(event.name, async (each) => {
      const { text, isGood } = await event.play(stage)
      each.diagnostic(text)
      // The agent's own kernel and the window of the stream hold something as well.
      const megabytes = /^([\d.]+) MB$/.exec(text)?.[1]
      assert.ok(isGood || Number(megabytes) < 48, text)
    })
  }
})

test("agents of one name share its connections, and one that is killed costs no new one", async (t) => {
  const sites = await Promise.all(["a", "b", "c"].map((name) => site(t, name)))
  const agents = await Promise.all(sites.map((each) => agent(each.port, "web")))
  t.after(() => Promise.all(agents.map((each) => each[Symbol.asyncDispose]())))
  const { port: at, command } = await balance(t, { targets: ["rdv:web"] })
  assert.equal((await curls(at, 9)).split("").toSorted().join(""), "aaabbbccc")
  // Whatever is under way at the one that dies is told within the relay's grace; the others go on.
  const waiting = Array.from({ length: 6 }, () => curl(at, "/slow").then(String, String))
  await eventually("all are there", () => sites.every(({ asked }) => asked() === 5))
  const streams = Array.from({ length: 3 }, () => curls(at, 12).then(String, String))
  await eventually("they run", () => sites.every(({ asked }) => asked() > 6))
  agents[0]?.kill("SIGKILL")
  const [...texts] = await Promise.all(streams)
  assert.match(await curls(at, 12), /^[bc]{12}$/)
  const answers = await Promise.all(waiting)
  assert.equal(answers.filter((answer) => /^[bc]$/.test(answer)).length, 4)
  const isLost = (answer: string) => /reset by peer|Empty reply/.test(answer)
  assert.equal(answers.filter(isLost).length, 2, answers.join())
  // A request that was there already is lost; who had only dialled is not.
  const lost = texts.filter(isLost).length
  assert.ok(
    texts.every((text) => isLost(text) || /^[abc]{12}$/.test(text)),
    texts.join(),
  )
  t.diagnostic(`${lost} of 3 streams of requests lost the one that was there`)
  await eventually("they are told", () => endings(command).length >= 2 + lost)
  // So is one whose client had its answer, and whose end had not come through.
  assert.deepEqual(
    new Set(endings(command).map(({ ending, detail }) => `${ending}: ${detail}`)),
    new Set([`target-reset: No link for ${graceMs} ms`]),
  )
})

test("an agent that is killed and started anew ends at once what hung at its old session", async (t) => {
  const { port: to, asked } = await site(t, "a")
  const machine = options().data
  const first = await agent(to, "anew", { data: machine })
  const { port: at, command } = await balance(t, { targets: ["rdv:anew"] })
  const client = await rawClient(at)
  await client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
  await eventually("it is under way", () => asked() === 1)
  first.kill("SIGKILL")
  await first.ended
  await using _again = await agent(to, "anew", { data: machine })
  assert.equal((await client.rest(graceMs / 2)).ending, "reset")
  assert.equal(await curl(at), "a")
  await eventually("it is told", () => endings(command).some(({ ending }) => ending === "target-reset"))
})

test("an agent that is stopped finishes what it has, and gets nothing new", async (t) => {
  const sites = await Promise.all(["a", "b"].map((name) => site(t, name)))
  await using leaving = await agent((sites[0] as Site).port, "drained")
  const { port: at } = await balance(t, { targets: ["rdv:drained"] })
  const slow = curl(at, "/slow")
  await eventually("it is there", () => sites[0]?.asked() === 1)
  await using _staying = await agent((sites[1] as Site).port, "drained")
  leaving.kill("SIGTERM")
  await leaving.event("draining")
  assert.equal(await curls(at, 5), "bbbbb")
  assert.equal(await slow, "a")
  assert.equal((await leaving.ended).code, 0)
})

test("what an agent cannot reach another one serves, and health checks see each name", async (t) => {
  const sites = await Promise.all(["a", "b", "c"].map((name) => site(t, name)))
  const [a, b, c] = sites as [Site, Site, Site]
  await using _a = await agent(a.port, "mixed")
  await using _b = await agent(b.port, "mixed")
  await using _c = await agent(c.port, "other")
  const health = { path: "/", interval: "100ms" }
  const { port: at } = await balance(t, { targets: ["rdv:mixed", "rdv:other"], health })
  // The first checks may have come before the session.
  await until(async () => /[ab].*c|c.*[ab]/.test(await curls(at, 4)), "a check has found the agents of both names")
  assert.equal((await curls(at, 8)).split("").filter((name) => name === "c").length, 4)
  a.stop()
  const answers = await curls(at, 8)
  assert.match(answers, /^[bc]{8}$/)
  assert.match(answers, /bc/)
  b.stop()
  assert.equal(await curls(at, 8), "cccccccc")
})

test("links that are cut in the middle of a transfer lose nothing and end nothing", async (t) => {
  const size = 24 * mebibyte
  await using origin = await rawOrigin(undefined, ({ socket }) => socket.pipe(socket))
  const [near, far] = [await chaosProxy({ target: { port } }), await chaosProxy({ target: { port } })]
  t.after(() => Promise.all([near.close(), far.close()]))
  await using _agent = await agent(origin.port, "echo", { through: `127.0.0.1:${far.port}` })
  const { port: at, command } = await balance(t, { targets: ["rdv:echo"] }, `127.0.0.1:${near.port}`)
  const socket = net.connect({ host: "127.0.0.1", port: at, allowHalfOpen: true })
  const hash = createHash("sha256")
  let received = 0
  let cuts = 0
  socket.on("data", (bytes) => {
    hash.update(bytes)
    received += bytes.length
    if (received > ((cuts + 1) * size) / 5) (cuts++ % 2 === 0 ? far : near).cutAll("rst")
  })
  const send = async () => {
    for (let at = 0; at < size; at += mebibyte) {
      if (!socket.write(pattern(at, mebibyte))) await once(socket, "drain")
    }
    socket.end()
  }
  await Promise.all([send(), once(socket, "end")])
  assert.equal(cuts, 4)
  assert.equal(received, size)
  assert.equal(hash.digest("hex"), patternHash(size))
  await eventually("it is told", () => command.stderr.includes("session.resumed"))
  assert.deepEqual(endings(command), [])
})

test("an agent whose link has gone silent costs a moment and no connection", async (t) => {
  const sites = await Promise.all(["a", "b"].map((name) => site(t, name)))
  const proxy = await chaosProxy({ target: { port } })
  t.after(() => proxy.close())
  await using silent = await agent((sites[0] as Site).port, "silent", { through: `127.0.0.1:${proxy.port}` })
  await using _there = await agent((sites[1] as Site).port, "silent")
  const { port: at, command } = await balance(t, { targets: ["rdv:silent"] })
  assert.equal((await curls(at, 4)).split("").toSorted().join(""), "aabb")
  proxy.blackHole(true, { holdNew: true })
  assert.equal((await Promise.all(Array.from({ length: 6 }, () => curl(at)))).join(""), "bbbbbb")
  assert.equal(await curls(at, 6), "bbbbbb")
  assert.deepEqual(endings(command), [])
  proxy.blackHole(false)
  silent.kill("SIGKILL")
})

test("a client that does not read stops the service behind the agent, and gets everything when it reads on", async (t) => {
  const size = 64 * mebibyte
  let isCalled = false
  let written = 0
  await using origin = await rawOrigin(undefined, ({ socket }) => {
    let at = 0
    const send = () => {
      for (; at < size; at += 65_536) {
        written = at
        if (!socket.write(pattern(at, 65_536))) {
          at += 65_536
          return
        }
      }
      socket.end()
    }
    socket.on("drain", send)
    // The agent looks whether somebody is there, and leaves again.
    if (isCalled) send()
  })
  await using _agent = await agent(origin.port, "flood")
  const { port: at } = await balance(t, { targets: ["rdv:flood"] })
  isCalled = true
  const socket = net.connect({ host: "127.0.0.1", port: at })
  await once(socket, "connect")
  await eventually("the service is called", () => written > 0)
  await standsStill(() => written)
  assert.ok(written < size * 0.75, `${written} bytes`)
  const hash = createHash("sha256")
  socket.on("data", (bytes) => hash.update(bytes))
  await once(socket, "end")
  assert.equal(hash.digest("hex"), patternHash(size))
})

test("a relay that starts anew ends what ran, and agents and balancer come back by themselves", async (t) => {
  const data = join(folder.path, "restarted")
  mkdirSync(data)
  const first = await startRelayCommand(["--open"], { data })
  const own = { data: join(folder.path, "at home"), env: {} }
  mkdirSync(own.data)
  await using origin = await rawOrigin(({ socket }, bytes) => socket.write(bytes))
  await using exposed = new RunningCommand(
    ["tcp", origin.target, "--private", "db", "--relay", first.address, "--json"],
    own,
  )
  await exposed.event("exposed")
  const { port: at, command } = await balance(
    t,
    { targets: ["rdv:db"], timeouts: { dial: "12s" }, "when-down": "hold" },
    first.address,
    { RDV_DATA: own.data, RDV_TOKEN: "" },
  )
  const running = await rawClient(at)
  await running.send("ping")
  assert.equal(String(await running.take(4)), "ping")
  first.relay.kill("SIGKILL")
  await first.relay.ended
  // It comes while there is no relay, and waits for one.
  const waiting = await rawClient(at)
  await waiting.send("early")
  await using _second = new RunningCommand(["relay", "--listen", `127.0.0.1:${first.port}`, "--open", "--json"], {
    data,
  })
  assert.equal((await running.rest()).ending, "reset")
  assert.equal(String(await waiting.take(5)), "early")
  await eventually("it is told", () => endings(command).length > 0)
  assert.deepEqual(
    endings(command).map(({ ending, detail, target }) => [ending, target, detail]),
    [["target-reset", "rdv:db", "The relay no longer knows the session"]],
  )
  waiting.reset()
  await eventually("the service hears it", () => origin.connections.at(-1)?.ending === "reset")
})

test("a name that nobody offers is told as that", async (t) => {
  const nobody = await balance(t, { targets: ["rdv:nobody"] })
  const client = await rawClient(nobody.port)
  assert.equal((await client.rest()).ending, "reset")
  await eventually("it is told", () => endings(nobody.command).length > 0)
  assert.match(endings(nobody.command)[0]?.detail ?? "", /^rdv:nobody: No session of this owner offers "nobody"$/)
})

test("a private name is shown by status, and needs a relay and no port", async (t) => {
  const { port: to } = await site(t, "a")
  const place = options()
  await using _agent = await agent(to, "fleet/web", { data: place.data })
  const [mine, theirs] = await Promise.all([runCommand(["status"], place), runCommand(["status"], { data: relayData })])
  assert.match(
    mine.stdout,
    new RegExp(`^  tcp       private:fleet/web\n            → 127.0.0.1:${to}|localhost:${to}`, "m"),
  )
  assert.match(theirs.stdout, /^ {2}private:fleet\/web +tcp\/localhost-\d+ /m)
  const rdv = (...words: readonly string[]) => runCommand(["tcp", "3000", ...words], place)
  const [lonely, both, wrong] = await Promise.all([
    rdv("--private", "web"),
    rdv("--private", "web", "--port", "5432", "--relay", address),
    rdv("--private", "My Web", "--relay", address),
  ])
  assertOneLine(lonely, 2, /--private needs a relay .*: add --relay ADDRESS$/)
  assertOneLine(both, 2, /--port is public, and --private is not: leave one out$/)
  assertOneLine(wrong, 2, /"My Web" is no private name/)
})
