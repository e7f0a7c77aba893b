import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync, writeFileSync } from "node:fs"
import * as net from "node:net"
import { Duplex } from "node:stream"
import { test } from "node:test"
import type { TestContext } from "node:test"
import * as tls from "node:tls"
import { eventually } from "../../../../test/kit/raw-http.ts"
import { TlsSecrets } from "../../../../test/kit/tls-secrets.ts"
import type { SecretFiles } from "../../../../test/kit/tls-secrets.ts"
import { systemClock } from "../../../base/clock.ts"
import { silentLog } from "../../../base/log.ts"
import { SocketReader } from "../../../sockets/socket-reader.ts"
import { defaultTargetTls } from "../config/defaults.ts"
import type { TargetTls } from "../config/settings.ts"
import { TargetSecurity } from "./target-tls.ts"
import { tlsReason } from "./tls-reason.ts"

const deadline = { timeout: 20_000 }
const plain = defaultTargetTls
const pem = (file: string) => readFileSync(file, "utf8")

interface Seen {
  readonly name: string | false | null
  readonly alpn: string | false | null
  readonly client: string | undefined
  readonly reused: boolean
}

/** A target that sends back what it gets, to the end. */
async function openTarget(t: TestContext, files: SecretFiles, options: tls.TlsOptions = {}) {
  const seen: Seen[] = []
  const server = tls.createServer(
    { cert: pem(files.cert), key: pem(files.key), allowHalfOpen: true, ...options },
    (socket) => {
      seen.push({
        name: socket.servername,
        alpn: socket.alpnProtocol,
        client: socket.getPeerX509Certificate()?.subject,
        reused: socket.isSessionReused(),
      })
      socket.on("error", () => undefined)
      socket.pipe(socket)
    },
  )
  server.on("tlsClientError", () => undefined)
  await once(server.listen(0, "127.0.0.1"), "listening")
  t.after(() => void server.close())
  return { port: (server.address() as net.AddressInfo).port, seen }
}

function secured(t: TestContext, settings: Partial<TargetTls>, host: string | undefined = "a.test"): TargetSecurity {
  const security = new TargetSecurity({ settings: { ...plain, ...settings }, host, clock: systemClock, log: silentLog })
  t.after(() => security.stop())
  return security
}

/** Says `hi` and half-closes; gives the answer, or the reason of a failure. */
async function ask(security: TargetSecurity, connection: Duplex, agreed?: string): Promise<string> {
  const socket = security.secure(connection, agreed)
  let answer = ""
  socket.on("secureConnect", () => socket.end("hi"))
  socket.on("data", (bytes: Buffer) => (answer += bytes.toString()))
  socket.on("error", (error) => (answer = tlsReason(error, "target")))
  await new Promise((resolve) => socket.once("close", resolve))
  return answer
}

async function dial(port: number): Promise<net.Socket> {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, onread: new SocketReader().onread })
  await once(socket, "connect")
  socket.pause()
  return socket
}

test("a target is verified by its name and its authority", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const target = await openTarget(t, secrets.server("a", ["a.test"]))
  const trusting = secured(t, { ca: secrets.caFile })
  assert.equal(await ask(trusting, await dial(target.port)), "hi")
  assert.equal(target.seen[0]?.name, "a.test")
  const mistaken = secured(t, { ca: secrets.caFile }, "b.test")
  for (let again = 0; again < 3; again++) {
    assert.equal(await ask(mistaken, await dial(target.port)), "the certificate of the target is for another name")
  }
  const unknown = "the certificate of the target is not from an authority that is trusted here"
  assert.equal(await ask(secured(t, {}), await dial(target.port)), unknown)
  assert.equal(await ask(secured(t, { verify: false }, "b.test"), await dial(target.port)), "hi")
  assert.equal(await ask(secured(t, { verify: false }), await dial(target.port)), "hi")
  const named = secured(t, { ca: secrets.caFile, serverName: "a.test" }, "b.test")
  assert.equal(await ask(named, await dial(target.port)), "hi")
})

test("a target with a wrong name stays wrong: its session is not resumed past the check", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  // Here the ticket comes within the handshake, ahead of any judgement.
  const target = await openTarget(t, secrets.server("a", ["a.test"]), { maxVersion: "TLSv1.2" })
  const mistaken = secured(t, { ca: secrets.caFile }, "b.test")
  for (let again = 0; again < 3; again++) {
    assert.equal(await ask(mistaken, await dial(target.port)), "the certificate of the target is for another name")
  }
  const right = secured(t, { ca: secrets.caFile })
  for (let again = 0; again < 2; again++) assert.equal(await ask(right, await dial(target.port)), "hi")
  assert.equal(target.seen.at(-1)?.reused, true)
})

test("a target without TLS, or that ends before it, says so", deadline, async (t) => {
  const server = net.createServer((socket) => {
    socket.on("error", () => undefined)
    socket.once("data", () => socket.end("220 ready\r\n"))
  })
  const silent = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined)
    socket.once("data", () => socket.end())
  })
  for (const each of [server, silent]) {
    await once(each.listen(0, "127.0.0.1"), "listening")
    t.after(() => void each.close())
  }
  const portOf = (each: net.Server) => (each.address() as net.AddressInfo).port
  const security = secured(t, { verify: false })
  assert.equal(await ask(security, await dial(portOf(server))), "the target does not speak TLS")
  assert.equal(await ask(security, await dial(portOf(silent))), "the target left during the handshake")
})

test("an address is verified, but not sent as a name", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const target = await openTarget(t, secrets.server("a", ["a.test", "127.0.0.1"]))
  assert.equal(await ask(secured(t, { ca: secrets.caFile }, "127.0.0.1"), await dial(target.port)), "hi")
  assert.equal(target.seen[0]?.name, false)
  const other = secured(t, { ca: secrets.caFile }, "127.0.0.2")
  assert.equal(await ask(other, await dial(target.port)), "the certificate of the target is for another name")
  assert.throws(() => new TargetSecurity({ settings: plain, host: undefined, clock: systemClock, log: silentLog }), {
    code: "usage",
    message: /which name/,
  })
})

test("the protocol that the client agreed on is passed on, unless the file has one", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const target = await openTarget(t, secrets.server("a", ["a.test"]), { ALPNProtocols: ["http/1.1", "h2", "imap"] })
  const passing = secured(t, { ca: secrets.caFile })
  const own = secured(t, { ca: secrets.caFile, alpn: ["imap"] })
  const none = secured(t, { ca: secrets.caFile, alpn: [] })
  for (const agreed of ["h2", "http/1.1", undefined, "h2"]) {
    assert.equal(await ask(passing, await dial(target.port), agreed), "hi")
  }
  assert.equal(await ask(own, await dial(target.port), "h2"), "hi")
  assert.equal(await ask(none, await dial(target.port), "h2"), "hi")
  assert.deepEqual(
    target.seen.map(({ alpn }) => alpn),
    ["h2", "http/1.1", false, "h2", "imap", false],
  )
  const unknown = await ask(passing, await dial(target.port), "\x8a\x8a")
  assert.equal(unknown, "the target takes none of the protocols that we offer (ALPN)")
})

test("sessions are resumed, and forgotten when files change", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  for (const maxVersion of ["TLSv1.3", "TLSv1.2"] as const) {
    const target = await openTarget(t, secrets.server("a", ["a.test"]), { maxVersion })
    const security = secured(t, { ca: secrets.caFile })
    for (let again = 0; again < 3; again++) assert.equal(await ask(security, await dial(target.port)), "hi")
    assert.deepEqual(
      target.seen.map(({ reused }) => reused),
      [false, true, true],
    )
    writeFileSync(secrets.caFile, `${secrets.ca}\n`)
    security.reload()
    assert.equal(await ask(security, await dial(target.port)), "hi")
    assert.equal(target.seen.at(-1)?.reused, false)
    writeFileSync(secrets.caFile, secrets.ca)
  }
})

test("another authority counts from the next dial on, and a bad file changes nothing", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const others = new TlsSecrets(t)
  const target = await openTarget(t, others.server("a", ["a.test"]))
  const security = secured(t, { ca: secrets.caFile })
  const unknown = "the certificate of the target is not from an authority that is trusted here"
  assert.equal(await ask(security, await dial(target.port)), unknown)
  writeFileSync(secrets.caFile, others.ca)
  security.reload()
  assert.equal(await ask(security, await dial(target.port)), "hi")
  writeFileSync(secrets.caFile, "nothing")
  security.reload()
  assert.equal(await ask(security, await dial(target.port)), "hi")
  assert.throws(() => secured(t, { ca: secrets.caFile }), { code: "usage", message: /holds no certificates/ })
  assert.throws(() => secured(t, { ca: secrets.at("missing") }), { code: "usage", message: /does not exist/ })
})

test("openssl, as a target that wants a certificate, gets it", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const server = secrets.server("a", ["a.test"])
  const alice = secrets.signed("alice", "client")
  const files = ["-cert", server.cert, "-key", server.key, "-CAfile", secrets.caFile, "-verify_return_error"]
  const child = spawn("openssl", ["s_server", "-accept", "127.0.0.1:0", ...files, "-Verify", "1", "-rev"])
  t.after(() => child.kill())
  let output = ""
  child.stdout.on("data", (bytes: Buffer) => (output += bytes.toString()))
  child.stderr.on("data", (bytes: Buffer) => (output += bytes.toString()))
  await eventually("it listens", () => /ACCEPT 127\.0\.0\.1:\d+/.test(output))
  const port = Number(/ACCEPT 127\.0\.0\.1:(\d+)/.exec(output)?.[1])
  const talk = async (security: TargetSecurity) => {
    const socket = security.secure(await dial(port), undefined)
    let answer = ""
    socket.on("error", (error) => (answer = tlsReason(error, "target")))
    socket.on("data", (bytes: Buffer) => (answer += bytes.toString()))
    socket.write("abc\n")
    await eventually("it answers", () => answer !== "")
    socket.destroy()
    return answer
  }
  assert.equal(await talk(secured(t, { ca: secrets.caFile, cert: alice.cert, key: alice.key })), "cba\n")
  assert.match(output, /CN = alice/)
  assert.equal(await talk(secured(t, { ca: secrets.caFile })), "the target wants a certificate of us")
})

test("TLS runs over any stream, and half-close passes", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const target = await openTarget(t, secrets.server("a", ["a.test"]))
  const socket = net.connect({ port: target.port, host: "127.0.0.1", allowHalfOpen: true })
  await once(socket, "connect")
  const wrapped = new Duplex({
    read: () => void socket.resume(),
    write: (bytes: Buffer, _encoding, done) => void socket.write(bytes, () => done()),
    final: (done) => void socket.end(done),
    destroy: (error, done) => {
      socket.destroy()
      done(error)
    },
  })
  socket.on("data", (bytes) => wrapped.push(bytes))
  socket.on("end", () => wrapped.push(null))
  assert.equal(await ask(secured(t, { ca: secrets.caFile }), wrapped), "hi")
})
