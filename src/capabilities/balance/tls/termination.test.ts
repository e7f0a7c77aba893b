import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { once } from "node:events"
import { readFileSync, renameSync, writeFileSync } from "node:fs"
import * as net from "node:net"
import { test } from "node:test"
import type { TestContext } from "node:test"
import * as tls from "node:tls"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { eventually } from "../../../../test/kit/raw-http.ts"
import { TlsSecrets } from "../../../../test/kit/tls-secrets.ts"
import { systemClock } from "../../../base/clock.ts"
import { silentLog } from "../../../base/log.ts"
import { adoptSocket, SocketReader, tryAdoption } from "../../../sockets/socket-reader.ts"
import type { ListenerTls } from "../config/settings.ts"
import { Termination } from "./termination.ts"
import type { Secured } from "./termination.ts"

const deadline = { timeout: 20_000 }
const plain: Omit<ListenerTls, "certificates"> = {
  clientCa: undefined,
  clientCertificate: "none",
  alpn: [],
  minVersion: "TLSv1.2",
}

type Good = Extract<Secured, { ok: true }>

interface Door {
  readonly port: number
  readonly results: Secured[]
  /** Sockets below TLS. */
  readonly raws: net.Socket[]
  readonly termination: Termination
}

interface DoorOptions {
  readonly settings: ListenerTls
  /** So many bytes are read before TLS begins. */
  readonly readFirst?: number
  readonly adopt?: boolean
  readonly clock?: FakeClock
  readonly ticketKeys?: Uint8Array
  onGood?(good: Good): void
}

/** A port that ends TLS; by default it sends back what it gets. */
async function openDoor(t: TestContext, options: DoorOptions): Promise<Door> {
  const { settings, readFirst = 0, adopt = false, clock = systemClock, ticketKeys } = options
  const termination = new Termination({ settings, clock, log: silentLog, ...(ticketKeys && { ticketKeys }) })
  const results: Secured[] = []
  const raws: net.Socket[] = []
  const welcome = (result: Secured) => {
    results.push(result)
    if (!result.ok) return
    result.socket.on("error", () => undefined)
    if (options.onGood === undefined) result.socket.pipe(result.socket)
    else options.onGood(result)
  }
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (accepted) => {
    const reader = new SocketReader()
    const socket = (adopt ? adoptSocket(accepted, reader) : undefined) ?? accepted
    raws.push(socket)
    let first: Uint8Array = new Uint8Array(0)
    const hear = (bytes: Uint8Array) => {
      first = Buffer.concat([first, bytes])
      if (first.length < readFirst) return false
      socket.off("data", hear)
      reader.receive = () => assert.fail("somebody else reads")
      termination.secure(socket, first, welcome)
      return false
    }
    if (readFirst === 0) {
      termination.secure(socket, first, welcome)
      return
    }
    reader.receive = hear
    if (!adopt) socket.on("data", hear)
    socket.resume()
  })
  await once(server.listen(0, "127.0.0.1"), "listening")
  t.after(async () => {
    termination.stop()
    for (const raw of raws) raw.destroy()
    server.close()
    await once(server, "close")
    assert.equal(termination.pending, 0)
    if (clock instanceof FakeClock) assert.equal(clock.pending, 0)
  })
  return { port: (server.address() as net.AddressInfo).port, results, raws, termination }
}

interface Shown {
  readonly error: string | undefined
  readonly name: string | undefined
  readonly alpn: string | false | null
  readonly answer: string
  readonly session: Buffer | undefined
  readonly reused: boolean
}

/** Connects, says `hi`, half-closes, and reads to the end. */
async function visit(port: number, options: tls.ConnectionOptions = {}): Promise<Shown> {
  let error: string | undefined
  let answer = ""
  let session: Buffer | undefined
  let name: string | undefined
  const to = { port, host: "127.0.0.1", servername: "a.test", allowHalfOpen: true }
  const socket = tls.connect({ ...to, ...options })
  socket.on("session", (fresh: Buffer) => (session = fresh))
  let reused = false
  socket.on("secureConnect", () => {
    reused = socket.isSessionReused()
    name = socket.getPeerX509Certificate()?.subject.replace("CN=", "")
    socket.end("hi")
  })
  socket.on("data", (bytes: Buffer) => (answer += bytes.toString()))
  socket.on("error", (thrown: Error & { code?: string }) => (error = thrown.code ?? thrown.message))
  await once(socket, "close").catch(() => undefined)
  return { error, name, alpn: socket.alpnProtocol, answer, session, reused }
}

const good = (door: Door) => door.results.map((result) => (result.ok ? "ok" : result.reason))
const pem = (file: string) => readFileSync(file, "utf8")

test("TLS begins with bytes that were read before, however many, on both kinds of sockets", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const settings = { ...plain, certificates: [secrets.server("a", ["a.test"])] }
  assert.equal(await tryAdoption(), true)
  for (const adopt of [false, true]) {
    for (const readFirst of [0, 1, 100]) {
      const door = await openDoor(t, { settings, adopt, readFirst })
      for (const maxVersion of ["TLSv1.3", "TLSv1.2"] as const) {
        const shown = await visit(door.port, { ca: secrets.ca, maxVersion })
        assert.deepEqual([shown.error, shown.answer, shown.name], [undefined, "hi", "a.test"])
      }
      assert.deepEqual(
        door.results.map((result) => result.ok && [result.version, result.serverName, result.alpn, result.commonName]),
        [
          ["TLSv1.3", "a.test", undefined, undefined],
          ["TLSv1.2", "a.test", undefined, undefined],
        ],
      )
    }
  }
})

test("openssl and curl speak with it", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const settings = { ...plain, certificates: [secrets.server("a", ["a.test"])], alpn: ["http/1.1"] }
  const onGood = ({ socket }: Good) => {
    socket.resume()
    socket.on("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
  }
  const door = await openDoor(t, { settings, readFirst: 1, onGood })
  const run = (command: string, args: readonly string[], input: string) =>
    new Promise<string>((resolve, reject) => {
      const child = execFile(command, args, { timeout: 10_000 }, (error, output) =>
        error === null ? resolve(output) : reject(error),
      )
      child.stdin?.end(input)
    })
  const url = `https://a.test:${door.port}/`
  const curl = ["-s", "--cacert", secrets.caFile, "--resolve", `a.test:${door.port}:127.0.0.1`, url]
  assert.equal(await run("curl", curl, ""), "hello")
  const place = ["-connect", `127.0.0.1:${door.port}`, "-servername", "a.test", "-alpn", "h2,http/1.1"]
  const openssl = ["s_client", ...place, "-CAfile", secrets.caFile, "-verify_return_error", "-ign_eof"]
  const output = await run("openssl", openssl, "GET / HTTP/1.1\r\n\r\n")
  assert.match(output, /ALPN protocol: http\/1\.1/)
  assert.match(output, /hello/)
})

test("each name gets the certificate that is made for it", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const certificates = [
    secrets.server("first", ["first.test"]),
    secrets.server("wild", ["*.b.test"]),
    secrets.server("exact", ["x.b.test"]),
    secrets.signed("first.test", "rsa server"),
  ]
  const door = await openDoor(t, { settings: { ...plain, certificates } })
  const nameFor = async (servername: string) => {
    const shown = await visit(door.port, { ca: secrets.ca, servername, rejectUnauthorized: false })
    return shown.name
  }
  assert.equal(await nameFor("x.b.test"), "x.b.test")
  assert.equal(await nameFor("Y.B.test"), "*.b.test")
  assert.equal(await nameFor("first.test"), "first.test")
  // A wildcard stands for one label.
  assert.equal(await nameFor("z.y.b.test"), "first.test")
  assert.equal(await nameFor("b.test"), "first.test")
  assert.equal(await nameFor(""), "first.test")
  // Both kinds of keys are at hand for a name when it is known early enough, and for the first one always.
  const early = await openDoor(t, { settings: { ...plain, certificates }, readFirst: 100 })
  for (const kind of ["ECDSA", "RSA"]) {
    const ciphers = `ECDHE-${kind}-AES128-GCM-SHA256`
    for (const [port, servername] of [
      [early.port, "first.test"],
      [early.port, ""],
      [door.port, ""],
      [door.port, "first.test"],
    ] as const) {
      const shown = await visit(port, { servername, ciphers, maxVersion: "TLSv1.2", rejectUnauthorized: false })
      assert.deepEqual([shown.error, shown.name], [undefined, "first.test"], `${kind} ${servername}`)
    }
  }
})

test("files that are renewed are shown from the next handshake on, and what runs stays", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const clock = new FakeClock(1000, Date.now())
  const a = secrets.server("a", ["a.test"])
  const settings = { ...plain, certificates: [a, secrets.server("b", ["b.test"])] }
  const door = await openDoor(t, { settings, clock })
  const running = tls.connect({ port: door.port, host: "127.0.0.1", ca: secrets.ca, servername: "a.test" })
  await once(running, "secureConnect")
  secrets.server("a", ["a.test", "new.test"])
  const nameOf = async () => (await visit(door.port, { ca: secrets.ca, servername: "new.test" })).error
  assert.equal(await nameOf(), "ERR_TLS_CERT_ALTNAME_INVALID")
  for (let look = 0; look < 2; look++) {
    clock.advance(5_000)
    await eventually("both pairs were looked at", () => clock.pending === 5)
  }
  assert.equal(await nameOf(), undefined)
  secrets.server("a", ["a.test", "newer.test"])
  door.termination.reload()
  assert.equal(await nameOf(), "ERR_TLS_CERT_ALTNAME_INVALID")
  // A file that cannot be used changes nothing.
  writeFileSync(a.cert, "nothing")
  door.termination.reload()
  assert.equal((await visit(door.port, { ca: secrets.ca, servername: "newer.test" })).error, undefined)
  assert.throws(() => door.termination.update({ ...settings, alpn: ["h2"] }), /holds no certificate/)
  assert.equal((await visit(door.port, { ca: secrets.ca, ALPNProtocols: ["h2"] })).alpn, false)
  running.write("still here")
  const [bytes] = (await once(running, "data")) as [Buffer]
  assert.equal(bytes.toString(), "still here")
  running.destroy()
})

test("protocols are agreed on in our order, and a client that shares none hears so", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const settings = { ...plain, certificates: [secrets.server("a", ["a.test"])], alpn: ["h2", "http/1.1"] }
  const door = await openDoor(t, { settings })
  const ask = (ALPNProtocols?: string[]) =>
    visit(door.port, { ca: secrets.ca, ...(ALPNProtocols && { ALPNProtocols }) })
  assert.equal((await ask(["http/1.1", "h2"])).alpn, "h2")
  assert.equal((await ask(["http/1.1"])).alpn, "http/1.1")
  assert.equal((await ask()).alpn, false)
  assert.equal((await ask(["imap"])).error, "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL")
  assert.deepEqual(good(door), ["ok", "ok", "ok", "the client offers none of our protocols (ALPN)"])
  door.termination.update({ ...settings, alpn: ["imap"] })
  assert.equal((await ask(["imap"])).alpn, "imap")
})

test("who shows no good certificate is refused, and both sides hear why", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const stranger = new TlsSecrets(t)
  const server = secrets.server("a", ["a.test"])
  const clientRules = { clientCa: secrets.caFile, clientCertificate: "require" as const }
  const door = await openDoor(t, { settings: { ...plain, certificates: [server], ...clientRules } })
  const show = (files?: { cert: string; key: string }, maxVersion: tls.SecureVersion = "TLSv1.3") =>
    visit(door.port, { ca: secrets.ca, maxVersion, ...(files && { cert: pem(files.cert), key: pem(files.key) }) })
  const alice = secrets.signed("alice", "client")
  const eve = stranger.signed("alice", "client")
  for (const version of ["TLSv1.3", "TLSv1.2"] as const) {
    door.results.length = 0
    const welcome = await show(alice, version)
    assert.deepEqual([welcome.error, welcome.answer], [undefined, "hi"])
    assert.equal(door.results[0]?.ok && door.results[0].commonName, "alice")
    const without = await show(undefined, version)
    assert.match(without.error ?? "", /CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE/)
    assert.equal((await show(eve, version)).answer, "")
    assert.equal((await show(server, version)).answer, "")
    assert.deepEqual(good(door), [
      "ok",
      "the client shows no certificate",
      "the certificate of the client is not from an authority that is trusted here",
      "the certificate of the client is for another purpose",
    ])
  }
})

test("where a certificate is optional, one that is shown has to be good", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const stranger = new TlsSecrets(t)
  const clientRules = { clientCa: secrets.caFile, clientCertificate: "optional" as const }
  const door = await openDoor(t, {
    settings: { ...plain, certificates: [secrets.server("a", ["a.test"])], ...clientRules },
  })
  const alice = secrets.signed("alice", "client")
  const eve = stranger.signed("eve", "client")
  assert.equal((await visit(door.port, { ca: secrets.ca })).answer, "hi")
  assert.equal((await visit(door.port, { ca: secrets.ca, cert: pem(alice.cert), key: pem(alice.key) })).answer, "hi")
  assert.equal((await visit(door.port, { ca: secrets.ca, cert: pem(eve.cert), key: pem(eve.key) })).answer, "")
  assert.deepEqual(
    door.results.map((result) => (result.ok ? result.commonName : result.reason)),
    [undefined, "alice", "the certificate of the client is not from an authority that is trusted here"],
  )
  // The authorities may change, too.
  renameSync(stranger.caFile, secrets.caFile)
  door.termination.reload()
  assert.equal((await visit(door.port, { ca: secrets.ca, cert: pem(eve.cert), key: pem(eve.key) })).answer, "hi")
})

test("many that fail at once are each told their own reason", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const stranger = new TlsSecrets(t)
  const clientRules = { clientCa: secrets.caFile, clientCertificate: "require" as const }
  const settings = { ...plain, certificates: [secrets.server("a", ["a.test"])], ...clientRules }
  const reasons = new Map<number, string>()
  const termination = new Termination({ settings, clock: systemClock, log: silentLog })
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    const { remotePort = 0 } = socket
    termination.secure(
      socket,
      new Uint8Array(0),
      (result) => void reasons.set(remotePort, result.ok ? "ok" : result.reason),
    )
  })
  await once(server.listen(0, "127.0.0.1"), "listening")
  const { port } = server.address() as net.AddressInfo
  const eve = stranger.signed("eve", "client")
  const shows = [
    { cert: pem(eve.cert), key: pem(eve.key) },
    { cert: pem(settings.certificates[0]?.cert ?? ""), key: pem(settings.certificates[0]?.key ?? "") },
    {},
  ]
  const expected = new Map<number, string>()
  const texts = [
    "the certificate of the client is not from an authority that is trusted here",
    "the certificate of the client is for another purpose",
    "the client shows no certificate",
    "the client speaks plain HTTP",
  ]
  await Promise.all(
    Array.from({ length: 40 }, async (_, at) => {
      const kind = at % 4
      const socket = net.connect(port, "127.0.0.1")
      await once(socket, "connect")
      expected.set(socket.localPort ?? 0, texts[kind] ?? "")
      const talk = kind === 3 ? socket : tls.connect({ socket, ca: secrets.ca, servername: "a.test", ...shows[kind] })
      if (kind === 3) socket.write("GET / HTTP/1.1\r\n\r\n")
      talk.on("error", () => undefined).resume()
      await new Promise((resolve) => talk.once("close", resolve))
    }),
  )
  await eventually("all are told", () => reasons.size === 40)
  assert.deepEqual(reasons, expected)
  server.close()
  termination.stop()
})

test("a ticket outlives a renewal, but not a change of the rules for clients", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const settings = { ...plain, certificates: [secrets.server("a", ["a.test"])], clientCa: secrets.caFile }
  const ticketKeys = new Uint8Array(48).fill(7)
  const door = await openDoor(t, { settings, ticketKeys })
  for (const maxVersion of ["TLSv1.3", "TLSv1.2"] as const) {
    door.termination.update(settings)
    const { session } = await visit(door.port, { ca: secrets.ca, maxVersion })
    assert.ok(session)
    secrets.server("a", ["a.test"])
    door.termination.reload()
    const again = await visit(door.port, { ca: secrets.ca, maxVersion, session })
    assert.deepEqual([again.reused, again.answer], [true, "hi"])
    // The same keys elsewhere: another event loop takes the ticket.
    const twin = await openDoor(t, { settings, ticketKeys })
    assert.equal((await visit(twin.port, { ca: secrets.ca, maxVersion, session })).reused, true)
    door.termination.update({ ...settings, clientCertificate: "require" })
    const bare = await visit(door.port, { ca: secrets.ca, maxVersion, session })
    assert.deepEqual([bare.reused, bare.answer], [false, ""])
    assert.match(bare.error ?? "", /CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE/)
  }
  // One that was given for a certificate stands for it.
  const alice = secrets.signed("alice", "client")
  const shown = { ca: secrets.ca, cert: pem(alice.cert), key: pem(alice.key) }
  for (const maxVersion of ["TLSv1.3", "TLSv1.2"] as const) {
    const { session } = await visit(door.port, { ...shown, maxVersion })
    door.results.length = 0
    const again = await visit(door.port, { ca: secrets.ca, maxVersion, ...(session && { session }) })
    assert.deepEqual([again.reused, again.answer], [true, "hi"])
    assert.equal(door.results[0]?.ok && door.results[0].commonName, "alice")
  }
  door.termination.changeTickets(new Uint8Array(48).fill(8))
  const { session } = await visit(door.port, shown)
  door.termination.changeTickets(new Uint8Array(48).fill(9))
  assert.equal((await visit(door.port, { ...shown, ...(session && { session }) })).reused, false)
})

test("after either side's end the other one still sends, and a reset comes through", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const settings = { ...plain, certificates: [secrets.server("a", ["a.test"])] }
  await tryAdoption()
  for (const maxVersion of ["TLSv1.3", "TLSv1.2"] as const) {
    for (const adopt of [false, true]) {
      let heard = ""
      let ended = false
      const door = await openDoor(t, {
        settings,
        adopt,
        readFirst: 1,
        onGood: ({ socket }) => {
          socket.on("data", (bytes: Buffer) => (heard += bytes.toString()))
          socket.on("end", () => (ended = true))
          socket.resume()
        },
      })
      const to = { port: door.port, host: "127.0.0.1", ca: secrets.ca, allowHalfOpen: true }
      const open = async () => {
        const client = tls.connect({ ...to, servername: "a.test", maxVersion })
        let got = 0
        client.on("data", (bytes: Buffer) => (got += bytes.length))
        let ending = ""
        client.on("end", () => (ending += "end "))
        client.on("error", (error: { code?: string }) => (ending += error.code))
        await once(client, "secureConnect")
        await eventually("it is in", () => door.results.at(-1)?.ok === true)
        const { socket } = door.results.at(-1) as Good
        return { client, socket, got: () => got, ending: () => ending }
      }
      const first = await open()
      first.client.end("hi")
      await eventually("the client's end is heard", () => ended)
      first.socket.end(Buffer.alloc(500_000))
      await eventually("all arrived behind it", () => first.got() === 500_000 && first.ending() === "end ")
      ended = false
      heard = ""
      door.results.length = 0
      const second = await open()
      second.socket.end("bye")
      await eventually("our end is heard", () => second.ending() === "end ")
      second.client.end("x".repeat(2000))
      await eventually("all arrived before it", () => heard.length === 2000 && ended)
      door.results.length = 0
      const third = await open()
      third.socket.write("some")
      await eventually("it arrived", () => third.got() === 4)
      door.raws.at(-1)?.resetAndDestroy()
      await eventually("the reset is heard", () => third.ending() === "ECONNRESET")
      await eventually("ours is closed", () => third.socket.destroyed)
    }
  }
})

test("what is no TLS, and who leaves, ends with its reason", deadline, async (t) => {
  const secrets = new TlsSecrets(t)
  const settings = { ...plain, certificates: [secrets.server("a", ["a.test"])], minVersion: "TLSv1.3" as const }
  const door = await openDoor(t, { settings })
  const say = async (bytes: string) => {
    const count = door.results.length
    const socket = net.connect(door.port, "127.0.0.1")
    socket.on("error", () => undefined)
    socket.resume()
    if (bytes === "") await once(socket, "connect").then(() => socket.destroy())
    else socket.end(bytes)
    await eventually("it is told", () => door.results.length > count)
  }
  // A client may know how it ended before we do.
  const told = (count: number) => eventually("it is told", () => door.results.length === count)
  await say("GET / HTTP/1.1\r\n\r\n")
  await say("SSH-2.0-OpenSSH_9.2\r\n")
  await visit(door.port, { maxVersion: "TLSv1.2", ca: secrets.ca })
  await told(3)
  await new Promise((resolve) => {
    const system = ["-s", "--resolve", `a.test:${door.port}:127.0.0.1`]
    execFile("curl", [...system, `https://a.test:${door.port}/`], { timeout: 10_000 }, resolve)
  })
  await told(4)
  // Node's own clients just leave.
  await visit(door.port)
  await told(5)
  await say("\x16\x03")
  await say("")
  const left = "the client left during the handshake"
  const [http, other, older, distrust, ...rest] = good(door)
  const plainReasons = ["the client speaks plain HTTP", "the client does not speak TLS"]
  assert.deepEqual([http, other, older], [...plainReasons, "the client speaks older versions of TLS only"])
  // Its alert may be lost in the reset that follows.
  assert.ok(distrust === "the client does not trust the authority of our certificate" || distrust === left, distrust)
  assert.deepEqual(rest, [left, left, left])
  const gone = net.connect(door.port, "127.0.0.1")
  await eventually("it begins", () => door.termination.pending === 1)
  // A deadline of the caller's.
  door.raws.at(-1)?.destroy()
  await eventually("it is told", () => door.termination.pending === 0)
  assert.equal(good(door).at(-1), left)
  gone.destroy()
})

test("keys of tickets change daily when they are our own", async (t) => {
  const secrets = new TlsSecrets(t)
  const clock = new FakeClock(1000, Date.now())
  const door = await openDoor(t, { settings: { ...plain, certificates: [secrets.server("a", ["a.test"])] }, clock })
  const { session } = await visit(door.port, { ca: secrets.ca })
  const reused = async () => (await visit(door.port, { ca: secrets.ca, ...(session && { session }) })).reused
  assert.equal(await reused(), true)
  await clock.pass(86_400_000)
  assert.equal(await reused(), false)
})
