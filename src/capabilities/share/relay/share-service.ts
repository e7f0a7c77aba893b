/**
 * The share service at a relay: swarms by their number, who may come in, and how connections for chunks find their member.
 * It reads nothing of what is shared: tables of hashes are all it knows.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Json, JsonObject } from "../../../base/json.ts"
import type { Log } from "../../../base/log.ts"
import type { Call, CallHandler, Caller } from "../../../host/host.ts"
import type { ChunkHash, HashName } from "../content/chunk-crypto.ts"
import { nodeHash } from "../node/node-crypto.ts"
import type { Pipe } from "../../../base/pipe.ts"
import { readGreeting } from "../paths/relay-greeting.ts"
import { streamPath } from "../paths/stream-path.ts"
import { streamPipe } from "../paths/stream-pipe.ts"
import { piecesService, shareService } from "../protocol/control.ts"
import type { JoinHeader, PublishHeader, WatchHeader } from "../protocol/control.ts"
import { readPiecesHeader, readShareHeader } from "../protocol/read-control.ts"
import type { Carrier } from "../swarm/scheduler.ts"
import { ChunkCache } from "./chunk-cache.ts"
import { ChunkDisk } from "./chunk-disk.ts"
import { ControlStream } from "./control-stream.ts"
import { hostOf } from "./introductions.ts"
import type { Member, Newcomer } from "./member.ts"
import { MemoryPublications } from "./publications.ts"
import type { PublicationStore } from "./publications.ts"
import { Register } from "./register.ts"
import type { OwnerLimits } from "./register.ts"
import { defaultShareLimits } from "./share-limits.ts"
import type { ShareLimits } from "./share-limits.ts"
import type { Swarm, SwarmDesk } from "./swarm.ts"

/** What the service needs of the relay; a `Host` is one. */
export interface ShareHost {
  accept(service: string, handle: CallHandler): void
  readonly clock: Clock
  readonly log: Log
  report(name: string, read: () => Json): void
}

export interface ShareOptions {
  readonly limits?: Partial<ShareLimits>
  /** Default: swarms are forgotten when the relay ends. */
  readonly store?: PublicationStore
  /** For the second level of the cache. */
  readonly diskFolder?: string
  /** Chunks to all members of one swarm, bytes/s. */
  readonly bytesPerSecond?: number
  /** What an owner may beside; `owner` is a token's name, or undefined without one. */
  readonly limitsOf?: (owner: string | undefined) => OwnerLimits
  /** Tokens that are good now, by name: shares of others end. Default: all are. */
  readonly owners?: () => ReadonlySet<string>
  /** Whether this caller may begin a share; guests may not. Default: everybody who gets here. */
  readonly mayPublish?: (caller: Caller) => boolean
  /** Who carries chunks where members reach each other too. */
  readonly carrier?: Carrier
  /** True when connections for chunks come by `takeLink`. Default true. */
  readonly connections?: boolean
  /** The page of a swarm, without the secret. */
  readonly url?: (swarm: string) => string
  readonly hash?: (name: HashName) => ChunkHash
}

export interface ShareRelay {
  /** A connection that began with `0xB0`; `head` is what was read of it, that byte included. */
  takeLink(pipe: Pipe, head: Uint8Array): void
  /** Whether somebody at `peer` may come in as a guest of this swarm. Throws `not_found`, `expired`, `removed`, `unauthorized`, `rate_limited`. */
  admit(swarm: string, access: string, peer: string): void
  /** The same as an answer. */
  admits(swarm: string, access: string, peer: string): boolean
  status(): JsonObject
  close(): void
}

/** Offers shares to the sessions of a host. Throws `usage` when the folder for chunks cannot be used. */
export function startShare(host: ShareHost, options: ShareOptions = {}): ShareRelay {
  return new ShareService(host, options)
}

class ShareService implements ShareRelay {
  readonly #host: ShareHost
  readonly #options: ShareOptions
  readonly #limits: ShareLimits
  readonly #cache: ChunkCache
  readonly #register: Register
  readonly #tickets: Map<string, { readonly swarm: Swarm; readonly member: Member }> = new Map()
  /** Connections whose ticket is not here yet, oldest first. */
  readonly #greetings: Set<Pipe> = new Set()
  #timer: Timer | undefined
  #isClosed = false

  constructor(host: ShareHost, options: ShareOptions) {
    this.#host = host
    this.#options = options
    this.#limits = { ...defaultShareLimits, ...options.limits }
    const { clock, log } = host
    const { cacheBytes, diskBytes, slowMs } = this.#limits
    const { diskFolder, store = new MemoryPublications(), hash = nodeHash, bytesPerSecond, limitsOf, owners } = options
    const disk = diskFolder === undefined ? undefined : new ChunkDisk({ folder: diskFolder, bytes: diskBytes, log })
    this.#cache = new ChunkCache({ bytes: cacheBytes, clock, slowMs, disk })
    this.#register = new Register({
      clock,
      log,
      limits: this.#limits,
      store,
      hash,
      bytesPerSecond,
      limitsOf,
      owners,
      desk: (register) => this.#desk(register),
    })
    host.accept(shareService, (call) => this.#serve(call))
    host.accept(piecesService, (call) => this.#servePieces(call))
    host.report("share", () => this.status())
    this.#tick()
  }

  takeLink(pipe: Pipe, head: Uint8Array): void {
    for (const oldest of this.#greetings) {
      if (this.#greetings.size < this.#limits.greetings) break
      this.#greetings.delete(oldest)
      oldest.abort(new RdvError("limit", "Too many connections for chunks show no ticket"))
    }
    this.#greetings.add(pipe)
    const { clock, log } = this.#host
    const redeem = (ticket: Uint8Array) => this.#tickets.get(Buffer.from(ticket).toString("base64url"))
    void readGreeting(pipe, new Uint8Array(head), redeem, { clock, deadlineMs: this.#limits.greetingMs })
      .then(({ owner, pipe: greeted }) => this.#join(owner.swarm, owner.member, greeted))
      .catch((error: unknown) => log.debug("share.greeting_failed", { reason: asRdvError(error).message }))
      .finally(() => this.#greetings.delete(pipe))
  }

  admit(name: string, access: string, peer: string): void {
    this.#register.find(name, access, hostOf(peer))
  }

  admits(name: string, access: string, peer: string): boolean {
    try {
      this.admit(name, access, peer)
      return true
    } catch (error) {
      if (error instanceof RdvError) return false
      throw error
    }
  }

  status(): JsonObject {
    let inBytes = 0
    let outBytes = 0
    for (const swarm of this.#register.swarms) {
      inBytes += swarm.inBytes
      outBytes += swarm.outBytes
    }
    const swarms = this.#register.swarms.toSorted((a, b) => b.here - a.here)
    return {
      swarms: swarms.slice(0, mostShown).map((swarm) => swarm.status()),
      more: Math.max(0, swarms.length - mostShown),
      members: swarms.reduce((sum, { here }) => sum + here, 0),
      cache: this.#cache.status(),
      inBytes,
      outBytes,
      limits: { ...this.#limits },
    }
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#timer?.cancel()
    for (const pipe of this.#greetings) pipe.abort(new RdvError("draining", "The relay has stopped"))
    for (const { swarm, member } of this.#tickets.values()) {
      swarm.leave(member, member.outbox, new RdvError("draining", "The relay has stopped"))
      member.lane?.path.abort(new RdvError("draining", "The relay has stopped"))
    }
    for (const swarm of this.#register.swarms) swarm.rest()
    this.#cache.close()
  }

  // Streams.

  #serve({ stream, header, caller }: Call): void {
    const { clock, log } = this.#host
    const { tableMs, unreadMessages, messagesPerSecond, messagesAtOnce } = this.#limits
    const control = new ControlStream(stream, {
      clock,
      log,
      tableMs,
      unreadMessages,
      messagesPerSecond,
      messagesAtOnce,
      reserveTable: (facts, owner) => this.#register.reserveTable(facts, owner),
      publish: (swarm, facts, bytes, publisher) => this.#register.renew(swarm, facts, bytes, publisher),
    })
    try {
      const asked = readShareHeader(header)
      const address = hostOf(caller.peer)
      if (asked.do === "publish") this.#publish(control, asked, caller, address)
      else if (asked.do === "join") this.#joinSwarm(control, asked, caller, address)
      else this.#watch(control, asked, address)
    } catch (thrown) {
      const error = asRdvError(thrown)
      if (error.code === "internal") throw error
      control.fail(error)
    }
    // Behind that: what came with the header is part of a table that is expected by now.
    stream.attach(control)
  }

  #servePieces({ stream, header, caller }: Call): void {
    const found = this.#tickets.get(readPiecesHeader(header).ticket)
    if (found === undefined) throw new RdvError("unauthorized", "The ticket of this stream of chunks is not known")
    this.#join(found.swarm, found.member, streamPipe(stream, { clock: this.#host.clock, peer: caller.peer }))
  }

  /** Small, so that what waits for a member is not with the operating system's queue but here. */
  #join(swarm: Swarm, member: Member, pipe: Pipe): void {
    if (this.#isClosed || this.#tickets.get(member.ticket)?.member !== member) {
      pipe.abort(new RdvError("unauthorized", "The ticket is not good any more"))
      return
    }
    swarm.join(member, streamPath(pipe, { clock: this.#host.clock, highWaterBytes }))
  }

  #publish(control: ControlStream, asked: PublishHeader, caller: Caller, address: string): void {
    if (this.#options.mayPublish?.(caller) === false) {
      throw new RdvError("forbidden", "Guests of a share cannot begin one; show a token of this relay")
    }
    const { swarm: name, table: facts } = asked
    const known = this.#register.published(asked, address)
    if (known !== undefined) {
      control.expect(facts, known.publication.owner, (bytes) => {
        this.#register.open(known, facts, bytes)
        known.supersede(this.#enter(control, known, "sender", { member: asked.member, isGuest: false }, address))
      })
      return
    }
    const owner = caller.owner ?? `anonymous ${address}`
    const letGo = this.#register.hold(name, owner)
    control.onClosed = letGo
    control.expect(facts, owner, (bytes) => {
      letGo()
      const swarm = this.#register.create(asked, owner, bytes)
      this.#enter(control, swarm, "sender", { member: asked.member, isGuest: false }, address)
    })
  }

  #joinSwarm(control: ControlStream, asked: JoinHeader, { guest }: Caller, address: string): void {
    const swarm = this.#register.find(asked.swarm, asked.access, address)
    this.#register.load(swarm)
    this.#enter(control, swarm, "receiver", { ...asked, isGuest: guest !== undefined }, address)
  }

  #watch(control: ControlStream, asked: WatchHeader, address: string): void {
    const swarm = this.#register.find(asked.swarm, asked.access, address)
    this.#register.load(swarm)
    const { outbox } = control
    control.onClosed = () => swarm.unwatch(outbox)
    swarm.watch(outbox)
  }

  #enter(control: ControlStream, swarm: Swarm, role: Member["role"], newcomer: Newcomer, address: string): Member {
    const member = swarm.enter(role, newcomer, address, control.outbox)
    control.seat(swarm, member)
    return member
  }

  #desk(register: Register): SwarmDesk {
    const { clock, log } = this.#host
    const { carrier, connections = true, url } = this.#options
    return {
      clock,
      log,
      cache: this.#cache,
      limits: this.#limits,
      carrier,
      connections,
      url: (swarm) => url?.(swarm),
      save: (publication, table) => register.save(publication, table),
      finish: (swarm, member) => register.finish(swarm, member),
      issue: (ticket, swarm, member) => this.#tickets.set(ticket, { swarm, member }),
      revoke: (ticket) => this.#tickets.delete(ticket),
      ended: (swarm, why) => register.ended(swarm, why),
    }
  }

  /** What is wrong with one swarm is no end of the others. */
  #look(swarm: Swarm): void {
    try {
      swarm.tick()
    } catch (thrown) {
      const reason = thrown instanceof Error ? (thrown.stack ?? thrown.message) : "?"
      this.#host.log.error("share.fault", { swarm: swarm.name, reason })
    }
  }

  #tick(): void {
    this.#timer = this.#host.clock.after(tickMs, () => {
      for (const swarm of this.#register.swarms) this.#look(swarm)
      this.#register.sweep()
      this.#tick()
    })
  }
}

/** Bytes that may wait for the operating system before a path says that it is full. */
const highWaterBytes = 128 * 1024
const tickMs = 1_000
const mostShown = 100
