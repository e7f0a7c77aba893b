/** What a receiver waits for when nothing comes, in words that complete "waiting for …". */

import { counted } from "../../../base/counted.ts"
import { amount } from "../terminal/amounts.ts"
import type { MissingFiles, Nowhere } from "./missing-files.ts"

export type ReceiverPhase = "joining" | "manifest" | "opening" | "fetching" | "finishing" | "staying" | "over"

export interface WaitingFacts {
  readonly phase: ReceiverPhase
  /** The relay has welcomed us. */
  readonly isUp: boolean
  readonly downReason: string | undefined
  readonly nowhere: Nowhere | undefined
  /** The files of those, once it is known which there are. */
  readonly nowhereFiles: MissingFiles | undefined
  readonly backlogBytes: number
  /** Chunks. */
  readonly missing: number
  readonly hasRelayPath: boolean
  /** Since a true one came. */
  readonly corruptChunks: number
}

export function waitsFor(facts: WaitingFacts): string {
  const { phase, isUp, downReason, nowhere, nowhereFiles, backlogBytes, missing, hasRelayPath, corruptChunks } = facts
  if (phase === "opening") return "the target: what is in place already is looked at"
  if (phase === "finishing") return "the target: everything is put in its place"
  if (!isUp) return downReason === undefined ? "the relay" : `the relay, which is tried again: ${downReason}`
  if (phase === "joining") return "the sender: nothing is published yet"
  if (backlogBytes > 0) return `the disk: ${Math.ceil(backlogBytes / 1024)} KiB are to be written`
  if (nowhereFiles !== undefined && nowhereFiles.files.length > 0) {
    return `the sender, or whoever has it: parts of ${named(nowhereFiles)} are with nobody who is here`
  }
  if (nowhere !== undefined) return `the sender, or whoever has ${listed(nowhere)}: nobody who is here does`
  const lacking = `${missing} ${missing === 1 ? "chunk" : "chunks"}`
  // First: whoever gives such loses its path, so that there is none most of the time.
  if (corruptChunks > 0) return `a true copy of ${lacking}: ${corruptChunks} came that were false`
  if (!hasRelayPath) return `a path to the relay for ${lacking}`
  return `${lacking} from others`
}

/** `big.iso (12.0 MiB)`, `a (1.0 MiB), b (5 B), c (7 B) and 12 more files`. */
function named({ files, moreFiles }: MissingFiles): string {
  const parts = files.map(({ path, bytes }) => `${path} (${amount(bytes)})`)
  if (moreFiles > 0) parts.push(counted(moreFiles, "more file"))
  const last = parts.pop() as string
  return parts.length === 0 ? last : `${parts.join(", ")} and ${last}`
}

/** `chunk 17`, `chunks 17-20 and 25`, `chunks 1, 3, 5 and 12 more`. */
function listed({ ranges, more }: Nowhere): string {
  const shown = ranges.slice(0, mostShown)
  const hidden = ranges.slice(mostShown).reduce((sum, [first, last]) => sum + last - first + 1, more)
  const parts = shown.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`))
  if (hidden > 0) parts.push(`${hidden} more`)
  const last = parts.pop() ?? ""
  const isOne = parts.length === 0 && ranges[0] !== undefined && ranges[0][0] === ranges[0][1]
  return `${isOne ? "chunk" : "chunks"} ${parts.length === 0 ? last : `${parts.join(", ")} and ${last}`}`
}

const mostShown = 6
