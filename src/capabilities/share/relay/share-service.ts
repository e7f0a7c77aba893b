/**
 * The share service at a relay: swarms by their number, who may come in, and how connections for chunks find their member.
 * It reads nothing of what is shared: tables of hashes are all it knows.
 */

import { createHash } from "node:crypto"
import { Bucket } from "../../../base/bucket.ts"
import { equalConstantTime, fromBase64url } from "../../../base/bytes.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Json, JsonObject } from "../../../base/json.ts"
import type { Log } from "../../../base/log.ts"
import type { Call, CallHandler, Caller } from "../../../host/host.ts"
import { checkAccess } from "../code/proofs.ts"
import type { ChunkHash, HashName } from "../content/chunk-crypto.ts"
import { ChunkTable } from "../content/chunk-table.ts"
import { nodeHash } from "../node/node-crypto.ts"
import type { Pipe } from "../paths/pipe.ts"
import { readGreeting } from "../paths/relay-greeting.ts"
import { streamPath } from "../paths/stream-path.ts"
import { streamPipe } from "../paths/stream-pipe.ts"
import { piecesService, shareService } from "../protocol/control.ts"
import type { JoinHeader, PublishHeader, TableFacts, WatchHeader } from "../protocol/control.ts"
import { readPiecesHeader, readShareHeader } from "../protocol/read-control.ts"
import type { Carrier } from "../swarm/scheduler.ts"
import { ChunkCache } from "./chunk-cache.ts"
import { ChunkDisk } from "./chunk-disk.ts"
import { ControlStream } from "./control-stream.ts"
import { tableCost } from "./edition.ts"
import { Egress } from "./egress.ts"
import { Guesses } from "./guesses.ts"
import { hostOf } from "./introductions.ts"
import type { Member } from "./member.ts"
import { MemoryPublications } from "./publications.ts"
import type { Publication, PublicationStore } from "./publications.ts"
import { defaultShareLimits } from "./share-limits.ts"
import type { ShareLimits } from "./share-limits.ts"
import { Swarm } from "./swarm.ts"
import type { SwarmDesk } from "./swarm.ts"

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

export interface OwnerLimits {
  readonly swarms?: number | undefined
  readonly bytesPerSecond?: number | undefined
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
  readonly #store: PublicationStore
  readonly #cache: ChunkCache
  readonly #guesses: Guesses
  readonly #hash: (name: HashName) => ChunkHash
  readonly #swarms: Map<string, Swarm> = new Map()
  /** Numbers whose first table is on its way. */
  readonly #arriving: Set<string> = new Set()
  /** Swarms that are over, and why; the newest last. */
  readonly #past: Map<string, RdvError> = new Map()
  readonly #tickets: Map<string, { readonly swarm: Swarm; readonly member: Member }> = new Map()
  readonly #rates: Map<string, Bucket> = new Map()
  /** Connections whose ticket is not here yet, oldest first. */
  readonly #greetings: Set<Pipe> = new Set()
  /** Memory for tables that are on their way. */
  #tableBytes = 0
  #timer: Timer | undefined
  #isClosed = false

  constructor(host: ShareHost, options: ShareOptions) {
    this.#host = host
    this.#options = options
    this.#limits = { ...defaultShareLimits, ...options.limits }
    this.#store = options.store ?? new MemoryPublications()
    this.#hash = options.hash ?? nodeHash
    const { clock, log } = host
    const { cacheBytes, diskBytes, slowMs, guessBurst, guessForgiveMs } = this.#limits
    const { diskFolder } = options
    const disk = diskFolder === undefined ? undefined : new ChunkDisk({ folder: diskFolder, bytes: diskBytes, log })
    this.#cache = new ChunkCache({ bytes: cacheBytes, clock, slowMs, disk })
    this.#guesses = new Guesses({ clock, burst: guessBurst, forgiveMs: guessForgiveMs })
    for (const publication of this.#store.list()) this.#swarms.set(publication.swarm, this.#swarmOf(publication))
    host.accept(shareService, (call) => this.#serve(call))
    host.accept(piecesService, (call) => this.#servePieces(call))
    host.report("share", () => this.status())
    this.#sweep()
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
    this.#find(name, access, hostOf(peer))
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
    for (const swarm of this.#swarms.values()) {
      inBytes += swarm.inBytes
      outBytes += swarm.outBytes
    }
    const swarms = [...this.#swarms.values()].toSorted((a, b) => b.here - a.here)
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
    for (const { swarm, member } of [...this.#tickets.values()]) {
      swarm.leave(member, member.outbox, new RdvError("draining", "The relay has stopped"))
      member.lane?.path.abort(new RdvError("draining", "The relay has stopped"))
    }
    for (const swarm of this.#swarms.values()) swarm.rest()
    this.#cache.close()
  }

  // Streams.

  #serve({ stream, header, caller }: Call): void {
    const { clock, log } = this.#host
    const { tableMs, unreadMessages } = this.#limits
    const control = new ControlStream(stream, {
      clock,
      log,
      tableMs,
      unreadMessages,
      reserveTable: (facts, owner) => this.#reserveTable(facts, owner),
      publish: (swarm, facts, bytes, publisher) => this.#renew(swarm, facts, bytes, publisher),
    })
    stream.attach(control)
    try {
      const asked = readShareHeader(header)
      const address = hostOf(caller.peer)
      if (asked.do === "publish") this.#publish(control, asked, caller, address)
      else if (asked.do === "join") this.#joinSwarm(control, asked, address)
      else this.#watch(control, asked, address)
    } catch (thrown) {
      const error = asRdvError(thrown)
      if (error.code === "internal") throw error
      control.fail(error)
    }
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
    this.#guesses.check(address)
    const owner = caller.owner ?? `anonymous ${address}`
    const known = this.#swarms.get(name)
    if (this.#arriving.has(name)) throw taken(name)
    if (known !== undefined) {
      this.#checkPublisher(known, asked, address)
      control.expect(facts, known.publication.owner, (bytes) => {
        if (this.#swarms.get(name) !== known) throw new RdvError("removed", `The share ${name} has ended meanwhile`)
        this.#open(known, facts, bytes)
        const sender = this.#enter(control, known, asked.member, "sender", "sender", address)
        known.supersede(sender)
      })
      return
    }
    this.#checkOwner(owner, caller.owner)
    this.#arriving.add(name)
    control.onClosed = () => this.#arriving.delete(name)
    control.expect(facts, owner, (bytes) => {
      this.#arriving.delete(name)
      const table = this.#decode(facts, bytes)
      const publication = this.#publicationOf(asked, owner)
      const swarm = this.#swarmOf(publication)
      this.#save(publication, bytes)
      this.#swarms.set(name, swarm)
      this.#past.delete(name)
      swarm.open(facts, table)
      this.#host.log.info("share.published", { swarm: name, owner, chunks: table.count, bytes: table.sealedBytes })
      this.#enter(control, swarm, asked.member, "sender", "sender", address)
    })
  }

  #joinSwarm(control: ControlStream, asked: JoinHeader, address: string): void {
    const swarm = this.#find(asked.swarm, asked.access, address)
    this.#load(swarm)
    this.#enter(control, swarm, asked.member, "receiver", asked.label ?? "receiver", address)
  }

  #watch(control: ControlStream, asked: WatchHeader, address: string): void {
    const swarm = this.#find(asked.swarm, asked.access, address)
    this.#load(swarm)
    const { outbox } = control
    control.onClosed = () => swarm.unwatch(outbox)
    swarm.watch(outbox)
  }

  #enter(
    control: ControlStream,
    swarm: Swarm,
    key: string,
    role: "sender" | "receiver",
    label: string,
    address: string,
  ): Member {
    const member = swarm.enter(role, key, label, address, control.outbox)
    control.seat(swarm, member)
    return member
  }

  // Swarms.

  /** Throws what a person understands. */
  #find(name: string, access: string, address: string): Swarm {
    this.#guesses.check(address)
    const swarm = this.#swarms.get(name)
    if (swarm === undefined) throw this.#past.get(name) ?? unknown(name)
    const bytes = fromBase64url(access)
    if (bytes?.length === 32 && checkAccess(bytes, swarm.publication.access)) {
      if (!this.#isExpired(swarm)) return swarm
      this.#expire(swarm)
      throw expired(name)
    }
    this.#guesses.wrong(address)
    this.#host.log.warn("share.refused", { swarm: name, address, reason: "wrong code" })
    throw new RdvError("unauthorized", `The words of the code do not belong to the share ${name}`, {
      mend: "check them, and the password if it has one",
    })
  }

  #checkPublisher({ publication, name }: Swarm, asked: PublishHeader, address: string): void {
    const isOurs = equalConstantTime(sha256(asked.publisher), publication.publisher)
    const access = fromBase64url(asked.access) as Uint8Array
    if (isOurs && equalConstantTime(access, publication.access)) return
    this.#guesses.wrong(address)
    throw taken(name)
  }

  #checkOwner(owner: string, token: string | undefined): void {
    const { swarms, swarmsPerOwner } = this.#limits
    if (this.#swarms.size + this.#arriving.size >= swarms) throw new RdvError("limit", `The relay has ${swarms} shares`)
    const most = Math.min(swarmsPerOwner, this.#options.limitsOf?.(token).swarms ?? Infinity)
    let own = 0
    for (const { publication } of this.#swarms.values()) if (publication.owner === owner) own++
    if (own < most) return
    throw new RdvError("limit", `You have ${own} shares at this relay, and may have ${most}`, {
      mend: "end one of them",
    })
  }

  #reserveTable(facts: TableFacts, owner: string): () => void {
    const { tableBytes, tableBytesPerOwner, chunks } = this.#limits
    if (facts.bytes > tableHead + chunks * tableRow) {
      throw new RdvError("too_large", `This relay takes shares of at most ${chunks} chunks`, {
        mend: "share it in parts",
      })
    }
    let own = facts.bytes
    for (const { publication } of this.#swarms.values()) {
      if (publication.owner === owner) own += publication.table.bytes
    }
    if (own > tableBytesPerOwner) {
      throw new RdvError("limit", "Your shares at this relay have too many chunks in all", { mend: "end one of them" })
    }
    const cost = tableCost(facts.bytes)
    this.#makeTableRoom(cost, tableBytes)
    this.#tableBytes += cost
    return () => (this.#tableBytes -= cost)
  }

  #makeTableRoom(cost: number, most: number): void {
    const used = () => [...this.#swarms.values()].reduce((sum, swarm) => sum + swarm.tableBytes, this.#tableBytes)
    if (used() + cost <= most) return
    for (const swarm of this.#swarms.values()) if (swarm.here === 0 && !swarm.hasWatchers) swarm.rest()
    if (used() === 0 || used() + cost <= most) return
    throw new RdvError("limit", "The relay has as many large shares in use as it can hold: try again later")
  }

  /** Throws `protocol`. */
  #decode(facts: TableFacts, bytes: Uint8Array): ChunkTable {
    const table = ChunkTable.decode(bytes, this.#hash)
    if (table.version !== facts.version) throw new RdvError("protocol", "The table has another version than was said")
    if (table.count > this.#limits.chunks) throw new RdvError("too_large", `At most ${this.#limits.chunks} chunks`)
    return table
  }

  /** A sender is back: with what it had, or with something newer. */
  #open(swarm: Swarm, facts: TableFacts, bytes: Uint8Array): void {
    const { table } = swarm.publication
    if (facts.version > table.version) {
      this.#renew(swarm, facts, bytes)
      return
    }
    const isSame = facts.version === table.version && facts.mac === table.mac && facts.bytes === table.bytes
    if (!isSame || !Buffer.from(this.#tableOf(swarm)).equals(bytes)) {
      throw new RdvError("exists", `The share ${swarm.name} has another version ${table.version} already`, {
        mend: `what is new is version ${table.version + 1}`,
      })
    }
    if (swarm.edition === undefined) swarm.open(facts, this.#decode(facts, bytes))
  }

  #renew(swarm: Swarm, facts: TableFacts, bytes: Uint8Array, publisher?: Member): void {
    if (facts.version <= swarm.publication.table.version) {
      throw new RdvError("exists", `Version ${facts.version} of the share ${swarm.name} exists already`)
    }
    const table = this.#decode(facts, bytes)
    swarm.publication = { ...swarm.publication, table: facts }
    this.#save(swarm.publication, bytes)
    swarm.open(facts, table, publisher)
  }

  /** After a restart of the relay, or a rest. */
  #load(swarm: Swarm): void {
    if (swarm.edition !== undefined) return
    const facts = swarm.publication.table
    this.#makeTableRoom(tableCost(facts.bytes), this.#limits.tableBytes)
    swarm.open(facts, this.#decode(facts, this.#store.table(swarm.name)))
  }

  #tableOf(swarm: Swarm): Uint8Array {
    return swarm.edition?.table.encode() ?? this.#store.table(swarm.name)
  }

  #publicationOf(asked: PublishHeader, owner: string): Publication {
    const now = this.#host.clock.wall()
    const { expiresMs, maxPeers, once = false, cache = true } = asked
    return {
      swarm: asked.swarm,
      owner,
      access: fromBase64url(asked.access) as Uint8Array,
      publisher: sha256(asked.publisher),
      createdAt: now,
      expiresAt: expiresMs === undefined ? null : now + Math.min(expiresMs, this.#limits.mostExpiresMs),
      once,
      maxPeers: maxPeers ?? null,
      cache,
      isClosed: false,
      table: asked.table,
    }
  }

  #swarmOf(publication: Publication): Swarm {
    const { clock } = this.#host
    const buckets: Bucket[] = []
    const { bytesPerSecond } = this.#options
    if (bytesPerSecond !== undefined) buckets.push(new Bucket({ clock, perSecond: bytesPerSecond }))
    const own = this.#rateOf(publication.owner)
    if (own !== undefined) buckets.push(own)
    return new Swarm(this.#swarmDesk, publication, new Egress(clock, buckets))
  }

  /** One rate for all swarms of an owner. */
  #rateOf(owner: string): Bucket | undefined {
    const known = this.#rates.get(owner)
    if (known !== undefined) return known
    const token = owner.startsWith("anonymous ") ? undefined : owner
    const perSecond = this.#options.limitsOf?.(token).bytesPerSecond
    if (perSecond === undefined) return undefined
    const bucket = new Bucket({ clock: this.#host.clock, perSecond })
    this.#rates.set(owner, bucket)
    return bucket
  }

  get #swarmDesk(): SwarmDesk {
    const { clock, log } = this.#host
    return {
      clock,
      log,
      cache: this.#cache,
      limits: this.#limits,
      carrier: this.#options.carrier,
      connections: this.#options.connections ?? true,
      url: (swarm) => this.#options.url?.(swarm),
      save: (publication, table) => this.#save(publication, table),
      issue: (ticket, swarm, member) => this.#tickets.set(ticket, { swarm, member }),
      revoke: (ticket) => this.#tickets.delete(ticket),
      ended: (swarm, why) => this.#ended(swarm, why),
    }
  }

  /** A share that the store cannot keep works all the same, for as long as the relay runs. */
  #save(publication: Publication, table?: Uint8Array): void {
    try {
      this.#store.save(publication, table)
    } catch (error) {
      this.#host.log.warn("share.save_failed", { swarm: publication.swarm, reason: asRdvError(error).message })
    }
  }

  #ended(swarm: Swarm, why: string): void {
    this.#swarms.delete(swarm.name)
    this.#past.set(swarm.name, new RdvError("removed", `The share ${swarm.name} is over: ${why}`))
    const [oldest] = this.#past.keys()
    if (this.#past.size > rememberedPast && oldest !== undefined) this.#past.delete(oldest)
    this.#host.log.info("share.ended", { swarm: swarm.name, reason: why })
    try {
      this.#store.remove(swarm.name)
    } catch (error) {
      this.#host.log.warn("share.save_failed", { swarm: swarm.name, reason: asRdvError(error).message })
    }
  }

  #isExpired({ publication: { expiresAt } }: Swarm): boolean {
    return expiresAt !== null && expiresAt <= this.#host.clock.wall()
  }

  #expire(swarm: Swarm): void {
    swarm.end(new RdvError("removed", "It has expired"))
    this.#past.set(swarm.name, expired(swarm.name))
  }

  #tick(): void {
    this.#timer = this.#host.clock.after(tickMs, () => {
      for (const swarm of [...this.#swarms.values()]) if (swarm.edition !== undefined) swarm.tick()
      this.#sweep()
      this.#tick()
    })
  }

  #sweep(): void {
    const now = this.#host.clock.now()
    for (const swarm of [...this.#swarms.values()]) {
      if (this.#isExpired(swarm)) this.#expire(swarm)
      else if (swarm.here > 0 || swarm.hasWatchers) continue
      else if (now - swarm.lonelySince > this.#limits.lonelyMs) {
        swarm.end(new RdvError("removed", "Nobody was there for days"))
      } else if (now - swarm.lonelySince > this.#limits.restMs && swarm.edition !== undefined) swarm.rest()
    }
  }
}

/** Bytes that may wait for the operating system before a path says that it is full. */
const highWaterBytes = 128 * 1024
const tickMs = 1_000
const mostShown = 100
const rememberedPast = 1_000
/** Of an encoded table, bytes. */
const tableHead = 16
const tableRow = 36

function sha256(text: string): Uint8Array {
  return createHash("sha256").update(text).digest()
}

function taken(name: string): RdvError {
  return new RdvError("in_use", `The number ${name} belongs to another share`, {
    mend: "share again: it gets a new one",
  })
}

function unknown(name: string): RdvError {
  return new RdvError("not_found", `There is no share ${name} at this relay`, {
    mend: "check the six digits and the relay; it may have ended, or not begun",
  })
}

function expired(name: string): RdvError {
  return new RdvError("expired", `The share ${name} has expired`, { mend: "ask its sender to share it again" })
}
