/** Clients of a whole balancer whose targets have connections that stand ready. */

import assert from "node:assert/strict"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import * as net from "node:net"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import * as tls from "node:tls"
import { until } from "../../../../test/kit/processes.ts"
import { TlsSecrets } from "../../../../test/kit/tls-secrets.ts"
import { Visitor } from "../../../../test/kit/visitor.ts"
import { systemClock } from "../../../base/clock.ts"
import { silentLog } from "../../../base/log.ts"
import { SeededRandom } from "../../../base/random.ts"
import { readDocument } from "../../../config/document.ts"
import { readSettings } from "../config/read-settings.ts"
import type { Settings } from "../config/settings.ts"
import type { ConnectionRecord } from "../connection/record.ts"
import { Balancer } from "../engine/balancer.ts"
import type { TargetSnapshot } from "../observe/snapshot.ts"

const deadline = { timeout: 20_000 }

/** What a target has of one connection. */
interface Guest {
  readonly socket: net.Socket
  text: string
}

type Serve = (guest: Guest, index: number) => void

/** Echoes, with the number of the connection ahead of its first answer. */
const echo: Serve = ({ socket }, index) => {
  let isFirst = true
  socket.on("data", (bytes) => {
    socket.write(isFirst ? `${index}:${String(bytes)}` : bytes)
    isFirst = false
  })
  socket.on("end", () => socket.end())
}

class Target {
  readonly guests: Guest[] = []
  readonly server: net.Server

  constructor(t: TestContext, serve: Serve = echo, secrets?: { readonly cert: string; readonly key: string }) {
    const onSocket = (socket: net.Socket) => {
      const guest: Guest = { socket, text: "" }
      socket.on("error", () => undefined)
      this.guests.push(guest)
      socket.on("data", (bytes) => (guest.text += bytes.toString("latin1")))
      serve(guest, this.guests.length - 1)
    }
    this.server =
      secrets === undefined
        ? net.createServer({ allowHalfOpen: true }, onSocket)
        : tls.createServer({ allowHalfOpen: true, ALPNProtocols: ["one", "two"], ...secrets }, onSocket)
    t.after(() => {
      this.server.close()
      for (const { socket } of this.guests) socket.destroy()
    })
  }

  async listen(path?: string): Promise<this> {
    await once(path === undefined ? this.server.listen(0, "127.0.0.1") : this.server.listen(path), "listening")
    return this
  }

  get address(): string {
    const address = this.server.address() as net.AddressInfo | string
    return typeof address === "string" ? `unix:${address}` : `127.0.0.1:${address.port}`
  }

  /** That have not ended. */
  get open(): number {
    return this.guests.filter(({ socket }) => !socket.destroyed && !socket.readableEnded).length
  }
}

class Rig {
  readonly balancer: Balancer
  readonly records: ConnectionRecord[] = []
  readonly port: number

  constructor(port: number, settings: Settings) {
    this.port = port
    this.balancer = new Balancer({
      settings,
      clock: systemClock,
      random: new SeededRandom(1),
      log: silentLog,
      callAgents: undefined,
      onEnded: (record) => this.records.push(record),
    })
  }

  get target(): TargetSnapshot {
    return this.balancer.snapshots()[0]?.targets[0] as TargetSnapshot
  }

  async warm(count: number): Promise<void> {
    await until(() => this.target.warm === count, `${count} ready instead of ${this.target.warm}`)
  }

  visit(): Visitor {
    return new Visitor(this.port)
  }
}

const settingsOf = (port: number, targets: readonly object[], app: object = {}): Settings => {
  const listen = [`127.0.0.1:${port}`]
  const file = { apps: [{ name: "a", listen, targets, ...app }] }
  return readSettings(readDocument(JSON.stringify(file), { file: "b.json" }))
}

async function start(t: TestContext, targets: readonly object[], app: object = {}): Promise<Rig> {
  const port = await freePort()
  const rig = new Rig(port, settingsOf(port, targets, app))
  t.after(() => rig.balancer.stop(0))
  assert.deepEqual(
    (await rig.balancer.listening()).map(({ ok }) => ok),
    [true],
  )
  return rig
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const says = (visitor: Visitor, text: string) =>
  visitor.until(() => visitor.text === text, `${text} in ${visitor.text}`)

test("a client is joined to a connection that stood ready, and another one takes its place", deadline, async (t) => {
  const target = await new Target(t).listen()
  const rig = await start(t, [{ address: target.address, warm: 2 }])
  await rig.warm(2)
  assert.deepEqual([rig.target.active, rig.target.pending], [0, 0])
  const [learnt, distance] = [rig.target.latencyMs, rig.target.totals.connections]
  assert.ok(learnt !== undefined && distance === 0, "latency is learnt from the dials that nobody waited for")
  using visitor = rig.visit()
  visitor.socket.write("hello")
  await says(visitor, "1:hello")
  await rig.warm(2)
  assert.equal(target.guests.length, 3)
  assert.equal(rig.target.active, 1)
  await visitor.leave()
  await until(() => rig.records.length === 1, "a record")
  assert.equal(rig.records[0]?.ending, "done")
  assert.deepEqual([rig.records[0]?.bytesUp, rig.records[0]?.bytesDown], [5, 7])
})

test("what a target said while the connection waited comes first", deadline, async (t) => {
  const target = await new Target(t, (guest, index) => {
    guest.socket.write(`220 greeting ${index}\n`)
    guest.socket.on("data", (bytes) => guest.socket.write(bytes))
  }).listen()
  const rig = await start(t, [{ address: target.address, warm: 1 }])
  await rig.warm(1)
  for (const index of [0, 1, 2]) {
    await rig.warm(1)
    using visitor = rig.visit()
    assert.equal(await visitor.greeting(), `220 greeting ${index}`)
    await visitor.echoes("and more")
  }
})

for (const loss of ["ended", "reset"] as const) {
  test(`one that is ${loss} before the client's first byte is replaced without a sign`, deadline, async (t) => {
    const target = await new Target(t).listen()
    const rig = await start(t, [{ address: target.address, warm: 1 }])
    await rig.warm(1)
    using visitor = rig.visit()
    await until(() => rig.target.active === 1, "a join")
    await until(() => target.guests.length === 2 && rig.target.warm === 1, "a replacement")
    const [first] = target.guests as [Guest]
    if (loss === "ended") first.socket.end()
    else first.socket.resetAndDestroy()
    await until(() => target.guests.length === 3, "another dial")
    visitor.socket.write("hello")
    await says(visitor, "2:hello")
    assert.equal(rig.target.totals.earlyResets, 0)
    // It has had its second chance: what happens now is the client's to know.
    target.guests[2]?.socket.end()
    assert.equal(await visitor.end(), "FIN")
  })

  test(
    `one that is ${loss} in the same moment as the client's first bytes come loses none of them`,
    deadline,
    async (t) => {
      const target = await new Target(t).listen()
      const rig = await start(t, [{ address: target.address, warm: 1 }])
      for (let round = 0; round < 5; round++) {
        await rig.warm(1)
        using visitor = rig.visit()
        await until(() => rig.target.active === 1, "a join")
        const { socket } = await until(
          () => target.guests.findLast((guest, index) => index < target.guests.length - 1 && !guest.socket.destroyed),
          "the joined one",
        )
        const from = target.guests.length
        // Both reach the balancer's kernel before it looks: the whole test runs on its loop.
        if (loss === "ended") socket.end()
        else socket.resetAndDestroy()
        visitor.socket.write("hello")
        await visitor.until(() => visitor.text !== "" || visitor.ended !== "open", "an answer")
        assert.match(visitor.text, /^\d+:hello$/)
        assert.ok(target.guests.length > from || visitor.ended === "open")
        visitor.socket.resetAndDestroy()
        await until(() => rig.target.active === 0, "an end")
      }
    },
  )
}

test("a greeting comes from a target that is still there", deadline, async (t) => {
  const target = await new Target(t, (guest, index) => {
    guest.socket.write(`220 greeting ${index}\n`)
    guest.socket.on("data", (bytes) => guest.socket.write(bytes))
  }).listen()
  const rig = await start(t, [{ address: target.address, warm: 1 }])
  for (let round = 0; round < 3; round++) {
    await rig.warm(1)
    const waiting = target.guests.length - 1
    using visitor = rig.visit()
    // Both reach the balancer's kernel before it looks.
    target.guests[waiting]?.socket.end()
    assert.notEqual(await visitor.greeting(), `220 greeting ${waiting}`)
    await visitor.echoes("hello")
  }
})

test("nothing is sent twice: once its bytes are on their way, a client hears of a reset", deadline, async (t) => {
  const target = await new Target(t, ({ socket }) => void socket.once("data", () => socket.resetAndDestroy())).listen()
  const rig = await start(t, [{ address: target.address, warm: 1 }])
  await rig.warm(1)
  using visitor = rig.visit()
  visitor.socket.write("hello")
  assert.equal(await visitor.end(), "RST")
  assert.equal(target.guests.filter(({ text }) => text !== "").length, 1)
  await until(() => rig.target.totals.earlyResets === 1, "a mark against the target")
})

test("the PROXY header is the client's own", deadline, async (t) => {
  const target = await new Target(t).listen()
  const rig = await start(t, [{ address: target.address, warm: 1, "proxy-protocol": "v1" }])
  await rig.warm(1)
  assert.equal(target.guests[0]?.text, "")
  using visitor = rig.visit()
  await until(() => target.guests[0]?.text.endsWith("\r\n"), "a header")
  assert.equal(target.guests[0]?.text, `PROXY TCP4 127.0.0.1 127.0.0.1 ${visitor.socket.localPort} ${rig.port}\r\n`)
})

test("unix sockets stand ready too", deadline, async (t) => {
  const { folder } = new TlsSecrets(t)
  const target = await new Target(t).listen(join(folder, "t.sock"))
  const rig = await start(t, [{ address: target.address, warm: 1 }])
  await rig.warm(1)
  using visitor = rig.visit()
  visitor.socket.write("hello")
  await says(visitor, "0:hello")
})

test("TLS is made in advance, unless its protocols or a PROXY header are the client's", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const files = secrets.server("target", ["target.test"])
  const pair = { cert: readFileSync(files.cert, "utf8"), key: readFileSync(files.key, "utf8") }
  const listenerTls = { cert: files.cert, key: files.key, alpn: ["two"] }
  const speak = { "server-name": "target.test", ca: secrets.caFile }
  const cases: [string, object, object | undefined, number][] = [
    ["plain clients", { tls: speak }, undefined, 1],
    ["our own protocols", { tls: { ...speak, alpn: ["one"] } }, listenerTls, 1],
    ["a client's protocols", { tls: speak }, listenerTls, 0],
  ]
  for (const [name, changes, tlsOfListener, secured] of cases) {
    const target = await new Target(t, echo, pair).listen()
    const port = await freePort()
    const listen = [{ address: `127.0.0.1:${port}`, ...(tlsOfListener && { tls: tlsOfListener }) }]
    const rig = new Rig(port, settingsOf(port, [{ address: target.address, warm: 1, ...changes }], { listen }))
    t.after(() => rig.balancer.stop(0))
    await rig.balancer.listening()
    await rig.warm(1)
    if (secured === 1) await until(() => target.guests.length === 1, `a handshake: ${name}`)
    else assert.equal(target.guests.length, 0, name)
    const connection = { port, host: "127.0.0.1" }
    const socket =
      tlsOfListener === undefined
        ? net.connect(connection)
        : tls.connect({ ...connection, servername: "target.test", ca: secrets.ca, ALPNProtocols: ["two"] })
    socket.write("hello")
    const [answer] = (await once(socket, "data")) as [Buffer]
    assert.equal(String(answer), "0:hello", name)
    const [guest] = target.guests as [Guest]
    assert.equal(
      (guest.socket as tls.TLSSocket).alpnProtocol,
      { 0: false, 1: "one", 2: "two" }[cases.findIndex(([each]) => each === name)],
    )
    socket.destroy()
  }
})

test("a TLS target that has gone away meanwhile is dialled anew", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const files = secrets.server("target", ["target.test"])
  const pair = { cert: readFileSync(files.cert, "utf8"), key: readFileSync(files.key, "utf8") }
  const target = await new Target(t, echo, pair).listen()
  // Its first connection is taken by a server that resets whoever greets it.
  let isFirst = true
  const front = net.createServer({ pauseOnConnect: true }, (socket) => {
    socket.on("error", () => undefined)
    if (isFirst) {
      isFirst = false
      socket.resume()
      socket.once("data", () => socket.resetAndDestroy())
    } else target.server.emit("connection", socket)
  })
  await once(front.listen(0, "127.0.0.1"), "listening")
  t.after(() => void front.close())
  const { port } = front.address() as net.AddressInfo
  const tlsOf = { "server-name": "target.test", ca: secrets.caFile }
  const changes = { tls: tlsOf, "proxy-protocol": "off", warm: 1 }
  const listener = { cert: files.cert, key: files.key, alpn: ["two"] }
  const own = await freePort()
  const listen = [{ address: `127.0.0.1:${own}`, tls: listener }]
  const rig = new Rig(own, settingsOf(own, [{ address: `127.0.0.1:${port}`, ...changes }], { listen }))
  t.after(() => rig.balancer.stop(0))
  await rig.balancer.listening()
  await rig.warm(1)
  const socket = tls.connect({ port: own, host: "127.0.0.1", servername: "target.test", ca: secrets.ca })
  t.after(() => void socket.destroy())
  socket.write("hello")
  const [answer] = (await once(socket, "data")) as [Buffer]
  assert.match(String(answer), /^\d:hello$/)
  assert.equal(rig.target.totals.connectFailures, 0)
})

test("a target that may have so many connections has no more with those that stand ready", deadline, async (t) => {
  const target = await new Target(t).listen()
  const rig = await start(t, [{ address: target.address, warm: 4, "max-connections": 3 }])
  await rig.warm(3)
  using one = rig.visit()
  using two = rig.visit()
  using three = rig.visit()
  await until(() => rig.target.active === 3, "three joined")
  assert.deepEqual([rig.target.warm, target.open], [0, 3])
  for (const visitor of [one, two, three]) visitor.socket.resetAndDestroy()
  await rig.warm(3)
})

test("drained, disabled or failing, a target has none, and its connections are ended", deadline, async (t) => {
  const target = await new Target(t).listen()
  const rig = await start(t, [{ address: target.address, warm: 3 }])
  const app = rig.balancer.app("a")
  const [{ upstream, record }] = app.pool.targets.map((each) => ({ upstream: app.upstream(each), record: each })) as [
    { upstream: ReturnType<typeof app.upstream>; record: (typeof app.pool.targets)[number] },
  ]
  for (const orders of ["drain", "disable"] as const) {
    await rig.warm(3)
    record.orders = orders
    app.retarget()
    assert.equal(upstream.warm, 0)
    await until(() => target.open === 0, "ends")
    record.orders = "serve"
    app.retarget()
  }
  await rig.warm(3)
})

test("a reload of the app and a stop leave none behind", deadline, async (t) => {
  const target = await new Target(t).listen()
  const rig = await start(t, [{ address: target.address, warm: 2 }])
  await rig.warm(2)
  const before = [...target.guests]
  rig.balancer.update(settingsOf(rig.port, [{ address: target.address, warm: 1 }], { "no-delay": false }))
  await until(() => before.every(({ socket }) => socket.readableEnded), "their ends")
  await rig.warm(1)
  using visitor = rig.visit()
  visitor.socket.write("hello")
  await visitor.until(() => visitor.text.endsWith(":hello"), "an answer")
  const stopped = rig.balancer.stop(10_000)
  await until(() => target.open === 1, "only the client's is left")
  await visitor.leave()
  await stopped
})

test("dials in vain count as failures of the target, few and ever fewer", deadline, async (t) => {
  const port = await freePort()
  const rig = await start(t, [{ address: `127.0.0.1:${port}`, warm: 8 }])
  await until(() => rig.target.totals.connectFailures === 1, "a failure")
  await until(() => rig.target.totals.connectFailures === 2, "another one")
  assert.equal(rig.target.warm, 0)
})
