/**
 * One swarm at the relay: who is in it, which version, and what they say to each other through the relay. The scheduler of
 * the version decides; this carries facts to it and orders from it.
 */

import { createHash } from "node:crypto"
import { base64url, fromBase64url, randomBytes } from "../../../base/bytes.ts"
import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import { Bitmap } from "../content/bitmap.ts"
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
import { Member } from "./member.ts"
import { missingRanges } from "./missing-ranges.ts"
import type { Outbox } from "./outbox.ts"
import { pictureOf } from "./picture.ts"
import type { Publication } from "./publications.ts"
import type { ShareLimits } from "./share-limits.ts"

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
  inBytes = 0
  outBytes = 0
  /** Receivers that have everything, since the relay runs. */
  finished = 0
  /** Nobody is here since, ms. */
  lonelySince: number
  readonly #desk: SwarmDesk
  readonly #log: Log
  /** By what others call them. */
  readonly #members: Map<string, Member> = new Map()
  readonly #watchers: Set<Outbox> = new Set()
  readonly #introductions: Introductions
  readonly #dirty: Set<Member> = new Set()
  readonly #banned: Set<string> = new Set()
  #isCasting = false
  #hasChanged = false
  #nowhere = 0
  #isOver = false

  constructor(desk: SwarmDesk, publication: Publication, egress: Egress) {
    this.#desk = desk
    this.name = publication.swarm
    this.clock = desk.clock
    this.cache = desk.cache
    this.egress = egress
    this.publication = publication
    this.lonelySince = desk.clock.now()
    this.#log = desk.log.with({ swarm: this.name })
    this.#introductions = new Introductions(desk.limits.partners)
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
    return this.#watchers.size > 0
  }

  // Coming and going.

  /** Makes this version the present one. Members hear of it but for `publisher`. */
  open(facts: TableFacts, table: ChunkTable, publisher?: Member): void {
    const old = this.edition
    for (const member of this.#members.values()) {
      member.lane?.clear()
      member.have = undefined
      member.takes.clear()
      member.takesToSay.length = member.dropsToSay.length = 0
      member.nowhere = ""
      member.askedAt = this.clock.now()
    }
    // The new one first: chunks that both have stay where they are.
    this.edition = new Edition(this, facts, table)
    if (this.#desk.carrier !== undefined) this.edition.scheduler.carrier(this.#desk.carrier)
    old?.close()
    this.#isCasting = false
    this.#hasChanged = true
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
  enter(role: "sender" | "receiver", key: string, label: string, address: string, outbox: Outbox): Member {
    const { limits } = this.#desk
    const now = this.clock.now()
    const id = memberId(this.name, key)
    const known = this.#members.get(id)
    if (this.#banned.has(id)) throw new RdvError("forbidden", "You sent chunks that were not what they should be")
    if (known === undefined || (!known.isHere && known.doneVersion === 0)) this.#checkRoom(role, limits)
    const isSame = known?.role === role
    if (known !== undefined && !isSame) this.#forget(known)
    const ticket = base64url(randomBytes(16))
    const member = known !== undefined && isSame ? known : new Member({ id, role, label, address, ticket, now })
    if (member === known) this.leave(member, member.outbox, new RdvError("replaced", "It has come again"))
    member.label = label
    member.address = address
    member.outbox = outbox
    member.awayAt = undefined
    member.askedAt = now
    member.failure = undefined
    this.#members.set(id, member)
    this.#desk.issue(member.ticket, this, member)
    this.#welcome(member, outbox)
    const { edition } = this
    if (role === "receiver" && edition !== undefined) outbox.table(edition.facts, edition.table.encode())
    this.#hasChanged = true
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
    this.#watchers.add(outbox)
    const picture = this.#picture()
    if (picture !== undefined) outbox.picture(picture)
  }

  unwatch(outbox: Outbox): void {
    this.#watchers.delete(outbox)
  }

  /** Its stream is over, or is ended by this. Nothing when it has another stream by now. */
  leave(member: Member, outbox: Outbox | undefined, farewell?: RdvError | "end"): void {
    if (outbox === undefined || member.outbox !== outbox) return
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
    member.takes.clear()
    for (const other of member.paths.keys()) other.paths.delete(member)
    member.paths.clear()
    this.edition?.scheduler.leave(member.id)
    this.edition?.lose(member.id)
    this.#introductions.part(member, this.#members.values())
    this.#hasChanged = true
    if (this.#isOver) return
    this.#log.info("share.left", { member: member.label, role: member.role })
    if (member.role === "sender" && this.#isCasting) {
      this.#isCasting = false
      this.#cast()
    }
    if (this.here === 0) this.lonelySince = this.clock.now()
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
    // It may have been closed when it came.
    if (lane.isClosed) return
    member.lane = lane
    if (older !== undefined) {
      lane.inherit(older)
      this.edition?.askAgain(member.id)
    } else this.edition?.scheduler.relayPath(member.id, "up")
    this.#hasChanged = true
  }

  /** It is over for everybody. */
  end(error: RdvError): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#desk.ended(this, error.message)
    for (const member of [...this.#members.values()]) {
      // Who is through goes in good order, and so does the sender: what was said to it before arrives.
      const isThrough = member.role === "sender" || member.doneVersion === this.publication.table.version
      this.leave(member, member.outbox, isThrough && error.code === "removed" ? "end" : error)
      this.#forget(member)
    }
    for (const outbox of this.#watchers) outbox.reset(error)
    this.#watchers.clear()
    this.rest()
  }

  // What members say.

  heard(member: Member, message: MemberMessage): void {
    const { edition } = this
    if (edition === undefined || !member.isHere) return
    // Said before it heard of the present version.
    if ("version" in message && message.version !== edition.version) return
    this.#hasChanged = true
    const { scheduler } = edition
    switch (message.do) {
      case "holds":
        this.#holds(member, edition, Bitmap.from(fromBase64url(message.bitmap) as Uint8Array, edition.table.count))
        break
      case "have":
        member.count(message.via)
        for (const chunk of message.chunks) this.#has(member, edition, chunk)
        break
      case "lost":
        for (const chunk of message.chunks) if (isOf(edition, chunk)) scheduler.lost(member.id, chunk)
        break
      case "window":
        member.window = message.bytes
        scheduler.window(member.id, message.bytes)
        break
      case "uplink":
        member.uplink = message.bytesPerSecond
        scheduler.uplink(member.id, message.bytesPerSecond)
        break
      case "failed":
        if (!isOf(edition, message.chunk)) break
        member.takes.delete(message.chunk)
        if (message.why === "corrupt") this.#log.warn("share.corrupt", this.#blame(member, message.from, message.chunk))
        scheduler.failed(member.id, message.chunk, message.from)
        break
      case "reach":
        member.addresses = message.addresses
        this.#introductions.introduce(member, this.#members.values())
        break
      case "path":
        this.#path(member, this.#members.get(message.member), message.state, message.over)
        break
      case "done":
        this.#done(member, edition)
        break
      case "failure":
        member.failure = message.reason
        this.#tell("sender", { do: "failure", member: member.label, reason: message.reason })
        this.#log.info("share.failed", { member: member.label, reason: message.reason })
        break
      case "cast":
        member.isCast = message.state === "heard"
        if (this.#isCasting) this.#cast()
        break
      case "casting":
        this.#onlySender(member)
        this.#isCasting = message.state === "begun"
        this.#cast()
        break
      case "end":
        this.#onlySender(member)
        this.#close(message.now === true)
        break
      case "version":
        throw new RdvError("protocol", "A version comes with its table")
    }
  }

  // Of the edition.

  laneOf(member: string): Lane | undefined {
    return this.#members.get(member)?.lane
  }

  take(name: string, chunk: number, from: string): void {
    const member = this.#members.get(name)
    const giver = this.#members.get(from)
    if (member === undefined || giver === undefined) return
    member.takes.set(chunk, giver)
    member.takesToSay.push([chunk, from])
    this.#mark(member)
  }

  drop(name: string, chunk: number): void {
    const member = this.#members.get(name)
    if (member === undefined) return
    member.takes.delete(chunk)
    member.dropsToSay.push(chunk)
    this.#mark(member)
  }

  lied(name: string, chunk: number): void {
    const member = this.#members.get(name)
    if (member === undefined) return
    member.lies++
    this.#hasChanged = true
    this.#log.warn("share.lied", { member: member.label, address: member.address, chunk, times: member.lies })
    if (member.lies < this.#desk.limits.lies) return
    this.#banned.add(member.id)
    const reason = `It sent ${member.lies} chunks that were not what they should be`
    member.failure = reason
    this.#log.warn("share.banned", { member: member.label, address: member.address })
    this.#tell("sender", { do: "failure", member: member.label, reason })
    this.leave(member, member.outbox, new RdvError("forbidden", reason))
    this.#desk.revoke(member.ticket)
    member.lane?.path.abort(new RdvError("forbidden", reason))
  }

  fetched(name: string, bytes: number): void {
    this.inBytes += bytes
    const member = this.#members.get(name)
    if (member !== undefined) member.outBytes += bytes
  }

  // Time.

  /** Once a second. */
  tick(): void {
    const { edition } = this
    const now = this.clock.now()
    const { limits } = this.#desk
    for (const member of [...this.#members.values()]) {
      member.measure(now)
      if (member.isHere && member.have === undefined && now - member.askedAt > limits.holdsMs) {
        this.leave(member, member.outbox, new RdvError("timeout", "It did not say what it has of this version"))
      }
      if (member.awayAt === undefined) continue
      if (now - member.awayAt > awayPathMs) member.lane?.path.close()
      if (now - member.awayAt > awayShownMs) this.#forget(member)
    }
    if (edition !== undefined) this.#tellNowhere(edition)
    if (!this.#hasChanged && this.#isStill()) return
    this.#hasChanged = false
    const senders = [...this.#members.values()].filter(({ role, isHere }) => role === "sender" && isHere)
    if (senders.length + this.#watchers.size === 0) return
    const picture = this.#picture()
    if (picture === undefined) return
    for (const { outbox } of senders) outbox?.picture(picture)
    for (const outbox of this.#watchers) outbox.picture(picture)
  }

  status(): { [key: string]: string | number | boolean | null } {
    const { publication, edition } = this
    let receivers = 0
    for (const { role, isHere } of this.#members.values()) if (isHere && role === "receiver") receivers++
    return {
      swarm: this.name,
      owner: publication.owner,
      version: publication.table.version,
      chunks: edition?.table.count ?? null,
      bytes: edition?.table.sealedBytes ?? null,
      receivers,
      finished: this.finished,
      sender: [...this.#members.values()].some(({ role, isHere }) => role === "sender" && isHere),
      inBytes: this.inBytes,
      outBytes: this.outBytes,
      nowhere: this.#nowhere,
      closed: publication.isClosed,
      expiresAt: publication.expiresAt,
    }
  }

  // Private parts.

  #checkRoom(role: "sender" | "receiver", limits: ShareLimits): void {
    const { isClosed, maxPeers } = this.publication
    if (this.here >= limits.membersPerSwarm) {
      throw new RdvError("limit", `The share ${this.name} has ${limits.membersPerSwarm} members, and takes no more now`)
    }
    if (role === "sender") return
    if (isClosed) throw new RdvError("removed", `The share ${this.name} takes nobody new: its sender has ended it`)
    if (maxPeers === null) return
    let receivers = 0
    for (const member of this.#members.values()) {
      if (member.role === "receiver" && (member.isHere || member.doneVersion > 0)) receivers++
    }
    if (receivers < maxPeers) return
    const many = maxPeers === 1 ? "1 receiver" : `${maxPeers} receivers`
    throw new RdvError("limit", `The share ${this.name} is for ${many}, and has them`)
  }

  #welcome(member: Member, outbox: Outbox): void {
    const { once, expiresAt } = this.publication
    const url = member.role === "sender" ? this.#desk.url(this.name) : undefined
    outbox.say({
      do: "welcome",
      you: member.id,
      ticket: member.ticket,
      connections: this.#desk.connections,
      ...(url !== undefined && { url }),
      once,
      ...(expiresAt !== null && { expiresMs: Math.max(0, Math.round(expiresAt - this.clock.wall())) }),
    })
  }

  #unlane(member: Member, lane: Lane, error: RdvError | undefined): void {
    if (member.lane !== lane) return
    member.lane = undefined
    this.edition?.scheduler.relayPath(member.id, "down")
    this.edition?.lose(member.id)
    this.#hasChanged = true
    if (error !== undefined) this.#log.debug("share.path_lost", { member: member.label, reason: error.message })
  }

  #holds(member: Member, edition: Edition, bitmap: Bitmap): void {
    const { scheduler, table } = edition
    const { have } = member
    if (have !== undefined) {
      // It has looked again.
      for (let chunk = 0; chunk < table.count; chunk++) {
        if (bitmap.has(chunk) === have.has(chunk)) continue
        if (bitmap.has(chunk)) scheduler.have(member.id, chunk)
        else scheduler.lost(member.id, chunk)
      }
      return
    }
    const perMember = Math.ceil(table.count / 8)
    if (this.here * perMember > this.#desk.limits.bitmapBytesPerSwarm) {
      const error = new RdvError("limit", `A share of ${table.count} chunks takes no more members at this relay`)
      this.leave(member, member.outbox, error)
      return
    }
    // The scheduler's from now on, which keeps it up to date.
    member.have = bitmap
    scheduler.join(member.id, { have: bitmap })
    if (member.lane !== undefined) scheduler.relayPath(member.id, "up")
    if (member.uplink !== undefined) scheduler.uplink(member.id, member.uplink)
    if (member.window > 0) scheduler.window(member.id, member.window)
    for (const other of member.paths.keys()) scheduler.path(member.id, other.id, "up")
    if (this.#isCasting && member.isCast) this.#cast()
  }

  #has(member: Member, edition: Edition, chunk: number): void {
    if (!isOf(edition, chunk) || member.have === undefined) return
    const giver = member.takes.get(chunk)
    if (giver !== undefined) {
      member.takes.delete(chunk)
      giver.outBytes += edition.table.lengthOf(chunk)
    }
    edition.scheduler.have(member.id, chunk)
  }

  #path(member: Member, other: Member | undefined, state: "up" | "down", over: string): void {
    if (other === undefined || other === member || !other.isHere) return
    if (state === "up") {
      member.paths.set(other, over)
      other.paths.set(member, over)
    } else {
      member.paths.delete(other)
      other.paths.delete(member)
    }
    this.edition?.scheduler.path(member.id, other.id, state)
  }

  #done(member: Member, edition: Edition): void {
    if (member.role !== "receiver" || member.doneVersion === edition.version) return
    const isFirst = member.doneVersion === 0
    member.doneVersion = edition.version
    member.failure = undefined
    if (isFirst) this.finished++
    const ms = Math.round(this.clock.now() - member.joinedAt)
    this.#tell("sender", { do: "finished", member: member.label, ms })
    this.#log.info("share.finished", { member: member.label, ms, version: edition.version })
    if (this.publication.once) this.end(new RdvError("removed", "The share was for one receiver, who has it"))
    else this.#endIfDone()
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

  /** Nobody new comes in, and nobody who is here waits for anything. */
  #endIfDone(): void {
    if (!this.publication.isClosed || this.#isOver) return
    for (const { role, isHere, doneVersion } of this.#members.values()) {
      if (role === "receiver" && isHere && doneVersion !== this.publication.table.version) return
    }
    this.end(new RdvError("removed", `The share ${this.name} is complete, and its sender has ended it`))
  }

  #cast(): void {
    const heard = [...this.#members.values()].filter(
      ({ isCast, isHere, have }) => isCast && isHere && have !== undefined,
    )
    this.edition?.scheduler.casting(this.#isCasting ? heard.map(({ id }) => id) : [])
  }

  #onlySender(member: Member): void {
    if (member.role !== "sender") throw new RdvError("protocol", "Only the sender of a share may say this")
  }

  #tell(role: "sender", message: RelayMessage): void {
    for (const member of this.#members.values()) if (member.role === role) member.outbox?.say(message)
  }

  #blame(member: Member, from: string, chunk: number): { by: string; from: string; chunk: number } {
    return { by: member.label, from: this.#members.get(from)?.label ?? from, chunk }
  }

  /** What the scheduler decides in one turn is said in one message. */
  #mark(member: Member): void {
    if (this.#dirty.size === 0) queueMicrotask(() => this.#flush())
    this.#dirty.add(member)
  }

  #flush(): void {
    const version = this.edition?.version
    for (const member of this.#dirty) {
      const { outbox, takesToSay, dropsToSay } = member
      const drops = dropsToSay.splice(0)
      const takes = takesToSay.splice(0)
      if (outbox === undefined || version === undefined) continue
      for (let at = 0; at < drops.length; at += mostNamed)
        outbox.say({ do: "drop", version, chunks: drops.slice(at, at + mostNamed) })
      for (let at = 0; at < takes.length; at += mostNamed)
        outbox.say({ do: "take", version, chunks: takes.slice(at, at + mostNamed) })
    }
    this.#dirty.clear()
  }

  /** Members that lack what nobody has are told, once. */
  #tellNowhere(edition: Edition): void {
    const { ranges, more, count } = missingRanges(edition.table.count, (chunk) => edition.isNowhere(chunk))
    this.#nowhere = this.here > 0 ? count : 0
    const key = count === 0 ? "" : JSON.stringify([ranges, more])
    for (const member of this.#members.values()) {
      if (!member.isHere || member.role !== "receiver" || member.have === undefined || member.nowhere === key) continue
      member.nowhere = key
      this.#hasChanged = true
      member.outbox?.say({ do: "nowhere", version: edition.version, ranges, more })
    }
  }

  #isStill(): boolean {
    for (const { seen, isHere } of this.#members.values()) if (isHere && seen.inRate + seen.outRate > 0) return false
    return true
  }

  #picture(): ReturnType<typeof pictureOf> | undefined {
    const { edition, inBytes, outBytes, name: swarm } = this
    if (edition === undefined) return undefined
    return pictureOf({ swarm, edition, members: this.#members.values(), inBytes, outBytes, nowhere: this.#nowhere })
  }

  /** Nothing is left of it but what the ban remembers. */
  #forget(member: Member): void {
    this.#members.delete(member.id)
    this.#desk.revoke(member.ticket)
    const { lane } = member
    lane?.path.close()
    this.#hasChanged = true
  }
}

/** The same for the same member over restarts of the relay; it says nothing of the name that the member gave itself. */
function memberId(swarm: string, key: string): string {
  return createHash("sha256").update(`${swarm}/${key}`).digest("base64url").slice(0, 12)
}

function isOf(edition: Edition, chunk: number): boolean {
  return chunk < edition.table.count
}

/** Chunks in one message. */
const mostNamed = 1_000
/** A member's path outlives its stream so long: sessions come back, and paths need not begin anew. */
const awayPathMs = 60_000
/** Who has gone is shown for so long. */
const awayShownMs = 600_000
