import assert from "node:assert/strict"
import * as net from "node:net"
import { describe, test } from "node:test"
import type { Link } from "../mux/link.ts"
import { linkSuite } from "../../test/suites/link-suite.ts"
import { tryAdoption } from "../sockets/socket-reader.ts"
import { dialTcp, listenTcp } from "./tcp.ts"

linkSuite("tcp", async () => {
  const accepted = Promise.withResolvers<Link>()
  const listener = await listenTcp({ host: "127.0.0.1", port: 0 }, accepted.resolve)
  const near = await dialTcp(listener.address, { timeoutMs: 2000 })
  return { near, far: await accepted.promise, cleanUp: () => listener.close() }
})

describe("tcp", () => {
  test("the adoption of accepted sockets works on the Node version this is developed with", async () => {
    assert.equal(await tryAdoption(), true)
  })

  test("a refused dial says so in one line", async () => {
    const listener = await listenTcp({ host: "127.0.0.1", port: 0 }, () => undefined)
    await listener.close()
    await assert.rejects(dialTcp(listener.address, { timeoutMs: 2000 }), {
      code: "unreachable",
      message: /^Cannot reach 127\.0\.0\.1:\d+: the connection is refused$/,
    })
  })

  test("a signal ends a dial with its reason", async () => {
    const reason = new Error("changed my mind")
    const address = { scheme: "tcp", host: "127.0.0.1", port: 9 } as const
    const dialling = dialTcp(address, { timeoutMs: 2000, signal: AbortSignal.abort(reason) })
    await assert.rejects(dialling, reason)
  })

  test("a port in use is refused with the mend", async () => {
    const listener = await listenTcp({ host: "127.0.0.1", port: 0 }, () => undefined)
    const { port } = listener.address as { port: number }
    await assert.rejects(
      listenTcp({ host: "127.0.0.1", port }, () => undefined),
      { code: "in_use", message: `127.0.0.1:${port} is in use by another process` },
    )
    await listener.close()
  })

  test("a closed listener frees its port while its links live on", async () => {
    const accepted = Promise.withResolvers<Link>()
    const listener = await listenTcp({ host: "127.0.0.1", port: 0 }, accepted.resolve)
    const near = await dialTcp(listener.address, { timeoutMs: 2000 })
    const far = await accepted.promise
    await listener.close()
    const { port } = listener.address as { port: number }
    const again = await listenTcp({ host: "127.0.0.1", port }, () => undefined)
    await again.close()
    const echoed = Promise.withResolvers<string>()
    const ended = Promise.withResolvers<undefined>()
    far.attach({
      data: (bytes) => (far.send([bytes]), true),
      drain() {},
      closed: () => ended.resolve(undefined),
    })
    near.attach({
      data: (bytes) => (echoed.resolve(Buffer.from(bytes).toString()), false),
      drain() {},
      closed() {},
    })
    near.send([Buffer.from("still here")])
    assert.equal(await echoed.promise, "still here")
    near.close()
    await ended.promise
  })

  test("a peer that ends without a word is a lost link", async () => {
    const server = net.createServer((socket) => socket.end()).listen(0, "127.0.0.1")
    await new Promise((resolve) => server.once("listening", resolve))
    const { port } = server.address() as net.AddressInfo
    const link = await dialTcp({ scheme: "tcp", host: "127.0.0.1", port }, { timeoutMs: 2000 })
    const error = await new Promise<Error | undefined>((resolve) => {
      link.attach({ data: () => false, drain() {}, closed: resolve })
    })
    assert.match(String(error), /closed the link/)
    server.close()
  })

  test("a close that the peer never answers is over after its time", async () => {
    const sockets: net.Socket[] = []
    const server = net.createServer({ allowHalfOpen: true }, (socket) => sockets.push(socket.resume()))
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address() as net.AddressInfo
    const link = await dialTcp({ scheme: "tcp", host: "127.0.0.1", port }, { timeoutMs: 2000, closeMs: 50 })
    const error = await new Promise<{ code?: string } | undefined>((resolve) => {
      link.attach({ data: () => false, drain() {}, closed: resolve })
      link.close()
    })
    assert.equal(error?.code, "timeout")
    for (const socket of sockets) socket.on("error", () => undefined).destroy()
    server.close()
  })
})
