/** What people see of a swarm. It tells nothing of the content: the relay does not know it. */

import type { MemberPicture, SwarmPicture } from "../protocol/control.ts"
import type { Bitmap } from "../content/bitmap.ts"
import type { Edition } from "./edition.ts"
import type { Member } from "./member.ts"

export interface PictureParts {
  readonly swarm: string
  readonly edition: Edition
  readonly members: Iterable<Member>
  readonly inBytes: number
  readonly outBytes: number
  /** Chunks that exist nowhere. */
  readonly nowhere: number
}

export function pictureOf({ swarm, edition, members, inBytes, outBytes, nowhere }: PictureParts): SwarmPicture {
  const { table, scheduler } = edition
  // The sender first, then who works, who came first among equals.
  const sorted = [...members].toSorted((a, b) => rank(a) - rank(b))
  const shown: MemberPicture[] = []
  let size = 0
  for (const member of sorted) {
    if (shown.length === mostShown || size > mostBytes) break
    const picture = pictureOfMember(member, edition, nowhere)
    // What people write takes up to three bytes a letter.
    size += Buffer.byteLength(JSON.stringify(picture))
    shown.push(picture)
  }
  return {
    swarm,
    version: edition.version,
    chunks: table.count,
    bytes: table.sealedBytes,
    copies: scheduler.stats().copies,
    cache: {
      chunks: edition.cachedChunks,
      bytes: edition.cachedBytes(),
      hits: Math.max(0, edition.pushes - edition.misses),
      misses: edition.misses,
    },
    relay: { inBytes, outBytes },
    members: shown,
    more: sorted.length - shown.length,
  }
}

/** A metadata block holds 64 KiB. */
const mostShown = 200
const mostBytes = 48_000

function rank(member: Member): number {
  if (member.role === "sender") return 0
  return member.isHere ? 1 : 2
}

function pictureOfMember(member: Member, edition: Edition, nowhere: number): MemberPicture {
  const { have, seen, via } = member
  const isDone = member.doneVersion === edition.version
  const waits = nowhere > 0 && have !== undefined && !have.isFull
  // Who has everything in its place needs nothing more, and may go.
  const hasGone = !member.isHere && isDone
  const state = hasGone
    ? "done"
    : !member.isHere
      ? "away"
      : member.failure !== undefined
        ? "failed"
        : isDone || (member.role === "sender" && have?.isFull === true)
          ? "done"
          : member.looks
            ? "looking"
            : waits || member.window === 0
              ? "waiting"
              : "working"
  const note = noteOf(member, waits && member.isHere && !member.looks ? nowhere : 0)
  return {
    label: member.label,
    role: member.role,
    state,
    have: hasGone ? edition.table.count : (have?.count ?? 0),
    line: hasGone ? "9".repeat(Math.min(mostParts, edition.table.count)) : have === undefined ? "" : lineOf(have),
    inBytesPerSecond: member.isHere ? seen.inRate : 0,
    outBytesPerSecond: member.isHere ? seen.outRate : 0,
    via,
    paths: member.paths.size,
    ...(note !== undefined && { note }),
  }
}

function noteOf(member: Member, nowhere: number): string | undefined {
  if (member.lies > 0)
    return `sent ${member.lies} ${member.lies === 1 ? "chunk" : "chunks"} that were not what they should be`
  if (member.failure !== undefined) return member.failure
  if (nowhere > 0) return `waits for ${nowhere} ${nowhere === 1 ? "chunk" : "chunks"} that nobody here has`
  if (member.isSlow && member.isHere) return "takes its chunks slowly"
  return undefined
}

/** Shares of 32 equal parts: 0 is nothing, 9 everything, between them 1 to 8. Of large parts some chunks speak for all. */
export function lineOf(have: Bitmap): string {
  const parts = Math.min(mostParts, have.length)
  if (have.isFull) return "9".repeat(parts)
  let line = ""
  for (let part = 0; part < parts; part++) {
    const from = Math.floor((part * have.length) / parts)
    const to = Math.floor(((part + 1) * have.length) / parts)
    const step = Math.max(1, Math.floor((to - from) / mostLooks))
    let there = 0
    let all = 0
    for (let chunk = from; chunk < to; chunk += step) {
      all++
      if (have.has(chunk)) there++
    }
    line +=
      there === 0 ? "0" : there === all && step === 1 ? "9" : String(1 + Math.min(7, Math.floor((there * 8) / all)))
  }
  return line
}

const mostParts = 32
const mostLooks = 64
