import assert from "node:assert/strict"
import { once } from "node:events"
import * as net from "node:net"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { eventually } from "../../test/kit/raw-http.ts"
import { systemClock } from "../base/clock.ts"
import { errorCodes, RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import { silentLog } from "../base/log.ts"
import type { Stream, StreamSink } from "../base/stream.ts"
import type { SessionState } from "../mux/session-options.ts"
import { openSqliteStore } from "../store/sqlite-store.ts"
import type { Store } from "../store/store.ts"
import { Announcements } from "./announcements.ts"
import { TcpIngress } from "./ingress/tcp.ts"
import { defaultRelayLimits } from "./limits.ts"
import { Registry } from "./registry.ts"
import type { RouteSession } from "./registry.ts"

/** What several sessions of one relay share. */
interface Relay {
  readonly store: Store
  readonly tcp: TcpIngress
  readonly registry: Registry
}

/** One session's announcements, with a control stream that notes what it is told. */
function desk(t: TestContext, options: { routes?: number; instance?: string; token?: string; beside?: Relay } = {}) {
  const { beside } = options
  const store = beside?.store ?? openSqliteStore({ path: ":memory:", clock: systemClock, log: silentLog })
  const tcp = beside?.tcp ?? new TcpIngress({ host: "127.0.0.1", limits: defaultRelayLimits })
  const registry = beside?.registry ?? new Registry()
  const ownerId = options.token ?? "owner"
  const session = {
    id: "s",
    state: "live" as SessionState,
    draining: false,
    ownerId,
    claims: options.token !== undefined,
    instance: options.instance,
    open: () => assert.fail("nobody visits"),
  } satisfies RouteSession
  const said: JsonObject[] = []
  const desk = { store, tcp, registry, session, said, room: true, superseded: 0, resets: [] as string[], hear }
  const announcements = new Announcements(
    {
      clock: systemClock,
      registry,
      store,
      tcp,
      log: silentLog,
      httpUrl: (name) => `http://${name}.test`,
      tcpUrl: (port) => `tcp://test:${port}`,
      routesPerSession: options.routes ?? 10,
      onSuperseded: () => void desk.superseded++,
    },
    session,
    { id: ownerId, name: options.token, claims: options.token !== undefined, scopes: {}, instance: options.instance },
  )
  let sink: StreamSink | undefined
  announcements.serve({
    attach: (to: StreamSink) => void (sink = to),
    meta(block: JsonObject) {
      said.push(block)
      return desk.room
    },
    reset: (code: string) => void desk.resets.push(code),
  } as unknown as Stream)
  function hear(...messages: JsonObject[]): void {
    for (const message of messages) (sink as StreamSink).meta(message)
  }
  if (beside === undefined) {
    t.after(() => {
      tcp.close()
      store.close()
    })
  }
  return Object.assign(desk, { delayed: () => announcements.delayed() })
}

const announceTcp = (id: number, port = 0): JsonObject => {
  return { do: "announce", id, service: "tcp/x", expose: { kind: "tcp", port } }
}

test("announcements that come at once are bounded as those that come one by one", async (t) => {
  const { hear, said, tcp } = desk(t, { routes: 3 })
  hear(...Array.from({ length: 50 }, (_, at) => announceTcp(at)))
  await eventually("all are answered", () => said.length === 50)
  assert.equal(said.filter((each) => each["do"] === "exposed").length, 3)
  assert.equal(tcp.ports.length, 3)
})

test("a port that is taken back while it is opened stays closed, as one whose session has ended", async (t) => {
  const { hear, said, tcp, registry, session } = desk(t)
  hear(announceTcp(1), { do: "withdraw", id: 1 })
  await eventually("it is answered", () => said.length === 1)
  assert.deepEqual([tcp.ports, registry.list()], [[], []])
  hear(announceTcp(2))
  session.state = "closed"
  await eventually("it is answered", () => said.length === 2)
  assert.deepEqual([tcp.ports, registry.list()], [[], []])
})

test("a port or a name that one session announces twice goes to the later route and stays", async (t) => {
  const it = desk(t, { instance: "home" })
  it.hear(announceTcp(1))
  await eventually("the port is open", () => it.said.length === 1)
  const port = Number(it.said[0]?.["name"])
  it.hear(announceTcp(2, port))
  await eventually("both have heard", () => it.said.length === 3)
  assert.deepEqual(
    it.said.slice(1).map((each) => [each["do"], each["id"]]),
    [
      ["withdrawn", 1],
      ["exposed", 2],
    ],
  )
  assert.deepEqual(it.tcp.ports, [port])
  assert.equal(it.superseded, 0)
  it.hear({ do: "withdraw", id: 2 })
  assert.deepEqual(it.tcp.ports, [])
})

test("who announces without end and reads no answers loses the control stream", async (t) => {
  const it = desk(t)
  it.room = false
  it.hear({ do: "announce", id: 1, service: "http/x", expose: { kind: "http", name: "admin" } })
  await eventually("the stream is reset", () => it.resets.length === 1)
  assert.equal(it.said[0]?.["code"], errorCodes.usage.number)
  assert.deepEqual(it.resets, ["limit"])
})

test("nothing is remembered for somebody who cannot come back", async (t) => {
  const it = desk(t)
  it.hear({ do: "announce", id: 1, service: "http/x", expose: { kind: "http", seed: "one" } })
  it.hear({ ...announceTcp(2), expose: { kind: "tcp", port: 0, seed: "one" } })
  await eventually("both are answered", () => it.said.length === 2)
  assert.equal(it.store.rememberedName("owner", "one"), undefined)
  assert.equal(it.store.rememberedPort("owner", "one"), undefined)
})

test("a name is found free without reading all claims", async (t) => {
  const it = desk(t)
  it.store.listClaims = () => assert.fail("all claims are read")
  it.hear({ do: "announce", id: 1, service: "http/x", expose: { kind: "http" } })
  await eventually("it is answered", () => it.said.length === 1)
  assert.equal(it.said[0]?.["do"], "exposed")
})

test("a port that cannot be opened is not claimed, one that cannot be claimed is closed, and any other is both", async (t) => {
  const it = desk(t, { token: "laptop" })
  const busy = net.createServer().listen(0, "127.0.0.1")
  t.after(() => busy.close())
  await once(busy, "listening")
  const { port } = busy.address() as net.AddressInfo
  it.hear(announceTcp(1, port))
  await eventually("it is answered", () => it.said.length === 1)
  assert.equal(it.said[0]?.["code"], errorCodes.in_use.number)
  assert.deepEqual(it.store.claimsOf("laptop"), [])

  const claimName = it.store.claimName.bind(it.store)
  it.store.claimName = () => {
    throw new RdvError("limit", "No more claims")
  }
  it.hear(announceTcp(2))
  await eventually("it is answered", () => it.said.length === 2)
  assert.equal(it.said[1]?.["code"], errorCodes.limit.number)
  assert.deepEqual(it.tcp.ports, [])

  it.store.claimName = claimName
  it.hear(announceTcp(3))
  await eventually("it is answered", () => it.said.length === 3)
  assert.deepEqual(
    it.store.claimsOf("laptop").map(({ name }) => Number(name)),
    it.tcp.ports,
  )
})

test("who comes without a token hears that a claimed name needs its token", async (t) => {
  const claimed = { do: "announce", id: 1, service: "http/x", expose: { kind: "http", name: "blog" } } as const
  for (const [token, hint] of [
    [undefined, /come with the token that owns it/],
    ["laptop", /belongs to another token: choose another name$/],
  ] as const) {
    const it = desk(t, token === undefined ? {} : { token })
    it.store.claimName("http", "blog", "somebody")
    it.hear(claimed)
    await eventually("it is answered", () => it.said.length === 1)
    assert.equal(it.said[0]?.["code"], errorCodes.claimed.number)
    assert.match(String(it.said[0]?.["reason"]), hint)
  }
})

test("a name that is handed over goes to its new owner at once, and the old one hears of it", async (t) => {
  const old = desk(t, { token: "old" })
  const next = desk(t, { token: "next", beside: old })
  old.hear({ do: "announce", id: 7, service: "http/x", expose: { kind: "http", name: "blog" } }, announceTcp(8))
  await eventually("both are bound", () => old.said.length === 2)
  const port = Number(old.tcp.ports[0])
  next.hear({ do: "announce", id: 1, service: "http/y", expose: { kind: "http", name: "blog" } })
  await eventually("it is answered", () => next.said.length === 1)
  assert.equal(next.said[0]?.["code"], errorCodes.claimed.number)

  old.store.moveClaim("http", "blog", "next")
  old.store.moveClaim("tcp", String(port), "next")
  next.hear({ do: "announce", id: 2, service: "http/y", expose: { kind: "http", name: "blog" } }, announceTcp(3, port))
  await eventually("both have heard", () => next.said.length === 3 && old.said.length === 4)
  assert.deepEqual(
    next.said.slice(1).map((each) => [each["do"], each["id"]]),
    [
      ["exposed", 2],
      ["exposed", 3],
    ],
  )
  assert.deepEqual(
    old.said.slice(2).map((each) => [each["do"], each["id"], each["code"]]),
    [
      ["withdrawn", 7, errorCodes.claimed.number],
      ["withdrawn", 8, errorCodes.claimed.number],
    ],
  )
  assert.deepEqual(next.tcp.ports, [port])
  assert.ok(old.registry.list().every(({ session }) => session.ownerId === "next"))
})

test("a name that is released is withdrawn, what is not claimed or not released stays", async (t) => {
  const it = desk(t, { token: "laptop" })
  const stranger = desk(t, { beside: it })
  for (const name of ["blog", "shop"]) {
    it.hear({ do: "announce", id: name === "blog" ? 1 : 2, service: "http/x", expose: { kind: "http", name } })
  }
  stranger.hear({ do: "announce", id: 1, service: "http/z", expose: { kind: "http", name: "guest" } })
  await eventually("all are bound", () => it.registry.list().length === 3)
  it.store.releaseClaim("http", "blog")
  it.registry.enforce(it.store)
  assert.deepEqual(it.said.at(-1), {
    do: "withdrawn",
    id: 1,
    code: errorCodes.closed.number,
    reason: '"blog" was released at the relay',
  })
  assert.deepEqual(
    it.registry.list().map(({ name }) => name),
    ["shop", "guest"],
  )
  // It is anybody's now.
  stranger.hear({ do: "announce", id: 2, service: "http/z", expose: { kind: "http", name: "blog" } })
  await eventually("it is answered", () => stranger.said.length === 2)
  assert.equal(stranger.said[1]?.["do"], "exposed")
})

test("what is refused for a reason that may pass is told as delayed until it is granted, refused for good or taken back", async (t) => {
  const it = desk(t, { routes: 3, token: "laptop" })
  const busy = net.createServer().listen(0, "127.0.0.1")
  t.after(() => busy.close())
  await once(busy, "listening")
  const { port } = busy.address() as net.AddressInfo
  it.hear({ do: "announce", id: 9, service: "http/x", expose: { kind: "http", name: "admin" } })
  it.hear(...Array.from({ length: 3 }, (_, at) => announceTcp(at, port)))
  await eventually("all are answered", () => it.said.length === 4)
  const [first] = it.delayed()
  const told = { kind: "tcp", name: String(port), service: "tcp/x", session: "s", owner: "laptop", code: "in_use" }
  assert.deepEqual({ ...first, reason: "any", sinceMs: 0 }, { ...told, reason: "any", sinceMs: 0 })
  assert.match(String(first?.["reason"]), /in use/)
  assert.equal(it.delayed().length, 3)
  // Who makes up numbers without end is not remembered without end.
  it.hear(announceTcp(4, port))
  await eventually("it is answered", () => it.said.length === 5)
  assert.equal(it.delayed().length, 3)

  busy.close()
  await once(busy, "close")
  it.hear(announceTcp(0, port), { do: "withdraw", id: 1 })
  it.store.claimName("tcp", "1", "somebody")
  it.hear(announceTcp(2, 1))
  await eventually("all are answered", () => it.said.length === 7)
  assert.deepEqual(it.delayed(), [])

  const again = net.createServer().listen(0, "127.0.0.1")
  t.after(() => again.close())
  await once(again, "listening")
  it.hear(announceTcp(5, (again.address() as net.AddressInfo).port), { do: "withdraw", id: 5 })
  await eventually("it is answered", () => it.said.length === 8)
  assert.deepEqual(it.delayed(), [])
})
