import assert from "node:assert/strict"
import { SocketAddress } from "node:net"
import { test } from "node:test"
import fc from "fast-check"
import { crc32c } from "./crc32c.ts"
import { ipBytes, ipText } from "./ip-bytes.ts"
import { mostProxyHeaderBytes, readProxyHeader } from "./proxy-header.ts"
import type { ProxyHeader, ProxyRead } from "./proxy-header.ts"
import { writeProxyHeader } from "./write-proxy-header.ts"

const latin1 = (text: string): Uint8Array => Buffer.from(text, "latin1")
const prefix = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10)

/** Version 2 with what stands behind the signature, its length filled in. */
function binary(command: number, family: number, body: Uint8Array): Uint8Array {
  return Buffer.concat([prefix, Uint8Array.of(command, family, body.length >> 8, body.length & 255), body])
}

function field(type: number, value: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(type, value.length >> 8, value.length & 255), value])
}

function headerOf(read: ProxyRead): ProxyHeader {
  assert.equal(read.kind, "header", JSON.stringify(read))
  return (read as ProxyRead & { kind: "header" }).header
}

const reasonOf = (read: ProxyRead) => (read.kind === "bad" ? read.reason : read.kind)
const ipv4Block = Uint8Array.of(10, 1, 2, 3, 192, 0, 2, 9, 0x30, 0x39, 0x01, 0xbb)

test("a line tells client and destination, and where it ends", () => {
  const line = "PROXY TCP4 10.1.2.3 192.0.2.9 12345 443\r\n"
  const read = readProxyHeader(latin1(`${line}GET /`))
  assert.deepEqual(headerOf(read).source, { host: "10.1.2.3", port: 12345 })
  assert.deepEqual(headerOf(read).destination, { host: "192.0.2.9", port: 443 })
  assert.equal(read.kind === "header" && read.bytes, line.length)
  const six = headerOf(readProxyHeader(latin1("PROXY TCP6 2001:DB8:0:0::1 ::ffff:10.0.0.1 0 65535\r\n")))
  assert.deepEqual(
    [six.source, six.destination],
    [
      { host: "2001:db8::1", port: 0 },
      { host: "10.0.0.1", port: 65535 },
    ],
  )
})

test("an unknown family is a header that tells nothing, whatever else is in it", () => {
  for (const rest of ["", " ", " a b c", " ff::1 ff::1 1 1"]) {
    const header = headerOf(readProxyHeader(latin1(`PROXY UNKNOWN${rest}\r\n`)))
    assert.equal(header.source, undefined)
    assert.equal(header.isLocal, false)
  }
})

test("lines that the specification does not allow are refused", () => {
  const bad = [
    "PROXY TCP4 10.1.2.3 192.0.2.9 12345 443\n",
    "PROXY TCP4 10.1.2.3 192.0.2.9 12345 443\r\r\n",
    "PROXY TCP4  10.1.2.3 192.0.2.9 12345 443\r\n",
    "PROXY TCP4 10.1.2.3 192.0.2.9 12345 443 \r\n",
    "PROXY TCP4 10.1.2.3\t192.0.2.9 12345 443\r\n",
    "PROXY TCP4 010.1.2.3 192.0.2.9 12345 443\r\n",
    "PROXY TCP4 10.1.2.256 192.0.2.9 12345 443\r\n",
    "PROXY TCP4 10.1.2 192.0.2.9 12345 443\r\n",
    "PROXY TCP4 ::1 ::1 12345 443\r\n",
    "PROXY TCP6 10.1.2.3 192.0.2.9 12345 443\r\n",
    "PROXY TCP6 fe80::1%eth0 ::1 12345 443\r\n",
    "PROXY TCP4 10.1.2.3 192.0.2.9 12345 65536\r\n",
    "PROXY TCP4 10.1.2.3 192.0.2.9 012345 443\r\n",
    "PROXY TCP4 10.1.2.3 192.0.2.9 +1 443\r\n",
    "PROXY TCP4 10.1.2.3 192.0.2.9 12345\r\n",
    "PROXY TCP5 10.1.2.3 192.0.2.9 12345 443\r\n",
    "PROXY tcp4 10.1.2.3 192.0.2.9 12345 443\r\n",
    "PROXY \r\n",
    `PROXY UNKNOWN ${"x".repeat(94)}\r\n`,
  ]
  for (const line of bad) assert.equal(readProxyHeader(latin1(line)).kind, "bad", JSON.stringify(line))
  const longest = `PROXY UNKNOWN ${"x".repeat(91)}\r\n`
  assert.equal(longest.length, 107)
  assert.equal(readProxyHeader(latin1(longest)).kind, "header")
})

test("other protocols are told from a header at their first different byte", () => {
  for (const text of ["GET / HTTP/1.1\r\n", "\x16\x03\x01", "PRI * HTTP/2.0", "\r\n\r\nx", "SSH-2.0", "PROX\r\n"]) {
    assert.equal(readProxyHeader(latin1(text)).kind, "none", JSON.stringify(text))
  }
  assert.deepEqual(readProxyHeader(latin1("PROXY")), { kind: "more", least: 6 })
  assert.deepEqual(readProxyHeader(prefix), { kind: "more", least: 13 })
})

test("a binary header tells client, destination and what else its sender knows", () => {
  const tls = Buffer.concat([
    Uint8Array.of(3, 0, 0, 0, 0),
    field(0x21, latin1("TLSv1.3")),
    field(0x22, latin1("alice")),
    field(0x23, latin1("some cipher")),
  ])
  const fields = [
    field(0x01, latin1("h2")),
    field(0x02, latin1("Shop.Test")),
    field(0x04, latin1("padding")),
    field(0x04, latin1("padding")),
    field(0x05, latin1("id-1")),
    field(0x20, tls),
    field(0xe0, latin1("token")),
    field(0xea, latin1("of another vendor")),
  ]
  const header = headerOf(readProxyHeader(binary(0x21, 0x11, Buffer.concat([ipv4Block, ...fields]))))
  assert.deepEqual(header, {
    version: 2,
    isLocal: false,
    source: { host: "10.1.2.3", port: 12345 },
    destination: { host: "192.0.2.9", port: 443 },
    authority: "shop.test",
    alpn: "h2",
    uniqueId: Uint8Array.from(latin1("id-1")),
    tls: { version: "TLSv1.3", commonName: "alice" },
    custom: Uint8Array.from(latin1("token")),
  })
})

test("a header of HAProxy 2.6 is understood, its checksum too", () => {
  const bytes = Buffer.from(
    "0d0a0d0a000d0a515549540a211100577f0000017f0000018df47082030004077cc11c0100026832020006612e74657374050000" +
      "2000300700000000210007544c5376312e33220005616c696365230016544c535f4145535f3235365f47434d5f534841333834",
    "hex",
  )
  assert.deepEqual(headerOf(readProxyHeader(bytes)), {
    version: 2,
    isLocal: false,
    source: { host: "127.0.0.1", port: 36340 },
    destination: { host: "127.0.0.1", port: 28802 },
    authority: "a.test",
    alpn: "h2",
    uniqueId: new Uint8Array(0),
    tls: { version: "TLSv1.3", commonName: "alice" },
    custom: undefined,
  })
})

test("a certificate that the sender did not verify names nobody", () => {
  const named = (client: number, verify: number) =>
    headerOf(
      readProxyHeader(
        binary(
          0x21,
          0x11,
          Buffer.concat([
            ipv4Block,
            field(0x20, Buffer.concat([Uint8Array.of(client, 0, 0, 0, verify), field(0x22, latin1("alice"))])),
          ]),
        ),
      ),
    ).tls
  assert.equal(named(3, 0)?.commonName, "alice")
  assert.equal(named(5, 0)?.commonName, "alice")
  assert.equal(named(1, 0)?.commonName, undefined)
  assert.equal(named(3, 1)?.commonName, undefined)
  assert.equal(named(0, 0), undefined)
})

test("a sender's own connection counts as such, and unspecified addresses are skipped", () => {
  const local = headerOf(readProxyHeader(binary(0x20, 0x11, ipv4Block)))
  assert.deepEqual([local.isLocal, local.source], [true, undefined])
  for (const [family, length] of [
    [0x00, 5],
    [0x12, 12],
    [0x22, 36],
    [0x31, 216],
    [0x32, 216],
  ] as const) {
    const header = headerOf(readProxyHeader(binary(0x21, family, new Uint8Array(length))))
    assert.deepEqual([header.isLocal, header.source], [false, undefined], `0x${family.toString(16)}`)
  }
})

test("binary headers that the specification does not allow are refused", () => {
  const withFields = (...fields: Uint8Array[]) => binary(0x21, 0x11, Buffer.concat([ipv4Block, ...fields]))
  const bad: [Uint8Array, RegExp][] = [
    [binary(0x11, 0x11, ipv4Block), /version is 1/],
    [binary(0x22, 0x11, ipv4Block), /command is 2/],
    [binary(0x21, 0x10, ipv4Block), /family is 0x10/],
    [binary(0x21, 0x41, ipv4Block), /family is 0x41/],
    [binary(0x21, 0x13, ipv4Block), /family is 0x13/],
    [binary(0x21, 0x11, ipv4Block.subarray(1)), /too short/],
    [binary(0x21, 0x21, ipv4Block), /too short/],
    [withFields(Uint8Array.of(1)), /cut off/],
    [withFields(Uint8Array.of(1, 0, 2, 0)), /longer than the header/],
    [withFields(field(2, latin1("a")), field(2, latin1("b"))), /0x02 is there twice/],
    [withFields(field(2, new Uint8Array(256))), /server name/],
    [withFields(field(5, new Uint8Array(129))), /unique ID/],
    [withFields(field(3, new Uint8Array(4))), /checksum/],
    [withFields(field(3, new Uint8Array(3))), /checksum/],
    [withFields(field(0x20, new Uint8Array(4))), /TLS field/],
    [withFields(field(0x20, Uint8Array.of(1, 0, 0, 0, 0, 0x22))), /cut off/],
    [Buffer.concat([prefix, Uint8Array.of(0x21, 0x11, 0xff, 0xff)]), /longer than 16384/],
  ]
  for (const [bytes, reason] of bad) assert.match(reasonOf(readProxyHeader(bytes)), reason)
  assert.ok(binary(0x21, 0x11, new Uint8Array(12)).length < mostProxyHeaderBytes)
})

test("the checksum is the one of RFC 3720, and a header with a wrong one is refused", () => {
  assert.equal(crc32c(latin1("123456789")), 0xe3069283)
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa)
  const facts = {
    source: { host: "10.1.2.3", port: 1 },
    destination: { host: "10.0.0.1", port: 2 },
    authority: "a.test",
  }
  const good = Buffer.from(writeProxyHeader("v2", facts))
  const before = Buffer.from(good)
  assert.equal(readProxyHeader(good).kind, "header")
  // Reading changes nothing, not even in a Buffer, whose slice is no copy.
  assert.deepEqual(good, before)
  for (let at = 16; at < good.length; at++) {
    // Without its own type, nobody knows that it is a checksum.
    if (at === good.length - 7) continue
    const damaged = Buffer.from(good)
    damaged.writeUInt8((damaged[at] as number) ^ 0x20, at)
    assert.equal(readProxyHeader(damaged).kind === "header" && damaged[at], false, `byte ${at}`)
  }
})

const port = fc.integer({ min: 0, max: 65535 })
const address = fc.oneof(fc.ipV4(), fc.ipV6())
const end = fc.record({ host: address, port })
const canonical = (host: string) =>
  ipText(ipBytes(host) as Uint8Array, 0, (ipBytes(host) as Uint8Array).length as 4 | 16)

test("what is written in either version is read back, and the bytes behind it are not touched", () => {
  const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
  const facts = fc.record({
    source: end,
    destination: end,
    authority: optional(fc.domain()),
    alpn: optional(fc.constantFrom("h2", "http/1.1", "\x8a\x8a")),
    uniqueId: optional(fc.uint8Array({ minLength: 1, maxLength: 128 })),
    custom: optional(fc.uint8Array({ minLength: 1, maxLength: 200 })),
    tls: optional(
      fc.record({ version: optional(fc.constant("TLSv1.3")), commonName: optional(fc.string({ minLength: 1 })) }),
    ),
  })
  fc.assert(
    fc.property(facts, fc.constantFrom("v1" as const, "v2" as const), fc.uint8Array(), (given, version, behind) => {
      const written = writeProxyHeader(version, given)
      const read = readProxyHeader(Buffer.concat([written, behind]))
      const header = headerOf(read)
      assert.equal(read.kind === "header" && read.bytes, written.length)
      assert.deepEqual(header.source, { host: canonical(given.source.host), port: given.source.port })
      assert.deepEqual(header.destination, { host: canonical(given.destination.host), port: given.destination.port })
      if (version === "v1") return
      const { authority, alpn, uniqueId, custom, tls } = header
      assert.deepEqual(
        { authority, alpn, uniqueId, custom, tls },
        {
          authority: given.authority?.toLowerCase(),
          alpn: given.alpn,
          uniqueId: given.uniqueId,
          custom: given.custom,
          tls: given.tls && { ...given.tls, commonName: given.tls.commonName?.toWellFormed() },
        },
      )
    }),
  )
})

test("without addresses, the header says so", () => {
  const nobody = { source: undefined, destination: undefined }
  assert.equal(Buffer.from(writeProxyHeader("v1", nobody)).toString(), "PROXY UNKNOWN\r\n")
  assert.equal(headerOf(readProxyHeader(writeProxyHeader("v2", nobody))).source, undefined)
  const socket = { source: { host: "/run/x.sock", port: 0 }, destination: { host: "::1", port: 1 } }
  assert.equal(headerOf(readProxyHeader(writeProxyHeader("v2", socket))).source, undefined)
})

test("addresses are spelled as sockets spell them", () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const bytes = ipBytes(text) as Uint8Array
      if (bytes.length === 4) return
      const spelled = new SocketAddress({ address: text, family: "ipv6" }).address
      // inet_ntop has a form of its own for the addresses below ::1:0:0, which nobody uses any more.
      if (spelled.includes(".")) return
      assert.equal(ipText(bytes, 0, 16), spelled)
    }),
  )
  assert.deepEqual(ipBytes("::ffff:10.0.0.1"), Uint8Array.of(10, 0, 0, 1))
  assert.deepEqual(ipBytes("fe80::1%eth0"), ipBytes("fe80::1"))
  assert.equal(ipBytes("host.test"), undefined)
})

test("any bytes are judged alike however they arrive, and more of them is only asked for when it may help", () => {
  const seeds = [
    latin1("PROXY TCP4 10.1.2.3 192.0.2.9 12345 443\r\nGET"),
    latin1("PROXY UNKNOWN\r\n"),
    binary(0x21, 0x11, Buffer.concat([ipv4Block, field(2, latin1("a.test")), field(3, new Uint8Array(4))])),
    binary(0x20, 0, new Uint8Array(0)),
  ]
  const damaged = fc
    .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 3 }))
    .map(([seed, edits]) => {
      const bytes = Uint8Array.from(seed)
      for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value
      return bytes
    })
  fc.assert(
    fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 60 })), (bytes) => {
      const whole = readProxyHeader(bytes)
      let least = 0
      for (let length = 0; length <= bytes.length; length++) {
        const read = readProxyHeader(bytes.subarray(0, length))
        if (read.kind !== "more") {
          assert.deepEqual(read, whole)
          assert.ok(length >= least)
          return
        }
        assert.ok(read.least > length)
        least = Math.max(least, read.least)
      }
      assert.equal(whole.kind, "more")
    }),
    { numRuns: 500, seed: 7 },
  )
})
