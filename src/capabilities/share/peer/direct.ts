/**
 * Direct paths to other members: whom the relay names is dialled, who comes is let in when it proves that it has the code.
 * A connection is tried first; where none comes through soon, datagrams are tried beside it, by both sides, because two
 * address translators let in only what comes from where something was sent to.
 * They come and go without harm: what was awaited over one is said to be lost, and the relay assigns it again.
 */

import { Backoff } from "../../../base/backoff.ts"
import { delay } from "../../../base/clock.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import type { ChunkName, ChunkPath, ChunkPathSink } from "../paths/chunk-path.ts"
import { dialHandshake, DirectDoor } from "../paths/direct-handshake.ts"
import type { DatagramDesk, DirectNet } from "../paths/direct-net.ts"
import { streamPath } from "../paths/stream-path.ts"
import type { PeerAddress } from "../protocol/control.ts"
import { DirectPeer } from "./direct-peer.ts"

export interface DirectOptions {
  readonly net: DirectNet
  /** Six digits. */
  readonly swarm: string
  /** `SwarmKeys.peer`. */
  readonly key: Uint8Array
  readonly clock: Clock
  readonly log: Log
  readonly random?: () => number
  readonly events: DirectEvents
}

export interface DirectEvents {
  /** Who receives on a new path, its end excepted. */
  sink(peer: DirectPeer): Omit<ChunkPathSink, "closed">
  up(peer: DirectPeer): void
  /** With what was awaited over it. */
  down(peer: DirectPeer, awaited: readonly ChunkName[]): void
  late(peer: DirectPeer, name: ChunkName): void
}

interface Wanted {
  readonly addresses: readonly string[]
  readonly backoff: Backoff
  attempts: number
  dialling: AbortController | undefined
  timer: Timer | undefined
}

export class Direct {
  readonly #options: DirectOptions
  readonly #door: DirectDoor
  readonly #peers = new Map<string, DirectPeer>()
  readonly #wanted = new Map<string, Wanted>()
  /** They gave something false. Not with their next name: whoever has the code can take another one. */
  readonly #banned = new Set<string>()
  #self: string | undefined
  #desk: DatagramDesk | undefined
  /** Whose connection is waited for, and to whom datagrams go meanwhile. */
  readonly #calls = new Map<string, AbortController>()
  readonly #tasks = new Set<Promise<void>>()

  constructor(options: DirectOptions) {
    this.#options = options
    const { net, key, swarm, clock, log } = options
    this.#door = new DirectDoor({
      clock,
      find: (asked) => (asked === swarm && this.#self !== undefined ? { member: this.#self, key } : undefined),
      onPath: ({ member, pipe }) => this.#take(member, streamPath(pipe, { clock })),
      onRefused: (error) => log.debug("share.direct.refused", { reason: error.message }),
    })
    net.onPipe = (pipe) => this.#door.take(pipe)
  }

  get addresses(): readonly string[] {
    return this.#options.net.addresses
  }

  get count(): number {
    return this.#peers.size
  }

  peer(member: string): DirectPeer | undefined {
    return this.#peers.get(member)
  }

  *[Symbol.iterator](): Iterator<DirectPeer> {
    yield* this.#peers.values()
  }

  /**
   * The relay calls this member so. When it did before, others have kept their names too, and their paths go on; else the
   * names mean nobody any more.
   */
  begin(self: string): void {
    if (this.#self === self) {
      for (const peer of this.#peers.values()) this.#options.events.up(peer)
      return
    }
    this.#forget()
    this.#self = self
    this.#sit(self)
  }

  /** Others that the relay has named. */
  meet(peers: readonly PeerAddress[]): void {
    for (const { member, addresses, dial } of peers) {
      if (member === this.#self || this.#banned.has(member) || this.#peers.has(member)) continue
      if (!dial) {
        this.#call(member, addresses)
        continue
      }
      if (this.#wanted.has(member) || this.#wanted.size >= mostWanted) continue
      const { random } = this.#options
      const backoff = new Backoff({ firstMs: 1_000, maxMs: 30_000, ...(random !== undefined && { random }) })
      const wanted: Wanted = { addresses, backoff, attempts: 0, dialling: undefined, timer: undefined }
      this.#wanted.set(member, wanted)
      this.#dial(member, wanted)
    }
  }

  /** It gave something false: nothing goes to it or comes from it any more. */
  ban(peer: DirectPeer): void {
    this.#banned.add(peer.member)
    this.#giveUp(peer.member)
    peer.path.abort(new RdvError("corrupt", "It gave a chunk that is none", { origin: "remote" }))
  }

  /** Ends everything; what is queued to others is dropped. */
  async close(): Promise<void> {
    this.#options.net.onPipe = undefined
    this.#desk?.close()
    this.#desk = undefined
    this.#self = undefined
    this.#door.close()
    this.#forget()
    while (this.#tasks.size > 0) await Promise.all(this.#tasks)
  }

  #sit(self: string): void {
    const { net, key, log } = this.#options
    this.#desk?.close()
    this.#desk = undefined
    try {
      this.#desk = net.datagrams?.sit({ key, member: self, onPath: (path, member) => this.#take(member, path) })
    } catch (error) {
      log.debug("share.direct.datagrams", { reason: asRdvError(error).message })
    }
  }

  /** The other one dials. If it cannot connect it says hello: so does this side, and each opens the way for the other. */
  #call(member: string, addresses: readonly string[]): void {
    if (this.#desk === undefined || this.#calls.has(member) || this.#calls.size >= mostWanted) return
    const call = new AbortController()
    this.#calls.set(member, call)
    const timer = this.#options.clock.after(callMs, () => call.abort(new RdvError("timeout", "Nobody answered")))
    const task = this.#datagrams(member, addresses, call.signal)
      .then((path) => this.#take(member, path))
      .catch(() => undefined)
      .finally(() => {
        timer.cancel()
        if (this.#calls.get(member) === call) this.#calls.delete(member)
        this.#tasks.delete(task)
      })
    this.#tasks.add(task)
  }

  /** In a moment, so that a connection has its chance. */
  async #datagrams(member: string, addresses: readonly string[], signal: AbortSignal): Promise<ChunkPath> {
    const desk = this.#desk
    if (desk === undefined) throw new RdvError("unreachable", "No datagrams here")
    await delay(this.#options.clock, headStartMs, signal)
    return desk.dial(addresses, member, signal)
  }

  #forget(): void {
    for (const call of this.#calls.values()) call.abort(new RdvError("cancelled"))
    for (const member of this.#wanted.keys()) this.#giveUp(member)
    for (const peer of this.#peers.values()) peer.path.abort(new RdvError("cancelled"))
    this.#banned.clear()
  }

  #giveUp(member: string): void {
    const wanted = this.#wanted.get(member)
    if (wanted === undefined) return
    this.#wanted.delete(member)
    wanted.timer?.cancel()
    wanted.dialling?.abort(new RdvError("cancelled"))
  }

  #dial(member: string, wanted: Wanted): void {
    if (this.#peers.size >= mostPaths) {
      this.#again(member, wanted)
      return
    }
    const task = this.#reach(member, wanted).finally(() => this.#tasks.delete(task))
    this.#tasks.add(task)
  }

  async #reach(member: string, wanted: Wanted): Promise<void> {
    const { clock, log } = this.#options
    const dialling = new AbortController()
    const timer = clock.after(dialMs, () => dialling.abort(new RdvError("timeout", "Nobody answered")))
    wanted.dialling = dialling
    const self = this.#self
    try {
      const { signal } = dialling
      const ways = [this.#connect(member, wanted, signal), this.#datagrams(member, wanted.addresses, signal)]
      const path = await firstPath(ways, () => dialling.abort(new RdvError("cancelled")))
      if (this.#self !== self || this.#wanted.get(member) !== wanted) {
        path.abort(new RdvError("cancelled"))
        return
      }
      this.#take(member, path)
    } catch (error) {
      if (this.#wanted.get(member) !== wanted) return
      log.debug("share.direct.unreachable", { member, reason: asRdvError(error).message })
      this.#again(member, wanted)
    } finally {
      timer.cancel()
      wanted.dialling = undefined
    }
  }

  async #connect(member: string, { addresses }: Wanted, signal: AbortSignal): Promise<ChunkPath> {
    const { net, swarm, key, clock } = this.#options
    const pipe = await net.dial(addresses, signal)
    const self = this.#self
    if (self === undefined || signal.aborted) {
      pipe.abort(new RdvError("cancelled"))
      throw new RdvError("cancelled")
    }
    const proven = await dialHandshake(pipe, { swarm, key, member: self, expected: member, clock, signal })
    return streamPath(proven.pipe, { clock })
  }

  #again(member: string, wanted: Wanted): void {
    if (++wanted.attempts >= mostAttempts) {
      this.#wanted.delete(member)
      return
    }
    wanted.timer = this.#options.clock.after(wanted.backoff.next(), () => {
      wanted.timer = undefined
      this.#dial(member, wanted)
    })
  }

  #take(member: string, path: ChunkPath): void {
    const { clock, log, events } = this.#options
    if (this.#self === undefined || this.#banned.has(member)) {
      path.abort(new RdvError("forbidden"))
      return
    }
    const before = this.#peers.get(member)
    if (before === undefined && this.#peers.size >= mostPaths) {
      path.abort(new RdvError("limit"))
      return
    }
    // It has proven who it is: what it had before is dead, though nobody has noticed.
    before?.path.abort(new RdvError("replaced"))
    // The way is found; whatever else is tried is not needed.
    this.#calls.get(member)?.abort(new RdvError("cancelled"))
    const peer: DirectPeer = new DirectPeer({
      clock,
      member,
      path,
      late: (name) => events.late(peer, name),
      silent: () => path.abort(new RdvError("timeout", "It answers nothing")),
    })
    this.#peers.set(member, peer)
    log.debug("share.direct.up", { member, over: path.over, peer: path.peer })
    const sink = events.sink(peer)
    const begun = clock.now()
    events.up(peer)
    path.attach({
      room: (name, length) => sink.room(name, length),
      chunk: (name, sealed) => sink.chunk(name, sealed),
      asked: (name) => sink.asked(name),
      cancelled: (name) => sink.cancelled(name),
      refused: (name, why) => sink.refused(name, why),
      ready: () => sink.ready(),
      closed: (error) => {
        log.debug("share.direct.down", { member, reason: error?.message })
        if (this.#peers.get(member) === peer) this.#peers.delete(member)
        events.down(peer, peer.forget())
        this.#lost(member, clock.now() - begun)
      },
    })
  }

  /** The side that dialled dials again. */
  #lost(member: string, livedMs: number): void {
    const wanted = this.#wanted.get(member)
    if (wanted === undefined || this.#peers.has(member)) return
    if (livedMs > steadyMs) {
      wanted.attempts = 0
      wanted.backoff.reset()
    }
    this.#again(member, wanted)
  }
}

/** With fewer an uplink rests when those it reaches lack nothing that it has (`relay/share-limits.ts`, `partners`). */
const mostPaths = 48
/** Named and not reached; the relay names few at a time. */
const mostWanted = 64
const dialMs = 5_000
/** Datagrams begin so much later than a connection. */
const headStartMs = 700
/** The other side's first tries fall within it. */
const callMs = 12_000
const mostAttempts = 6
const steadyMs = 10_000

/** The first that comes up; the others are stopped, and ended should they come up all the same. Rejects with the first's error. */
async function firstPath(ways: readonly Promise<ChunkPath>[], stop: () => void): Promise<ChunkPath> {
  const taken = Promise.any(ways)
  for (const way of ways) {
    way
      .then(async (path) => {
        if ((await taken) !== path) path.abort(new RdvError("replaced"))
      })
      .catch(() => undefined)
  }
  try {
    return await taken
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error
  } finally {
    stop()
  }
}
