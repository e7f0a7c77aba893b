/**
 * Ending in good order: nothing new begins in a session, what runs finishes. A session whose link breaks meanwhile may come
 * back for the rest; one that has lost its link and owes nothing is not waited for, because its peer may be gone for good.
 */

import { delay } from "../base/clock.ts"
import type { Clock } from "../base/clock.ts"
import type { SessionState } from "../mux/session-options.ts"

/** A session, as far as its drain is concerned. */
export interface Draining {
  readonly state: SessionState
  readonly streamCount: number
  status(): { readonly unacknowledgedBytes: number }
  drain(): void
}

export interface DrainOptions {
  readonly clock: Clock
  /** What does not end by itself is waited for no longer, ms. */
  readonly graceMs: number
  /** Those that are there at the time. */
  readonly sessions: () => readonly Draining[]
  /** Something beside the sessions still runs. */
  readonly busy?: () => boolean
}

/** Tells all sessions to drain and resolves when they have; the caller closes them. */
export async function drainSessions({ clock, graceMs, sessions, busy }: DrainOptions): Promise<void> {
  /** Without a link and without streams since then. */
  const lonelySince = new Map<Draining, number>()
  for (const session of sessions()) {
    // Asked before our own DRAIN is owed as well.
    if (isLonely(session) && !owes(session)) lonelySince.set(session, -Infinity)
    session.drain()
  }
  const isDone = (session: Draining) => {
    if (!isLonely(session)) {
      lonelySince.delete(session)
      return session.streamCount <= 1 && !owes(session)
    }
    const since = lonelySince.get(session) ?? clock.now()
    lonelySince.set(session, since)
    return clock.now() - since >= returnMs
  }
  const until = clock.now() + graceMs
  // Not `every`: each look has to see each session.
  const unfinished = () => sessions().filter((session) => !isDone(session)).length
  while ((unfinished() > 0 || busy?.() === true) && clock.now() < until) {
    await delay(clock, lookMs)
  }
}

/** The control stream stays open to the end. */
function isLonely(session: Draining): boolean {
  return session.state === "suspended" && session.streamCount <= 1
}

/** A stream that has ended here may still have bytes on their way. */
function owes(session: Draining): boolean {
  return session.status().unacknowledgedBytes > 0
}

/** How often a drain looks, ms. */
const lookMs = 20
/** A peer that is alive dials again within a second, and is let in within another one, ms. */
const returnMs = 2_000
