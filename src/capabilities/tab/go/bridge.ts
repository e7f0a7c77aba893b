/** The one place where a Go program and its host meet: see `operations.ts` for what crosses, and how. */

import { concat } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import { utf8Encode } from "../../../base/text.ts"
import { hostError } from "./host-error.ts"
import { operation } from "./operations.ts"
import type { Answer, Operation } from "./operations.ts"

export const windowBytes: number = 256 * 1024
/** Of one payload. */
const mostBytes = 256 * 1024 * 1024

/** What Go calls when it has begun; each of these resumes the program. */
export interface Callbacks {
  /** Request `id` is there. */
  readonly serve: (id: number) => void
  /** The call with this token is done. */
  readonly settle: (token: number, hasAnswer: boolean) => void
  /** Nobody wants flow `id` any more. */
  readonly cancel: (id: number) => void
}

export class Bridge {
  /** Go takes this object from a global and knows its properties. */
  readonly forGo: {
    readonly window: Uint8Array
    readonly call: (operation: number, id: number, token: number, length: number, extra: number) => number
    readonly begin: (serve: Callbacks["serve"], settle: Callbacks["settle"], cancel: Callbacks["cancel"]) => void
  }
  readonly #window = new Uint8Array(windowBytes)
  readonly #operations: ReadonlyMap<number, Operation>
  readonly #broken: (thrown: unknown) => void
  #callbacks: Callbacks | undefined
  #isOver = false
  #payload: Uint8Array[] = []
  #payloadBytes = 0
  #rest: Uint8Array | undefined
  readonly #results = new Map<number, Answer | RdvError>()

  /** `broken` hears what the program throws when it is resumed: it has come to its end. */
  constructor(operations: ReadonlyMap<number, Operation>, broken: (thrown: unknown) => void) {
    this.#operations = operations
    this.#broken = broken
    this.forGo = {
      window: this.#window,
      call: (...call) => this.#call(...call),
      begin: (serve, settle, cancel) => (this.#callbacks = { serve, settle, cancel }),
    }
  }

  serve(id: number): void {
    this.#resume(({ serve }) => serve(id))
  }

  cancel(id: number): void {
    this.#resume(({ cancel }) => cancel(id))
  }

  /** The program has ended: nothing is told to it any more. */
  close(): void {
    this.#isOver = true
    this.#results.clear()
    this.#payload = []
    this.#rest = undefined
  }

  #resume(work: (callbacks: Callbacks) => void): void {
    if (this.#isOver || this.#callbacks === undefined) return
    try {
      work(this.#callbacks)
    } catch (thrown) {
      this.#broken(thrown)
    }
  }

  #call(code: number, id: number, token: number, length: number, extra: number): number {
    try {
      if (code === operation.more) return this.#keep(length)
      if (code === operation.rest) return this.#give(this.#rest ?? new Uint8Array(0))
      if (code === operation.result) return this.#result(token)
      const run = this.#operations.get(code)
      const payload = this.#whole(length)
      if (run === undefined) {
        throw new RdvError("version", `The Go package and its host are of different versions (operation ${code})`)
      }
      const answer = run({ id, extra, payload })
      if (!(answer instanceof Promise)) return this.#give(answer)
      this.#later(token, answer)
      return -1
    } catch (thrown) {
      return this.#refuse(thrown)
    }
  }

  #keep(length: number): number {
    this.#payloadBytes += length
    if (this.#payloadBytes > mostBytes) {
      this.#payload = []
      this.#payloadBytes = 0
      throw new RdvError("too_large", "It is larger than what crosses from Go in one piece")
    }
    this.#payload.push(this.#window.slice(0, length))
    return 0
  }

  #whole(length: number): Uint8Array {
    const last = this.#window.subarray(0, length)
    if (this.#payload.length === 0) return last
    const parts = [...this.#payload, last]
    const bytes = this.#payloadBytes + length
    this.#payload = []
    this.#payloadBytes = 0
    return concat(parts, bytes)
  }

  /** The length of all that is left; as much as the window holds is in it. */
  #give(answer: Answer): number {
    this.#rest = undefined
    if (answer === undefined) return 0
    if (answer.length <= windowBytes) this.#window.set(answer)
    else {
      this.#window.set(answer.subarray(0, windowBytes))
      this.#rest = answer.subarray(windowBytes)
    }
    return answer.length
  }

  #result(token: number): number {
    const result = this.#results.get(token)
    this.#results.delete(token)
    if (result instanceof RdvError) throw result
    return this.#give(result)
  }

  #refuse(thrown: unknown): number {
    const { code, message, mend } = hostError(thrown)
    const text = utf8Encode(`${code}\0${message}${mend === undefined ? "" : `: ${mend}`}`).subarray(0, windowBytes)
    this.#window.set(text)
    return -2 - text.length
  }

  #later(token: number, answer: Promise<Answer>): void {
    const settled = (result: Answer | RdvError) => {
      if (this.#isOver) return
      if (result !== undefined) this.#results.set(token, result)
      this.#resume(({ settle }) => settle(token, result !== undefined))
    }
    answer.then(settled, (thrown: unknown) => settled(hostError(thrown)))
  }
}
