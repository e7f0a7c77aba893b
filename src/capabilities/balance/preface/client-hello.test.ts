import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as net from "node:net"
import { test } from "node:test"
import * as tls from "node:tls"
import fc from "fast-check"
import { mostHelloBytes, readClientHello } from "./client-hello.ts"
import type { ClientHello, HelloRead } from "./client-hello.ts"

interface Parts {
  readonly name?: string | undefined
  readonly alpn?: readonly string[]
  readonly extensions?: readonly Uint8Array[]
}

const uint16 = (value: number) => Uint8Array.of(value >> 8, value & 255)
const latin1 = (text: string): Uint8Array => Buffer.from(text, "latin1")
const sized = (bytes: Uint8Array) => Buffer.concat([uint16(bytes.length), bytes])
const extension = (type: number, data: Uint8Array) => Buffer.concat([uint16(type), sized(data)])
const serverName = (name: Uint8Array) => extension(0, sized(Buffer.concat([Uint8Array.of(0), sized(name)])))
const protocols = (names: readonly string[]) =>
  extension(16, sized(Buffer.concat(names.map((name) => Buffer.concat([Uint8Array.of(name.length), latin1(name)])))))

/** A handshake message. */
function message({ name, alpn = [], extensions = [] }: Parts): Uint8Array {
  const list = [extension(0x0a0a, new Uint8Array(0)), ...extensions]
  if (name !== undefined) list.push(serverName(latin1(name)))
  if (alpn.length > 0) list.push(protocols(alpn))
  const body = Buffer.concat([
    uint16(0x0303),
    new Uint8Array(32),
    Uint8Array.of(32),
    new Uint8Array(32),
    sized(new Uint8Array(6)),
    Uint8Array.of(1, 0),
    sized(Buffer.concat(list)),
  ])
  return Buffer.concat([Uint8Array.of(1, 0), uint16(body.length), body])
}

/** Cut into records at the given places. */
function records(bytes: Uint8Array, cuts: readonly number[] = []): Uint8Array {
  const places = [...new Set([0, ...cuts.map((cut) => cut % bytes.length), bytes.length])].toSorted((a, b) => a - b)
  const pieces = places.slice(1).map((end, index) => bytes.subarray(places[index], end))
  return Buffer.concat(pieces.map((piece) => Buffer.concat([Uint8Array.of(22, 3, 1), sized(piece)])))
}

function helloOf(read: HelloRead): ClientHello {
  assert.equal(read.kind, "hello", JSON.stringify(read))
  return (read as HelloRead & { kind: "hello" }).hello
}

const reasonOf = (read: HelloRead) => (read.kind === "bad" ? read.reason : read.kind)

/** What arrives at a port of ours until it is a hello. */
async function capture(connect: (port: number) => void): Promise<{ bytes: Uint8Array; read: HelloRead }> {
  const server = net.createServer()
  await once(server.listen(0, "127.0.0.1"), "listening")
  connect((server.address() as net.AddressInfo).port)
  const [socket] = (await once(server, "connection")) as [net.Socket]
  socket.on("error", () => undefined)
  let bytes: Uint8Array = new Uint8Array(0)
  try {
    for await (const chunk of socket) {
      bytes = Buffer.concat([bytes, chunk as Buffer])
      const read = readClientHello(bytes)
      if (read.kind !== "more") return { bytes, read }
    }
    throw new Error("the client left")
  } finally {
    socket.destroy()
    server.close()
  }
}

test("name and protocols are found, also when the message is cut into many records", () => {
  fc.assert(
    fc.property(
      fc.option(fc.domain(), { nil: undefined }),
      fc.array(fc.constantFrom("h2", "http/1.1", "\x8a\x8a", "a".repeat(255)), { maxLength: 4 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      fc.uint8Array(),
      (name, alpn, cuts, behind) => {
        const bytes = Buffer.concat([records(message({ name, alpn }), cuts), behind])
        assert.deepEqual(helloOf(readClientHello(bytes)), { serverName: name?.toLowerCase(), alpn })
      },
    ),
  )
  const every = message({ name: "a.test" })
  const bytes = records(
    every,
    Array.from(every, (_, at) => at),
  )
  assert.deepEqual(helloOf(readClientHello(bytes)), { serverName: "a.test", alpn: [] })
})

test("real clients are understood: openssl, curl and Node", { timeout: 20_000 }, async () => {
  const run = (command: string, ...args: string[]) => {
    const child = spawn(command, args, { stdio: "ignore" })
    child.on("error", () => undefined)
  }
  const openssl = await capture((port) =>
    run("openssl", "s_client", "-connect", `127.0.0.1:${port}`, "-servername", "One.Test", "-alpn", "h2,http/1.1"),
  )
  assert.deepEqual(helloOf(openssl.read), { serverName: "one.test", alpn: ["h2", "http/1.1"] })
  const old = await capture((port) =>
    run("openssl", "s_client", "-connect", `127.0.0.1:${port}`, "-noservername", "-tls1_2"),
  )
  assert.deepEqual(helloOf(old.read), { serverName: undefined, alpn: [] })
  const curl = await capture((port) =>
    run("curl", "-sk", "--max-time", "5", "--resolve", `two.test:${port}:127.0.0.1`, `https://two.test:${port}/`),
  )
  assert.deepEqual(helloOf(curl.read), { serverName: "two.test", alpn: ["h2", "http/1.1"] })
  const node = await capture((port) => {
    const options = { port, host: "127.0.0.1", servername: "three.test", ALPNProtocols: ["imap"], ecdhCurve: "P-256" }
    tls.connect(options).on("error", () => undefined)
  })
  assert.deepEqual(helloOf(node.read), { serverName: "three.test", alpn: ["imap"] })
  // Each prefix of a real one is only incomplete.
  for (const { bytes } of [openssl, old, curl, node]) {
    for (let length = 0; length < bytes.length; length++) {
      const read = readClientHello(bytes.subarray(0, length))
      assert.ok(read.kind === "more" && read.least > length, `${length}: ${JSON.stringify(read)}`)
    }
  }
})

test("what is no hello is told at once", () => {
  const cases: [Uint8Array, RegExp][] = [
    [latin1("GET / HTTP/1.1\r\n"), /not TLS/],
    [latin1("SSH-2.0"), /not TLS/],
    [Uint8Array.of(21, 3, 1), /not TLS/],
    [Uint8Array.of(22, 2), /not TLS/],
    // SSLv2's way of asking for TLS.
    [Uint8Array.of(0x80, 0x2e, 1, 3, 1), /not TLS/],
    [Uint8Array.of(22, 3, 1, 0, 0), /record is empty/],
    [Uint8Array.of(22, 3, 1, 0x40, 1), /record is too long/],
    [Uint8Array.of(22, 3, 1, 0, 10, 2), /not a ClientHello/],
    [Uint8Array.of(22, 3, 1, 0, 10, 1, 1, 0, 0), /longer than/],
    [Buffer.concat([records(message({}).subarray(0, 20)), Uint8Array.of(21)]), /breaks off/],
  ]
  for (const [bytes, reason] of cases) assert.match(reasonOf(readClientHello(bytes)), reason)
})

test("parts that contradict each other are refused", () => {
  const list = (...extensions: Uint8Array[]) => reasonOf(readClientHello(records(message({ extensions }))))
  const name = serverName(latin1("a.test"))
  assert.match(list(name, name), /two server names/)
  assert.match(list(protocols(["h2"]), protocols(["h2"])), /two lists/)
  for (const wrong of ["", "a b", "a\0b", ".a", "a.", "x".repeat(300), "ü"]) {
    assert.match(list(serverName(latin1(wrong))), /server name is wrong/, JSON.stringify(wrong))
  }
  for (const wrong of [[], [0], [0, 1, 0], [0, 2, 5, 65], [0, 9, 1, 65]]) {
    assert.match(list(extension(16, Uint8Array.from(wrong))), /protocols is wrong/)
    assert.match(list(extension(0, Uint8Array.from(wrong))), /server name is wrong/)
  }
  const whole = message({ name: "a.test" })
  for (let cut = 1; cut < whole.length - 4; cut++) {
    const short = Uint8Array.from(whole.subarray(0, whole.length - cut))
    short.set(uint16(short.length - 4), 2)
    const read = readClientHello(records(short))
    // Without any extension it is one again, as clients used to send it.
    if (read.kind !== "bad") assert.deepEqual(helloOf(read), { serverName: undefined, alpn: [] })
  }
})

test("no more than 16 KiB are ever asked for, headers of records included", () => {
  const huge = message({ extensions: [extension(21, new Uint8Array(16_100))] })
  assert.equal(readClientHello(records(huge)).kind, "hello")
  const cut = records(
    huge,
    Array.from({ length: 400 }, (_, at) => at * 40),
  )
  assert.ok(cut.length > mostHelloBytes)
  for (let length = 0; ; length++) {
    const read = readClientHello(cut.subarray(0, length))
    if (read.kind === "bad") {
      assert.match(read.reason, /longer than/)
      break
    }
    assert.ok(read.kind === "more" && read.least <= mostHelloBytes)
    length = read.least - 1
  }
})

test("any bytes are judged alike however they arrive, and more of them is only asked for when it may help", () => {
  const seed = records(message({ name: "a.test", alpn: ["h2"] }), [3, 50])
  const damaged = fc.array(fc.tuple(fc.nat(seed.length - 1), fc.nat(255)), { maxLength: 3 }).map((edits) => {
    const bytes = Uint8Array.from(seed)
    for (const [at, value] of edits) bytes[at] = value
    return bytes
  })
  fc.assert(
    fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 60 })), (bytes) => {
      const whole = readClientHello(bytes)
      let least = 0
      for (let length = 0; length <= bytes.length; length++) {
        const read = readClientHello(bytes.subarray(0, length))
        if (read.kind !== "more") {
          assert.deepEqual(read, whole)
          assert.ok(length >= least)
          return
        }
        assert.ok(read.least > length && read.least >= least)
        least = read.least
      }
      assert.equal(whole.kind, "more")
    }),
    { numRuns: 500, seed: 7 },
  )
})
