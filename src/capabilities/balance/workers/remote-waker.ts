/**
 * A target that the main thread starts and stops, as a thread sees it: there is one start for the connections of all loops.
 * What is said here comes there in this order.
 */

import { RdvError } from "../../../base/error.ts"
import type { WakeWord } from "../engine/team.ts"
import type { Wakes, WakeState } from "../wake/waker.ts"
import type { Failure } from "./messages.ts"

export interface WakeLine {
  /** Asks for a start; the number comes back with the answer. */
  wake(app: string, target: string): number
  unwake(ask: number): void
  use(use: "busy" | "idle" | "refused", app: string, target: string): void
  /** Calls back once with the answer to this ask. */
  answered(ask: number, answer: (failure: Failure | undefined) => void): void
  forget(ask: number): void
}

/** Those of one thread. */
export class RemoteWakers {
  readonly #line: WakeLine
  /** By app and target; one that was removed and came back has two until its old connections are over. */
  readonly #wakers: Map<string, Set<RemoteWaker>> = new Map()

  constructor(line: WakeLine) {
    this.#line = line
  }

  /** Until its `stop`. */
  open(app: string, target: string): Wakes {
    const key = keyOf(app, target)
    const same = this.#wakers.get(key) ?? new Set()
    const waker = new RemoteWaker(this.#line, app, target, () => {
      same.delete(waker)
      if (same.size === 0 && this.#wakers.get(key) === same) this.#wakers.delete(key)
    })
    this.#wakers.set(key, same.add(waker))
    return waker
  }

  /** The main thread says how it is. */
  hear(app: string, target: string, word: WakeWord): void {
    for (const waker of this.#wakers.get(keyOf(app, target)) ?? []) waker.hear(word)
  }
}

class RemoteWaker implements Wakes {
  readonly #line: WakeLine
  readonly #app: string
  readonly #target: string
  readonly #onStop: () => void
  #state: WakeState = "asleep"
  #watched = false
  /** Connections that the main thread counts. */
  #users = 0

  constructor(line: WakeLine, app: string, target: string, onStop: () => void) {
    this.#line = line
    this.#app = app
    this.#target = target
    this.#onStop = onStop
  }

  get state(): WakeState {
    return this.#state
  }

  get watched(): boolean {
    return this.#watched
  }

  ready(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason as Error)
    return new Promise((resolve, reject) => {
      const ask = this.#line.wake(this.#app, this.#target)
      const leave = () => {
        this.#line.forget(ask)
        this.#line.unwake(ask)
        reject(signal.reason as Error)
      }
      signal.addEventListener("abort", leave, { once: true })
      this.#line.answered(ask, (failure) => {
        signal.removeEventListener("abort", leave)
        if (failure === undefined) resolve()
        else
          reject(new RdvError(failure.code, failure.message, failure.mend === undefined ? {} : { mend: failure.mend }))
      })
    })
  }

  busy(): void {
    this.#users++
    this.#line.use("busy", this.#app, this.#target)
  }

  idle(): void {
    this.#users--
    this.#line.use("idle", this.#app, this.#target)
  }

  refused(): void {
    if (this.#state !== "ready" || this.#watched) return
    this.#state = "asleep"
    this.#line.use("refused", this.#app, this.#target)
  }

  update(): void {
    // The main thread has the settings too.
  }

  /** Nobody tells it any more who leaves. */
  stop(): Promise<void> {
    while (this.#users > 0) this.idle()
    this.#onStop()
    return Promise.resolve()
  }

  hear({ state, watched }: WakeWord): void {
    this.#state = state
    this.#watched = watched
  }
}

function keyOf(app: string, target: string): string {
  return `${app}\n${target}`
}
