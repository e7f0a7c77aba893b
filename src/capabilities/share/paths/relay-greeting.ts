/**
 * The beginning of a member's own connection to the relay, for chunks alone: `0xB0` and the ticket that the relay gave it
 * on its `share` stream; the relay answers with one byte. Both ends are here.
 */

import { systemClock } from "../../../base/clock.ts"
import type { Clock } from "../../../base/clock.ts"
import { concat, fromBase64url } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import type { Pipe } from "../../../base/pipe.ts"
import { PipeTalk } from "./pipe-talk.ts"

/** The first byte: no frame of a session, no TLS and no letter of HTTP begins with it. */
export const relayGreetingByte = 0xb0
export const ticketBytes = 16

const welcome = 1
const refused = 0

export interface GreetingOptions {
  readonly clock?: Clock
  /** Default 10,000. */
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
}

const defaultDeadlineMs = 10_000

/**
 * A member shows its ticket (as `welcome` has it). Rejects `unauthorized` (no such ticket, or used), `protocol` (something
 * else is there), `timeout`, `link_lost`; then the pipe is over.
 */
export async function greetRelay(pipe: Pipe, ticket: string, options: GreetingOptions = {}): Promise<Pipe> {
  const bytes = fromBase64url(ticket)
  if (bytes?.length !== ticketBytes) {
    const error = new RdvError("protocol", "The relay gave a ticket that is none", { origin: "remote" })
    pipe.abort(error)
    throw error
  }
  const talk = new PipeTalk(pipe, { clock: systemClock, deadlineMs: defaultDeadlineMs, ...options })
  talk.say(concat([Uint8Array.of(relayGreetingByte), bytes]))
  const [answer] = await talk.read(1)
  if (answer === welcome) return talk.handOver()
  const error =
    answer === refused
      ? new RdvError("unauthorized", "The relay does not know the ticket of this connection", { origin: "remote" })
      : new RdvError("protocol", `${pipe.peer} is no relay that takes connections for chunks`, { origin: "remote" })
  talk.fail(error)
  throw error
}

export interface Greeted<T> {
  /** What the ticket is for. */
  readonly owner: T
  readonly pipe: Pipe
}

/**
 * The relay's end. `head` is what was read already, the first byte included. `redeem` finds whose the ticket is, or
 * undefined. Rejects `unauthorized`, `protocol`, `timeout`, `link_lost`; then the pipe is over.
 */
export async function readGreeting<T>(
  pipe: Pipe,
  head: Uint8Array,
  redeem: (ticket: Uint8Array) => T | undefined,
  options: GreetingOptions = {},
): Promise<Greeted<T>> {
  const talk = new PipeTalk(pipe, { clock: systemClock, deadlineMs: defaultDeadlineMs, ...options, head })
  const greeting = await talk.read(1 + ticketBytes)
  const isOurs = greeting[0] === relayGreetingByte
  const owner = isOurs ? redeem(greeting.subarray(1)) : undefined
  if (owner === undefined) {
    talk.say(Uint8Array.of(refused))
    // In good order: what was said arrives.
    talk.handOver().close()
    throw new RdvError(isOurs ? "unauthorized" : "protocol", `${pipe.peer} showed no ticket that is known`, {
      origin: "remote",
    })
  }
  talk.say(Uint8Array.of(welcome))
  return { owner, pipe: talk.handOver() }
}
