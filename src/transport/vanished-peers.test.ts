import assert from "node:assert/strict"
import { test } from "node:test"
import { repeatedTo, vanishedPeers } from "./vanished-peers.ts"

const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"

test("only established peers that were told something again and again are listed", () => {
  const table = [
    head,
    "   0: 0100007F:1608 0201D50A:C350 01 00000400:00000000 01:00000A28 00000007     0        0 504 2 0 0 4 30 10 -1",
    "   1: 0100007F:1608 0301D50A:C351 01 00000400:00000000 01:00000A28 00000006     0        0 504 2 0 0 4 30 10 -1",
    "   2: 0100007F:1608 0401D50A:C352 01 00000000:00000000 00:00000000 00000009     0        0 504 2 0 0 4 30 10 -1",
    "   3: 0100007F:1608 0501D50A:C353 04 00000400:00000000 01:00000A28 00000009     0        0 504 2 0 0 4 30 10 -1",
    "",
  ].join("\n")
  assert.deepEqual([...repeatedTo(table, "ipv4", 7)], ["10.213.1.2:50000"])
})

test("addresses of IPv6 are printed as sockets print them", () => {
  const line = (remote: string) =>
    `   0: ${"0".repeat(32)}:1608 ${remote}:0050 01 00000001:00000000 01:0 00000008 0 0 1`
  const table = [head, line("B80D0120000000000000000001000000"), line("0000000000000000FFFF00000201D50A")].join("\n")
  assert.deepEqual([...repeatedTo(table, "ipv6", 7)], ["[2001:db8::1]:80", "[::ffff:10.213.1.2]:80"])
})

test("this machine's tables can be read", async () => {
  assert.ok((await vanishedPeers(1_000)).size === 0)
})
