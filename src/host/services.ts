/** What a host offers: names to handlers. The relay and the agent both hand their incoming streams to one of these. */

import { asRdvError, RdvError } from "../base/error.ts"
import type { Log } from "../base/log.ts"
import type { Stream } from "../base/stream.ts"
import type { Caller, CallHandler, ServiceName } from "./host.ts"

export class Services {
  readonly #handlers: Map<ServiceName, CallHandler> = new Map()
  readonly #log: Log

  constructor(log: Log) {
    this.#log = log
  }

  /** Throws `usage` when the name is taken. */
  add(service: ServiceName, handle: CallHandler): void {
    if (this.#handlers.has(service)) throw new RdvError("usage", `The service "${service}" is offered twice`)
    this.#handlers.set(service, handle)
  }

  /** Hands a stream to its service, or resets it. */
  serve(stream: Stream, caller: Caller): void {
    const handle = this.#handlers.get(stream.service)
    if (handle === undefined) {
      stream.reset("no_service", `"${stream.service}" is not offered here`)
      return
    }
    try {
      handle({ stream, header: stream.header, caller })
    } catch (thrown) {
      const error = asRdvError(thrown)
      this.#log.warn("service.failed", { service: stream.service, code: error.code, reason: error.message })
      stream.reset(error.code, error.code === "internal" ? "" : error.message)
    }
  }
}
