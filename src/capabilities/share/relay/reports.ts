/**
 * What members say about chunks, paths and themselves, as facts for the scheduler: with indexes that exist, of the version
 * that is there, and remembered where a later version or another session needs them again.
 */

import { fromBase64url } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import { Bitmap } from "../content/bitmap.ts"
import type { MemberMessage } from "../protocol/control.ts"
import type { Edition } from "./edition.ts"
import type { Member } from "./member.ts"

/** Messages that say a fact. The others are the swarm's business. */
export type Report = Extract<
  MemberMessage,
  { do: "holds" | "have" | "lost" | "window" | "uplink" | "failed" | "path" | "cast" | "casting" }
>

export interface ReportsOptions {
  readonly log: Log
  /** By what others call them. */
  readonly members: ReadonlyMap<string, Member>
  /** What all members of a swarm have, as bits, bytes. */
  readonly mostBitmapBytes: number
}

export class Reports {
  readonly #options: ReportsOptions
  /** The sender is sending everything by multicast. */
  #isCasting = false

  constructor(options: ReportsOptions) {
    this.#options = options
  }

  /** Throws `protocol`, and `limit` when there are too many members for so many chunks. */
  heard(member: Member, edition: Edition, report: Report): void {
    const { scheduler, table } = edition
    switch (report.do) {
      case "holds":
        this.#holds(member, edition, Bitmap.from(fromBase64url(report.bitmap) as Uint8Array, table.count))
        return
      case "have":
        member.count(report.via)
        for (const chunk of report.chunks) has(member, edition, chunk)
        return
      case "lost":
        for (const chunk of report.chunks) if (chunk < table.count) scheduler.lost(member.id, chunk)
        return
      case "window":
        member.window = Math.min(report.bytes, mostWindowBytes)
        scheduler.window(member.id, member.window)
        return
      case "uplink":
        member.uplink = report.bytesPerSecond
        scheduler.uplink(member.id, report.bytesPerSecond)
        return
      case "failed":
        if (report.chunk >= table.count) return
        member.takes.delete(report.chunk)
        if (report.why === "corrupt") this.#blame(member, report.from, report.chunk)
        scheduler.failed(member.id, report.chunk, report.from)
        return
      case "path":
        this.#path(member, edition, report.member, report.state, report.over)
        return
      case "cast":
        member.isCast = report.state === "heard"
        if (this.#isCasting) this.#cast(edition)
        return
      case "casting":
        onlySender(member)
        this.#isCasting = report.state === "begun"
        this.#cast(edition)
    }
  }

  /** Another version, or the sender has gone: multicast is over. */
  endCasting(edition: Edition | undefined): void {
    if (!this.#isCasting) return
    this.#isCasting = false
    edition?.scheduler.casting([])
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
    let bytes = Math.ceil(table.count / 8)
    for (const other of this.#options.members.values()) {
      if (other.have !== undefined) bytes += Math.ceil(other.have.length / 8)
    }
    if (bytes > this.#options.mostBitmapBytes) {
      throw new RdvError("limit", `A share of ${table.count} chunks takes no more members at this relay`)
    }
    // The scheduler's from now on, which keeps it up to date.
    member.have = bitmap
    scheduler.join(member.id, { have: bitmap })
    if (member.lane !== undefined) scheduler.relayPath(member.id, "up")
    if (member.uplink !== undefined) scheduler.uplink(member.id, member.uplink)
    if (member.window > 0) scheduler.window(member.id, member.window)
    for (const other of member.paths.keys()) scheduler.path(member.id, other.id, "up")
    if (this.#isCasting && member.isCast) this.#cast(edition)
  }

  /** There is none before both ends say so: nobody is sent to somebody who has only been told of it. */
  #path(member: Member, edition: Edition, id: string, state: "up" | "down", over: string): void {
    const { claims } = member
    if (state === "down") claims.delete(id)
    else if (claims.size >= mostPaths && !claims.has(id)) return
    else claims.set(id, over)
    const other = this.#options.members.get(id)
    if (other === undefined || other === member || !other.isHere) return
    if (state === "up") {
      if (!other.claims.has(member.id)) return
      member.paths.set(other, over)
      other.paths.set(member, over)
    } else {
      member.paths.delete(other)
      other.paths.delete(member)
    }
    edition.scheduler.path(member.id, other.id, state)
  }

  #cast(edition: Edition): void {
    const hear: string[] = []
    for (const { isCast, isHere, have, id } of this.#options.members.values()) {
      if (isCast && isHere && have !== undefined) hear.push(id)
    }
    edition.scheduler.casting(this.#isCasting ? hear : [])
  }

  /** One member's word against another's: it is logged, and the scheduler keeps the two apart. */
  #blame(member: Member, from: string, chunk: number): void {
    if (++member.complaints > mostComplaints) return
    const other = this.#options.members.get(from)
    this.#options.log.warn("share.corrupt", { by: member.label, from: other?.label ?? from, chunk })
  }
}

/** Throws `protocol`. */
export function onlySender(member: Member): void {
  if (member.role !== "sender") throw new RdvError("protocol", "Only the sender of a share may say this")
}

function has(member: Member, edition: Edition, chunk: number): void {
  if (chunk >= edition.table.count || member.have === undefined) return
  const giver = member.takes.get(chunk)
  if (giver !== undefined) {
    member.takes.delete(chunk)
    giver.outBytes += edition.table.lengthOf(chunk)
  }
  edition.scheduler.have(member.id, chunk)
}

/** Twice what members of the product grant. */
const mostWindowBytes = 64 * 1024 * 1024
/** Of one member, in the log. */
const mostComplaints = 20
/** Direct paths of one member: those it was told of, both ways, and some that are being replaced. */
const mostPaths = 64
