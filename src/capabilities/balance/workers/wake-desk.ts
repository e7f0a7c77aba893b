/**
 * What one thread wants of targets that the main thread starts: each of its connections waits here, and each that is joined
 * counts here, so that all of it can be taken back when the thread dies.
 */

import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Wakes } from "../wake/waker.ts"
import type { Failure, FromLoop } from "./messages.ts"

type WakeMessage = Extract<FromLoop, { readonly kind: "wake" }>
type UseMessage = Extract<FromLoop, { readonly kind: "use" }>

interface Usage {
  readonly waker: Wakes
  users: number
}

export class WakeDesk {
  readonly #find: (app: string, target: string) => Wakes | undefined
  /** By app and target; also those that the file no longer has, as long as they are used. */
  readonly #usages: Map<string, Usage> = new Map()
  readonly #waiting: Map<number, AbortController> = new Map()

  constructor(find: (app: string, target: string) => Wakes | undefined) {
    this.#find = find
  }

  /** `answer` is called once, unless `unwake` or `clear` comes first. */
  wake({ ask, app, target }: WakeMessage, answer: (failure: Failure | undefined) => void): void {
    const usage = this.#usageOf(app, target)
    if (usage === undefined) {
      answer(failureOf(new RdvError("closed", `${target} is not started any more`)))
      return
    }
    const leaving = new AbortController()
    this.#waiting.set(ask, leaving)
    usage.waker.ready(leaving.signal).then(
      () => this.#settle(ask, () => answer(undefined)),
      (error: unknown) => this.#settle(ask, () => answer(failureOf(error))),
    )
  }

  unwake(ask: number): void {
    const leaving = this.#waiting.get(ask)
    this.#waiting.delete(ask)
    leaving?.abort(new RdvError("cancelled"))
  }

  use({ use, app, target }: UseMessage): void {
    const usage = this.#usageOf(app, target)
    if (usage === undefined) return
    // It came when the target was not here.
    if (use === "idle" && usage.users === 0) return
    usage.waker[use]()
    if (use === "busy") usage.users++
    else if (use === "idle" && --usage.users === 0) this.#usages.delete(keyOf(app, target))
  }

  /** The thread is gone. */
  clear(): void {
    for (const ask of this.#waiting.keys()) this.unwake(ask)
    for (const { waker, users } of this.#usages.values()) for (let each = 0; each < users; each++) waker.idle()
    this.#usages.clear()
  }

  #usageOf(app: string, target: string): Usage | undefined {
    const key = keyOf(app, target)
    const known = this.#usages.get(key)
    if (known !== undefined && known.users > 0) return known
    const waker = this.#find(app, target)
    if (waker === undefined) return undefined
    const usage = { waker, users: 0 }
    this.#usages.set(key, usage)
    return usage
  }

  #settle(ask: number, tell: () => void): void {
    if (this.#waiting.delete(ask)) tell()
  }
}

function keyOf(app: string, target: string): string {
  return `${app}\n${target}`
}

function failureOf(thrown: unknown): Failure {
  const { code, message, mend } = asRdvError(thrown)
  return { code, message, mend }
}
