/**
 * One swarm at the relay: who is in it, which version, and what they say to each other through the relay. The scheduler of
 * the version decides; this carries facts to it and orders from it.
 */

import { base64url, randomBytes } from "../../../base/bytes.ts"
import type { Clock } from "../../../base/clock.ts"
import { counted } from "../../../base/counted.ts"
import { RdvError } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Log } from "../../../base/log.ts"
import type { ChunkTable } from "../content/chunk-table.ts"
import type { ChunkPath } from "../paths/chunk-path.ts"
import type { MemberMessage, RelayMessage, TableFacts } from "../protocol/control.ts"
import type { Carrier } from "../swarm/scheduler.ts"
import type { ChunkCache } from "./chunk-cache.ts"
import { Edition, tableCost } from "./edition.ts"
import type { EditionSwarm } from "./edition.ts"
import type { Egress } from "./egress.ts"
import { Introductions } from "./introductions.ts"
import { Lane } from "./lane.ts"
import { Member, memberId } from "./member.ts"
import type { Newcomer } from "./member.ts"
import { Orders } from "./orders.ts"
import { Places } from "./places.ts"
import { tellNeeds } from "./needs.ts"
import type { Outbox } from "./outbox.ts"
import { Outlook } from "./outlook.ts"
import type { Publication } from "./publications.ts"
import { onlySender, Reports } from "./reports.ts"
import { ReturningPaths } from "./returning-paths.ts"
import type { ShareLimits } from "./share-limits.ts"
import { swarmStatus } from "./swarm-status.ts"
import { welcomeOf } from "./welcome.ts"

/** What a swarm needs of the service. */
export interface SwarmDesk {
  readonly clock: Clock
  readonly log: Log
  readonly cache: ChunkCache
  readonly limits: ShareLimits
  readonly carrier: Carrier | undefined
  /** What `welcome` says beside. */
  readonly connections: boolean
  url(swarm: string): string | undefined
  /** Throws what the store throws. */
  save(publication: Publication, table?: Uint8Array): void
  /** A receiver is through, in a swarm for so many. */
  finish(swarm: string, member: string): void
  /** A ticket leads to this member from now on. */
  issue(ticket: string, swarm: Swarm, member: Member): void
  revoke(ticket: string): void
  /** The swarm is over; it is in no list any more. */
  ended(swarm: Swarm, why: string): void
}

export class Swarm implements EditionSwarm {
  readonly name: string
  readonly clock: Clock
  readonly cache: ChunkCache
  readonly egress: Egress
  publication: Publication
  edition: Edition | undefined
  /** Of the newest version that was in memory: it is still known when that is unloaded. */
  size: { readonly chunks: number; readonly bytes: number } | undefined
  inBytes = 0
  outBytes = 0
  /** Receivers that have everything, since the relay runs. */
  finished = 0
  /** By the monotonic clock, so that it lives as long as it was said when somebody sets the other one; ms. */
  readonly expiresAt: number
  /** Nobody is here since, ms. */
  lonelySince: number
  readonly #desk: SwarmDesk
  readonly #log: Log
  /** By what others call them. */
  readonly #members: Map<string, Member> = new Map()
  readonly #introductions: Introductions
  readonly #outlook: Outlook
  readonly #orders: Orders
  readonly #reports: Reports
  readonly #places: Places
  readonly #returning: ReturningPaths
  #isOver = false

  /**
   * `returnMs`: members of before the relay's restart may come back for so long where nobody new may. `finished`: those of
   * them that were through, where that is of importance.
   */
  constructor(
    desk: SwarmDesk,
    publication: Publication,
    egress: Egress,
    returnMs: number,
    finished: Iterable<string> = [],
  ) {
    this.#desk = desk
    this.name = publication.swarm
    this.clock = desk.clock
    this.cache = desk.cache
    this.egress = egress
    this.publication = publication
    const { expiresAt } = publication
    this.expiresAt = expiresAt === null ? Infinity : desk.clock.now() + expiresAt - desk.clock.wall()
    this.lonelySince = desk.clock.now()
    this.#log = desk.log.with({ swarm: this.name })
    const { limits, clock } = desk
    const { partners, sparePartners, bitmapBytesPerSwarm: mostBitmapBytes, watchersPerSwarm: mostWatchers } = limits
    this.#places = new Places({
      clock,
      limits,
      members: this.#members,
      returnUntil: desk.clock.now() + returnMs,
      publication: () => this.publication,
      finished,
    })
    this.#introductions = new Introductions(desk.carrier === "direct" ? partners : sparePartners)
    this.#outlook = new Outlook({ swarm: this.name, mostWatchers, members: this.#members, traffic: () => this })
    this.#returning = new ReturningPaths(desk.clock)
    this.#orders = new Orders(() => this.edition?.version)
    this.#reports = new Reports({ log: this.#log, members: this.#members, mostBitmapBytes })
  }

  get keeps(): boolean {
    return this.publication.cache
  }

  get cacheBytes(): number {
    return this.#desk.limits.cacheBytes
  }

  /** Bytes that its table takes in memory. */
  get tableBytes(): number {
    return this.edition === undefined ? 0 : tableCost(this.edition.facts.bytes)
  }

  get here(): number {
    let count = 0
    for (const member of this.#members.values()) if (member.isHere) count++
    return count
  }

  get hasWatchers(): boolean {
    return this.#outlook.watchers.size > 0
  }

  // Coming and going.

  /** Makes this version the present one. Members hear of it but for `publisher`. */
  open(facts: TableFacts, table: ChunkTable, publisher?: Member): void {
    const old = this.edition
    for (const member of this.#members.values()) {
      member.lane?.clear()
      member.have = undefined
      member.takes.clear()
      member.nowhere = ""
      member.askedAt = this.clock.now()
    }
    this.#orders.clear()
    this.#reports.endCasting(old)
    // The new one first: chunks that both have stay where they are.
    this.edition = new Edition(this, facts, table)
    this.size = { chunks: table.count, bytes: table.sealedBytes }
    if (this.#desk.carrier !== undefined) this.edition.scheduler.carrier(this.#desk.carrier)
    old?.close()
    this.#outlook.changed()
    if (old === undefined) return
    this.#log.info("share.version", { version: facts.version, chunks: table.count })
    for (const member of this.#members.values()) if (member !== publisher) member.outbox?.table(facts, table.encode())
  }

  /** Nobody is here: forgets what can be had again from the store. */
  rest(): void {
    this.edition?.close()
    this.edition = undefined
  }

  /** Lets a member in whose right to come was checked. Throws `limit`, `removed`, `forbidden`. */
  enter(role: "sender" | "receiver", newcomer: Newcomer, address: string, outbox: Outbox): Member {
    const { member: key, label = role, looks = false, isGuest } = newcomer
    const now = this.clock.now()
    const id = memberId(this.name, key)
    const known = this.#members.get(id)
    this.#places.check(role, id, isGuest ? address : undefined)
    const isSame = known?.role === role
    if (known !== undefined && !isSame) this.#forget(known)
    const ticket = base64url(randomBytes(16))
    const member = known !== undefined && isSame ? known : new Member({ id, role, label, address, ticket, now })
    if (member === known) this.#detach(member, member.outbox, new RdvError("replaced", "It has come again"))
    member.label = label
    member.address = address
    member.outbox = outbox
    member.looks = looks
    member.isGuest = isGuest
    member.awayAt = undefined
    member.needed = undefined
    member.askedAt = now
    member.failure = undefined
    this.#members.set(id, member)
    this.#desk.issue(member.ticket, this, member)
    outbox.say(welcomeOf(member, this, this.#desk))
    const { edition } = this
    if (role === "receiver" && edition !== undefined) outbox.table(edition.facts, edition.table.encode())
    this.#outlook.changed()
    this.#log.info("share.joined", { member: label, role, address })
    return member
  }

  /** A sender that came back takes the place of the one that was here. */
  supersede(sender: Member): void {
    for (const member of this.#members.values()) {
      if (member.role !== "sender" || member === sender) continue
      this.leave(member, member.outbox, new RdvError("replaced", "The share has a newer sender"))
      this.#forget(member)
    }
  }

  watch(outbox: Outbox): void {
    this.#outlook.watch(outbox, this.edition)
  }

  unwatch(outbox: Outbox): void {
    this.#outlook.watchers.delete(outbox)
  }

  /** Its stream is over, or is ended by this. Nothing when it has another stream by now. */
  leave(member: Member, outbox: Outbox | undefined, farewell?: RdvError | "end"): void {
    if (!this.#detach(member, outbox, farewell)) return
    this.#log.info("share.left", { member: member.label, role: member.role })
    if (member.role === "sender") this.#reports.endCasting(this.edition)
    if (this.here === 0) this.lonelySince = this.clock.now()
    const surplus = this.#places.surplus()
    if (surplus !== undefined) this.#forget(surplus)
    this.#endIfDone()
  }

  /** A path of chunks for this member; the older one, if any, is let finish. */
  join(member: Member, path: ChunkPath): void {
    const { limits } = this.#desk
    const older = member.lane
    const lane: Lane = new Lane({
      path,
      member,
      cache: this.cache,
      clock: this.clock,
      egress: this.egress,
      slowMs: limits.slowMs,
      version: () => this.edition,
      sent: (bytes) => (this.outBytes += bytes),
      closed: (error) => this.#unlane(member, lane, error),
    })
    member.lane = lane
    lane.start()
    // It may have been closed when it came.
    if (lane.isClosed) {
      member.lane = older
      return
    }
    if (older !== undefined) {
      this.edition?.replace(member.id, older)
      // One that is let finish; who dials and dials has no more connections for that.
      member.leaving?.path.abort(new RdvError("replaced", "Its member has newer ones"))
      member.leaving = older
      lane.inherit(older)
      this.edition?.askAgain(member.id)
    } else if (!member.hadPath || member.have === undefined) this.#usePath(member)
    else this.#returning.wait(member, () => this.#usePath(member))
    member.hadPath = true
    this.#outlook.changed()
  }

  /** It is over for everybody. */
  end(error: RdvError): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#desk.ended(this, error.message)
    for (const member of this.#members.values()) {
      // Who is through goes in good order, and so does the sender: what was said to it before arrives.
      const isThrough = member.role === "sender" || member.doneVersion === this.publication.table.version
      this.leave(member, member.outbox, isThrough && error.code === "removed" ? "end" : error)
      this.#forget(member)
    }
    for (const outbox of this.#outlook.watchers) outbox.reset(error)
    this.#outlook.watchers.clear()
    this.rest()
  }

  // What members say.

  heard(member: Member, message: MemberMessage): void {
    const { edition } = this
    if (edition === undefined || !member.isHere) return
    // Said before it heard of the present version.
    if ("version" in message && message.version !== edition.version) return
    this.#outlook.changed()
    switch (message.do) {
      case "reach":
        member.addresses = message.addresses
        if (this.clock.now() - member.introducedAt < introduceMs) break
        member.introducedAt = this.clock.now()
        this.#introductions.introduce(member, this.#members.values())
        break
      case "begin":
        this.#places.check(member.role, member.id, undefined)
        member.looks = false
        break
      case "done":
        this.#done(member, edition)
        break
      case "failure":
        // Once, as long as it is here: the sender has others to listen to.
        if (member.failure !== undefined) break
        member.failure = message.reason
        this.#tell({ do: "failure", member: member.label, reason: message.reason })
        this.#log.info("share.failed", { member: member.label, reason: message.reason })
        break
      case "end":
        onlySender(member)
        this.#close(message.now === true)
        break
      case "version":
        throw new RdvError("protocol", "A version comes with its table")
      default:
        this.#reports.heard(member, edition, message)
    }
    this.#returning.heard(member)
  }

  // Of the edition.

  laneOf(member: string): Lane | undefined {
    return this.#members.get(member)?.lane
  }

  take(name: string, chunk: number, from: string): void {
    const member = this.#members.get(name)
    const giver = this.#members.get(from)
    if (member === undefined || giver === undefined) return
    this.#orders.take(member, chunk, giver)
  }

  drop(name: string, chunk: number): void {
    const member = this.#members.get(name)
    if (member !== undefined) this.#orders.drop(member, chunk)
  }

  lied(name: string, chunk: number): void {
    const member = this.#members.get(name)
    if (member === undefined) return
    member.lies++
    this.#outlook.changed()
    this.#log.warn("share.lied", { member: member.label, address: member.address, chunk, times: member.lies })
    if (member.lies < this.#places.liesOf(member)) return
    this.#places.ban(member)
    const reason = `It sent ${counted(member.lies, "chunk")} that were not what they should be`
    member.failure = reason
    this.#log.warn("share.banned", { member: member.label, address: member.address })
    this.#tell({ do: "failure", member: member.label, reason })
    const error = new RdvError("forbidden", reason)
    this.leave(member, member.outbox, error)
    this.#desk.revoke(member.ticket)
    member.lane?.path.abort(error)
  }

  fetched(name: string, bytes: number): void {
    this.inBytes += bytes
    const member = this.#members.get(name)
    if (member !== undefined) member.outBytes += bytes
  }

  // Time.

  /** Once a second. */
  tick(): void {
    this.#endIfDone()
    if (this.#isOver) return
    const { edition } = this
    const now = this.clock.now()
    const { limits } = this.#desk
    for (const member of this.#members.values()) {
      member.measure(now)
      member.lane?.look(now)
      if (member.isHere && member.have === undefined && now - member.askedAt > limits.holdsMs) {
        this.leave(member, member.outbox, new RdvError("timeout", "It did not say what it has of this version"))
      }
      if (member.awayAt === undefined) continue
      if (now - member.awayAt > awayPathMs) member.lane?.path.close()
      if (now - member.awayAt > awayShownMs) this.#forget(member)
    }
    if (edition !== undefined) this.#outlook.tick(edition)
  }

  status(): JsonObject {
    return swarmStatus(this, this.#members.values(), this.#outlook.nowhere)
  }

  // Private parts.

  /** False when it has another stream by now. */
  #detach(member: Member, outbox: Outbox | undefined, farewell: RdvError | "end" | undefined): boolean {
    if (outbox === undefined || member.outbox !== outbox) return false
    member.outbox = undefined
    if (farewell === undefined) outbox.over()
    else if (farewell === "end") outbox.end()
    else outbox.reset(farewell)
    member.awayAt = this.clock.now()
    member.have = undefined
    member.window = 0
    member.uplink = undefined
    member.isCast = false
    member.addresses = undefined
    member.introducedAt = -Infinity
    member.claims.clear()
    member.takes.clear()
    for (const other of member.paths.keys()) other.paths.delete(member)
    member.paths.clear()
    this.edition?.scheduler.leave(member.id)
    this.edition?.lose(member.id)
    if (!this.#isOver) this.#introductions.part(member, this.#members.values())
    this.#outlook.changed()
    return true
  }

  #usePath(member: Member): void {
    if (member.lane !== undefined) this.edition?.scheduler.relayPath(member.id, "up")
  }

  #unlane(member: Member, lane: Lane, error: RdvError | undefined): void {
    if (member.lane !== lane) return
    member.lane = undefined
    this.#returning.forget(member)
    this.edition?.scheduler.relayPath(member.id, "down")
    this.edition?.lose(member.id)
    this.#outlook.changed()
    if (error !== undefined) this.#log.debug("share.path_lost", { member: member.label, reason: error.message })
  }

  #done(member: Member, edition: Edition): void {
    if (member.role !== "receiver" || member.doneVersion === edition.version) return
    const isFirst = member.doneVersion === 0
    member.doneVersion = edition.version
    member.needed = undefined
    member.failure = undefined
    if (isFirst) this.finished++
    if (isFirst && this.publication.maxPeers !== null) {
      this.#places.finish(member.id)
      this.#desk.finish(this.name, member.id)
    }
    const ms = Math.round(this.clock.now() - member.joinedAt)
    this.#tell({ do: "finished", member: member.label, ms })
    this.#log.info("share.finished", { member: member.label, ms, version: edition.version })
    // Whoever has begun finishes as well.
    if (this.publication.once) this.#close(false)
    else this.#endIfDone()
    if (!this.#isOver) tellNeeds(this.#members.values(), edition)
  }

  #close(isNow: boolean): void {
    if (isNow) {
      this.end(new RdvError("removed", `The sender has ended the share ${this.name}`))
      return
    }
    if (!this.publication.isClosed) {
      this.publication = { ...this.publication, isClosed: true }
      this.#desk.save(this.publication)
    }
    this.#endIfDone()
  }

  #endIfDone(): void {
    if (this.#isOver || !this.#places.isOver) return
    const why = `The share ${this.name} is complete, and its sender has ended it`
    this.end(new RdvError("removed", this.publication.once ? "The share was for one receiver, who has it" : why))
  }

  /** To the sender. */
  #tell(message: RelayMessage): void {
    for (const member of this.#members.values()) if (member.role === "sender") member.outbox?.say(message)
  }

  /** Nothing is left of it but what the ban remembers. */
  #forget(member: Member): void {
    this.#members.delete(member.id)
    this.#desk.revoke(member.ticket)
    const { lane } = member
    lane?.path.close()
    member.leaving?.path.close()
    this.#outlook.changed()
  }
}

/** However often a member says where it is. */
const introduceMs = 1_000
/** A member's path outlives its stream so long: sessions come back, and paths need not begin anew. */
const awayPathMs = 60_000
/** Who has gone is shown for so long. */
const awayShownMs = 600_000
