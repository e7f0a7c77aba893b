import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock, settle } from "../../../../test/kit/fake-clock.ts"
import { base64url, concat } from "../../../base/bytes.ts"
import type { RdvError } from "../../../base/error.ts"
import { memoryPair } from "../../../transport/memory.ts"
import { greetRelay, readGreeting, relayGreetingByte, ticketBytes } from "./relay-greeting.ts"
import type { Pipe } from "../../../base/pipe.ts"

const ticket = Uint8Array.from({ length: ticketBytes }, (_, at) => 250 - at)

function collect(pipe: Pipe): { bytes: number[]; end: Promise<RdvError | undefined> } {
  const bytes: number[] = []
  const end = Promise.withResolvers<RdvError | undefined>()
  pipe.attach({
    data(more) {
      bytes.push(...more)
      return false
    },
    drain: () => undefined,
    closed: end.resolve,
  })
  return { bytes, end: end.promise }
}

function isTicket(bytes: Uint8Array): string | undefined {
  return Buffer.compare(bytes, ticket) === 0 ? "bob" : undefined
}

for (const splitBytes of [1, 100]) {
  test(`a ticket opens a connection, and nothing behind the greeting is lost (pieces of ${splitBytes})`, async () => {
    const clock = new FakeClock()
    const { a, b } = memoryPair(clock, { splitBytes, poison: true })
    const member = greetRelay(a, base64url(ticket), { clock })
    const greeted = await readGreeting(b, new Uint8Array(0), isTicket, { clock })
    assert.equal(greeted.owner, "bob")
    greeted.pipe.send([Uint8Array.of(1, 2, 3)])
    const pipe = await member
    const atMember = collect(pipe)
    pipe.send([Uint8Array.of(9, 8)])
    await settle()
    const atRelay = collect(greeted.pipe)
    await settle()
    assert.deepEqual(atMember.bytes, [1, 2, 3])
    assert.deepEqual(atRelay.bytes, [9, 8])
    assert.equal(clock.pending, 0)
  })
}

test("the greeting may have come with the first bytes of the connection", async () => {
  const clock = new FakeClock()
  const { b } = memoryPair(clock)
  const head = concat([Uint8Array.of(relayGreetingByte), ticket, Uint8Array.of(5, 6)])
  const greeted = await readGreeting(b, head, isTicket, { clock })
  const at = collect(greeted.pipe)
  assert.deepEqual(at.bytes, [5, 6])
})

test("what ended right behind the greeting ends for whoever takes it", async () => {
  const clock = new FakeClock()
  const { a, b } = memoryPair(clock)
  a.attach({ data: () => false, drain: () => undefined, closed: () => undefined })
  a.send([concat([Uint8Array.of(relayGreetingByte), ticket, Uint8Array.of(7)])])
  a.close()
  const greeted = await readGreeting(b, new Uint8Array(0), isTicket, { clock })
  await settle()
  const at = collect(greeted.pipe)
  assert.deepEqual(at.bytes, [7])
  assert.equal((await at.end)?.code, "link_lost")
})

test("a ticket that nobody knows is refused on both sides", async () => {
  const clock = new FakeClock()
  const { a, b } = memoryPair(clock)
  const member = greetRelay(a, base64url(new Uint8Array(ticketBytes)), { clock })
  await assert.rejects(readGreeting(b, new Uint8Array(0), isTicket, { clock }), { code: "unauthorized" })
  await assert.rejects(member, { code: "unauthorized" })
})

test("something else than a relay is told apart, and something else than a member", async () => {
  const clock = new FakeClock()
  const one = memoryPair(clock)
  const member = greetRelay(one.a, base64url(ticket), { clock })
  one.b.send([new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n")])
  await assert.rejects(member, { code: "protocol" })
  const two = memoryPair(clock)
  two.a.send([new Uint8Array(17)])
  await assert.rejects(readGreeting(two.b, new Uint8Array(0), isTicket, { clock }), { code: "protocol" })
  const three = memoryPair(clock)
  await assert.rejects(greetRelay(three.a, "short", { clock }), { code: "protocol" })
})

test("both sides have a deadline, a signal, and hear of a cut", async () => {
  const clock = new FakeClock()
  const [one, two, three, four] = [memoryPair(clock), memoryPair(clock), memoryPair(clock), memoryPair(clock)]
  const late = greetRelay(one.a, base64url(ticket), { clock, deadlineMs: 500 })
  const silent = readGreeting(two.b, new Uint8Array(0), isTicket, { clock, deadlineMs: 500 })
  const cut = greetRelay(three.a, base64url(ticket), { clock })
  const stop = new AbortController()
  const stopped = greetRelay(four.a, base64url(ticket), { clock, signal: stop.signal })
  three.cut()
  stop.abort()
  const all = Promise.allSettled([late, silent, cut, stopped])
  await clock.pass(500)
  assert.deepEqual(
    (await all).map((each) => each.status === "rejected" && (each.reason as RdvError).code),
    ["timeout", "timeout", "link_lost", "cancelled"],
  )
  assert.equal(clock.pending, 0)
})
