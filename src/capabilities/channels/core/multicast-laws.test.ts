/**
 * Random programs against the laws of multicast: a message goes to every reader that is there when it is sent out, to none
 * of them twice, and in order; its sender hears when all of them have it or have left, and never that it arrived when nobody
 * has it; memory is counted for as long as anybody may still get it.
 */

import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { SeededRandom } from "../../../base/random.ts"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import type { Channel } from "./channel.ts"
import type { Delivery, Receiving, Sending } from "./parties.ts"
import type { Reader } from "./reader.ts"
import type { ChannelSettings } from "./settings.ts"
import { Space } from "./space.ts"
import type { Writer } from "./writer.ts"

interface Letter extends Sending {
  readonly number: number
  told: "waiting" | "ok" | "removed" | "gone" | "withdrawn"
  proofs: number
}

class Member {
  readonly reader: Reader
  readonly world: World
  readonly hands: { letter: Letter; delivery: Delivery }[] = []
  readonly has: Set<Letter> = new Set()
  /** Sent before it came: owed only as retained ones. */
  readonly from: number
  last = 0
  waits = 0

  constructor(world: World) {
    this.world = world
    this.from = world.letters.length
    this.reader = world.channel.reader()
  }

  receive(): void {
    this.waits++
    const receiving: Receiving = {
      take: (delivery) => {
        this.waits--
        const [high, low] = delivery.bytes
        const letter = this.world.letters[((high as number) << 8) | (low as number)] as Letter
        assert.ok(!this.has.has(letter), "again behind its proof")
        assert.ok(!this.hands.some((hand) => hand.letter === letter), "twice in one hand")
        assert.notEqual(letter.told, "withdrawn")
        if (delivery.attempt === 1 && !this.world.hasLeavers) {
          assert.ok(letter.number >= this.last, "out of order")
          this.last = letter.number
        }
        this.hands.push({ letter, delivery })
      },
      failed: () => {
        this.waits--
        assert.ok(this.world.isOver)
      },
    }
    this.reader.receive(receiving)
  }

  answer(who: number, isProof: boolean): void {
    const [hand] = this.hands.splice(who % Math.max(1, this.hands.length), 1)
    if (hand === undefined) return
    if (isProof) {
      this.has.add(hand.letter)
      hand.letter.proofs++
      hand.delivery.done()
    } else hand.delivery.giveBack("was told to")
  }
}

class World {
  readonly clock: FakeClock = new FakeClock(0)
  readonly space: Space = new Space({ clock: this.clock, random: new SeededRandom(1) })
  readonly channel: Channel
  readonly letters: Letter[] = []
  readonly owner: Map<Letter, Writer> = new Map()
  writers: Writer[]
  members: Member[] = []
  hasLeavers = false
  hasResized = false
  isOver = false

  constructor(settings: Partial<ChannelSettings>) {
    this.channel = this.space.create("/m", {}, { ...settings, mode: "multicast" })
    this.writers = [this.channel.writer(), this.channel.writer()]
  }

  step(what: (typeof doings)[number], who: number): void {
    const member = this.members[who % Math.max(1, this.members.length)]
    switch (what) {
      case "join":
        if (this.members.length < 4) this.members.push(new Member(this))
        return
      case "send":
        this.send(this.writers[who % 2] as Writer)
        return
      case "receive":
        member?.receive()
        return
      case "prove":
        member?.answer(who, true)
        return
      case "give-back":
        member?.answer(who, false)
        return
      case "leave":
        if (member === undefined) return
        this.hasLeavers = true
        this.members = this.members.filter((each) => each !== member)
        member.reader.leave()
        return
      case "lease":
        if (this.channel.settings.deliver !== "done") return
        for (const { hands } of this.members) hands.length = 0
        this.clock.advance(this.channel.settings.leaseMs)
        return
      case "withdraw": {
        const letter = this.letters[who % Math.max(1, this.letters.length)]
        if (letter === undefined || this.owner.get(letter)?.withdraw(letter) !== true) return
        assert.ok(letter.told === "waiting" && letter.proofs === 0)
        letter.told = "withdrawn"
        return
      }
      case "writer-leaves": {
        const at = who % 2
        const writer = this.writers[at] as Writer
        writer.leave()
        for (const letter of this.letters)
          if (letter.told === "waiting" && this.owner.get(letter) === writer) letter.told = "gone"
        this.writers[at] = this.channel.writer()
        return
      }
      case "set":
        this.channel.configure({ size: who % 3, retain: who % 4 })
    }
  }

  send(writer: Writer): void {
    const number = this.letters.length
    const letter: Letter = {
      number,
      bytes: new Uint8Array([number >> 8, number & 255]),
      told: "waiting",
      proofs: 0,
      settled: (error) => {
        if (letter.told === "gone") return
        assert.equal(letter.told, "waiting", "settled twice")
        letter.told = error === undefined ? "ok" : "removed"
        if (error !== undefined) assert.equal(error.code, "removed")
        if (error === undefined && this.channel.settings.size === 0 && !this.hasResized) this.#hasArrived(letter)
      },
    }
    this.letters.push(letter)
    this.owner.set(letter, writer)
    writer.send(letter)
  }

  /** Everybody who was there has it. */
  #hasArrived(letter: Letter): void {
    assert.ok(letter.proofs > 0, "told ok, and nobody has it")
    for (const member of this.members) {
      if (member.from <= letter.number) assert.ok(member.has.has(letter), "told ok, and somebody has not got it")
    }
  }

  check(): void {
    const stats = this.channel.stats()
    for (const member of this.members) {
      if (member.waits > 0) assert.equal(this.channel.canReceive(member.reader), false, "waits for what is there")
    }
    assert.equal(
      stats.waitingReceivers,
      this.members.reduce((sum, { waits }) => sum + waits, 0),
    )
  }

  /** Until nobody has to get anything. */
  drain(): void {
    if (this.members.length === 0) this.members.push(new Member(this))
    for (let isMoving = true; isMoving;) {
      isMoving = false
      for (const member of this.members) {
        while (member.hands.length > 0) {
          isMoving = true
          member.answer(0, true)
        }
        while (this.channel.canReceive(member.reader)) {
          isMoving = true
          member.receive()
        }
      }
    }
    for (const letter of this.letters) {
      assert.notEqual(letter.told, "waiting", "still waited for")
      if (letter.told === "ok") assert.ok(letter.proofs > 0, "told ok, and nobody got it")
      if (letter.told === "withdrawn") assert.equal(letter.proofs, 0)
    }
    this.channel.configure({ retain: 0 })
    assert.equal(this.space.messageBytes, 0, "bytes that belong to nobody")
    assert.equal(this.clock.pending, 0)
  }

  remove(how: number): void {
    this.isOver = true
    this.space.remove("/m")
    for (const member of this.members) {
      assert.equal(member.waits, 0, "waits at a removed channel")
      while (how !== 2 && member.hands.length > 0) member.answer(0, how === 0)
      if (how !== 2) continue
      this.members = this.members.filter((each) => each !== member)
      member.reader.leave()
    }
    for (const letter of this.letters) assert.notEqual(letter.told, "waiting", "waits at a removed channel")
    assert.equal(this.space.messageBytes, 0, "bytes that belong to nobody")
    assert.equal(this.clock.pending, 0)
  }
}

const doings = [
  "join",
  "send",
  "send",
  "send",
  "receive",
  "receive",
  "receive",
  "prove",
  "prove",
  "give-back",
  "leave",
  "lease",
  "withdraw",
  "writer-leaves",
  "set",
] as const

const steps = fc.array(fc.tuple(fc.constantFrom(...doings), fc.nat(1000)), { maxLength: 60 })

for (const deliver of ["seen", "done"] as const) {
  test(`random programs keep the laws of multicast, grade ${deliver}`, () => {
    fc.assert(
      fc.property(steps, fc.nat(2), fc.nat(2), fc.nat(5), (program, size, retain, ending) => {
        const world = new World({ size, retain, deliver })
        world.hasResized = program.some(([what]) => what === "set")
        for (const [what, who] of program) {
          world.step(what, who)
          world.check()
        }
        if (ending < 3) world.drain()
        else world.remove(ending - 3)
      }),
      { numRuns: 2_000 },
    )
  })
}
