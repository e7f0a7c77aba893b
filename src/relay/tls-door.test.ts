import assert from "node:assert/strict"
import { once } from "node:events"
import { test } from "node:test"
import type { TestContext } from "node:test"
import * as tls from "node:tls"
import { makeCertificate } from "../../test/kit/certificates.ts"
import { settle } from "../../test/kit/fake-clock.ts"
import { eventually, RawClient, rawClient } from "../../test/kit/raw-http.ts"
import { silentLog } from "../base/log.ts"
import { startRelay } from "../node.ts"
import type { DoorStatus } from "./front-door.ts"
import type { RelayLimits } from "./limits.ts"

const secrets = makeCertificate()

async function relayWith(t: TestContext, limits: Partial<RelayLimits> = {}) {
  const listen = ["tls://127.0.0.1:0"]
  const running = await startRelay({ listen, tls: secrets, store: ":memory:", open: true, log: silentLog, limits })
  t.after(() => running.stop())
  const [address] = running.addresses
  assert.ok(address !== undefined && "port" in address)
  const { port } = address
  const strangers: RawClient[] = []
  t.after(() => strangers.forEach(({ socket }) => socket.destroy()))
  return {
    running,
    port,
    strangers,
    door: () => (running.relay.status()["doors"] as DoorStatus[])[0] as DoorStatus,
    async stranger(says?: Uint8Array) {
      const client = await rawClient(port)
      strangers.push(client)
      if (says !== undefined) await client.send(says)
      return client
    },
  }
}

/** Resolves with the code of the error when it is not let in. */
async function visit(port: number, ca: string = secrets.ca): Promise<tls.TLSSocket | string> {
  const socket = tls.connect({ port, host: "127.0.0.1", ca, servername: "localhost" })
  try {
    await once(socket, "secureConnect")
    return socket
  } catch (error) {
    return (error as { code: string }).code
  }
}

async function isServed(socket: tls.TLSSocket | string): Promise<boolean> {
  if (typeof socket === "string") return false
  const client = new RawClient(socket)
  void client.send("GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n")
  const { status } = await client.answer()
  socket.destroy()
  return status === 404
}

/** A record that announces 300 bytes of a ClientHello, and six of them. */
const beginning = Uint8Array.of(0x16, 3, 1, 1, 0x2c, 1)

test("strangers that say nothing on the TLS port are bounded, and keep no visitor out", async (t) => {
  const { port, strangers, stranger, door } = await relayWith(t, { tlsHandshakes: 4 })
  for (let count = 0; count < 12; count++) await stranger()
  await Promise.all(strangers.slice(0, 8).map((client) => client.rest()))
  assert.deepEqual([door().waiting, door().turnedAway], [4, 8])
  assert.ok(await isServed(await visit(port)))
  assert.equal(door().waiting, 3)
})

test("handshakes that were begun are bounded and not disturbed by newer ones; after the deadline there is room again", async (t) => {
  const { port, strangers, stranger, door } = await relayWith(t, { tlsHandshakes: 4, tlsHandshakeMs: 1_000 })
  for (let count = 0; count < 4; count++) await stranger(beginning)
  const begun = performance.now()
  // The relay is in this process: after some turns of its loop it has read them.
  await settle()
  // One that has said nothing gives way to nobody when there is no other, so it is gone at once.
  await (await stranger()).rest()
  assert.equal(await visit(port), "ECONNRESET")
  assert.deepEqual([door().waiting, door().turnedAway], [4, 2])
  await Promise.all(strangers.map((client) => client.rest()))
  const tookMs = performance.now() - begun
  assert.ok(tookMs > 800 && tookMs < 2_000, `cut after ${tookMs} ms`)
  await eventually("there is room", () => door().waiting === 0)
  assert.ok(await isServed(await visit(port)))
  assert.equal(door().waiting, 0)
})

test("a relay that stops cuts who has not come in yet", async (t) => {
  const { running, stranger } = await relayWith(t)
  const waiting = await stranger(beginning)
  await running.stop()
  await waiting.rest()
})

test("a renewed certificate is shown from the next handshake on, and who is there stays", async (t) => {
  const { running, port } = await relayWith(t)
  const old = await visit(port)
  assert.ok(typeof old !== "string")
  const other = makeCertificate()
  running.renewTls(other)
  assert.equal(typeof (await visit(port)), "string", "another authority has signed it")
  const renewed = await visit(port, other.ca)
  assert.ok(typeof renewed !== "string")
  assert.equal(renewed.getPeerX509Certificate()?.fingerprint256.replaceAll(":", "").toLowerCase(), other.sha256)
  assert.ok(await isServed(old))
  assert.ok(await isServed(renewed))
})
