import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { trustedProxies } from "./trusted-proxies.ts"

test("addresses, networks and words are matched, IPv4 also where it is written as IPv6", () => {
  const table: readonly [trusted: string, inside: string[], outside: string[]][] = [
    ["10.0.0.1", ["10.0.0.1", "::ffff:10.0.0.1", "::ffff:a00:1"], ["10.0.0.2", "::1", "::10.0.0.1"]],
    ["10.9.8.7/8", ["10.255.0.1", "::ffff:10.1.1.1"], ["11.0.0.1", "9.255.255.255"]],
    ["192.0.2.128/25", ["192.0.2.128", "192.0.2.255"], ["192.0.2.127"]],
    ["0.0.0.0/0", ["8.8.8.8", "::ffff:8.8.8.8"], ["2001:db8::1"]],
    ["2001:DB8::/32", ["2001:db8:1::1"], ["2001:db9::1", "32.1.13.184"]],
    ["::ffff:10.0.0.0/104", ["10.1.1.1", "::ffff:10.1.1.1"], ["11.1.1.1"]],
    // As the system writes the peers of one network.
    ["fe80::/10", ["fe80::1", "fe80::1%1"], ["10.0.0.1"]],
    ["loopback", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"], ["10.0.0.1", "::2"]],
    [
      "Private",
      ["10.1.1.1", "172.16.0.1", "172.31.9.9", "192.168.1.1", "fd00::1"],
      ["172.32.0.1", "127.0.0.1", "fe80::1"],
    ],
  ]
  for (const [trusted, inside, outside] of table) {
    const proxies = trustedProxies([trusted])
    for (const address of inside) assert.ok(proxies.has(address), `${trusted}: ${address}`)
    for (const address of outside) assert.ok(!proxies.has(address), `${trusted}: ${address}`)
  }
})

test("what is no address is no trusted proxy, and neither harms nor matches", () => {
  const proxies = trustedProxies(["0.0.0.0/0", "::/0"])
  for (const address of ["unknown", "", ":", "10.0.0.1:80", "1.2.3.4.5"]) {
    assert.equal(proxies.has(address), false, address)
  }
  fc.assert(fc.property(fc.string(), (text) => void proxies.has(text)))
})

test("a mistyped one is refused with what would be right", () => {
  const wrong = ["caddy", "10.0.0", "10.0.0.1:80", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "10.0.0.0/-1", "::1/129"]
  for (const text of [...wrong, "fe80::1%eth0", "/8", "*", "10.0.0.0/8 ", "10.0.0.0/255.0.0.0", "10.0.0.0/+8"]) {
    assert.throws(() => trustedProxies(["loopback", text]), {
      code: "usage",
      message: /^".*" cannot be a trusted proxy: [^\n]+$/,
      mend: /^write --trust-proxy 10\.0\.0\.1, /,
    })
  }
})
