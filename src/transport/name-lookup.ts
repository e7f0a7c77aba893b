/**
 * Looks names up for connections that are tried again and again while the network is away. A name is asked for once at a
 * time, however many attempts wait for it, because each question holds a thread until the system gives up. What was answered
 * before is good enough while the system is slow: a resolver that lost a packet asks again after seconds only.
 */

import * as dns from "node:dns"
import type { LookupFunction } from "node:net"
import { systemClock } from "../base/clock.ts"
import type { Clock } from "../base/clock.ts"

export interface NameLookupOptions {
  readonly clock?: Clock
  /** Asks the system. */
  readonly ask?: LookupFunction
}

type Callback = Parameters<LookupFunction>[2]
type Answer = [address: Parameters<Callback>[1], family?: number]

interface Name {
  /** Those who wait for the question that is under way; undefined while there is none. */
  waiting: Set<(error: NodeJS.ErrnoException | null, answer?: Answer) => void> | undefined
  answer: Answer | undefined
}

/** The option `lookup` of `net.connect`. It remembers the few names that its owner dials. */
export function nameLookup({ clock = systemClock, ask = dns.lookup }: NameLookupOptions = {}): LookupFunction {
  const names = new Map<string, Name>()
  return (host, options, callback) => {
    const key = JSON.stringify([host, options.all === true, options.family ?? 0])
    const name: Name = names.get(key) ?? { waiting: undefined, answer: undefined }
    names.set(key, name)
    const tell: Callback = (error, address, family) => {
      timer?.cancel()
      callback(error, address, family)
    }
    const hear = (error: NodeJS.ErrnoException | null, answer?: Answer) => {
      if (answer === undefined) tell(error, "")
      else tell(null, ...answer)
    }
    const timer =
      name.answer === undefined
        ? undefined
        : clock.after(slowMs, () => {
            if (name.waiting?.delete(hear) === true) hear(null, name.answer)
          })
    if (name.waiting !== undefined) {
      name.waiting.add(hear)
      return
    }
    name.waiting = new Set([hear])
    ask(host, options, (error, address, family) => {
      const waiting = name.waiting ?? []
      name.waiting = undefined
      if (error === null) name.answer = family === undefined ? [address] : [address, family]
      // The resolver itself is out of reach; any other error is an answer.
      const answer = error === null || error.code === "EAI_AGAIN" ? name.answer : undefined
      for (const each of waiting) each(error, answer)
    })
  }
}

/** Resolvers nearby answer within some milliseconds, those far away within a tenth of a second. */
const slowMs = 500
