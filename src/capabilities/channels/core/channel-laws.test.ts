/**
 * Random programs of senders, receivers, selects, proofs, leases, departures and resizes, against the laws of channels:
 * nothing is lost, doubled, or delivered after its sender was told that it failed; first deliveries come in the order of
 * sending; the buffer keeps its bound; nobody waits who could be served. A channel that is closed gives out what is left; of
 * one that is removed everybody hears, and nothing stays behind.
 */

import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import type { RdvError } from "../../../base/error.ts"
import { SeededRandom } from "../../../base/random.ts"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import type { Channel } from "./channel.ts"
import type { Delivery, Grade, Receiving } from "./parties.ts"
import type { Reader } from "./reader.ts"
import type { Selection } from "./select.ts"
import type { ChannelSettings } from "./settings.ts"
import { Space } from "./space.ts"
import type { Writer } from "./writer.ts"

interface Letter {
  readonly number: number
  readonly bytes: Uint8Array
  readonly channel: Channel
  /** `entrusted`: its sender left it to the channel. */
  told: "waiting" | "ok" | "failed" | "withdrawn" | "gone" | "entrusted"
  holders: number
  proofs: number
  settled(error: RdvError | undefined): void
}

type Step =
  | { readonly do: "send" | "receive" | "withdraw-send" | "withdraw-receive"; readonly who: number }
  | { readonly do: "prove" | "give-back"; readonly who: number }
  | { readonly do: "reader-leaves" | "writer-leaves"; readonly who: number }
  | { readonly do: "resize" | "entrust" | "lease"; readonly who: number }
  | { readonly do: "select" | "cancel"; readonly who: number }

class World {
  readonly clock: FakeClock = new FakeClock(0)
  readonly space: Space
  readonly channels: Channel[]
  readonly letters: Letter[] = []
  readonly hands: { readonly letter: Letter; readonly delivery: Delivery; readonly reader: Reader | undefined }[] = []
  writers: Writer[] = []
  readers: Reader[] = []
  readonly waiting: { readonly receiving: Receiving; readonly reader: Reader }[] = []
  readonly selections: Selection[] = []
  /** By channel: the id of the last first delivery. */
  readonly firsts: Map<Channel, number> = new Map()
  readonly ownerOf: Map<Letter, Writer> = new Map()
  readonly ofSelection: Map<Selection, Letter> = new Map()
  /** No channel ever had a buffer: then each sender that was told ok has its proof. */
  isUnbuffered = false
  /** Its channels are closed or removed. */
  isOver = false

  constructor(settings: Partial<ChannelSettings>, seed: number) {
    this.space = new Space({ clock: this.clock, random: new SeededRandom(seed) })
    this.channels = ["/a", "/b"].map((path) => this.space.create(path, {}, settings))
    for (const channel of this.channels) {
      this.writers.push(channel.writer(), channel.writer())
      this.readers.push(channel.reader(), channel.reader())
    }
  }

  step({ do: what, who }: Step): void {
    const channel = this.channels[who % 2] as Channel
    const writer = this.writers[who % this.writers.length] as Writer
    const reader = this.readers[who % this.readers.length] as Reader
    switch (what) {
      case "send":
        this.sendBy(writer)
        return
      case "receive":
        this.receive(reader)
        return
      case "withdraw-send": {
        const letter = this.letters[who % Math.max(1, this.letters.length)]
        const owner = this.writers.find((each) => letter !== undefined && each.withdraw(letter))
        if (letter !== undefined && owner !== undefined) {
          assert.equal(letter.holders, 0, "withdrawn out of a receiver's hands")
          assert.equal(letter.told, "waiting")
          letter.told = "withdrawn"
        }
        return
      }
      case "withdraw-receive": {
        const at = who % Math.max(1, this.waiting.length)
        const waiting = this.waiting[at]
        if (waiting?.reader.withdraw(waiting.receiving) === true) this.waiting.splice(at, 1)
        return
      }
      case "prove":
      case "give-back": {
        const at = who % Math.max(1, this.hands.length)
        const [hand] = this.hands.splice(at, 1)
        if (hand === undefined) return
        hand.letter.holders--
        if (what === "prove") {
          hand.letter.proofs++
          hand.delivery.done()
        } else hand.delivery.giveBack("was told to")
        return
      }
      case "reader-leaves": {
        for (const hand of this.hands.filter((each) => each.reader === reader)) {
          hand.letter.holders--
          this.hands.splice(this.hands.indexOf(hand), 1)
        }
        for (const each of this.waiting.filter((other) => other.reader === reader)) {
          this.waiting.splice(this.waiting.indexOf(each), 1)
        }
        reader.leave()
        this.readers = this.readers.map((each) => (each === reader ? reader.channel.reader() : each))
        return
      }
      case "writer-leaves": {
        writer.leave()
        for (const letter of this.letters) {
          if (letter.told === "waiting" && this.ownerOf.get(letter) === writer) letter.told = "gone"
        }
        this.writers = this.writers.map((each) => (each === writer ? writer.channel.writer() : each))
        return
      }
      case "entrust": {
        const { letter } = this.hands[who % Math.max(1, this.hands.length)] ?? {}
        const owner = letter && this.ownerOf.get(letter)
        if (letter?.told !== "waiting" || owner === undefined) return
        owner.entrust(letter)
        letter.told = "entrusted"
        return
      }
      case "lease":
        if (channel.settings.deliver !== "done") return
        for (const { letter } of this.hands.splice(0)) letter.holders--
        this.clock.advance(channel.settings.leaseMs)
        return
      case "resize":
        channel.configure({ size: who % 4 })
        return
      case "select": {
        const letter = this.write(this.channels[(who + 1) % 2] as Channel)
        const selection = this.space.select(
          [
            { kind: "receive", channel },
            { kind: "send", channel: letter.channel, bytes: letter.bytes },
          ],
          (outcome) => {
            if (outcome.kind === "received") {
              letter.told = "withdrawn"
              this.take(outcome.delivery, undefined, channel)
            } else if (outcome.kind === "sent") letter.settled(undefined)
            else {
              assert.ok(this.isOver, outcome.error.message)
              letter.settled(outcome.error)
            }
          },
        )
        this.selections.push(selection)
        this.ofSelection.set(selection, letter)
        return
      }
      case "cancel": {
        const selection = this.selections.splice(who % Math.max(1, this.selections.length), 1)[0]
        const letter = selection && (this.ofSelection.get(selection) as Letter)
        if (selection?.cancel() === true && letter !== undefined) letter.told = "withdrawn"
      }
    }
  }

  write(channel: Channel): Letter {
    const number = this.letters.length
    const letter: Letter = {
      number,
      bytes: new Uint8Array([number >> 8, number & 255]),
      channel,
      told: "waiting",
      holders: 0,
      proofs: 0,
      settled: (error) => {
        // A sender that has left may still be told; nobody listens.
        if (letter.told === "gone") return
        assert.equal(letter.told, "waiting", `letter ${number} was settled as ${letter.told} before`)
        letter.told = error === undefined ? "ok" : "failed"
      },
    }
    this.letters.push(letter)
    return letter
  }

  sendBy(writer: Writer): void {
    const letter = this.write(writer.channel)
    this.ownerOf.set(letter, writer)
    writer.send(letter)
  }

  receive(reader: Reader): void {
    const receiving: Receiving = {
      take: (delivery) => {
        const at = this.waiting.findIndex((each) => each.receiving === receiving)
        if (at >= 0) this.waiting.splice(at, 1)
        this.take(delivery, reader, reader.channel)
      },
      failed: (error) => {
        assert.ok(this.isOver, error.message)
        this.waiting.splice(
          this.waiting.findIndex((each) => each.receiving === receiving),
          1,
        )
      },
    }
    this.waiting.push({ receiving, reader })
    reader.receive(receiving)
  }

  take(delivery: Delivery, reader: Reader | undefined, channel: Channel): void {
    const [high, low] = delivery.bytes
    const letter = this.letters[((high as number) << 8) | (low as number)] as Letter
    assert.equal(letter.channel, channel, "delivered by another channel")
    assert.equal(letter.holders, 0, "in two hands")
    assert.equal(letter.proofs, 0, "delivered again after its proof")
    assert.ok(["waiting", "ok", "entrusted"].includes(letter.told), `delivered after it was ${letter.told}`)
    if (delivery.attempt === 1) {
      assert.ok(delivery.id > (this.firsts.get(channel) ?? 0), "first deliveries out of order")
      this.firsts.set(channel, delivery.id)
    }
    letter.holders++
    this.hands.push({ letter, delivery, reader })
  }

  check(): void {
    for (const channel of this.channels) {
      const stats = channel.stats()
      const isServable = stats.buffered > 0 || stats.waitingSenders > 0
      // A select's own two cases cannot meet, so its waiting parties prove nothing.
      if (this.selections.length === 0) assert.ok(!isServable || stats.waitingReceivers === 0, "both sides wait")
    }
    for (const letter of this.letters) {
      if (letter.told === "ok" && this.isUnbuffered) assert.equal(letter.proofs, 1, "told ok without a proof")
    }
  }

  /** Everything that is left comes out, once. */
  drain(): void {
    for (const selection of this.selections) {
      const letter = this.ofSelection.get(selection) as Letter
      if (selection.cancel()) letter.told = "withdrawn"
    }
    for (let hand = this.hands.pop(); hand !== undefined; hand = this.hands.pop()) {
      hand.letter.holders--
      hand.letter.proofs++
      hand.delivery.done()
      for (const channel of this.channels) {
        const { buffered, waitingSenders } = channel.stats()
        if (buffered + waitingSenders > 0) this.receive(this.readers.find((each) => each.channel === channel) as Reader)
      }
    }
    for (const channel of this.channels) {
      for (;;) {
        const { buffered, waitingSenders } = channel.stats()
        if (buffered + waitingSenders === 0) break
        this.receive(this.readers.find((each) => each.channel === channel) as Reader)
        for (let hand = this.hands.pop(); hand !== undefined; hand = this.hands.pop()) {
          hand.letter.holders--
          hand.letter.proofs++
          hand.delivery.done()
        }
      }
    }
    for (const letter of this.letters) {
      assert.notEqual(letter.told, "waiting", `letter ${letter.number} is still waited for`)
      if (letter.told === "ok" || letter.told === "entrusted")
        assert.equal(letter.proofs, 1, `letter ${letter.number} was told ok and never came`)
      if (letter.told === "withdrawn" || letter.told === "failed") assert.equal(letter.proofs, 0)
    }
    assert.equal(this.space.messageBytes, 0, "bytes that belong to nobody")
    assert.equal(this.clock.pending, 0, "timers that belong to nobody")
  }

  close(): void {
    this.isOver = true
    for (const channel of this.channels) channel.close()
    for (const letter of this.letters) {
      const isThere = letter.told === "waiting" && this.hands.every((hand) => hand.letter !== letter)
      assert.ok(!isThere || letter.channel.stats().buffered > 0, "neither refused nor given out")
    }
    this.drain()
    for (const { reader } of this.waiting) assert.fail(`waits at the end of ${reader.channel.path}`)
  }

  /** `endings`: what becomes of each message that is under way. */
  remove(endings: readonly number[]): void {
    this.isOver = true
    for (const channel of this.channels) this.space.remove(channel.path)
    assert.equal(this.waiting.length, 0)
    let at = 0
    for (let hand = this.hands.pop(); hand !== undefined; hand = this.hands.pop()) {
      const ending = endings[at++ % endings.length]
      if (ending === 0) hand.delivery.done()
      else if (ending === 1 || hand.reader === undefined) hand.delivery.giveBack("was told to")
      else hand.reader.leave()
    }
    for (const letter of this.letters) assert.notEqual(letter.told, "waiting", `letter ${letter.number} is waited for`)
    assert.equal(this.space.messageBytes, 0, "bytes that belong to nobody")
    assert.equal(this.clock.pending, 0, "timers that belong to nobody")
  }
}

const doings = [
  "send",
  "send",
  "send",
  "receive",
  "receive",
  "receive",
  "withdraw-send",
  "withdraw-receive",
  "prove",
  "prove",
  "give-back",
  "reader-leaves",
  "writer-leaves",
  "resize",
  "select",
  "cancel",
  "entrust",
  "lease",
] as const

const steps = fc.array(fc.record({ do: fc.constantFrom(...doings), who: fc.nat(1000) }), { maxLength: 60 })

const ending = fc.record({
  how: fc.constantFrom("drain", "close", "remove"),
  endings: fc.array(fc.nat(2), { minLength: 1, maxLength: 8 }),
})

for (const deliver of ["seen", "done"] as const satisfies readonly Grade[]) {
  test(`random programs keep the laws, grade ${deliver}`, () => {
    fc.assert(
      fc.property(steps, fc.nat(3), fc.nat(), ending, (program, size, seed, { how, endings }) => {
        const world = new World({ size, deliver }, seed)
        world.isUnbuffered = size === 0 && !program.some((each) => each.do === "resize")
        for (const step of program) {
          world.step(step as Step)
          world.check()
        }
        if (how === "drain") world.drain()
        else if (how === "close") world.close()
        else world.remove(endings)
      }),
      { numRuns: 3_000 },
    )
  })
}
