/**
 * Time as a value that is passed in, so that tests own it. Timers of the system clock do not keep a Node process alive:
 * whatever must live holds a socket or a task in a scope.
 */

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Monotonic milliseconds; only differences mean something. */
  now(): number
  /** Milliseconds since 1970-01-01 UTC. */
  wall(): number
  /** Calls back once, `delayMs` from now. */
  after(delayMs: number, callback: () => void): Timer
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(delayMs, callback) {
    const timer: unknown = setTimeout(callback, delayMs)
    if (typeof timer === "object" && timer !== null && "unref" in timer) (timer as { unref(): void }).unref()
    return { cancel: () => clearTimeout(timer as never) }
  },
}

/** Settles after `delayMs`, or rejects with the signal's reason when that fires first. */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error)
      return
    }
    const onAbort = () => {
      timer.cancel()
      reject(signal?.reason as Error)
    }
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort)
      resolve()
    })
    signal?.addEventListener("abort", onAbort, { once: true })
  })
}
