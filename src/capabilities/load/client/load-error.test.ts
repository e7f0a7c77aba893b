import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { createServer } from "node:net"
import type { Server, Socket } from "node:net"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { createServer as createTlsServer } from "node:tls"
import { promisify } from "node:util"
import { RdvError } from "../../../base/error.ts"
import { makeCertificate } from "../../../../test/kit/certificates.ts"
import { clientScenario, connectTo, listening, loadTarget, textMessage } from "../../../../test/kit/load-client.ts"
import type { ErrorKind } from "./client.ts"
import { createFactory } from "./factory.ts"
import { socketError } from "./load-error.ts"
import type { Phase } from "./load-error.ts"

async function serve(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on("connection", (socket: Socket) => {
    sockets.add(socket)
    socket.on("error", () => undefined)
  })
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return listening(server)
}

async function freePort(): Promise<number> {
  const server = createServer()
  const port = await listening(server)
  server.close()
  return port
}

test("nobody listens: refused, with host and port", async () => {
  const port = await freePort()
  const error = await connectTo(loadTarget("tcp", port)).closed
  assert.deepEqual(error, { kind: "refused", detail: `127.0.0.1:${port} refused the connection (ECONNREFUSED)` })
  const bracketed = await connectTo(loadTarget("tcp", port, { host: "::1" })).closed
  assert.ok(bracketed?.detail.startsWith(`[::1]:${port} `))
})

test("no such unix socket: refused, with its path", async () => {
  const error = await connectTo(loadTarget("unix", 0, { host: "", path: "/no/such/socket" })).closed
  assert.deepEqual(error, { kind: "refused", detail: "unix:/no/such/socket is not there: no such socket (ENOENT)" })
})

test("an address that no connection leads to: unreachable", async () => {
  // TCP knows no multicast.
  const error = await connectTo(loadTarget("tcp", 9, { host: "224.0.0.1" })).closed
  assert.equal(error?.kind, "unreachable")
  assert.match(error.detail, /^224\.0\.0\.1:9 cannot be reached/)
})

test("a name that does not resolve: dns, for each protocol", async () => {
  for (const protocol of ["tcp", "https", "ws"] as const) {
    const target = loadTarget(protocol, 80, { host: "no-such-name.invalid", path: "/" })
    assert.equal((await connectTo(target).closed)?.kind, "dns")
  }
})

test("a handshake that does not proceed: connect timeout, for TLS and WebSockets", async (t) => {
  const port = await serve(t, createServer())
  for (const protocol of ["tls", "https", "wss", "ws"] as const) {
    const error = await connectTo(loadTarget(protocol, port), { ending: { connectTimeoutMs: 60 } }).closed
    assert.deepEqual(error, { kind: "connect timeout", detail: `127.0.0.1:${port} was not connected within 60 ms` })
  }
})

test("a certificate of a stranger, one for another name, a server without TLS, an end during the handshake: tls", async (t) => {
  const pair = makeCertificate(["elsewhere.test"])
  const secure = await serve(t, createTlsServer(pair))
  const plain = await serve(
    t,
    createServer((socket) => socket.on("data", () => void socket.write("SSH-2.0-x\r\n"))),
  )
  const ending = await serve(
    t,
    createServer((socket) => socket.on("data", () => void socket.end())),
  )
  const cases = [
    [secure, { insecure: false }],
    [secure, { insecure: false, ca: pair.ca }],
    [plain, { insecure: true }],
    [ending, { insecure: true }],
  ] as const
  for (const [port, tls] of cases) {
    for (const protocol of ["tls", "https", "wss"] as const) {
      const error = await connectTo(loadTarget(protocol, port, { tls })).closed
      assert.equal(error?.kind, "tls", `${protocol}: ${error?.detail}`)
      assert.ok(error.detail.startsWith(`127.0.0.1:${port} `))
      assert.doesNotMatch(error.detail, /\n/)
    }
  }
})

test("a reset in the middle, an end in the middle: reset, closed early", async (t) => {
  const resetting = await serve(
    t,
    createServer((socket) => socket.on("data", () => void socket.resetAndDestroy())),
  )
  const ending = await serve(
    t,
    createServer((socket) => socket.on("data", () => void socket.end("hel"))),
  )
  for (const [port, kind] of [
    [resetting, "reset"],
    [ending, "closed early"],
  ] as const) {
    for (const protocol of ["tcp", "http"] as const) {
      const exchange = connectTo(loadTarget(protocol, port))
      await exchange.opened
      assert.equal(await exchange.ask(textMessage("hello world")), undefined)
      const error = await exchange.closed
      if (protocol === "tcp" || kind === "reset") assert.equal(error?.kind, kind)
      assert.match(error?.detail ?? "", /^127\.0\.0\.1:\d+ /)
      assert.deepEqual(exchange.told, ["opened", "closed"])
    }
  }
})

test(
  "no more descriptors: too many open files, and the process lives on",
  { skip: process.platform === "win32" },
  async (t) => {
    const port = await serve(t, createServer())
    const factory = new URL("./factory.ts", import.meta.url).href
    const kit = new URL("../../../../test/kit/load-client.ts", import.meta.url).href
    const script = `
    const { createFactory } = await import(${JSON.stringify(factory)})
    const { clientScenario, loadTarget } = await import(${JSON.stringify(kit)})
    const counts = {}
    let left = 200
    const count = (kind) => {
      counts[kind] = (counts[kind] ?? 0) + 1
      if (--left === 0) { console.log(JSON.stringify(counts)); process.exit() }
    }
    const made = createFactory(loadTarget("tcp", ${port}), clientScenario())
    for (let at = 0; at < 200; at++) {
      made.create({ opened: () => count("opened"), answered() {}, closed: (_, error) => count(error?.kind) }).connect()
    }`
    const arguments_ = ["-c", 'ulimit -n 100 && exec "$0" --input-type=module -e "$1"', process.execPath, script]
    const { stdout } = await promisify(execFile)("sh", arguments_)
    const counts = JSON.parse(stdout) as Record<string, number>
    assert.deepEqual(Object.keys(counts).toSorted(), ["opened", "too many open files"])
  },
)

test("each code of Node has its kind", () => {
  const kinds: readonly (readonly [code: string, phase: Phase, kind: ErrorKind])[] = [
    ["ECONNREFUSED", "connecting", "refused"],
    ["EAGAIN", "connecting", "refused"],
    ["EHOSTUNREACH", "connecting", "unreachable"],
    ["ENETUNREACH", "connecting", "unreachable"],
    ["ENOTFOUND", "connecting", "dns"],
    ["EAI_AGAIN", "connecting", "dns"],
    ["EAI_FAIL", "connecting", "dns"],
    ["EMFILE", "connecting", "too many open files"],
    ["ENFILE", "connecting", "too many open files"],
    ["ETIMEDOUT", "connecting", "connect timeout"],
    ["ETIMEDOUT", "open", "timeout"],
    ["ECONNRESET", "open", "reset"],
    ["EPIPE", "open", "reset"],
    ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "open", "tls"],
    ["CERT_HAS_EXPIRED", "securing", "tls"],
    ["EADDRNOTAVAIL", "connecting", "other"],
    ["ESOMETHING", "open", "other"],
  ]
  for (const [code, phase, kind] of kinds) {
    const error = Object.assign(new Error(`it\nfailed`), { code, syscall: "x" })
    const made = socketError(error, "h:1", phase)
    assert.equal(made.kind, kind, code)
    assert.match(made.detail, /^h:1 [ -~]+$/)
  }
  assert.equal(socketError("thrown text", "h:1", "open").kind, "other")
})

test("a port or a path that no socket takes is an error of the connection, not a throw", async () => {
  for (const target of [loadTarget("tcp", 70_000), loadTarget("unix", 0, { host: "", path: "/x".repeat(200) })]) {
    assert.equal((await connectTo(target).closed)?.kind, "other")
  }
})

test("an authority that is no certificate is refused when the factory is made", () => {
  const target = loadTarget("tls", 1, { tls: { insecure: false, ca: "nonsense" } })
  assert.throws(
    () => createFactory(target, clientScenario()),
    (error) => error instanceof RdvError && error.code === "usage",
  )
})
