import assert from "node:assert/strict"
import * as net from "node:net"
import { describe, test } from "node:test"
import * as tls from "node:tls"
import type { Link } from "../mux/link.ts"
import { makeCertificate } from "../../test/kit/certificates.ts"
import { linkSuite } from "../../test/suites/link-suite.ts"
import { dialTls, listenTls } from "./tls.ts"

const made = makeCertificate()
const { cert, key, ca, sha256 } = made
const listenOptions = { host: "127.0.0.1", port: 0, cert, key }

linkSuite("tls", async () => {
  const accepted = Promise.withResolvers<Link>()
  const listener = await listenTls(listenOptions, accepted.resolve)
  const near = await dialTls(listener.address, { timeoutMs: 2000, ca })
  return { near, far: await accepted.promise, cleanUp: () => listener.close() }
})

describe("tls", () => {
  const withListener = async (body: (port: number) => Promise<void>) => {
    const listener = await listenTls(listenOptions, (link) => link.close())
    try {
      await body((listener.address as { port: number }).port)
    } finally {
      await listener.close()
    }
  }
  const at = (port: number) => ({ scheme: "tls", host: "127.0.0.1", port }) as const

  test("an unknown authority is refused", () =>
    withListener(async (port) => {
      await assert.rejects(dialTls(at(port), { timeoutMs: 2000 }), {
        code: "unreachable",
        message: /its authority is not trusted here/,
      })
    }))

  test("a certificate for another name is refused", () =>
    withListener(async (port) => {
      await assert.rejects(dialTls(at(port), { timeoutMs: 2000, ca, servername: "other.test" }), {
        code: "unreachable",
        message: /it is for another name/,
      })
    }))

  test("the address that is dialled must be in the certificate, also when it is an IP", async () => {
    const other = makeCertificate(["localhost", "127.0.0.9"])
    const listener = await listenTls({ ...listenOptions, cert: other.cert, key: other.key }, (link) => link.close())
    await assert.rejects(dialTls(listener.address, { timeoutMs: 2000, ca: other.ca }), { message: /another name/ })
    await listener.close()
  })

  test("a pin stands in for the authority, and a wrong one is refused with the right value", () =>
    withListener(async (port) => {
      const pinned = sha256.toUpperCase().replace(/(..)(?=.)/g, "$1:")
      const link = await dialTls(at(port), { timeoutMs: 2000, pinSha256: pinned })
      link.close()
      await assert.rejects(dialTls(at(port), { timeoutMs: 2000, pinSha256: "0".repeat(64) }), {
        code: "unreachable",
        message: new RegExp(`not the pinned one: it has the SHA-256 ${sha256}`),
      })
      await assert.rejects(dialTls(at(port), { timeoutMs: 2000, pinSha256: "abc" }), { code: "usage" })
    }))

  test("a server without rdv/1 is told apart", async () => {
    const server = tls.createServer({ cert, key, ALPNProtocols: ["h2"] }).listen(0, "127.0.0.1")
    await new Promise((resolve) => server.once("listening", resolve))
    const { port } = server.address() as net.AddressInfo
    await assert.rejects(dialTls(at(port), { timeoutMs: 2000, ca }), { code: "protocol", message: /but not/ })
    server.close()
  })

  test("a server that speaks no TLS is told apart", async () => {
    const server = net.createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")).listen(0, "127.0.0.1")
    await new Promise((resolve) => server.once("listening", resolve))
    const { port } = server.address() as net.AddressInfo
    await assert.rejects(dialTls(at(port), { timeoutMs: 2000, ca }), {
      code: "protocol",
      message: /does not speak TLS/,
    })
    server.close()
  })

  test("a server that never answers is given up in time", async () => {
    const sockets: net.Socket[] = []
    const server = net.createServer((socket) => sockets.push(socket)).listen(0, "127.0.0.1")
    await new Promise((resolve) => server.once("listening", resolve))
    const { port } = server.address() as net.AddressInfo
    await assert.rejects(dialTls(at(port), { timeoutMs: 50, ca }), { code: "timeout" })
    for (const socket of sockets) socket.destroy()
    server.close()
  })
})
