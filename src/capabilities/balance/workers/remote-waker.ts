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

export class RemoteWaker implements Wakes {
  readonly #line: WakeLine
  readonly #app: string
  readonly #target: string
  #state: WakeState = "asleep"
  #watched = false

  constructor(line: WakeLine, app: string, target: string) {
    this.#line = line
    this.#app = app
    this.#target = target
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
    this.#line.use("busy", this.#app, this.#target)
  }

  idle(): void {
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

  stop(): Promise<void> {
    return Promise.resolve()
  }

  /** The main thread says how it is. */
  hear({ state, watched }: WakeWord): void {
    this.#state = state
    this.#watched = watched
  }
}
