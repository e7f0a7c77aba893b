import assert from "node:assert/strict"
import { once } from "node:events"
import * as net from "node:net"
import { test } from "node:test"
import type { TestContext } from "node:test"
import * as tls from "node:tls"
import { makeCertificate } from "../../test/kit/certificates.ts"
import { eventually } from "../../test/kit/raw-http.ts"
import { concat } from "../base/bytes.ts"
import { silentLog } from "../base/log.ts"
import type { Link } from "../mux/link.ts"
import { startRelay } from "../node.ts"
import type { Address } from "../transport/address.ts"
import type { RelayLimits } from "./limits.ts"
import { openSharedDoor } from "./shared-door.ts"

const secrets = makeCertificate()

/** A guest whose connections begin with `guest`. */
async function doorWith(t: TestContext, scheme: "tcp" | "tls", limits: Partial<RelayLimits> = {}) {
  const running = await startRelay({ listen: [], store: ":memory:", open: true, log: silentLog, limits })
  t.after(() => running.stop())
  const taken: Link[] = []
  const heard: Uint8Array[] = []
  const guest = {
    headBytes: 5,
    isTheirs: (head: Uint8Array) => head[4] === "t".charCodeAt(0),
    take(link: Link) {
      taken.push(link)
      // In a moment, as those do who wire themselves up first.
      queueMicrotask(() => {
        link.attach({
          data: (bytes) => {
            heard.push(bytes.slice())
            return false
          },
          drain: () => undefined,
          closed: () => undefined,
        })
      })
    },
  }
  const address: Address = { scheme, host: "127.0.0.1", port: 0 }
  const door = await openSharedDoor(running.relay, address, guest, secrets)
  t.after(() => door.close())
  assert.ok("port" in door.address)
  const { port } = door.address
  return { port, taken, text: () => new TextDecoder().decode(concat(heard)) }
}

test("a connection is taken once, however many pieces its beginning comes in", async (t) => {
  const { port, taken, text } = await doorWith(t, "tls")
  // Written before the handshake is over, they all arrive with its end.
  const socket = tls.connect({ port, host: "127.0.0.1", ca: secrets.ca, servername: "localhost" })
  t.after(() => socket.destroy())
  for (const piece of ["gu", "est one ", "two ", "three"]) socket.write(piece)
  await eventually("all has come", () => text() === "guest one two three")
  assert.equal(taken.length, 1)
})

test("handshakes that nobody begins do not keep others out", async (t) => {
  const { port, text } = await doorWith(t, "tls", { tlsHandshakes: 2 })
  const idle = await Promise.all(
    [1, 2, 3].map(async () => {
      const socket = net.connect(port, "127.0.0.1")
      t.after(() => socket.destroy())
      const over = ended(socket)
      await once(socket, "connect")
      return { over }
    }),
  )
  await idle[0]?.over
  const socket = tls.connect({ port, host: "127.0.0.1", ca: secrets.ca, servername: "localhost" })
  t.after(() => socket.destroy())
  socket.write("guest")
  await eventually("it has come in", () => text() === "guest")
})

test("who does not say enough is cut off when its time is over", async (t) => {
  const { port } = await doorWith(t, "tcp", { headMs: 50 })
  const silent = net.connect(port, "127.0.0.1")
  t.after(() => silent.destroy())
  silent.write("gue")
  await ended(silent)
})

/** In whatever way. */
function ended(socket: net.Socket): Promise<void> {
  socket.on("error", () => undefined)
  return new Promise((resolve) => socket.once("close", () => resolve()))
}
