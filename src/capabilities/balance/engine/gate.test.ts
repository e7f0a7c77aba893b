import assert from "node:assert/strict"
import { connect } from "node:net"
import { test } from "node:test"
import type { TestContext } from "node:test"
import * as tls from "node:tls"
import { appOf, balanceRig, echoTarget, settingsOf, triedAgain } from "../../../../test/kit/balance-rig.ts"
import { until } from "../../../../test/kit/processes.ts"
import { freePorts } from "../../../../test/kit/running-balancer.ts"
import { TlsSecrets } from "../../../../test/kit/tls-secrets.ts"
import { Visitor } from "../../../../test/kit/visitor.ts"
import type { ListenerTls } from "../config/settings.ts"

function tlsOf(t: TestContext): ListenerTls {
  const certificates = [new TlsSecrets(t).server("a", ["localhost"])]
  return { certificates, clientCa: undefined, clientCertificate: "none", alpn: [], minVersion: "TLSv1.2" }
}

const header = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"

test("a client that may send a PROXY header and ends before it has is served, with its bytes and its end", async (t) => {
  const [port = 0] = await freePorts(1)
  const target = await echoTarget(t)
  const app = appOf(port, [target.port], { listener: { proxyProtocol: "optional" } })
  const { balancer, records } = await balanceRig(t, settingsOf([app]))
  for (const text of ["", "PRO"]) {
    const visitor = new Visitor(port)
    visitor.socket.end(text)
    assert.equal(await visitor.end(), "FIN")
    assert.equal(visitor.text, `hi\n${text}`)
  }
  await until(() => balancer.connections === 0, "both are over")
  assert.deepEqual(
    records.map(({ ending }) => ending),
    ["done", "done"],
  )
})

test("a client that breaks off before it has said enough leaves nothing behind", async (t) => {
  const [port = 0] = await freePorts(1)
  const target = await echoTarget(t)
  const app = appOf(port, [target.port], { listener: { proxyProtocol: "optional" } })
  const { balancer, records } = await balanceRig(t, settingsOf([app]))
  const visitor = new Visitor(port)
  await new Promise((sent) => void visitor.socket.write("PRO", sent))
  await until(() => balancer.connections === 1, "it is there")
  visitor.socket.resetAndDestroy()
  await until(() => balancer.connections === 0, "it is over")
  assert.deepEqual([records[0]?.ending, target.count()], ["client-gone", 0])
})

test("a header and an end without a byte between them is passed on as an end", async (t) => {
  const [port = 0, dead = 0] = await freePorts(2)
  const app = appOf(port, [dead], { whenDown: "hold", listener: { proxyProtocol: "require" } })
  const { balancer } = await balanceRig(t, settingsOf([app]))
  const visitor = new Visitor(port)
  visitor.socket.end(header)
  await until(() => balancer.app("app").places.taken === 1, "it is held")
  await triedAgain(balancer, 1)
  await echoTarget(t, dead)
  assert.equal(await visitor.end(), "FIN")
  assert.equal(visitor.text, "hi\n")
})

test("who does not begin with TLS comes to the app without names, when that one does not end TLS either", async (t) => {
  const [port = 0] = await freePorts(1)
  const [named, other] = [await echoTarget(t), await echoTarget(t)]
  const apps = [
    { ...appOf(port, [named.port], { listener: { serverNames: ["shop.test"] } }), name: "shop" },
    { ...appOf(port, [other.port]), name: "other" },
  ]
  await balanceRig(t, settingsOf(apps))
  const visitor = new Visitor(port)
  visitor.socket.write("GET / HTTP/1.1\r\n")
  await visitor.until(() => visitor.text === "hi\nGET / HTTP/1.1\r\n", "the echo")
  visitor.socket.end()
  assert.deepEqual([named.count(), other.count()], [0, 1])
})

test("a TLS client that leaves while it is held is noticed", async (t) => {
  const [port = 0, dead = 0] = await freePorts(2)
  const app = appOf(port, [dead], { whenDown: "hold", listener: { tls: tlsOf(t) } })
  const { balancer, records } = await balanceRig(t, settingsOf([app]))
  const raw = connect(port, "127.0.0.1")
  const client = tls.connect({ socket: raw, rejectUnauthorized: false })
  for (const socket of [raw, client]) socket.on("error", () => undefined)
  await until(() => balancer.app("app").places.taken === 1, "it is held")
  raw.resetAndDestroy()
  await until(() => balancer.connections === 0, "it is over", 4_000)
  assert.equal(records[0]?.ending, "client-gone")
})

test("an app that goes during a handshake takes the client with it, and no count stays", async (t) => {
  const [port = 0, dead = 0] = await freePorts(2)
  const listener = { tls: tlsOf(t) }
  const { balancer } = await balanceRig(t, settingsOf([appOf(port, [dead], { whenDown: "hold", listener })]))
  const slow = new Visitor(port)
  await until(() => balancer.connections === 1, "its handshake has begun")
  const client = tls.connect({ socket: slow.socket, rejectUnauthorized: false })
  client.on("error", () => undefined)
  balancer.update(settingsOf([appOf(port, [dead], { name: "other", whenDown: "hold", listener })]))
  await until(() => balancer.connections === 0, "it is over", 4_000)
})

test("who is denied is not asked for a preface", async (t) => {
  const [port = 0] = await freePorts(1)
  const access = { rules: [], otherwise: "deny" } as const
  const { records } = await balanceRig(t, settingsOf([appOf(port, [1], { access, listener: { tls: tlsOf(t) } })]))
  using visitor = new Visitor(port)
  assert.equal(await visitor.end(2_000), "RST")
  assert.equal(records[0]?.ending, "denied")
})

test("clients that say nothing do not keep out those who do", async (t) => {
  const [port = 0] = await freePorts(1)
  const target = await echoTarget(t)
  const app = appOf(port, [target.port], { listener: { proxyProtocol: "require" } })
  const { balancer, records } = await balanceRig(t, settingsOf([app], { maxConnections: 60 }))
  const silent: Visitor[] = []
  t.after(() => silent.forEach(({ socket }) => socket.destroy()))
  for (let at = 0; at < 100; at++) {
    silent.push(new Visitor(port))
    await silent[at]?.until(() => silent[at]?.connected === true, "it is connected")
  }
  await until(() => records.length === 70, "the oldest are gone")
  assert.equal(balancer.connections, 30)
  using visitor = new Visitor(port)
  visitor.socket.write(header)
  assert.equal(await visitor.greeting(), "hi")
  assert.ok(records.every(({ ending }) => ending === "preface-timeout"))
})
