/**
 * A link without a network: two ends in one process. It carries an agent's calls to the relay embedded beside it, and
 * it is the network of most tests, so it has knobs for what networks do: delay, slowness, silence, cuts, changed bytes.
 * All times come from the clock that is passed in; without a delay or a rate, bytes arrive in a microtask.
 *
 *     send ─▶ queue ──(bytesPerSecond)──▶ on the way ──(delayMs)──▶ sink.data
 *             counted in queuedBytes      bounded by windowBytes
 */

import { RdvError } from "../base/error.ts"
import type { Clock } from "../base/clock.ts"
import type { Link, LinkSink } from "../mux/link.ts"
import { printAddress } from "./address.ts"
import type { Dial, DialLimits, Listener } from "./transport.ts"

export interface MemoryOptions {
  /** One way. Default 0. */
  readonly delayMs?: number
  /** Each way. Default: no limit. */
  readonly bytesPerSecond?: number
  /** `send` answers false while this much or more is queued. Default 128 KiB. */
  readonly bufferBytes?: number
  /** How much may be on the way or wait for a paused receiver. Default 1 MiB. */
  readonly windowBytes?: number
  /** Delivers pieces of at most this size, for the tests of parsers. Default: as they were sent. */
  readonly splitBytes?: number
  /** False makes sessions add their checksums. Default true. */
  readonly protected?: boolean
  /** Delivers copies and overwrites those that the sink did not keep, to catch sinks that answer wrongly. */
  readonly poison?: boolean
  /** What `peer` reads, for people. Default `memory`. */
  readonly name?: string
}

export interface MemoryPair {
  readonly a: Link
  readonly b: Link
  /** The network falls silent: nothing arrives, nothing fails, what is sent queues up. */
  block(): void
  /** It comes back, and what was held arrives. */
  unblock(): void
  /** Both ends hear `closed` with this error (default `link_lost`); what was on the way is lost. */
  cut(error?: RdvError): void
  /** Flips a bit of the byte that lies `atByte` bytes behind what has been delivered; of what `from` sends. */
  corruptNext(atByte: number, from?: "a" | "b"): void
  /** Changes the delay for what is sent from now on. */
  setDelay(delayMs: number): void
}

/** Two ends of a new link. */
export function memoryPair(clock: Clock, options: MemoryOptions = {}): MemoryPair {
  const net: Net = { blocked: false, delayMs: options.delayMs ?? 0, held: [] }
  const a = new MemoryEnd(clock, options, net)
  const b = new MemoryEnd(clock, options, net)
  a.join(b)
  b.join(a)
  return {
    a,
    b,
    block() {
      net.blocked = true
    },
    unblock() {
      net.blocked = false
      a.move()
      b.move()
      for (const reset of net.held.splice(0)) reset()
    },
    cut(error = new RdvError("link_lost", "The memory link was cut")) {
      a.abort(error)
      b.abort(error)
    },
    corruptNext(atByte, from = "a") {
      if (from === "a") a.corrupt(atByte)
      else b.corrupt(atByte)
    },
    setDelay(delayMs) {
      net.delayMs = delayMs
    },
  }
}

/** Names that listen, for `memory:name` addresses. */
export interface MemoryNetwork {
  readonly dial: Dial
  listen(name: string, onLink: (link: Link) => void): Listener
  /** The pair of each live dial, oldest first, for the knobs. Ended ones are dropped at the next dial. */
  readonly pairs: readonly MemoryPair[]
}

/** An empty network whose links all have the same options. */
export function memoryNetwork(clock: Clock, options: MemoryOptions = {}): MemoryNetwork {
  const listening = new Map<string, (link: Link) => void>()
  let pairs: MemoryPair[] = []
  return {
    get pairs() {
      return pairs
    },
    async dial(address, limits: DialLimits) {
      if (address.scheme !== "memory") throw new RdvError("usage", `${printAddress(address)} is not a memory address`)
      limits.signal?.throwIfAborted()
      const onLink = listening.get(address.name)
      if (onLink === undefined) throw new RdvError("unreachable", `Nobody listens at ${printAddress(address)}`)
      const pair = memoryPair(clock, { name: printAddress(address), ...options })
      pairs = pairs.filter(({ a, b }) => !(a as MemoryEnd).over || !(b as MemoryEnd).over)
      pairs.push(pair)
      onLink(pair.b)
      return pair.a
    },
    listen(name, onLink) {
      if (listening.has(name)) throw new RdvError("in_use", `memory:${name} is taken in this process`)
      listening.set(name, onLink)
      return {
        address: { scheme: "memory", name },
        async close() {
          listening.delete(name)
        },
      }
    },
  }
}

interface Net {
  blocked: boolean
  delayMs: number
  /** Resets that wait for the silence to end. */
  held: (() => void)[]
}

interface Parcel {
  bytes: Uint8Array
  /** Clock time from which it may be delivered. */
  readonly due: number
}

class MemoryEnd implements Link {
  readonly kind = "memory"
  readonly peer: string
  readonly protected: boolean
  readonly #clock: Clock
  readonly #options: MemoryOptions
  readonly #net: Net
  #other: MemoryEnd | undefined
  #sink: LinkSink | undefined
  /** What this end has sent and the wire did not take yet. */
  #queue: Uint8Array[] = []
  #queued = 0
  /** What is on the way to the other end. */
  #way: Parcel[] = []
  #wayBytes = 0
  /** Clock time at which the wire has sent everything it took. */
  #wireFree = 0
  #full = false
  #paused = false
  #scheduled = false
  #waiting = false
  #closing = false
  /** All that was to be sent has been delivered, and the other end knows. */
  #finished = false
  /** No call into the sink any more, except the one `closed`. */
  #over = false
  #told = false
  #result: { readonly error: RdvError | undefined } | undefined
  /** Offsets into what will be delivered to the other end. */
  #corruptions: number[] = []

  constructor(clock: Clock, options: MemoryOptions, net: Net) {
    this.#clock = clock
    this.#options = options
    this.#net = net
    this.peer = options.name ?? "memory"
    this.protected = options.protected ?? true
  }

  get over(): boolean {
    return this.#over
  }

  get queuedBytes(): number {
    return this.#queued
  }

  join(other: MemoryEnd): void {
    this.#other = other
  }

  attach(sink: LinkSink): void {
    this.#sink = sink
    if (this.#result !== undefined) this.#tell()
    else this.#other?.schedule()
  }

  send(parts: readonly Uint8Array[]): boolean {
    if (this.#over || this.#closing) return false
    for (const part of parts) {
      if (part.length === 0) continue
      // The sender may reuse its memory as soon as the peer has acknowledged, and the peer may still look at it then.
      const copy = new Uint8Array(part)
      // A slow wire delivers as it goes, not all at the end.
      const rate = this.#options.bytesPerSecond
      const piece = rate === undefined ? copy.length : Math.max(1024, Math.floor(rate / 50))
      for (let at = 0; at < copy.length; at += piece) this.#queue.push(copy.subarray(at, at + piece))
      this.#queued += part.length
    }
    this.schedule()
    if (this.#queued < (this.#options.bufferBytes ?? 131072)) return true
    this.#full = true
    return false
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#other?.schedule()
  }

  close(): void {
    if (this.#over || this.#closing) return
    this.#closing = true
    this.#paused = false
    this.schedule()
    this.#other?.schedule()
  }

  abort(error: RdvError): void {
    const other = this.#other
    if (this.#over || other === undefined) return
    this.#end(error)
    // A reset travels like everything else: not through silence, and not faster than the delay.
    const reset = () => {
      if (this.#net.blocked) this.#net.held.push(reset)
      else other.#end(new RdvError("link_lost", `${this.peer} was aborted by the peer`))
    }
    if (this.#net.delayMs > 0) this.#clock.after(this.#net.delayMs, reset)
    else queueMicrotask(reset)
  }

  corrupt(atByte: number): void {
    this.#corruptions.push(atByte)
  }

  schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.move()
    })
  }

  /** Moves this end's bytes as far as time, room and the receiver allow. */
  move(): void {
    const other = this.#other
    if (this.#over || other === undefined || this.#net.blocked) return
    this.#load()
    this.#deliver(other)
    this.#load()
    const first = this.#way[0]
    if (first !== undefined) {
      const wait = first.due - this.#clock.now()
      if (wait > 0) this.#wait(wait)
      else if (!other.#paused && other.#sink !== undefined) this.schedule()
    }
    if (this.#full && this.#queued === 0 && !this.#closing) {
      this.#full = false
      this.#sink?.drain()
    }
    if (this.#closing && !this.#over && this.#queued === 0 && this.#wayBytes === 0) this.#finish(other)
  }

  /** One timer at a time is enough: the first parcel is always the first due. */
  #wait(delayMs: number): void {
    if (this.#waiting) return
    this.#waiting = true
    this.#clock.after(delayMs, () => {
      this.#waiting = false
      this.move()
    })
  }

  /** From the queue onto the wire. */
  #load(): void {
    const window = this.#options.windowBytes ?? 1048576
    const rate = this.#options.bytesPerSecond
    const now = this.#clock.now()
    let taken = 0
    for (; taken < this.#queue.length && this.#wayBytes < window; taken++) {
      const bytes = this.#queue[taken] as Uint8Array
      let due = now
      if (rate !== undefined) {
        this.#wireFree = Math.max(this.#wireFree, now) + (bytes.length * 1000) / rate
        due = this.#wireFree
      }
      this.#way.push({ bytes, due: due + this.#net.delayMs })
      this.#queued -= bytes.length
      this.#wayBytes += bytes.length
    }
    if (taken > 0) this.#queue.splice(0, taken)
  }

  /** From the wire into the other end's sink. */
  #deliver(other: MemoryEnd): void {
    const sink = other.#sink
    if (sink === undefined) return
    const now = this.#clock.now()
    const split = this.#options.splitBytes ?? Infinity
    let done = 0
    for (; done < this.#way.length && !other.#paused && !other.#over && !this.#over; done++) {
      const parcel = this.#way[done] as Parcel
      if (parcel.due > now) break
      while (parcel.bytes.length > 0 && !other.#paused && !other.#over && !this.#over) {
        const bytes = this.#distort(parcel.bytes.subarray(0, split))
        parcel.bytes = parcel.bytes.subarray(bytes.length)
        this.#wayBytes -= bytes.length
        const kept = sink.data(bytes)
        if (this.#options.poison === true && !kept) bytes.fill(0xee)
      }
      if (parcel.bytes.length > 0) break
    }
    if (done > 0) this.#way.splice(0, done)
  }

  #distort(bytes: Uint8Array): Uint8Array {
    const isHit = this.#corruptions.some((at) => at < bytes.length)
    const result = isHit || this.#options.poison === true ? Uint8Array.from(bytes) : bytes
    if (this.#corruptions.length > 0) {
      for (const at of this.#corruptions) if (at < bytes.length) result[at] = (result[at] as number) ^ 0x10
      this.#corruptions = this.#corruptions.filter((at) => at >= bytes.length).map((at) => at - bytes.length)
    }
    return result
  }

  /** This end's last byte has arrived: tells the other end, and ends in good order when both have closed. */
  #finish(other: MemoryEnd): void {
    if (this.#finished || other.#sink === undefined || other.#paused) return
    this.#finished = true
    if (!other.#closing) {
      // The other end ends too; what it still had to say is lost with it, as behind a closed socket.
      other.#end(new RdvError("link_lost", `${other.peer} was closed by the peer`))
      this.#end(undefined)
    } else if (other.#finished) {
      other.#end(undefined)
      this.#end(undefined)
    }
  }

  #end(error: RdvError | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#queue = []
    this.#queued = 0
    this.#way = []
    this.#wayBytes = 0
    this.#result = { error }
    if (this.#sink !== undefined) this.#tell()
  }

  /** Never from inside the call that caused it: the caller's own state is settled first. */
  #tell(): void {
    if (this.#told) return
    this.#told = true
    queueMicrotask(() => this.#sink?.closed(this.#result?.error))
  }
}
