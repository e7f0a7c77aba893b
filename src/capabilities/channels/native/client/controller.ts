/** The client's side of a stream that asks and orders: requests by number, answers as they come. */

import { codeFromNumber, RdvError } from "../../../../base/error.ts"
import { isJsonObject } from "../../../../base/json.ts"
import type { Json, JsonObject } from "../../../../base/json.ts"
import type { Stream } from "../../../../base/stream.ts"
import { isLost, Lane } from "./connection.ts"
import type { Connection, LaneOwner } from "./connection.ts"

interface Request {
  readonly block: { readonly [key: string]: Json | undefined }
  readonly parts: JsonObject[]
  readonly done: (answer: JsonObject, parts: readonly JsonObject[]) => void
  readonly failed: (error: RdvError) => void
  /** A snapshot is complete; only for watches. */
  readonly tick: ((parts: readonly JsonObject[]) => void) | undefined
}

/** What the answer to a request is made of. */
export interface Answer {
  readonly done: JsonObject
  readonly parts: readonly JsonObject[]
}

export class Controller implements LaneOwner {
  readonly #lane: Lane
  readonly #requests: Map<number, Request> = new Map()
  #nextId = 1
  #stream: Stream | undefined
  #closing: PromiseWithResolvers<void> | undefined

  constructor(connection: Connection) {
    this.#lane = new Lane(connection, { do: "control" }, this)
  }

  /** Asks once. Rejects with what the server says, and with `link_lost` when nobody can know whether it was done. */
  ask(block: { readonly [key: string]: Json | undefined }): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#add({
        block,
        parts: [],
        done: (done, parts) => resolve({ done, parts }),
        failed: reject,
        tick: undefined,
      })
    })
  }

  /** Hears each snapshot until the returned function is called. */
  watch(hear: (entries: readonly JsonObject[]) => void, failed: (error: RdvError) => void): () => void {
    const id = this.#add({ block: { do: "watch" }, parts: [], done: () => undefined, failed, tick: hear })
    return () => {
      if (!this.#requests.delete(id)) return
      this.#stream?.meta({ id, do: "unwatch" })
    }
  }

  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = Promise.withResolvers<void>()
      this.#lane.stop()
      if (this.#stream === undefined) this.#closing.resolve()
      else this.#stream.end()
      this.#failAll(new RdvError("closed", "The connection to the channels is closed"))
    }
    return this.#closing.promise
  }

  opened(stream: Stream): void {
    this.#stream = stream
    for (const [id, { block }] of this.#requests) stream.meta({ id, ...block })
  }

  refused(error: RdvError): void {
    this.#failAll(error)
  }

  data(chunk: Uint8Array): void {
    this.#stream?.consumed(chunk.length)
  }

  meta(block: JsonObject): void {
    const { id, done, part, code, reason, mend } = block
    const request = typeof id === "number" ? this.#requests.get(id) : undefined
    if (request === undefined) return
    if (Array.isArray(part)) {
      for (const entry of part as readonly Json[]) if (isJsonObject(entry)) request.parts.push(entry)
    } else if (block["tick"] !== undefined) {
      request.tick?.(request.parts.splice(0))
    } else {
      this.#requests.delete(id as number)
      if (isJsonObject(done)) request.done(done, request.parts)
      else {
        const options = { origin: "remote" as const, ...(typeof mend === "string" && { mend }) }
        const name = codeFromNumber(typeof code === "number" ? code : 0)
        request.failed(new RdvError(name, typeof reason === "string" ? reason : undefined, options))
      }
    }
  }

  end(): void {
    this.#stream?.end()
  }

  drain(): void {}

  closed(error: RdvError | undefined): void {
    this.#stream = undefined
    this.#closing?.resolve()
    if (this.#requests.size === 0) return
    const why = error ?? new RdvError("closed", "The server has ended the stream")
    if (!isLost(why)) {
      this.#failAll(why)
      return
    }
    // What changes nothing is asked again; of the rest nobody knows.
    for (const [id, request] of this.#requests) {
      request.parts.length = 0
      if (harmless.has(request.block["do"] as string)) continue
      this.#requests.delete(id)
      request.failed(new RdvError("link_lost", "The session was lost before the answer came", { cause: why }))
    }
    if (this.#requests.size > 0) this.#lane.wantAgain()
  }

  #add(request: Request): number {
    const id = this.#nextId++
    if (this.#closing !== undefined) {
      request.failed(new RdvError("closed", "The connection to the channels is closed"))
      return id
    }
    this.#requests.set(id, request)
    if (this.#stream === undefined) this.#lane.want()
    else this.#stream.meta({ id, ...request.block })
    return id
  }

  #failAll(error: RdvError): void {
    const requests = [...this.#requests.values()]
    this.#requests.clear()
    for (const { failed } of requests) failed(error)
  }
}

const harmless: ReadonlySet<string> = new Set(["list", "stat", "watch"])
