import assert from "node:assert/strict"
import { isIP, isIPv4 } from "node:net"
import { test } from "node:test"
import fc from "fast-check"
import { addressWords, clientKey, readAddress } from "./address.ts"
import { readNetworks } from "./networks.ts"

const ipv4 = fc.ipV4()
const ipv6 = fc.ipV6()
const address = fc.oneof(
  ipv4,
  ipv6,
  ipv4.map((text) => `::ffff:${text}`),
)

/** Few bits, so that networks meet. */
const near = fc.oneof(
  fc.nat(255).map((last) => `10.0.0.${last}`),
  fc.nat(255).map((last) => `2001:db8::${last.toString(16)}`),
  fc.nat(255).map((last) => `::ffff:10.0.0.${last}`),
  fc.constantFrom("0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
)

test("an address is read exactly when it is one", () => {
  const words = addressWords()
  const pieces = fc.array(
    fc.constantFrom("", ":", "::", ".", "0", "00", "1", "255", "256", "ffff", "12345", "g", "1.2.3.4"),
  )
  const text = fc.oneof(
    address,
    fc.string(),
    pieces.map((list) => list.join("")),
    pieces.map((list) => list.join(":")),
    address.chain((good) => fc.nat(good.length - 1).map((at) => good.slice(0, at) + good.slice(at + 1))),
  )
  const property = fc.property(text, (one) => {
    const version = isIP(one)
    const read = readAddress(one, words)
    assert.equal(read !== 0, version !== 0, one)
    if (version === 4) assert.equal(read, 4)
  })
  fc.assert(property, { numRuns: 2000 })
})

test("IPv4 in IPv6 is IPv4, and an interface does not count", () => {
  const words = addressWords()
  assert.equal(readAddress("::ffff:192.0.2.1", words), 4)
  assert.equal(words[3], 0xc0000201)
  assert.equal(readAddress("::FFFF:c000:201", words), 4)
  assert.equal(words[3], 0xc0000201)
  assert.equal(readAddress("fe80::1%eth0", words), 6)
  assert.deepEqual([...words], [0xfe800000, 0, 0, 1])
  assert.equal(readAddress("1::", words), 6)
  assert.deepEqual([...words], [0x10000, 0, 0, 0])
  for (const none of ["", "fe80::1%", "%", "10.0.0.1%eth0", "1:2:3:4:5:6:7::8:9"])
    assert.equal(readAddress(none, words), 0)
})

test("a client is its network", () => {
  const prefix = { ipv4: 24, ipv6: 64 }
  assert.equal(clientKey("10.1.2.3", prefix), "10.1.2.0/24")
  assert.equal(clientKey("::ffff:10.1.2.200", prefix), "10.1.2.0/24")
  assert.equal(clientKey("2001:db8::1", prefix), clientKey("2001:DB8:0:0:ffff::", prefix))
  assert.notEqual(clientKey("2001:db8:0:1::", prefix), clientKey("2001:db8:0:2::", prefix))
  assert.equal(clientKey("10.1.2.3", { ipv4: 32, ipv6: 128 }), "10.1.2.3")
  assert.equal(clientKey("200.1.2.3", { ipv4: 0, ipv6: 0 }), "0.0.0.0/0")
  assert.equal(clientKey("unix", prefix), "unix")
})

test("an address is in a set exactly when it is in one of its networks, and IPv6 networks have no IPv4 in them", () => {
  const network = fc
    .oneof(near, address)
    .chain((text) => fc.tuple(fc.constant(text), fc.option(fc.nat(text.includes(":") ? 128 : 32))))
  const property = fc.property(
    fc.array(network, { maxLength: 30 }),
    fc.array(fc.oneof(near, address)),
    (list, asked) => {
      const texts = list.map(([text, bits]) => (bits === null ? text : `${text}/${bits}`))
      const set = readNetworks(texts)
      for (const text of [...asked, ...list.map(([one]) => one)]) {
        const expected = list.some(([one, bits]) => contains(one, bits, text))
        assert.equal(set.has(text), expected, `${text} in ${texts.join()}`)
      }
    },
  )
  fc.assert(property, { numRuns: 1000 })
})

/** By arithmetic on whole numbers of 128 bits. */
function contains(network: string, bits: number | null, asked: string): boolean {
  const mapped = 0xffffn << 32n
  const [start, one] = [valueOf(network), valueOf(asked)]
  const size = bits === null ? 128 : bits + (network.includes(":") ? 0 : 96)
  const [is4, asks4] = [start >> 32n === 0xffffn && size >= 96, one >> 32n === 0xffffn]
  const shift = BigInt(128 - size)
  return is4 === asks4 && start >> shift === one >> shift && (!is4 || one >= mapped)
}

function valueOf(text: string): bigint {
  if (isIPv4(text)) return (0xffffn << 32n) + text.split(".").reduce((sum, part) => sum * 256n + BigInt(part), 0n)
  // The platform writes IPv6 without dots, with one gap at most.
  const [head = "", tail] = new URL(`http://[${text}]/`).hostname.slice(1, -1).split("::")
  const groups = (part: string | undefined) => (part === undefined || part === "" ? [] : part.split(":"))
  const zeros = Array.from({ length: 8 - groups(head).length - groups(tail).length }, () => "0")
  const all = [...groups(head), ...(tail === undefined ? [] : zeros), ...groups(tail)]
  return all.reduce((sum, group) => sum * 65_536n + BigInt(Number.parseInt(group, 16)), 0n)
}

test("networks that touch are one interval, up to the last address there is", () => {
  assert.equal(readNetworks(["10.0.0.0/25", "10.0.0.128/25", "10.0.0.7", "10.0.1.0/24"]).size, 1)
  assert.equal(readNetworks(["0.0.0.0/1", "128.0.0.0/1", "1.1.1.1"]).size, 1)
  assert.equal(readNetworks(["8000::/1", "::/1", "ffff::/16", "2001::"]).size, 1)
  assert.equal(readNetworks(["10.0.0.0/24", "10.0.2.0/24"]).size, 2)
  assert.equal(readNetworks([]).has("10.0.0.1"), false)
})

test("what is no network is refused with its reason", () => {
  for (const [text, reason] of [
    ["10.0.0.0/33", /number from 0 to 32/],
    ["10.0.0.0/-1", /number from 0 to 32/],
    ["10.0.0.0/", /number from 0 to 32/],
    ["::/129", /number from 0 to 128/],
    ["10.0.0", /"10.0.0" is not an IP address/],
    ["fe80::1%eth0/64", /is not an IP address/],
    ["example.test", /is not an IP address/],
  ] as const) {
    assert.throws(() => readNetworks([text]), { code: "usage", message: reason })
  }
})

test("100,000 networks are read in a moment, and a lookup among them in less than a microsecond or two", () => {
  const texts = Array.from({ length: 100_000 }, (_, at) =>
    at % 4 === 0 ? `2001:db8:${(at >> 8).toString(16)}:${(at & 255).toString(16)}::/64` : `${four(at * 40_000)}/30`,
  )
  const startedAt = performance.now()
  const set = readNetworks(texts)
  const readMs = performance.now() - startedAt
  assert(set.size > 99_000)
  assert(readMs < 2000, `${readMs} ms`)
  const asked = ["10.0.0.1", "200.1.2.3", "2001:db8:20:4::1", "::1"]
  const lookup = performance.now()
  let found = 0
  for (let at = 0; at < 100_000; at++) if (set.has(asked[at & 3] as string)) found++
  const each = ((performance.now() - lookup) * 1000) / 100_000
  assert(found <= 100_000 && each < 20, `${each} µs`)
})

function four(word: number): string {
  return [24, 16, 8, 0].map((shift) => (word >>> shift) & 255).join(".")
}
