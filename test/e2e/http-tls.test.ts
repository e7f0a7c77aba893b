import assert from "node:assert/strict"
import { once } from "node:events"
import * as https from "node:https"
import * as tls from "node:tls"
import { test } from "node:test"
import { makeCertificate } from "../kit/certificates.ts"
import { localTunnel } from "../kit/local-tunnel.ts"
import type { LocalTunnel } from "../kit/local-tunnel.ts"
import { httpOrigin, pattern, rawOrigin } from "../kit/origin.ts"
import type { Echo } from "../kit/origin.ts"
import { eventually, RawClient } from "../kit/raw-http.ts"

const secrets = makeCertificate()

test("a visitor by TLS is served alike, and the service hears of it", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target, tls: secrets })
  const client = await tlsClient(tunnel)
  const body = pattern(0, 300_000)
  for (let round = 0; round < 3; round++) {
    void client.send(`POST /echo HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: ${body.length}\r\n\r\n`)
    void client.send(body)
    const echo = JSON.parse((await client.answer()).body.toString()) as Echo
    assert.equal(echo.bytes, body.length)
    assert.equal(echo.headers[echo.headers.indexOf("X-Forwarded-Proto") + 1], "https")
  }
  client.socket.destroy()
  await tunnel.quiet()
})

test("an answer that broke off never looks complete by TLS either, and the relay lives on", async () => {
  for (const field of ["Content-Length: 10", "Transfer-Encoding: chunked", "X-Until: close"]) {
    let seen = Promise.withResolvers<void>()
    await using origin = await rawOrigin(async ({ socket }) => {
      socket.write(`HTTP/1.1 200 OK\r\n${field}\r\n\r\n${field.startsWith("T") ? "4\r\nhalf\r\n" : "half"}`)
      await seen.promise
      socket.resetAndDestroy()
    })
    await using tunnel = await localTunnel({ target: origin.target, tls: secrets })
    for (let round = 0; round < 2; round++) {
      seen = Promise.withResolvers<void>()
      const client = await tlsClient(tunnel)
      void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
      await client.takeUntil("half")
      seen.resolve()
      assert.ok(!(await client.rest()).bytes.includes("0\r\n\r\n"))
      client.socket.destroy()
    }
    await tunnel.quiet()
  }
})

test("a service that speaks https is served, and hears of a visitor that leaves", async () => {
  let left = 0
  const server = https.createServer(secrets, (request, response) => {
    if (request.url === "/") response.end("secure")
    else {
      response.write("endless")
      response.on("close", () => left++)
    }
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as { port: number }
  await using tunnel = await localTunnel({
    target: `https://127.0.0.1:${port}`,
    settings: { insecure: true },
    tls: secrets,
  })
  for (let round = 0; round < 5; round++) {
    const client = await tlsClient(tunnel)
    void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
    assert.equal((await client.answer()).body.toString(), "secure")
    void client.send(`GET /endless HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
    await client.takeUntil("endless")
    client.socket.destroy()
    await eventually("the service hears of it", () => left === round + 1, 1_500)
  }
  await tunnel.quiet()
  server.closeAllConnections()
  server.close()
})

async function tlsClient(tunnel: LocalTunnel): Promise<RawClient> {
  const socket = tls.connect({ port: tunnel.tlsPort, host: "127.0.0.1", ca: secrets.ca, servername: "localhost" })
  await once(socket, "secureConnect")
  return new RawClient(socket)
}
