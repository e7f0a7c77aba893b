/**
 * A swarm in no time: uplinks and downlinks that carry one chunk behind the other at their rates, reports that take a
 * while, a cache, faults. The scheduler in it is the real one; the world around it is arithmetic.
 */

import type { Clock, Timer } from "../../src/base/clock.ts"
import { SeededRandom } from "../../src/base/random.ts"
import { Bitmap } from "../../src/capabilities/share/content/bitmap.ts"
import { Scheduler } from "../../src/capabilities/share/swarm/scheduler.ts"
import type { SwarmPort } from "../../src/capabilities/share/swarm/swarm-port.ts"

interface Due {
  readonly at: number
  readonly order: number
  callback: (() => void) | undefined
}

/** Virtual time with a heap: thousands of timers cost little. */
class Timeline implements Clock {
  #now = 1_000
  #count = 0
  readonly #heap: Due[] = []

  now(): number {
    return this.#now
  }

  wall(): number {
    return this.#now
  }

  after(delayMs: number, callback: () => void): Timer {
    const entry: Due = { at: this.#now + delayMs, order: this.#count++, callback }
    this.#heap.push(entry)
    let at = this.#heap.length - 1
    while (at > 0) {
      const up = (at - 1) >> 1
      if (!this.#isBefore(at, up)) break
      this.#swap(at, up)
      at = up
    }
    return { cancel: () => (entry.callback = undefined) }
  }

  /** Runs the next callback; false when there is none. */
  step(): boolean {
    const top = this.#heap[0]
    if (top === undefined) return false
    const last = this.#heap.pop() as typeof top
    if (this.#heap.length > 0) {
      this.#heap[0] = last
      let at = 0
      for (;;) {
        const left = 2 * at + 1
        const right = left + 1
        let least = at
        if (left < this.#heap.length && this.#isBefore(left, least)) least = left
        if (right < this.#heap.length && this.#isBefore(right, least)) least = right
        if (least === at) break
        this.#swap(at, least)
        at = least
      }
    }
    this.#now = Math.max(this.#now, top.at)
    top.callback?.()
    return true
  }

  #isBefore(a: number, b: number): boolean {
    const one = this.#heap[a] as Due
    const another = this.#heap[b] as Due
    return one.at < another.at || (one.at === another.at && one.order < another.order)
  }

  #swap(a: number, b: number): void {
    const one = this.#heap[a] as Due
    this.#heap[a] = this.#heap[b] as Due
    this.#heap[b] = one
  }
}

/** One direction of somebody's connection: bytes/ms, and when it is free again. */
class Wire {
  readonly rate: number
  bytes = 0
  #freeAt = 0

  constructor(bytesPerSecond: number) {
    this.rate = bytesPerSecond / 1000
  }

  /** When the last byte is through. */
  carry(now: number, bytes: number): number {
    this.#freeAt = Math.max(now, this.#freeAt) + bytes / this.rate
    this.bytes += bytes
    return this.#freeAt
  }
}

export interface SimulatedMember {
  readonly name: string
  readonly up: Wire
  readonly down: Wire
  readonly have: Bitmap
  isHere: boolean
  doneAt: number | undefined
}

export interface MemberFacts {
  /** bytes/s. */
  readonly up?: number
  readonly down?: number
  readonly full?: boolean
  /** It has a path to the relay. */
  readonly relay?: boolean
}

export interface SimulationOptions {
  readonly chunks: number
  readonly chunkBytes?: number
  readonly cacheBytes?: number
  readonly relayUp?: number
  readonly relayDown?: number
  readonly reportMs?: number
  readonly windowBytes?: number
  readonly seed?: number
  readonly manifestChunks?: number
  /** A report takes `reportMs`, and up to so many times that longer. */
  readonly jitter?: number
  /** Of what is carried, so many come to nothing. */
  readonly failing?: number
}

export class SwarmSimulation implements SwarmPort {
  readonly clock: Timeline = new Timeline()
  readonly scheduler: Scheduler
  readonly members: Map<string, SimulatedMember> = new Map()
  readonly relayUp: Wire
  readonly relayDown: Wire
  readonly random: SeededRandom
  /** They take what they are asked and never answer. */
  readonly silent: Set<string> = new Set()
  directBytes = 0
  takes = 0
  readonly #options: Required<SimulationOptions>
  /** What was used last at the end. */
  readonly #cache: Set<number> = new Set()

  constructor(options: SimulationOptions) {
    this.#options = {
      chunkBytes: 262_144,
      cacheBytes: 64 << 20,
      relayUp: 10e9,
      relayDown: 10e9,
      reportMs: 2,
      windowBytes: 4 << 20,
      seed: 1,
      manifestChunks: 1,
      jitter: 0,
      failing: 0,
      ...options,
    }
    this.random = new SeededRandom(this.#options.seed)
    this.relayUp = new Wire(this.#options.relayUp)
    this.relayDown = new Wire(this.#options.relayDown)
    this.scheduler = new Scheduler({
      clock: this.clock,
      count: this.#options.chunks,
      manifestChunks: this.#options.manifestChunks,
      lengthOf: () => this.#options.chunkBytes,
      port: this,
      cacheBytes: this.#options.cacheBytes,
    })
  }

  add(name: string, facts: MemberFacts = {}): SimulatedMember {
    const { up = 10e9, down = 10e9, full = false, relay = true } = facts
    const have = new Bitmap(this.#options.chunks)
    if (full) have.fill()
    const before = this.members.get(name)
    const wires = { up: before?.up ?? new Wire(up), down: before?.down ?? new Wire(down) }
    const member: SimulatedMember = { name, ...wires, have, isHere: true, doneAt: undefined }
    this.members.set(name, member)
    const told = Bitmap.from(have.bytes(), have.length)
    this.scheduler.join(name, { have: told })
    if (relay) this.scheduler.relayPath(name, "up")
    if (!full) this.scheduler.window(name, this.#options.windowBytes)
    return member
  }

  remove(name: string): void {
    const member = this.members.get(name) as SimulatedMember
    member.isHere = false
    this.members.delete(name)
    this.scheduler.leave(name)
  }

  /** Everybody to everybody, or each to so many. */
  mesh(degree: number = Infinity): void {
    const names = [...this.members.keys()]
    names.forEach((name, at) => {
      for (let step = 1; step <= Math.min(degree / 2, names.length / 2); step++)
        this.scheduler.path(name, names[(at + step) % names.length] as string, "up")
    })
  }

  /** Until all that are here have everything; how long it took, ms. Throws when it stands still. */
  async run(
    until: () => boolean = () => this.isDone,
    mostMs: number = 3_600_000,
    idle?: () => boolean,
  ): Promise<number> {
    const start = this.clock.now()
    await Promise.resolve()
    while (!until()) {
      await Promise.resolve()
      const isLate = this.clock.now() - start > mostMs
      if (isLate || (!this.clock.step() && idle?.() !== true)) throw new Error(`stands still: ${this.describe()}`)
      await Promise.resolve()
    }
    return this.clock.now() - start
  }

  get isDone(): boolean {
    for (const { have } of this.members.values()) if (!have.isFull) return false
    return true
  }

  describe(): string {
    const members = [...this.members.values()].filter(({ have }) => !have.isFull)
    return `${members.map(({ name, have }) => `${name} ${have.count}/${have.length}`).join(", ")} ${JSON.stringify(this.scheduler.stats())}`
  }

  push(name: string, chunk: number): void {
    const member = this.members.get(name)
    if (member === undefined) return
    const bytes = this.#options.chunkBytes
    if (!this.#cache.has(chunk)) {
      this.clock.after(1, () => this.scheduler.unpushed(name, chunk))
      return
    }
    const at = member.down.carry(this.relayUp.carry(this.clock.now(), bytes), bytes)
    this.#later(at, () => {
      this.#use(chunk)
      this.#give(member, chunk, "relay")
    })
  }

  fetch(name: string, chunk: number): void {
    const holder = this.members.get(name)
    if (holder === undefined || this.silent.has(name)) return
    const bytes = this.#options.chunkBytes
    this.#through(holder.up, this.relayDown, this.clock.now(), () => {
      if (!holder.isHere) return
      if (this.#fails()) {
        this.scheduler.refused(name, chunk)
        return
      }
      this.#cache.add(chunk)
      this.#use(chunk)
      while (this.#cache.size * bytes > this.#options.cacheBytes) this.#evict()
      this.scheduler.arrived(chunk, name)
    })
  }

  unfetch(): void {}

  take(name: string, chunk: number, from: string): void {
    const member = this.members.get(name)
    const giver = this.members.get(from)
    if (member === undefined || giver === undefined) return
    const bytes = this.#options.chunkBytes
    this.takes++
    this.directBytes += bytes
    // To the one that takes it, and on to the one that gives it.
    this.clock.after(this.#reportMs + this.#reportMs, () => {
      if (this.silent.has(from)) return
      this.#through(giver.up, member.down, this.clock.now(), () => {
        if (giver.isHere) this.#give(member, chunk, from)
      })
    })
  }

  drop(): void {}

  cached(chunk: number): boolean {
    return this.#cache.has(chunk)
  }

  #give(member: SimulatedMember, chunk: number, from: string): void {
    if (!member.isHere) return
    if (this.#fails()) {
      this.scheduler.failed(member.name, chunk, from)
      return
    }
    member.have.add(chunk)
    if (member.have.isFull) member.doneAt ??= this.clock.now()
    this.clock.after(this.#reportMs, () => {
      if (member.isHere) this.scheduler.have(member.name, chunk)
    })
  }

  /** As the relay's cache does: what nobody lacks, else what was not used for longest. */
  #evict(): void {
    let [victim] = this.#cache
    for (const chunk of this.#cache) {
      if (this.scheduler.lackedBy(chunk) > 0) continue
      victim = chunk
      break
    }
    this.#cache.delete(victim as number)
  }

  #use(chunk: number): void {
    if (this.#cache.delete(chunk)) this.#cache.add(chunk)
  }

  get #reportMs(): number {
    const { reportMs, jitter } = this.#options
    return jitter === 0 ? reportMs : reportMs * (1 + jitter * this.random.fraction())
  }

  #fails(): boolean {
    return this.#options.failing > 0 && this.random.fraction() < this.#options.failing
  }

  /** What waits for a slow uplink keeps the downlink from nobody. */
  #through(up: Wire, down: Wire, from: number, callback: () => void): void {
    const bytes = this.#options.chunkBytes
    this.#later(up.carry(from, bytes), () => this.#later(down.carry(this.clock.now(), bytes), callback))
  }

  #later(at: number, callback: () => void): void {
    this.clock.after(Math.max(0, at - this.clock.now()), callback)
  }
}
