import assert from "node:assert/strict"
import * as net from "node:net"
import { describe, test } from "node:test"
import * as tls from "node:tls"
import type { Link } from "../mux/link.ts"
import { makeCertificate } from "../../test/kit/certificates.ts"
import { linkSuite } from "../../test/suites/link-suite.ts"
import { dialTcp, listenTcp } from "./tcp.ts"
import { acceptUpgrade, asksForSession, dialUpgrade } from "./upgrade.ts"

const made = makeCertificate()

interface Request {
  readonly line: string
  readonly headers: string[]
  readonly head: Buffer
}

/** Reads one request head, as the ingress of a relay does, and leaves the socket paused. */
function readRequest(socket: net.Socket, onRequest: (request: Request) => void): void {
  let held = Buffer.alloc(0)
  const onData = (bytes: Buffer) => {
    held = Buffer.concat([held, bytes])
    const end = held.indexOf("\r\n\r\n")
    if (end < 0) return
    socket.pause()
    socket.off("data", onData)
    const [line = "", ...fields] = held.subarray(0, end).toString("latin1").split("\r\n")
    const headers = fields.flatMap((field) => [
      field.slice(0, field.indexOf(":")),
      field.slice(field.indexOf(":") + 1).trim(),
    ])
    onRequest({ line, headers, head: held.subarray(end + 4) })
  }
  socket.on("data", onData).on("error", () => undefined)
}

async function serve(
  onSocket: (socket: net.Socket) => void,
  secure = false,
): Promise<{ port: number; close: () => void }> {
  const sockets = new Set<net.Socket>()
  const take = (socket: net.Socket) => {
    sockets.add(socket)
    onSocket(socket)
  }
  const server = secure
    ? tls.createServer({ cert: made.cert, key: made.key, allowHalfOpen: true, ALPNProtocols: ["http/1.1"] }, take)
    : net.createServer({ allowHalfOpen: true }, take)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    port: (server.address() as net.AddressInfo).port,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

const at = (port: number, secure = false) =>
  ({ scheme: secure ? "https" : "http", host: "127.0.0.1", port, path: "/.rdv/session" }) as const

/** An HTTP proxy that knows CONNECT and asks for a password. */
function serveProxy(seen: string[]): Promise<{ port: number; close: () => void }> {
  return serve((client) => {
    readRequest(client, ({ line, headers }) => {
      const password = headers[headers.indexOf("Proxy-Authorization") + 1]
      seen.push(line)
      if (password !== `Basic ${Buffer.from("ann:s3cret").toString("base64")}`) {
        client.end("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        return
      }
      if (line.includes("forbidden")) {
        client.end("HTTP/1.1 403 Forbidden\r\n\r\n")
        return
      }
      const [host = "", port = ""] = (line.split(" ")[1] as string).split(":")
      const target = net.connect({ host, port: Number(port), allowHalfOpen: true }, () => {
        client.write("HTTP/1.1 200 Connection established\r\n\r\n")
        client.pipe(target).pipe(client)
      })
      for (const [one, other] of [
        [client, target],
        [target, client],
      ] as const) {
        one.on("error", () => other.resetAndDestroy()).on("close", () => other.destroy())
      }
    })
  })
}

for (const secure of [false, true]) {
  linkSuite(secure ? "https upgrade" : "http upgrade", async () => {
    const accepted = Promise.withResolvers<Link>()
    const server = await serve((socket) => {
      readRequest(socket, ({ headers, head }) => accepted.resolve(acceptUpgrade(socket, headers, head)))
    }, secure)
    const near = await dialUpgrade(at(server.port, secure), { timeoutMs: 2000, ca: made.ca })
    return { near, far: await accepted.promise, cleanUp: () => server.close() }
  })
}

describe("upgrade", () => {
  test("bytes that come in one piece with the heads are delivered first", async () => {
    const accepted = Promise.withResolvers<Link>()
    const server = await serve((socket) => {
      readRequest(socket, ({ headers }) => {
        const link = acceptUpgrade(socket, headers, Buffer.from("head "))
        link.send([Buffer.from("server first")])
        accepted.resolve(link)
      })
    })
    const near = await dialUpgrade(at(server.port), { timeoutMs: 2000 })
    assert.equal(await firstText(near, 12), "server first")
    near.send([Buffer.from("tail")])
    assert.equal(await firstText(await accepted.promise, 9), "head tail")
    near.close()
    server.close()
  })

  const refusals: [string, string, RegExp][] = [
    ["HTTP/1.1 403 Forbidden\r\n\r\n", "forbidden", /answered "403 Forbidden" where a session was asked for/],
    ["HTTP/1.1 200 OK\r\n\r\n", "protocol", /answered "200 OK"/],
    ["HTTP/1.1 101 Switching\r\nUpgrade: other\r\n\r\n", "protocol", /answered "101 Switching"/],
    ["HTTP/1.1 502 Bad Gateway\r\n\r\n", "unreachable", /answered "502 Bad Gateway"/],
    ["HTTP/1.1 401 Unauthorized\r\n\r\n", "unauthorized", /answered "401/],
    ["SSH-2.0-x\r\n\r\n", "protocol", /did not answer in HTTP/],
    ["x".repeat(20_000), "protocol", /did not answer in HTTP/],
    ["HTTP/1.1 101", "unreachable", /closed the connection/],
  ]
  for (const [answer, code, message] of refusals) {
    test(`the answer ${JSON.stringify(answer.slice(0, 30))} is refused as ${code}`, async () => {
      const server = await serve((socket) => readRequest(socket, () => socket.end(answer)))
      await assert.rejects(dialUpgrade(at(server.port), { timeoutMs: 2000 }), { code, message })
      server.close()
    })
  }

  test("a server that never answers is given up in time", async () => {
    const server = await serve((socket) => readRequest(socket, () => undefined))
    await assert.rejects(dialUpgrade(at(server.port), { timeoutMs: 50 }), { code: "timeout" })
    server.close()
  })

  test("only a request with both tokens asks for a session", () => {
    assert.ok(asksForSession(["connection", "keep-alive, Upgrade", "UPGRADE", "RDV/1"]))
    assert.ok(!asksForSession(["Upgrade", "rdv/1"]))
    assert.ok(!asksForSession(["Connection", "upgrade", "Upgrade", "websocket"]))
  })
})

describe("an HTTP proxy", () => {
  test("is passed with its password, by TCP and by TLS", async () => {
    const seen: string[] = []
    const proxyServer = await serveProxy(seen)
    const proxy = new URL(`http://ann:s3cret@127.0.0.1:${proxyServer.port}`)
    const echo = (link: Link) => link.attach({ data: (bytes) => (link.send([bytes]), true), drain() {}, closed() {} })
    const listener = await listenTcp({ host: "127.0.0.1", port: 0 }, echo)
    const plain = await dialTcp(listener.address, { timeoutMs: 2000, proxy })
    plain.send([Buffer.from("through")])
    assert.equal(await firstText(plain, 7), "through")
    const server = await serve((socket) => {
      readRequest(socket, ({ headers, head }) => echo(acceptUpgrade(socket, headers, head)))
    }, true)
    const secure = await dialUpgrade(at(server.port, true), { timeoutMs: 2000, proxy, ca: made.ca })
    secure.send([Buffer.from("secretly")])
    assert.equal(await firstText(secure, 8), "secretly")
    assert.deepEqual(seen, [
      `CONNECT 127.0.0.1:${(listener.address as { port: number }).port} HTTP/1.1`,
      `CONNECT 127.0.0.1:${server.port} HTTP/1.1`,
    ])
    plain.close()
    secure.close()
    await listener.close()
    server.close()
    proxyServer.close()
  })

  test("that refuses is quoted, without its password", async () => {
    const proxyServer = await serveProxy([])
    const target = { scheme: "tcp", host: "forbidden.test", port: 1 } as const
    const right = new URL(`http://ann:s3cret@127.0.0.1:${proxyServer.port}`)
    const wrong = new URL(`http://ann:guess@127.0.0.1:${proxyServer.port}`)
    const place = `The proxy 127.0.0.1:${proxyServer.port}`
    await assert.rejects(dialTcp(target, { timeoutMs: 2000, proxy: right }), {
      code: "forbidden",
      message: `${place} answered "403 Forbidden" for forbidden.test:1`,
    })
    await assert.rejects(dialTcp(target, { timeoutMs: 2000, proxy: wrong }), {
      code: "unauthorized",
      message: `${place} answered "407 Proxy Authentication Required" for forbidden.test:1`,
    })
    await assert.rejects(dialTcp(target, { timeoutMs: 2000, proxy: new URL("socks5://x:1") }), { code: "usage" })
    proxyServer.close()
  })
})

function firstText(link: Link, count: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ""
    link.attach({
      data(bytes) {
        text += Buffer.from(bytes).toString()
        if (text.length >= count) resolve(text)
        return false
      },
      drain() {},
      closed: (error) => reject(error ?? new Error("closed")),
    })
  })
}
