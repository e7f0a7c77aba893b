import assert from "node:assert/strict"
import { isIP } from "node:net"
import { test } from "node:test"
import fc from "fast-check"
import { clientAddress } from "./client-address.ts"
import { trustedProxies } from "./trusted-proxies.ts"

const trusted = trustedProxies(["10.0.0.0/8", "fd00::/8"])

test("the visitor is the right-most address that is not a trusted proxy's", () => {
  const table: readonly [chain: string, client: string | undefined][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["192.0.2.1, 10.0.0.1", "192.0.2.1"],
    ["192.0.2.1,10.0.0.1,\t10.0.0.2 ", "192.0.2.1"],
    ["192.0.2.9, 192.0.2.1, fd00::1, 10.0.0.2", "192.0.2.1"],
    // What the visitor itself wrote is not looked at.
    ["10.0.0.9, garbage, , 192.0.2.1", "192.0.2.1"],
    [`${"x,".repeat(5_000)}192.0.2.1, 10.0.0.1`, "192.0.2.1"],
    // All of them proxies: the one that is furthest away.
    ["10.0.0.3", "10.0.0.3"],
    ["10.0.0.3, 10.0.0.2, 10.0.0.1", "10.0.0.3"],
    // Other spellings.
    ["2001:DB8:0:0::1", "2001:db8::1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["192.0.2.1, ::ffff:10.0.0.1", "192.0.2.1"],
    ["192.0.2.1:55000, 10.0.0.1:80", "192.0.2.1"],
    ["[2001:db8::1]:55000", "2001:db8::1"],
    ["[2001:db8::1], [fd00::1]", "2001:db8::1"],
    // Nothing that can be read.
    ["", undefined],
    [",", undefined],
    ["192.0.2.1,", undefined],
    ["192.0.2.1, , 10.0.0.1", undefined],
    ["garbage, 10.0.0.1", undefined],
    ["unknown", undefined],
    ["_hidden", undefined],
    ["example.test", undefined],
    ["192.0.2.256", undefined],
    ["192.0.2.01", undefined],
    ["192.0.2.1:", undefined],
    ["192.0.2.1:123456", undefined],
    ["192.0.2.1 10.0.0.1", undefined],
    ['"192.0.2.1"', undefined],
    ["[192.0.2.1]", undefined],
    ["[2001:db8::1", undefined],
    ["2001:db8::1]:80", undefined],
    ["fe80::1%eth0", undefined],
    [`${"0".repeat(60)}::1`, undefined],
  ]
  for (const [chain, client] of table) assert.equal(clientAddress(chain, trusted), client, chain.slice(-60))
})

test("a chain of more proxies than anybody has is not believed", () => {
  const proxies = (count: number) => ", 10.0.0.1".repeat(count)
  assert.equal(clientAddress(`192.0.2.1${proxies(31)}`, trusted), "192.0.2.1")
  assert.equal(clientAddress(`192.0.2.1${proxies(32)}`, trusted), undefined)
})

test("whatever comes, the answer is an address in canonical form or nothing, and soon", () => {
  const piece = fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.constantFrom(",", ", ", " ", "[", "]", ":80", "%", "::"))
  const chains = fc.array(piece, { maxLength: 20 }).map((pieces) => pieces.join(""))
  fc.assert(
    fc.property(chains, (chain) => {
      const client = clientAddress(chain, trusted)
      if (client === undefined) return
      assert.notEqual(isIP(client), 0)
      assert.equal(clientAddress(client, trusted), client)
    }),
  )
  const started = performance.now()
  for (const filler of [",", " ", "1.", "[", ":", "10.0.0.1,", "a"]) clientAddress(filler.repeat(16_000), trusted)
  assert.ok(performance.now() - started < 200)
})

test("a visitor that a proxy has seen is found behind whatever it claims", () => {
  fc.assert(
    fc.property(fc.string(), fc.ipV4(), fc.nat(20), (claim, address, proxies) => {
      fc.pre(!trusted.has(address))
      assert.equal(clientAddress(`${claim}, ${address}${", 10.1.2.3".repeat(proxies)}`, trusted), address)
    }),
  )
})
