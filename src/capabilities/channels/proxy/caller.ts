/** Requests of the proxy's own, while it makes a conversation again: one promise each, because they are few. */

import { NOTAG } from "../../../ninep/message.ts"
import { decode, encode } from "../../../ninep/codec.ts"
import type { Answer, Dialect, Request } from "../../../ninep/message.ts"
import { tagAt } from "./request.ts"

type Unsent = Request extends infer Each ? (Each extends Request ? Omit<Each, "tag"> : never) : never

/** Errors of the server are answers. Rejects when the link is lost. */
export type Call = (request: Unsent) => Promise<Answer>

export class Caller {
  readonly #send: (bytes: Uint8Array) => void
  readonly #waiting: Map<number, PromiseWithResolvers<Answer>> = new Map()
  readonly #dialect: Dialect
  #nextTag = 0
  #failed: Error | undefined

  constructor(dialect: Dialect, send: (bytes: Uint8Array) => void) {
    this.#dialect = dialect
    this.#send = send
  }

  readonly call: Call = (request) => {
    if (this.#failed !== undefined) return Promise.reject(this.#failed)
    const tag = request.type === "Tversion" ? NOTAG : this.#nextTag++
    this.#nextTag %= NOTAG
    const bytes = encode({ ...request, tag } as Request, this.#dialect)
    const waiting = Promise.withResolvers<Answer>()
    this.#waiting.set(tag, waiting)
    this.#send(bytes)
    return waiting.promise
  }

  /** An answer has come. Throws `NinepProtocolError`. */
  take(bytes: Uint8Array): void {
    const tag = tagAt(bytes, 0)
    const waiting = this.#waiting.get(tag)
    if (waiting === undefined) return
    this.#waiting.delete(tag)
    // What it holds may be a view into memory that is used again.
    waiting.resolve(decode(bytes.slice(), this.#dialect, "R"))
  }

  fail(error: Error): void {
    this.#failed ??= error
    for (const waiting of this.#waiting.values()) waiting.reject(this.#failed)
    this.#waiting.clear()
  }
}
