import assert from "node:assert/strict"
import { test } from "node:test"
import type { PeerAddress, RelayMessage } from "../protocol/control.ts"
import { hostOf, Introductions } from "./introductions.ts"
import { Member } from "./member.ts"
import type { Outbox } from "./outbox.ts"

interface Somebody {
  readonly member: Member
  readonly told: PeerAddress[]
}

function somebody(
  id: string,
  address: string,
  addresses: string[],
  role: "sender" | "receiver" = "receiver",
): Somebody {
  const member = new Member({ id, role, label: id, address, ticket: "", now: 0 })
  const told: PeerAddress[] = []
  const say = (message: RelayMessage) => {
    if (message.do === "peers") told.push(...message.peers)
  }
  member.outbox = { say } as unknown as Outbox
  member.addresses = addresses
  return { member, told }
}

function introduceAll(all: readonly Somebody[], most = 16): void {
  const introductions = new Introductions(most)
  const here: Member[] = []
  for (const { member } of all) {
    here.push(member)
    introductions.introduce(member, here)
  }
}

test("two of one network are told of each other, and one of them dials", () => {
  const a = somebody("a", "192.168.1.2", ["192.168.1.2:7000"])
  const b = somebody("b", "192.168.1.3", ["192.168.1.3:7000"])
  introduceAll([a, b])
  assert.deepEqual(b.told, [{ member: "a", addresses: ["192.168.1.2:7000"], dial: true }])
  assert.deepEqual(a.told, [{ member: "b", addresses: ["192.168.1.3:7000"], dial: false }])
})

test("one that nobody can reach dials, and two of those are not told of each other", () => {
  const page = somebody("page", "10.0.0.1", [])
  const other = somebody("other", "10.0.0.2", [])
  const host = somebody("host", "10.0.0.3", ["10.0.0.3:7000"])
  introduceAll([host, page, other])
  assert.deepEqual(
    page.told.map(({ member, dial }) => [member, dial]),
    [["host", true]],
  )
  assert.ok(host.told.every(({ dial }) => !dial))
})

test("private addresses stay within what may be one network, and nobody is sent to a stranger's machine", () => {
  const home = somebody("home", "198.51.100.7", ["192.168.1.2:7000", "203.0.113.99:25", "127.0.0.1:22", "host.test:80"])
  const away = somebody("away", "203.0.113.5", ["203.0.113.5:7000", "10.1.1.1:7000"])
  introduceAll([home, away])
  assert.deepEqual(away.told, [{ member: "home", addresses: [], dial: false }])
  assert.deepEqual(home.told, [{ member: "away", addresses: ["203.0.113.5:7000"], dial: true }])
})

test("of many each knows at most sixteen, those who come late know some, and the sender is known", () => {
  const all = Array.from({ length: 100 }, (_, index) =>
    somebody(`m${index}`, "192.168.1.1", ["192.168.1.1:7000"], index === 0 ? "sender" : "receiver"),
  )
  introduceAll(all)
  for (const { member } of all) {
    assert.ok(member.partners.size <= 16)
    assert.ok(member.partners.size > 0)
  }
  assert.equal(all[0]?.member.partners.size, 16)
})

test("whoever loses its partners is told of others", () => {
  const introductions = new Introductions(4)
  const all = Array.from({ length: 8 }, (_, index) => somebody(`m${index}`, "10.0.0.1", ["10.0.0.1:7000"]).member)
  for (const member of all) introductions.introduce(member, all)
  const [first] = all
  assert.ok(first !== undefined)
  for (const partner of new Set(first.partners)) {
    partner.outbox = undefined
    introductions.part(partner, all)
  }
  assert.ok(first.partners.size > 0)
  for (const partner of first.partners) assert.ok(partner.isHere)
})

test("a peer's address without its port", () => {
  assert.equal(hostOf("192.0.2.1:80"), "192.0.2.1")
  assert.equal(hostOf("[2001:db8::1]:80"), "2001:db8::1")
  assert.equal(hostOf("2001:db8::1"), "2001:db8::1")
  assert.equal(hostOf("[::ffff:192.0.2.1]:80"), "192.0.2.1")
  assert.equal(hostOf("192.0.2.1"), "192.0.2.1")
})
