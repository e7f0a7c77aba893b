import assert from "node:assert/strict"
import { once } from "node:events"
import { connect, createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { test } from "node:test"
import { probeOver } from "./readiness.ts"

test("a connection that comes paused, as from a dial, is asked over HTTP all the same", async (t) => {
  const server = createServer((socket) => {
    socket.on("error", () => undefined)
    socket.once("data", () => socket.write("HTTP/1.1 204 No Content\r\n\r\n"))
  }).listen(0, "127.0.0.1")
  t.after(() => server.close())
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  const open = async () => {
    const socket = connect(port, "127.0.0.1")
    socket.pause()
    await once(socket, "connect")
    return socket
  }
  await assert.doesNotReject(probeOver(open, "a.test")({ kind: "http", path: "/" }, AbortSignal.timeout(2_000)))
})
