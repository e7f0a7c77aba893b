/**
 * Which of those who are through are still needed: as long as somebody lacks a chunk that fewer than two others have. Whoever
 * was told that it may go counts as gone, so that the last holders do not all leave because of each other.
 */

import type { Edition } from "./edition.ts"
import type { Member } from "./member.ts"

/** Tells members what has changed for them. */
export function tellNeeds(members: Iterable<Member>, edition: Edition): void {
  const here = [...members].filter(({ isHere, have, looks }) => isHere && have !== undefined && !looks)
  const through = here.filter(({ role, doneVersion }) => role === "receiver" && doneVersion === edition.version)
  if (through.length === 0) return
  const copies = fewestCopies(here, edition)
  let released = through.filter(({ needed }) => needed === false).length
  for (const member of through) {
    const wasReleased = member.needed === false
    // Without this one and those who were let go.
    const left = copies - released - (wasReleased ? 0 : 1)
    const needed = left < leastCopies
    if (needed === member.needed) continue
    released += needed ? (wasReleased ? -1 : 0) : 1
    member.needed = needed
    member.outbox?.say({ do: "needed", needed })
  }
}

/** Of the rarest chunk that somebody lacks; infinity when nobody lacks anything. */
function fewestCopies(here: readonly Member[], { table, scheduler }: Edition): number {
  if (here.every(({ have }) => have?.isFull === true)) return Infinity
  let fewest = Infinity
  for (let chunk = 0; chunk < table.count; chunk++) {
    const copies = scheduler.copiesOf(chunk)
    if (copies < here.length) fewest = Math.min(fewest, copies)
  }
  return fewest
}

const leastCopies = 2
