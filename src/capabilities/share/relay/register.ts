/**
 * The swarms of a relay by their number: who published them, who may come in, what they may cost, and when they are over.
 * What has to outlive the relay goes to the store.
 */

import { createHash } from "node:crypto"
import { Bucket } from "../../../base/bucket.ts"
import { equalConstantTime, fromBase64url } from "../../../base/bytes.ts"
import type { Clock } from "../../../base/clock.ts"
import { counted } from "../../../base/counted.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import { checkAccess } from "../code/proofs.ts"
import type { ChunkHash, HashName } from "../content/chunk-crypto.ts"
import { ChunkTable } from "../content/chunk-table.ts"
import type { PublishHeader, TableFacts } from "../protocol/control.ts"
import { amount } from "../terminal/amounts.ts"
import { tableCost } from "./edition.ts"
import { Egress } from "./egress.ts"
import { Guesses } from "./guesses.ts"
import type { Member } from "./member.ts"
import type { Publication, PublicationStore } from "./publications.ts"
import type { ShareLimits } from "./share-limits.ts"
import { Swarm } from "./swarm.ts"
import type { SwarmDesk } from "./swarm.ts"

export interface RegisterOptions {
  readonly clock: Clock
  readonly log: Log
  readonly limits: ShareLimits
  readonly store: PublicationStore
  readonly hash: (name: HashName) => ChunkHash
  /** Chunks to all members of one swarm, bytes/s. */
  readonly bytesPerSecond?: number | undefined
  readonly limitsOf?: ((owner: string | undefined) => OwnerLimits) | undefined
  /** Tokens that are good now, by name. Throws what the store throws. */
  readonly owners?: (() => ReadonlySet<string>) | undefined
  /** What swarms need of the service. */
  readonly desk: (register: Register) => SwarmDesk
}

export interface OwnerLimits {
  readonly swarms?: number | undefined
  /** Of one share's files, without holes and with equal parts once. */
  readonly bytes?: number | undefined
  /** Of all its shares. */
  readonly bytesPerSecond?: number | undefined
}

export class Register {
  readonly #options: RegisterOptions
  readonly #clock: Clock
  readonly #log: Log
  readonly #limits: ShareLimits
  readonly #store: PublicationStore
  readonly #guesses: Guesses
  readonly #swarms: Map<string, Swarm> = new Map()
  /** Numbers whose first table is on its way, with their owners. */
  readonly #arriving: Map<string, string> = new Map()
  /** Swarms that are over, and why; the newest last. */
  readonly #past: Map<string, RdvError> = new Map()
  readonly #rates: Map<string, Bucket> = new Map()
  /** Those that the store could not keep: what is known of them is here alone. */
  readonly #unsaved: Set<string> = new Set()
  /** Memory for tables that are on their way. */
  #tableBytes = 0
  #ownersAt = -Infinity

  /** Throws what the store throws. */
  constructor(options: RegisterOptions) {
    this.#options = options
    const { clock, log, limits, store } = options
    this.#clock = clock
    this.#log = log
    this.#limits = limits
    this.#store = store
    this.#guesses = new Guesses({ clock, burst: limits.guessBurst, forgiveMs: limits.guessForgiveMs })
    const rates = new Map<string, Bucket | undefined>()
    for (const publication of store.list()) {
      const { owner } = publication
      // Asked once for each: who has thousands of shares has one token.
      if (!rates.has(owner)) rates.set(owner, this.#rateOf(owner))
      this.#swarms.set(publication.swarm, this.#swarmOf(publication, returnMs, rates.get(owner)))
    }
    this.sweep()
  }

  get swarms(): Swarm[] {
    return [...this.#swarms.values()]
  }

  /** The swarm that a sender who is back publishes again; undefined when the number is free. Throws `in_use`, `rate_limited`. */
  published(asked: PublishHeader, address: string): Swarm | undefined {
    this.#guesses.check(address)
    const known = this.#swarms.get(asked.swarm)
    if (this.#arriving.has(asked.swarm)) throw taken(asked.swarm)
    if (known !== undefined) this.#checkPublisher(known, asked, address)
    return known
  }

  /** Holds a number until its table is here; returns what lets it go. Throws `limit`. */
  hold(name: string, owner: string): () => void {
    this.#checkOwner(owner)
    this.#arriving.set(name, owner)
    let isHeld = true
    return () => {
      if (isHeld) this.#arriving.delete(name)
      isHeld = false
    }
  }

  /** A new swarm. Throws `protocol`, `too_large`. */
  create(asked: PublishHeader, owner: string, bytes: Uint8Array): Swarm {
    const { swarm: name, table: facts } = asked
    const table = this.#decode(facts, bytes)
    this.#checkSize(owner, table)
    const publication = this.#publicationOf(asked, owner)
    const swarm = this.#swarmOf(publication, -1, this.#rateOf(owner))
    this.save(publication, bytes)
    this.#swarms.set(name, swarm)
    this.#past.delete(name)
    swarm.open(facts, table)
    this.#log.info("share.published", { swarm: name, owner, chunks: table.count, bytes: table.sealedBytes })
    return swarm
  }

  /** Throws what a person understands. */
  find(name: string, access: string, address: string): Swarm {
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
    this.#log.warn("share.refused", { swarm: name, address, reason: "wrong code" })
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

  #checkOwner(owner: string): void {
    const { swarms, swarmsPerOwner } = this.#limits
    if (this.#swarms.size + this.#arriving.size >= swarms) throw new RdvError("limit", `The relay has ${swarms} shares`)
    const most = Math.min(swarmsPerOwner, this.#limitsOf(owner).swarms ?? Infinity)
    let own = 0
    for (const { publication } of this.#swarms.values()) if (publication.owner === owner) own++
    for (const other of this.#arriving.values()) if (other === owner) own++
    if (own < most) return
    const whose = isAnonymous(owner) ? "You have" : "This token has"
    // A mend does not travel.
    const mend = own === 1 ? "end it first" : "end one of them"
    throw new RdvError("limit", `${whose} ${counted(own, "share")} at this relay, and may have ${most}: ${mend}`)
  }

  #checkSize(owner: string, table: ChunkTable): void {
    const most = this.#limitsOf(owner).bytes ?? Infinity
    const bytes = openedBytes(table)
    if (bytes <= most) return
    const [has, may] = amount(bytes) === amount(most) ? [`${bytes} B`, `${most} B`] : [amount(bytes), amount(most)]
    const mend = "share it in parts, or with another token"
    throw new RdvError("too_large", `It has ${has}, and a share of this token may have ${may}: ${mend}`)
  }

  #limitsOf(owner: string): OwnerLimits {
    return this.#options.limitsOf?.(isAnonymous(owner) ? undefined : owner) ?? {}
  }

  reserveTable(facts: TableFacts, owner: string): () => void {
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
    for (const swarm of this.#swarms.values()) if (swarm.here === 0 && !swarm.hasWatchers) this.#rest(swarm)
    if (used() === 0 || used() + cost <= most) return
    throw new RdvError("limit", "The relay has as many large shares in use as it can hold: try again later")
  }

  /** Throws `protocol`. */
  #decode(facts: TableFacts, bytes: Uint8Array): ChunkTable {
    const table = ChunkTable.decode(bytes, this.#options.hash)
    if (table.version !== facts.version) throw new RdvError("protocol", "The table has another version than was said")
    if (table.count > this.#limits.chunks) throw new RdvError("too_large", `At most ${this.#limits.chunks} chunks`)
    return table
  }

  /** A sender is back: with what it had, or with something newer. */
  open(swarm: Swarm, facts: TableFacts, bytes: Uint8Array): void {
    if (this.#swarms.get(swarm.name) !== swarm) {
      throw this.#past.get(swarm.name) ?? unknown(swarm.name)
    }
    const { table } = swarm.publication
    if (facts.version > table.version) {
      this.renew(swarm, facts, bytes)
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

  renew(swarm: Swarm, facts: TableFacts, bytes: Uint8Array, publisher?: Member): void {
    if (facts.version <= swarm.publication.table.version) {
      throw new RdvError("exists", `Version ${facts.version} of the share ${swarm.name} exists already`)
    }
    const table = this.#decode(facts, bytes)
    this.#checkSize(swarm.publication.owner, table)
    swarm.publication = { ...swarm.publication, table: facts }
    this.save(swarm.publication, bytes)
    swarm.open(facts, table, publisher)
  }

  /** After a restart of the relay, or a rest. */
  load(swarm: Swarm): void {
    if (swarm.edition !== undefined) return
    const facts = swarm.publication.table
    this.#makeTableRoom(tableCost(facts.bytes), this.#limits.tableBytes)
    swarm.open(facts, this.#decode(facts, this.#store.table(swarm.name)))
  }

  #tableOf(swarm: Swarm): Uint8Array {
    return swarm.edition?.table.encode() ?? this.#store.table(swarm.name)
  }

  #publicationOf(asked: PublishHeader, owner: string): Publication {
    const now = this.#clock.wall()
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

  #swarmOf(publication: Publication, returnMs: number, ownRate: Bucket | undefined): Swarm {
    const clock = this.#clock
    const buckets: Bucket[] = []
    const { bytesPerSecond } = this.#options
    if (bytesPerSecond !== undefined) buckets.push(new Bucket({ clock, perSecond: bytesPerSecond }))
    if (ownRate !== undefined) buckets.push(ownRate)
    const finished = publication.maxPeers === null || returnMs < 0 ? [] : this.#store.finished(publication.swarm)
    return new Swarm(this.#options.desk(this), publication, new Egress(clock, buckets), returnMs, finished)
  }

  /** One rate for all swarms of an owner. A token that took the place of another one of its name has its own. */
  #rateOf(owner: string): Bucket | undefined {
    const perSecond = this.#limitsOf(owner).bytesPerSecond
    const known = this.#rates.get(owner)
    if (known?.perSecond === perSecond) return known
    if (perSecond === undefined) {
      this.#rates.delete(owner)
      return undefined
    }
    const bucket = new Bucket({ clock: this.#clock, perSecond })
    this.#rates.set(owner, bucket)
    return bucket
  }

  /** A share that the store cannot keep works all the same, for as long as the relay runs. */
  save(publication: Publication, table?: Uint8Array): void {
    try {
      this.#store.save(publication, table)
      if (table !== undefined) this.#unsaved.delete(publication.swarm)
    } catch (error) {
      if (table !== undefined) this.#unsaved.add(publication.swarm)
      this.#log.warn("share.save_failed", { swarm: publication.swarm, reason: asRdvError(error).message })
    }
  }

  finish(swarm: string, member: string): void {
    try {
      this.#store.finish(swarm, member)
    } catch (error) {
      this.#log.warn("share.save_failed", { swarm, reason: asRdvError(error).message })
    }
  }

  ended(swarm: Swarm, why: string): void {
    this.#swarms.delete(swarm.name)
    this.#unsaved.delete(swarm.name)
    this.#past.set(swarm.name, new RdvError("removed", `The share ${swarm.name} is over: ${why}`))
    const [oldest] = this.#past.keys()
    if (this.#past.size > rememberedPast && oldest !== undefined) this.#past.delete(oldest)
    this.#log.info("share.ended", { swarm: swarm.name, reason: why })
    try {
      this.#store.remove(swarm.name)
    } catch (error) {
      this.#log.warn("share.save_failed", { swarm: swarm.name, reason: asRdvError(error).message })
    }
  }

  #isExpired({ expiresAt }: Swarm): boolean {
    return expiresAt <= this.#clock.now()
  }

  #expire(swarm: Swarm): void {
    swarm.end(new RdvError("removed", "It has expired"))
    this.#past.set(swarm.name, expired(swarm.name))
  }

  #rest(swarm: Swarm): void {
    if (!this.#unsaved.has(swarm.name)) swarm.rest()
  }

  /** Ends what tokens have begun that are good no more. */
  #endOrphans(): void {
    const owned = this.swarms.filter(({ publication: { owner } }) => !isAnonymous(owner))
    if (owned.length === 0) return
    let owners: ReadonlySet<string> | undefined
    try {
      owners = this.#options.owners?.()
    } catch (error) {
      // A locked file passes.
      this.#log.warn("share.owners_failed", { reason: asRdvError(error).message })
    }
    if (owners === undefined) return
    for (const swarm of owned) {
      if (owners.has(swarm.publication.owner)) continue
      swarm.end(new RdvError("removed", "The token of its sender was revoked or has expired"))
    }
  }

  /** Ends what has expired and what nobody is in, and unloads what nobody needs now. */
  sweep(): void {
    const now = this.#clock.now()
    if (now - this.#ownersAt >= ownersMs) {
      this.#ownersAt = now
      this.#endOrphans()
    }
    for (const swarm of this.#swarms.values()) {
      if (this.#isExpired(swarm)) this.#expire(swarm)
      else if (swarm.here > 0 || swarm.hasWatchers) continue
      else if (now - swarm.lonelySince > this.#limits.lonelyMs) {
        swarm.end(new RdvError("removed", "Nobody was there for days"))
      } else if (now - swarm.lonelySince > this.#limits.restMs && swarm.edition !== undefined) this.#rest(swarm)
    }
  }
}

/** Members find their way back to a relay that was started anew within this. */
const returnMs = 120_000
const rememberedPast = 1_000
/** A revoked token's shares end within this, ms. */
const ownersMs = 2_000
/** Of an encoded table, bytes. */
const tableHead = 16
const tableRow = 36
/** What the tag of AES-GCM adds to a chunk, bytes. */
const sealBytes = 16

/** Names of tokens have no spaces. */
function isAnonymous(owner: string): boolean {
  return owner.startsWith("anonymous ")
}

/** What is left of a table's chunks when they are open, but the manifest, bytes. */
function openedBytes(table: ChunkTable): number {
  let bytes = table.sealedBytes - sealBytes * (table.count - table.manifestChunks)
  for (let chunk = 0; chunk < table.manifestChunks; chunk++) bytes -= table.lengthOf(chunk)
  return bytes
}

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
