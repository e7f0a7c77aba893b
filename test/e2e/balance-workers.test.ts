/** One balancer on two event loops that share its ports. */

import assert from "node:assert/strict"
import { once } from "node:events"
import { connect, createServer } from "node:net"
import type { AddressInfo, Server, Socket } from "node:net"
import { mkdirSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { test } from "node:test"
import * as tls from "node:tls"
import type { TestContext } from "node:test"
import { makeCertificate } from "../kit/certificates.ts"
import { RunningCommand, newToken, startRelayCommand, temporaryFolder } from "../kit/command.ts"
import { until } from "../kit/processes.ts"
import { RunningBalancer, freePorts } from "../kit/running-balancer.ts"
import { Visitor, visitMany, visitTarget } from "../kit/visitor.ts"

/** Greets with its name, echoes, and knows how many were there at once. */
class Greeter {
  readonly sockets: Set<Socket> = new Set()
  most = 0
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(t: TestContext, name: string): Promise<Greeter> {
    const server = createServer({ allowHalfOpen: true })
    const greeter = new Greeter(server)
    server.on("connection", (socket) => {
      greeter.sockets.add(socket)
      greeter.most = Math.max(greeter.most, greeter.sockets.size)
      socket.on("error", () => undefined)
      socket.on("close", () => greeter.sockets.delete(socket))
      socket.write(`${name}\n`)
      socket.pipe(socket)
    })
    await once(server.listen(0, "127.0.0.1"), "listening")
    t.after(() => greeter.stop())
    return greeter
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  stop(): void {
    this.#server.close()
    for (const socket of this.sockets) socket.destroy()
  }
}

/** Visitors that have their greeting. */
async function visitors(port: number, count: number): Promise<Visitor[]> {
  const all = Array.from({ length: count }, () => new Visitor(port))
  await Promise.all(all.map((visitor) => visitor.greeting()))
  return all
}

function leaveAll(all: readonly Visitor[]): void {
  for (const visitor of all) visitor[Symbol.dispose]()
}

const two = { flags: ["--workers", "2"] }
const loading = (...files: readonly string[]) => ({
  ...two,
  env: { NODE_OPTIONS: files.map((file) => `--import ${resolve(import.meta.dirname, "../kit", file)}`).join(" ") },
})
const crashing = loading("crash-loop.ts")

test("both loops serve the port, and are seen as one", async (t) => {
  const [port] = (await freePorts(1)) as [number]
  const targets = await Promise.all(["one", "two"].map((name) => Greeter.start(t, name)))
  const log = { connections: "all" }
  const app = { name: "web", ports: [port], targets: targets.map(({ address }) => address) }
  await using balancer = await RunningBalancer.start({ log, apps: [app] }, two)
  const served = await visitMany([port], 60)
  assert.equal((served["one"] ?? 0) + (served["two"] ?? 0), 60)
  const lines = await balancer.logged("connection.ended", 60)
  assert.deepEqual(new Set(lines.map(({ loop }) => loop)), new Set([1, 2]))
  assert.equal(new Set(lines.map(({ id }) => id)).size, 60, "an id twice")
  const seen = await balancer.app("web")
  assert.deepEqual([seen.total, seen.active, seen.endings], [60, 0, { done: 60 }])
  assert.deepEqual(seen.listeners, [{ address: `*:${port}`, state: "listening" }])
  assert.equal(
    seen.targets.reduce((sum, { totals }) => sum + totals.connections, 0),
    60,
  )
  assert.equal(
    seen.duration.counts.reduce((sum, count) => sum + count, 0),
    60,
  )
})

test("limits hold exactly over both loops in a storm, and whoever waits gets the next place", async (t) => {
  const [app, target, client, queue, open] = (await freePorts(5)) as [number, number, number, number, number]
  const greeters = await Promise.all(["app", "target", "queue"].map((name) => Greeter.start(t, name)))
  const [one, two_, three] = greeters as [Greeter, Greeter, Greeter]
  const config = {
    "max-connections": 40,
    apps: [
      { name: "app", ports: [app], targets: [one.address], limits: { connections: 10 } },
      { name: "target", ports: [target], targets: [{ address: two_.address, "max-connections": 7 }] },
      { name: "open", ports: [open], targets: [three.address] },
      { name: "client", ports: [client], targets: [one.address], limits: { "per-client": 5 } },
      {
        name: "queue",
        ports: [queue],
        targets: [three.address],
        limits: { connections: 3, queue: 100, "queue-timeout": "20s" },
      },
    ],
  }
  await using balancer = await RunningBalancer.start(config, two)
  for (const [port, most] of [
    [app, 10],
    [target, 7],
    [client, 5],
    [open, 40],
  ] as const) {
    const storm = Array.from({ length: 60 }, () => new Visitor(port))
    await Promise.all(
      storm.map((visitor) => visitor.until(() => visitor.received > 0 || visitor.ended !== "open", "a word")),
    )
    assert.equal(storm.filter(({ ended }) => ended === "open").length, most, `at ${port}`)
    leaveAll(storm)
    await until(async () => (await balancer.admin.snapshot()).connections === 0, "nobody is left")
  }
  assert.deepEqual([one.most, two_.most], [10, 7])
  // Each of them leaves when it was served: the places go round both loops.
  three.most = 0
  const served = await visitMany([queue], 80, 35)
  assert.deepEqual(served, { queue: 80 })
  assert.ok(three.most <= 3, `${three.most} at once`)
  const everybody = await visitors(app, 10)
  const more = [...(await visitors(target, 7)), ...(await visitors(client, 5)), ...(await visitors(queue, 3))]
  assert.equal((await balancer.admin.snapshot()).connections, 25)
  leaveAll([...everybody, ...more])
})

test("a reload holds in both loops or in none, and connections stay", async (t) => {
  const ports = (await freePorts(2)) as [number, number]
  const [one, two_] = (await Promise.all(["one", "two"].map((name) => Greeter.start(t, name)))) as [Greeter, Greeter]
  const config = (port: readonly number[], greeter: Greeter) => ({
    apps: [{ name: "web", ports: port, targets: [greeter.address] }],
  })
  await using balancer = await RunningBalancer.start(config([ports[0]], one), two)
  const staying = await visitors(ports[0], 8)
  balancer.replace(config(ports, two_))
  await balancer.admin.reload()
  assert.deepEqual(await visitMany(ports, 40), { two: 40 })
  await Promise.all(staying.map((visitor) => visitor.echoes("still here")))
  balancer.replace(
    `{"apps": [{"name": "web", "ports": [${ports[0]}], "targets": ["x:1"], "tls": {"cert": "no.pem", "key": "no.key"}}]}`,
  )
  await assert.rejects(balancer.admin.reload())
  assert.deepEqual(await visitMany(ports, 20), { two: 20 })
  balancer.replace(config([ports[1]], two_))
  await balancer.admin.reload()
  using refused = new Visitor(ports[0])
  assert.equal(await refused.end(), "refused")
  leaveAll(staying)
})

test("operators' words hold in both loops", async (t) => {
  const [port] = (await freePorts(1)) as [number]
  const greeters = await Promise.all(["one", "two", "three"].map((name) => Greeter.start(t, name)))
  const [one, two_, three] = greeters as [Greeter, Greeter, Greeter]
  const config = { apps: [{ name: "web", ports: [port], targets: [one.address, two_.address] }] }
  await using balancer = await RunningBalancer.start(config, two)
  await balancer.admin.target("web", one.address, { orders: "drain" })
  assert.deepEqual(await visitMany([port], 30), { two: 30 })
  await balancer.admin.addTarget("web", three.address)
  await balancer.admin.removeTarget("web", two_.address)
  assert.deepEqual(await visitMany([port], 30), { three: 30 })
  const staying = await visitors(port, 6)
  const live = await balancer.admin.connections(100)
  assert.equal(new Set(live.map(({ id }) => id)).size, 6)
  for (const { id } of live) await balancer.admin.cut(id)
  assert.deepEqual(await Promise.all(staying.map((visitor) => visitor.end())), Array(6).fill("RST"))
})

test("a stop waits for the connections of both loops", async (t) => {
  const [port] = (await freePorts(1)) as [number]
  const greeter = await Greeter.start(t, "one")
  await using balancer = await RunningBalancer.start(
    { drain: "10s", apps: [{ name: "web", ports: [port], targets: [greeter.address] }] },
    two,
  )
  const staying = await visitors(port, 8)
  balancer.command.kill("SIGTERM")
  await until(async () => {
    using late = new Visitor(port)
    await late.until(() => late.received > 0 || late.ended !== "open", "a word or a refusal")
    return late.ended === "refused"
  }, "nobody new comes in")
  for (const visitor of staying) {
    await visitor.echoes("the last words")
    await visitor.leave()
  }
  assert.equal((await balancer.command.ended).code, 0)
})

test("a loop that dies comes back, and what it held is free", async (t) => {
  const [port] = (await freePorts(1)) as [number]
  const greeter = await Greeter.start(t, "one")
  const app = { name: "web", ports: [port], targets: [greeter.address], limits: { connections: 12 } }
  await using balancer = await RunningBalancer.start({ log: { connections: "all" }, apps: [app] }, crashing)
  const before = await visitors(port, 12)
  assert.equal((await balancer.admin.snapshot()).connections, 12)
  balancer.command.kill("SIGUSR1")
  const [died] = await balancer.logged("loop.died")
  assert.match(String(died?.["reason"]), /crashed by a test/)
  await Promise.all(
    before.map((visitor) => visitor.until(() => visitor.ended !== "open" || visitor.received > 0, "a fate")),
  )
  await until(async () => (await balancer.admin.snapshot()).connections < 12, "the places of the dead loop are free")
  await until(() => before.some(({ ended }) => ended !== "open"), "its connections are gone")
  const left = before.filter(({ ended }) => ended === "open")
  assert.ok(left.length < 12 && (await balancer.admin.snapshot()).connections === left.length)
  await Promise.all(left.map((visitor) => visitor.echoes("not concerned")))
  leaveAll(before)
  await until(async () => (await balancer.admin.snapshot()).connections === 0, "their places are free")
  await until(async () => {
    const died_ = died?.["loop"]
    await visitMany([port], 8, 4)
    return balancer.log("connection.ended").some(({ loop, ending }) => loop === died_ && ending === "done")
  }, "the loop serves again")
})

test("what loops have counted is not forgotten, however often they die", async (t) => {
  const [port] = (await freePorts(1)) as [number]
  const greeter = await Greeter.start(t, "one")
  const app = { name: "web", ports: [port], targets: [greeter.address] }
  await using balancer = await RunningBalancer.start({ apps: [app] }, loading("crash-loop.ts", "scarce-threads.ts"))
  await visitMany([port], 40)
  assert.equal((await balancer.app("web")).total, 40)
  const deaths = () => balancer.log("loop.died").map(({ loop }) => loop)
  // Also the one that did not come into being at the first attempt to start it again.
  await until(() => {
    const isDone = [1, 2].every((loop) => deaths().filter((one) => one === loop).length >= 2)
    if (!isDone) balancer.command.kill("SIGUSR1")
    return isDone
  }, "each has died twice")
  assert.ok(balancer.log("loop.died").some(({ reason }) => /no thread for a test/.test(String(reason))))
  assert.equal((await balancer.app("web")).total, 40)
  await until(async () => (await visitTarget(port).catch(() => "nobody")) === "one", "somebody serves again")
})

test("a reload that one loop refuses leaves the ports open that there were", async (t) => {
  const ports = (await freePorts(2)) as [number, number]
  const greeter = await Greeter.start(t, "one")
  using folder = temporaryFolder()
  const pair = makeCertificate()
  const tls_ = { cert: join(folder.path, "only-cert.pem"), key: join(folder.path, "only-key.pem") }
  writeFileSync(tls_.cert, pair.cert)
  writeFileSync(tls_.key, pair.key)
  const app = { name: "web", ports: [ports[0]], targets: [greeter.address] }
  await using balancer = await RunningBalancer.start({ apps: [app] }, loading("refuse-loop.ts"))
  balancer.replace({ apps: [{ ...app, ports: [ports[1]], tls: tls_ }] })
  await assert.rejects(balancer.admin.reload(), /only-cert/)
  assert.deepEqual(await visitMany([ports[0]], 20), { one: 20 })
  const { listeners } = await balancer.app("web")
  assert.deepEqual(listeners, [{ address: `*:${ports[0]}`, state: "listening" }])
  assert.deepEqual(balancer.log("listener.failed"), [])
})

test("checks are made once, and what they find holds in both loops", async (t) => {
  const [port] = (await freePorts(1)) as [number]
  const [one, two_] = (await Promise.all(["one", "two"].map((name) => Greeter.start(t, name)))) as [Greeter, Greeter]
  const health = { check: "tcp", interval: "100ms", fall: 1, rise: 1 }
  const app = { name: "web", ports: [port], targets: [one.address, two_.address], health }
  await using balancer = await RunningBalancer.start({ apps: [app] }, two)
  const down = one.port
  one.stop()
  await until(async () => (await balancer.app("web")).targets[0]?.healthy === false, "the check has found it")
  assert.deepEqual(await visitMany([port], 30), { two: 30 })
  const seen = await balancer.app("web")
  assert.deepEqual([seen.targets[0]?.totals.connectFailures, seen.targets[0]?.totals.retries], [0, 0])
  assert.ok(down > 0)
})

test("a herd at both loops starts a sleeping target once", async (t) => {
  const [port, own] = (await freePorts(2)) as [number, number]
  const code = `require("net").createServer({allowHalfOpen:true},s=>{s.on("error",()=>{});s.write("up\\n");s.pipe(s)}).listen(${own},"127.0.0.1")`
  const wake = { command: [process.execPath, "-e", code], idle: "300ms", timeout: "20s" }
  const app = { name: "web", ports: [port], targets: [{ address: `127.0.0.1:${own}`, wake }] }
  await using balancer = await RunningBalancer.start({ apps: [app] }, two)
  assert.deepEqual(await visitMany([port], 60, 60), { up: 60 })
  const seen = await balancer.app("web")
  assert.equal(seen.targets[0]?.totals.wakes, 1)
  await until(async () => (await balancer.app("web")).targets[0]?.wake === "asleep", "it sleeps when nobody is there")
  assert.equal(await visitTarget(port), "up")
  assert.equal((await balancer.app("web")).targets[0]?.totals.wakes, 2)
  t.diagnostic("one start for 60, another one after the sleep")
})

test("a port that another process has is not shared with it", async (t) => {
  const [port] = (await freePorts(1)) as [number]
  const greeter = await Greeter.start(t, "one")
  const [own] = (await freePorts(1)) as [number]
  const config = {
    apps: [
      { name: "web", ports: [port], targets: [greeter.address] },
      // The main thread serves it.
      { name: "far", ports: [own], targets: [greeter.address, "rdv:far"], "when-down": "accept" },
    ],
  }
  await using first = await RunningBalancer.start(config, two)
  await using second = await RunningBalancer.start(config, two)
  assert.equal((await second.app("web")).listeners[0]?.state, "retrying")
  assert.equal((await second.app("far")).listeners[0]?.state, "retrying")
  assert.deepEqual(await visitMany([port], 20), { one: 20 })
  assert.equal((await first.app("web")).total, 20)
  first.command.kill()
  for (const name of ["web", "far"]) {
    await until(async () => (await second.app(name)).listeners[0]?.state === "listening", `${name} is taken over`)
  }
  assert.deepEqual(await visitMany([port, own], 10), { one: 10 })
})

test("what one loop has ejected, the others do not try", async (t) => {
  const [port, dead] = (await freePorts(2)) as [number, number]
  const greeter = await Greeter.start(t, "one")
  const outlier = { "connect-failures": 3, eject: "60s" }
  const app = { name: "web", ports: [port], targets: [`127.0.0.1:${dead}`, greeter.address], outlier }
  await using balancer = await RunningBalancer.start({ log: { connections: "all" }, apps: [app] }, two)
  assert.deepEqual(await visitMany([port], 60, 1), { one: 60 })
  const lines = await balancer.logged("connection.ended", 60)
  assert.deepEqual(new Set(lines.map(({ loop }) => loop)), new Set([1, 2]))
  const [target] = (await balancer.app("web")).targets
  assert.deepEqual([target?.obstacle, target?.totals.ejections], ["ejected", 1])
  assert.equal(balancer.log("target.ejected").length, 1)
  assert.ok((target?.totals.connectFailures ?? 0) < 6, "each loop has found out by itself")
})

test("a TLS session that one loop has begun is resumed by the other one", async (t) => {
  const [port] = (await freePorts(1)) as [number]
  const greeter = await Greeter.start(t, "one")
  using folder = temporaryFolder()
  const pair = makeCertificate()
  writeFileSync(join(folder.path, "cert.pem"), pair.cert)
  writeFileSync(join(folder.path, "key.pem"), pair.key)
  const files = { cert: join(folder.path, "cert.pem"), key: join(folder.path, "key.pem") }
  const app = { name: "web", ports: [port], targets: [greeter.address], tls: files }
  await using balancer = await RunningBalancer.start({ log: { connections: "all" }, apps: [app] }, two)
  const visit = (session: Buffer | undefined) =>
    new Promise<{ readonly reused: boolean; readonly session: Buffer | undefined }>((done, fail) => {
      let fresh: Buffer | undefined
      let reused = false
      const options = { port, host: "127.0.0.1", rejectUnauthorized: false, minVersion: "TLSv1.3" as const }
      const socket = tls.connect({ ...options, ...(session !== undefined && { session }) })
      socket.on("session", (given: Buffer) => (fresh = given))
      socket.once("data", () => {
        reused = socket.isSessionReused()
        socket.end()
      })
      socket.on("error", fail)
      socket.on("close", () => done({ reused, session: fresh }))
    })
  const { session } = await visit(undefined)
  assert.ok(session !== undefined)
  const visits = await Promise.all(Array.from({ length: 24 }, () => visit(session)))
  assert.deepEqual(new Set(visits.map(({ reused }) => reused)), new Set([true]))
  const lines = await balancer.logged("connection.ended", 25)
  assert.deepEqual(new Set(lines.map(({ loop }) => loop)), new Set([1, 2]))
})

test("a cap of bandwidth holds over both loops, and one with many connections gets one share", async (t) => {
  const [port] = (await freePorts(1)) as [number]
  const source = createServer((socket) => {
    const chunk = Buffer.alloc(16_384)
    const more = () => {
      while (socket.writable && socket.write(chunk));
    }
    socket.on("drain", more)
    socket.on("error", () => undefined)
    more()
  })
  await once(source.listen(0, "127.0.0.1"), "listening")
  t.after(() => source.close())
  const rate = 2_000_000
  const target = `127.0.0.1:${(source.address() as AddressInfo).port}`
  const app = { name: "web", ports: [port], targets: [target], bandwidth: { app: { down: rate } } }
  await using balancer = await RunningBalancer.start({ apps: [app] }, two)
  const got = new Map<string, number>()
  const addresses = [
    ...Array.from({ length: 8 }, () => "127.0.1.1"),
    ...[2, 3, 4, 5, 6, 7].map((at) => `127.0.1.${at}`),
  ]
  const sockets = addresses.map((localAddress) => {
    const socket = connect({ port, host: "127.0.0.1", localAddress })
    socket.on("error", () => undefined)
    socket.on("data", (bytes) => got.set(localAddress, (got.get(localAddress) ?? 0) + bytes.length))
    return socket
  })
  t.after(() => sockets.forEach((socket) => socket.destroy()))
  await until(() => got.size === 7, "all have some")
  // What the kernel's buffers took at first is no rate.
  await new Promise((resolve_) => setTimeout(resolve_, 1_500))
  const before = new Map(got)
  const startedAt = performance.now()
  await new Promise((resolve_) => setTimeout(resolve_, 3_000))
  const seconds = (performance.now() - startedAt) / 1_000
  const rates = [...got].map(([name, bytes]) => [name, (bytes - (before.get(name) ?? 0)) / seconds] as const)
  const all = rates.reduce((sum, [, each]) => sum + each, 0)
  t.diagnostic(rates.map(([name, each]) => `${name} ${Math.round(each / 1_000)} kB/s`).join(", "))
  assert.ok(all < rate * 1.1 && all > rate * 0.8, `${Math.round(all)} bytes/s`)
  for (const [name, each] of rates) assert.ok(Math.abs(each - all / 7) < all / 7 / 2, `${name} got ${Math.round(each)}`)
  assert.ok(balancer.pid > 0)
})

test("targets behind agents are served beside those of the loops", async (t) => {
  const [port, behind] = (await freePorts(2)) as [number, number]
  const [near, far] = (await Promise.all(["near", "far"].map((name) => Greeter.start(t, name)))) as [Greeter, Greeter]
  using folder = temporaryFolder()
  const data = (name: string) => {
    const path = join(folder.path, name)
    mkdirSync(path)
    return path
  }
  const relayData = data("relay")
  const { relay, address } = await startRelayCommand([], { data: relayData })
  t.after(() => relay[Symbol.asyncDispose]())
  const env = { RDV_TOKEN: await newToken("fleet", relayData, "--services", "private") }
  const words = ["tcp", far.address, "--private", "far", "--relay", address, "--json"]
  await using agent = new RunningCommand(words, { data: data("agent"), env })
  await agent.event("exposed")
  const apps = [
    { name: "near", ports: [port], targets: [near.address] },
    { name: "far", ports: [behind], targets: ["rdv:far", near.address], policy: "round-robin" },
  ]
  const flags = [...two.flags, "--relay", address]
  await using balancer = await RunningBalancer.start({ apps }, { flags, env })
  assert.deepEqual(await visitMany([port], 12), { near: 12 })
  await until(async () => (await visitTarget(behind)) === "far", "the session is there")
  const served = await visitMany([behind], 20, 2)
  assert.ok((served["far"] ?? 0) >= 8, JSON.stringify(served))
  assert.equal((await balancer.app("far")).listeners[0]?.state, "listening")
})
