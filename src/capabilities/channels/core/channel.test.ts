import assert from "node:assert/strict"
import { test } from "node:test"
import type { RdvError } from "../../../base/error.ts"
import { SeededRandom } from "../../../base/random.ts"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { messageOverhead } from "./channel.ts"
import type { Channel } from "./channel.ts"
import type { Delivery, Receiving, Sending } from "./parties.ts"
import type { Reader } from "./reader.ts"
import type { ChannelSettings } from "./settings.ts"
import { Space } from "./space.ts"
import type { Writer } from "./writer.ts"

function channelWith(settings: Partial<ChannelSettings> = {}): { space: Space; channel: Channel; clock: FakeClock } {
  const clock = new FakeClock(0)
  const space = new Space({ clock, random: new SeededRandom(1) })
  return { space, channel: space.create("/c", {}, settings), clock }
}

class Sent implements Sending {
  readonly bytes: Uint8Array
  /** `waiting`, `ok`, or the code of the error. */
  outcome: string = "waiting"

  constructor(text: string) {
    this.bytes = new TextEncoder().encode(text)
  }

  settled(error: RdvError | undefined): void {
    assert.equal(this.outcome, "waiting", "settled twice")
    this.outcome = error?.code ?? "ok"
  }
}

class Wanted implements Receiving {
  delivery: Delivery | undefined
  failure: string | undefined

  take(delivery: Delivery): void {
    assert.equal(this.delivery, undefined, "taken twice")
    this.delivery = delivery
  }

  failed(error: RdvError): void {
    assert.equal(this.failure ?? this.delivery, undefined, "told twice")
    this.failure = error.code
  }

  get text(): string | undefined {
    return this.delivery && new TextDecoder().decode(this.delivery.bytes)
  }
}

function send(writer: Writer, text: string): Sent {
  const sent = new Sent(text)
  writer.send(sent)
  return sent
}

function want(reader: Reader): Wanted {
  const wanted = new Wanted()
  reader.receive(wanted)
  return wanted
}

test("a rendezvous: the sender hears nothing before the receiver has seen the message", () => {
  const { channel } = channelWith()
  const sent = send(channel.writer(), "a")
  const wanted = want(channel.reader())
  assert.equal(wanted.text, "a")
  assert.equal(sent.outcome, "waiting")
  wanted.delivery?.seen()
  assert.equal(sent.outcome, "ok")
})

test("the grades: matched at once, done not by seen", () => {
  const matched = channelWith({ deliver: "matched" }).channel
  const one = send(matched.writer(), "a")
  want(matched.reader())
  assert.equal(one.outcome, "ok")
  const done = channelWith({ deliver: "done" }).channel
  const other = send(done.writer(), "b")
  const wanted = want(done.reader())
  wanted.delivery?.seen()
  assert.equal(other.outcome, "waiting")
  wanted.delivery?.done()
  assert.equal(other.outcome, "ok")
})

test("a message whose reader leaves without proof goes to the next one, before what came later", () => {
  const { channel } = channelWith()
  const writer = channel.writer()
  const sent = ["a", "b"].map((text) => send(writer, text))
  const first = channel.reader()
  assert.equal(want(first).text, "a")
  first.leave()
  const second = channel.reader()
  const again = want(second)
  assert.equal(again.text, "a")
  assert.equal(again.delivery?.attempt, 2)
  again.delivery?.seen()
  assert.deepEqual(
    sent.map((each) => each.outcome),
    ["ok", "waiting"],
  )
})

test("a late proof of a reader that gave the message back counts for nothing", () => {
  const { channel } = channelWith()
  const sent = send(channel.writer(), "a")
  const first = want(channel.reader())
  first.delivery?.giveBack("changed its mind")
  const second = want(channel.reader())
  first.delivery?.seen()
  assert.equal(sent.outcome, "waiting")
  second.delivery?.seen()
  assert.equal(sent.outcome, "ok")
})

test("a buffer takes what fits, also what is under way; a smaller one drops nothing", () => {
  const { channel } = channelWith({ size: 2 })
  const writer = channel.writer()
  const sent = ["a", "b", "c"].map((text) => send(writer, text))
  assert.deepEqual(
    sent.map((each) => each.outcome),
    ["ok", "ok", "waiting"],
  )
  channel.configure({ size: 1 })
  const reader = channel.reader()
  const first = want(reader)
  assert.equal(first.text, "a")
  first.delivery?.seen()
  assert.equal(sent[2]?.outcome, "waiting")
  const second = want(reader)
  second.delivery?.seen()
  assert.equal(second.text, "b")
  assert.equal(sent[2]?.outcome, "ok")
  assert.equal(want(reader).text, "c")
})

test("withdrawn: a send that nobody has, a receive that waits", () => {
  const { channel, space } = channelWith()
  const writer = channel.writer()
  const sent = send(writer, "a")
  assert.ok(writer.withdraw(sent))
  assert.equal(space.messageBytes, 0)
  const reader = channel.reader()
  const wanted = want(reader)
  assert.ok(reader.withdraw(wanted))
  const other = send(writer, "b")
  assert.equal(wanted.text, undefined)
  const taken = want(reader)
  assert.equal(writer.withdraw(other), false)
  assert.equal(taken.text, "b")
})

test("a lease that is over gives the message to another one; after the attempts it is buried", async () => {
  const { channel, space, clock } = channelWith({ deliver: "done", leaseMs: 100, attempts: 2, deadLetter: "/dead" })
  const dead = space.create("/dead")
  const sent = send(channel.writer(), "a")
  want(channel.reader())
  const second = want(channel.reader())
  await clock.pass(101)
  assert.equal(second.delivery?.attempt, 2)
  await clock.pass(101)
  assert.equal(sent.outcome, "ok")
  assert.equal(want(dead.reader()).text, "a")
  assert.equal(channel.stats().buried, 1)
})

test("closed: senders are refused, receivers get what is left and then the end", () => {
  const { channel } = channelWith({ size: 1 })
  const writer = channel.writer()
  send(writer, "a")
  const refused = send(writer, "b")
  channel.close()
  assert.equal(refused.outcome, "closed")
  assert.equal(send(writer, "c").outcome, "closed")
  const reader = channel.reader()
  const last = want(reader)
  const end = want(reader)
  assert.equal(last.text, "a")
  assert.equal(end.failure, undefined, "the last message may come back")
  last.delivery?.seen()
  assert.equal(end.failure, "closed")
})

test("removed: all who wait are told, and what is under way settles", () => {
  const { channel, space } = channelWith()
  const writer = channel.writer()
  const underWay = send(writer, "a")
  const wanted = want(channel.reader())
  const waiting = send(writer, "b")
  space.remove("/c")
  assert.equal(waiting.outcome, "removed")
  wanted.delivery?.seen()
  assert.equal(underWay.outcome, "ok")
  assert.equal(space.messageBytes, 0)
})

test("multicast: the sender hears when all readers have it, and one that leaves is not waited for", () => {
  const { channel } = channelWith({ mode: "multicast" })
  const writer = channel.writer()
  const early = send(writer, "a")
  assert.equal(early.outcome, "waiting", "nobody is there")
  const readers = [channel.reader(), channel.reader(), channel.reader()] as const
  want(readers[0]).delivery?.seen()
  assert.equal(early.outcome, "ok", "the first one to come was its only reader")
  const sent = send(writer, "b")
  const [one, two] = [want(readers[0]), want(readers[1])]
  assert.deepEqual([one.text, two.text], ["b", "b"])
  one.delivery?.seen()
  readers[2].leave()
  assert.equal(sent.outcome, "waiting", "one has it in its hands")
  readers[1].leave()
  assert.equal(sent.outcome, "ok")
})

test("multicast with a buffer: a reader that is behind stops the senders, or is cut off", () => {
  const { channel } = channelWith({ mode: "multicast", size: 2 })
  const writer = channel.writer()
  const [fast, slow] = [channel.reader(), channel.reader()]
  const read = () => want(fast).delivery?.seen()
  const sent = ["a", "b", "c"].map((text) => {
    const each = send(writer, text)
    read()
    return each.outcome
  })
  assert.deepEqual(sent, ["ok", "ok", "waiting"])
  channel.configure({ slowReader: "cut" })
  send(writer, "d")
  assert.equal(channel.stats().cut, 1)
  assert.equal(want(slow).failure, "limit")
})

test("select: exactly one case happens, and two selects can meet", () => {
  const clock = new FakeClock(0)
  const space = new Space({ clock, random: new SeededRandom(1) })
  const [a, b] = [space.create("/a"), space.create("/b")]
  const outcomes: string[] = []
  const bytes = new TextEncoder().encode("x")
  space.select(
    [
      { kind: "receive", channel: a },
      { kind: "send", channel: b, bytes },
    ],
    (outcome) => outcomes.push(`first ${outcome.kind}`),
  )
  assert.equal(a.stats().waitingReceivers + b.stats().waitingSenders, 2)
  space.select([{ kind: "receive", channel: b }], (outcome) => {
    outcomes.push(`second ${outcome.kind}`)
    if (outcome.kind === "received") outcome.delivery.seen()
  })
  assert.deepEqual(outcomes, ["second received", "first sent"])
  assert.equal(a.stats().waitingReceivers, 0)
})

test("an abandoned select takes nothing", () => {
  const { channel, space } = channelWith()
  const selection = space.select([{ kind: "receive", channel }], () => assert.fail("chosen"))
  assert.ok(selection.cancel())
  const sent = send(channel.writer(), "a")
  assert.equal(sent.outcome, "waiting")
})

test("removed with a message under way that comes back: its sender hears of the removal", () => {
  const { channel, space } = channelWith()
  const sent = send(channel.writer(), "a")
  const reader = channel.reader()
  want(reader)
  space.remove("/c")
  assert.equal(sent.outcome, "waiting")
  reader.leave()
  assert.equal(sent.outcome, "removed")
  assert.equal(space.messageBytes, 0)
})

test("what was buried stays when its grave is closed, or when who looked at it has gone", () => {
  const { channel, space } = channelWith({ attempts: 1, deadLetter: "/dead" })
  const dead = space.create("/dead", {}, { attempts: 1, onDisconnect: "fail" })
  const sent = send(channel.writer(), "a")
  want(channel.reader()).delivery?.giveBack("cannot be read")
  assert.equal(sent.outcome, "ok")
  const looker = dead.reader()
  assert.equal(want(looker).text, "a")
  looker.leave()
  dead.close()
  const last = want(dead.reader())
  assert.equal(last.text, "a")
  last.delivery?.seen()
  assert.equal(want(dead.reader()).failure, "closed")
})

test("a grave that takes nothing: the sender hears that its message failed", () => {
  for (const spoil of ["full", "closed", "removed", "itself"]) {
    const deadLetter = spoil === "itself" ? "/c" : "/dead"
    const { channel, space } = channelWith({ attempts: 1, deadLetter })
    const dead = space.create("/dead", {}, { maxWaiting: 1 })
    if (spoil === "full") send(dead.writer(), "x")
    if (spoil === "closed") dead.close()
    if (spoil === "removed") space.remove("/dead")
    const sent = send(channel.writer(), "a")
    want(channel.reader()).delivery?.giveBack("cannot be read")
    assert.equal(sent.outcome, "connection_reset", spoil)
  }
})

test("a receiver that ends its sender, and a sender that ends its receiver, lose nothing", () => {
  const { channel, space } = channelWith()
  const writer = channel.writer()
  const reader = channel.reader()
  let delivery: Delivery | undefined
  reader.receive({
    take: (each) => {
      delivery = each
      writer.leave()
    },
    failed: () => assert.fail("failed"),
  })
  writer.send({ bytes: new Uint8Array(1), settled: () => assert.fail("told although it left") })
  delivery?.giveBack("was not taken")
  assert.equal(channel.stats().buffered + channel.stats().waitingSenders, 0, "its sender has gone")
  assert.equal(space.messageBytes, 0)
  const other = channel.reader()
  other.receive({ take: () => assert.fail("taken by who has left"), failed: () => assert.fail("failed") })
  const sent = new Sent("b")
  channel.writer().send({ bytes: sent.bytes, matched: () => other.leave(), settled: (error) => sent.settled(error) })
  want(channel.reader()).delivery?.seen()
  assert.equal(sent.outcome, "ok")
  assert.equal(send(writer, "c").outcome, "closed", "from who has left")
})

test("many messages given back at once stand in order again", () => {
  const { channel } = channelWith({ size: 500 })
  const writer = channel.writer()
  for (let each = 0; each < 500; each++) send(writer, String(each))
  const reader = channel.reader()
  for (let each = 0; each < 400; each++) want(reader)
  reader.leave()
  const next = channel.reader()
  for (let each = 0; each < 500; each++) assert.equal(want(next).text, String(each))
})

test("multicast: what is retained counts as memory, for new readers and for those behind", () => {
  const { channel, space } = channelWith({ mode: "multicast", retain: 2 })
  const writer = channel.writer()
  const first = channel.reader()
  for (const text of ["aa", "bb", "cc"]) {
    send(writer, text)
    want(first).delivery?.seen()
  }
  const two = space.messageBytes
  assert.equal(two, 2 * (messageOverhead + 2))
  const late = channel.reader()
  channel.configure({ retain: 0 })
  assert.equal(space.messageBytes, two, "the late one is owed them")
  channel.close()
  assert.deepEqual(
    [want(late), want(late)].map(({ text, delivery }) => (delivery?.seen(), text)),
    ["bb", "cc"],
  )
  assert.equal(want(late).failure, "closed")
  assert.equal(space.messageBytes, 0)
})

test("multicast: a message that all its readers left behind is dropped when its sender has gone too", () => {
  const { channel, space } = channelWith({ mode: "multicast" })
  const [one, other] = [channel.writer(), channel.writer()]
  const reader = channel.reader()
  send(one, "a")
  want(reader)
  one.leave()
  reader.leave()
  send(other, "b")
  const leaver = channel.reader()
  leaver.leave()
  other.leave()
  assert.equal(space.messageBytes, 0)
  channel.configure({ mode: "unicast" })
})

test("multicast: a reader that gives a message back gets it again, before what came later", () => {
  const { channel } = channelWith({ mode: "multicast", size: 4 })
  const writer = channel.writer()
  const reader = channel.reader()
  for (const text of ["a", "b", "c"]) send(writer, text)
  const [a, b] = [want(reader), want(reader)]
  b.delivery?.giveBack("later")
  a.delivery?.giveBack("later")
  const again = [want(reader), want(reader), want(reader)]
  assert.deepEqual(
    again.map(({ text, delivery }) => [text, delivery?.attempt]),
    [
      ["a", 2],
      ["b", 2],
      ["c", 1],
    ],
  )
})

test("a select keeps its other cases when what looked ready is not", () => {
  const { channel, space } = channelWith({ size: 2, sizeBytes: 4 })
  send(channel.writer(), "aaa")
  const other = space.create("/other")
  let outcome: string | undefined
  space.select(
    [
      { kind: "send", channel, bytes: new Uint8Array(3) },
      { kind: "receive", channel: other },
    ],
    ({ kind }) => (outcome = kind),
  )
  send(other.writer(), "b")
  assert.equal(outcome, "received")
})

test("empty messages take memory too", () => {
  const clock = new FakeClock(0)
  const space = new Space({ clock, random: new SeededRandom(1), limits: { messageBytes: 10 * messageOverhead } })
  const writer = space.create("/c", {}, { size: 100 }).writer()
  const outcomes = Array.from({ length: 11 }, () => send(writer, "").outcome)
  assert.deepEqual(outcomes.slice(-2), ["ok", "limit"])
})

test("a sender hears that its message came back, and can withdraw it within the call", () => {
  const { channel, space } = channelWith()
  const writer = channel.writer()
  const sent = new Sent("a")
  let returns = 0
  const sending = Object.assign(sent, {
    returned() {
      returns++
      assert.ok(writer.withdraw(sending))
    },
  })
  writer.send(sending)
  const reader = channel.reader()
  assert.equal(want(reader).text, "a")
  assert.equal(writer.withdraw(sending), false)
  reader.leave()
  assert.equal(returns, 1)
  assert.deepEqual([channel.stats().buffered, space.messageBytes], [0, 0])
})
