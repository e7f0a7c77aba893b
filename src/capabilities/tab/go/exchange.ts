/** One request at a Go program: Go reads its head and body, and says what the answer is. */

import { RdvError } from "../../../base/error.ts"
import { latin1Decode, latin1Encode } from "../../../base/text.ts"
import type { TabEnv } from "../app/env.ts"
import { visitorOf } from "../app/visitor.ts"
import type { Flow } from "./flow.ts"
import { fieldsOf, linesOf } from "./head-lines.ts"
import { Inlet } from "./inlet.ts"
import { Outlet } from "./outlet.ts"

export interface ExchangeOptions {
  readonly request: Request
  readonly env: TabEnv
  /** The visitor has gone. */
  readonly cancelled: () => void
}

export class Exchange implements Flow {
  readonly env: TabEnv
  readonly inlet: Inlet
  outlet: Outlet | undefined
  readonly #request: Request
  readonly #cancelled: () => void
  readonly #answer: PromiseWithResolvers<Response> = Promise.withResolvers()
  #isAnswered = false
  readonly #leave = () => this.#abort()

  constructor({ request, env, cancelled }: ExchangeOptions) {
    this.env = env
    this.#request = request
    this.#cancelled = cancelled
    this.inlet = new Inlet(request.body)
    // A request that was gone before it came here hears of it once Go has it.
    if (request.signal.aborted) queueMicrotask(this.#leave)
    else request.signal.addEventListener("abort", this.#leave, { once: true })
  }

  /** Rejects with what the program fails with before it has answered. */
  get answer(): Promise<Response> {
    return this.#answer.promise
  }

  get isAnswered(): boolean {
    return this.#isAnswered
  }

  /** See `operations.ts`. */
  head(): Uint8Array {
    const { method, url, headers, body } = this.#request
    const { host, pathname, search } = new URL(url)
    const visitor = visitorOf(this.#request)
    const [address, key] =
      visitor.kind === "peer"
        ? [visitor.peer.name, visitor.peer.key]
        : [visitor.kind === "public" ? visitor.address : "", ""]
    const first = [method, pathname + search, headers.get("host") ?? host, visitor.kind, address, key]
    return latin1Encode(`${first.join("\n")}\n${body === null ? 0 : 1}${linesOf(headers)}`)
  }

  /** The answer's head and its first bytes, or all of them. Throws `closed` when nobody waits for it. */
  respond(payload: Uint8Array, isWhole: boolean): undefined {
    if (this.#isAnswered) throw new RdvError("closed", "Nobody waits for this answer any more")
    const start = 4 + new DataView(payload.buffer, payload.byteOffset).getUint32(0, true)
    const lines = latin1Decode(payload, 4, start).split("\n")
    const status = Number(lines[0])
    const headers = fieldsOf(lines, 1)
    const bytes = payload.subarray(start)
    this.#isAnswered = true
    if (isWhole) {
      const isBare = status === 204 || status === 205 || status === 304
      this.#resolve(() => new Response(isBare ? null : bytes.slice(), { status, headers }))
      return
    }
    const outlet = new Outlet(this.#cancelled)
    this.outlet = outlet
    this.#resolve(() => new Response(outlet.stream, { status, headers }))
    // The next one waits for room.
    void outlet.write(bytes)
  }

  fail(error: RdvError): void {
    if (this.#isAnswered) this.outlet?.fail(error)
    else this.#reject(error)
  }

  /** Go has done with it. */
  close(): void {
    this.#request.signal.removeEventListener("abort", this.#leave)
    this.inlet.cancel()
    this.outlet?.fail(new RdvError("connection_reset", "The Go program gave its answer up"))
    if (!this.#isAnswered) this.#reject(new RdvError("bad_response", "The Go program did not answer"))
  }

  #resolve(make: () => Response): void {
    try {
      this.#answer.resolve(make())
    } catch (cause) {
      // A status that is none.
      this.#answer.reject(new RdvError("bad_response", `The Go program's answer is none: ${String(cause)}`, { cause }))
    }
  }

  #reject(error: RdvError): void {
    this.#isAnswered = true
    this.#answer.reject(error)
  }

  #abort(): void {
    const error = new RdvError("cancelled", "The visitor left")
    this.inlet.cancel()
    this.fail(error)
    this.#cancelled()
  }
}
