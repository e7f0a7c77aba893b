import assert from "node:assert/strict"
import { once } from "node:events"
import * as net from "node:net"
import { test } from "node:test"
import { FakeClock } from "../../../test/kit/fake-clock.ts"
import { eventually } from "../../../test/kit/raw-http.ts"
import { ConnectionPool } from "./connection-pool.ts"
import type { ConnectionUser } from "./connection-pool.ts"
import type { AnswerSink, LocalConnection } from "./local-connection.ts"

/** A pool whose connections all lead to a service that answers when it is told to. */
async function pooled(t: { after(cleanUp: () => void): void }) {
  const sockets: net.Socket[] = []
  const server = net.createServer((socket) => void sockets.push(socket.on("error", () => undefined)))
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as net.AddressInfo
  const clock = new FakeClock()
  const endpoint = { kind: "tcp", host: "127.0.0.1", port, tls: false } as const
  const pool = new ConnectionPool({ clock, endpoint, connect: {} })
  t.after(() => {
    pool.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { pool, sockets, clock }
}

class User implements ConnectionUser {
  readonly repeatable: boolean
  connection: LocalConnection | undefined

  constructor(repeatable: boolean) {
    this.repeatable = repeatable
  }

  connected(connection: LocalConnection): void {
    this.connection = connection
  }

  failed(error: Error): void {
    throw error
  }
}

test("who leaves the queue is forgotten, and who cannot use what is at rest gets room for a new connection", async (t) => {
  const { pool, clock } = await pooled(t)
  const first = Array.from({ length: 512 }, () => new User(true))
  for (const user of first) pool.acquire(user)
  await eventually("all are connected", () => first.every(({ connection }) => connection !== undefined))
  const gone = new User(true)
  pool.acquire(gone)
  assert.equal(pool.waiting, 1)
  pool.withdraw(gone)
  assert.equal(pool.waiting, 0)
  for (const { connection } of first) pool.release(connection as LocalConnection)
  assert.equal(gone.connection, undefined)
  clock.advance(1_000)
  const post = new User(false)
  pool.acquire(post)
  await eventually("it has a new connection", () => post.connection !== undefined)
  assert.equal(pool.open, 512)
})

class Sink implements AnswerSink {
  readonly method = "POST"
  took = 0
  ended = false

  answerHead(): void {}

  answerData(): boolean {
    return true
  }

  answerEnd(): void {
    this.ended = true
  }

  taken(bytes: number): void {
    this.took += bytes
  }

  broken(error: Error): void {
    throw error
  }
}

test("what an exchange left in the socket counts for that exchange, not for the next one", async (t) => {
  const { pool, sockets } = await pooled(t)
  const user = new User(true)
  pool.acquire(user)
  await eventually("it is connected", () => user.connection !== undefined && sockets.length === 1)
  const connection = user.connection as LocalConnection
  const [service] = sockets
  const early = new Sink()
  const head = Buffer.from("POST / HTTP/1.1\r\n\r\n")
  const body = Buffer.alloc(32 * 1024 * 1024)
  service?.pause()
  connection.begin(early, head, false)
  connection.write(body, body.length)
  connection.endRequest()
  // The service answers before it has read the request.
  service?.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
  await eventually("the answer is there", () => early.ended)
  assert.equal(early.took, 0)
  const next = new Sink()
  connection.begin(next, head, false)
  connection.write(Buffer.alloc(10), 10)
  service?.resume()
  await eventually("everything is taken", () => early.took + next.took > 0 && next.took >= 10)
  assert.deepEqual([early.took, next.took], [body.length, 10])
})
