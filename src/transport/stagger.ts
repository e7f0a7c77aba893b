/**
 * Attempts that overtake each other. While nothing answers, a kernel asks again after 1, 3 and 7 seconds, so a network that
 * is back may go unnoticed for four: a fresh attempt each second finds it within one. The way of RFC 8305 section 5, with
 * one address: the first that has an outcome decides, the others are cut.
 */

import type { Clock, Timer } from "../base/clock.ts"
import { RdvError } from "../base/error.ts"

export interface StaggerOptions {
  readonly clock: Clock
  /** Cuts all attempts; the promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined
  /** Another attempt begins so long after the one before, ms. */
  readonly everyMs: number
  /** Attempts at once, at least two. */
  readonly most: number
}

/**
 * Resolves or rejects as the first attempt does that has an outcome. The very first one is given all the time that it takes,
 * because a slow network may answer none that is cut after a while; of the others the oldest makes room for a new one.
 * That one of the others is `unreachable` is no outcome: a crowded relay turns it away and still serves the first.
 * `drop` gets rid of what an attempt yields after it was cut.
 */
export function stagger<T>(
  attempt: (signal: AbortSignal) => Promise<T>,
  drop: (late: T) => void,
  options: StaggerOptions,
): Promise<T> {
  const { clock, signal, everyMs, most } = options
  return new Promise<T>((resolve, reject) => {
    const running: AbortController[] = []
    let timer: Timer | undefined
    let turnedAway: RdvError | undefined
    const settle = () => {
      timer?.cancel()
      signal?.removeEventListener("abort", onAbort)
      for (const each of running.splice(0)) each.abort(overtaken())
    }
    const onAbort = () => {
      settle()
      reject(signal?.reason as Error)
    }
    const begin = () => {
      if (running.length === most) running.splice(1, 1)[0]?.abort(overtaken())
      const own = new AbortController()
      running.push(own)
      timer = clock.after(everyMs, begin)
      const isOut = () => !running.includes(own)
      attempt(own.signal).then(
        (made) => {
          if (isOut()) {
            drop(made)
            return
          }
          running.splice(running.indexOf(own), 1)
          settle()
          resolve(made)
        },
        (error: unknown) => {
          if (isOut()) return
          const { code } = error as { code?: unknown }
          if (code === "unreachable" && own !== running[0]) {
            running.splice(running.indexOf(own), 1)
            turnedAway = error as RdvError
            return
          }
          settle()
          reject(code === "timeout" ? (turnedAway ?? error) : error)
        },
      )
    }
    signal?.addEventListener("abort", onAbort, { once: true })
    if (signal?.aborted) onAbort()
    else begin()
  })
}

function overtaken(): RdvError {
  return new RdvError("cancelled", "Another attempt was quicker")
}
