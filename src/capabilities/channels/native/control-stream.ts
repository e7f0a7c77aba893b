/**
 * The server's side of a stream that asks and orders: what is there, make, remove, set, close, watch. Each request is a
 * META block with an `id`; its answers are META blocks with the same `id`, the last one with `done` or `code`.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import { asRdvError, codeNumber, RdvError } from "../../../base/error.ts"
import { Fifo } from "../../../base/fifo.ts"
import { isJsonObject } from "../../../base/json.ts"
import type { Json, JsonObject } from "../../../base/json.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"
import { Channel } from "../core/channel.ts"
import { Folder } from "../core/space.ts"
import { readPath } from "./protocol.ts"
import type { View } from "./view.ts"

export class ControlStream implements StreamSink {
  readonly #stream: Stream
  readonly #view: View
  readonly #clock: Clock
  /** Came while the client did not read its answers. */
  readonly #waiting: Fifo<JsonObject> = new Fifo()
  readonly #watches: Map<number, Timer> = new Map()
  #full = false
  #isEnding = false

  constructor(stream: Stream, view: View, clock: Clock) {
    this.#stream = stream
    this.#view = view
    this.#clock = clock
  }

  data(chunk: Uint8Array): void {
    this.#stream.consumed(chunk.length)
    this.#stream.reset("protocol", "Bytes on a control stream")
  }

  meta(block: JsonObject): void {
    if (!this.#full) {
      this.#serve(block)
      return
    }
    if (this.#waiting.length < maxWaiting) this.#waiting.push(block)
    else this.#stream.reset("limit", `More than ${maxWaiting} requests wait because no answer is read`)
  }

  end(): void {
    this.#isEnding = true
    this.#stopWatches()
    if (this.#waiting.length === 0) this.#stream.end()
  }

  drain(): void {
    this.#full = false
    while (!this.#full && this.#waiting.length > 0) this.#serve(this.#waiting.shift() as JsonObject)
    if (this.#isEnding && this.#waiting.length === 0) this.#stream.end()
  }

  closed(): void {
    this.#stopWatches()
    this.#waiting.clear()
  }

  #serve(request: JsonObject): void {
    const { id } = request
    if (typeof id !== "number" || !Number.isSafeInteger(id) || id < 0) {
      this.#stream.reset("protocol", '"id" of a request is missing or no number')
      return
    }
    try {
      const done = this.#do(id, request)
      if (done !== undefined) this.#say({ id, done })
    } catch (thrown) {
      const error = asRdvError(thrown)
      this.#say({
        id,
        code: codeNumber(error.code),
        reason: error.code === "internal" ? "It failed" : error.message,
        ...(error.mend !== undefined && { mend: error.mend }),
      })
    }
  }

  /** What is done; undefined: further answers follow. */
  #do(id: number, request: JsonObject): JsonObject | undefined {
    const view = this.#view
    switch (request["do"]) {
      case "list":
        this.#tell(id, [...this.#listed(readPath(request["path"]), request["deep"] === true)])
        return {}
      case "stat":
        return this.#describe(view.find(readPath(request["path"])))
      case "create":
        return this.#describe(view.create(readPath(request["path"]), settingsOf(request), request["folders"] === true))
      case "folder":
        view.makeFolder(readPath(request["path"]), request["folders"] === true)
        return {}
      case "remove":
        view.remove(readPath(request["path"]))
        return {}
      case "set": {
        const channel = view.own(readPath(request["path"]))
        channel.configure(view.settings(settingsOf(request)))
        return this.#describe(channel)
      }
      case "close":
        view.own(readPath(request["path"])).close()
        return {}
      case "watch":
        if (this.#watches.size >= maxWatches) throw new RdvError("limit", `No more than ${maxWatches} watches at once`)
        if (this.#watches.has(id)) throw new RdvError("protocol", `The id ${id} is in use`)
        this.#watch(id)
        return undefined
      case "unwatch":
        this.#watches.get(id)?.cancel()
        this.#watches.delete(id)
        return {}
      default:
        throw new RdvError("protocol", '"do" of a request is missing or unknown')
    }
  }

  /** Every channel, now and then each second, while the client reads. */
  #watch(id: number): void {
    const look = () => {
      this.#watches.set(id, this.#clock.after(watchMs, look))
      if (this.#full) return
      try {
        this.#tell(
          id,
          [...this.#view.channels()].map((channel) => this.#describe(channel)),
        )
        this.#say({ id, tick: this.#clock.wall() })
      } catch (thrown) {
        // The client takes shorter frames than an entry needs.
        const error = asRdvError(thrown)
        this.#stream.reset(error.code, error.message)
      }
    }
    look()
  }

  #stopWatches(): void {
    for (const timer of this.#watches.values()) timer.cancel()
    this.#watches.clear()
  }

  *#listed(path: string, deep: boolean): Generator<JsonObject> {
    const found = this.#view.find(path)
    if (found instanceof Channel) {
      yield this.#describe(found)
      return
    }
    const ahead: (Folder | Channel)[] = [...found.children.values()].toReversed()
    for (let node = ahead.pop(); node !== undefined; node = ahead.pop()) {
      if (!this.#view.sees(node)) continue
      yield this.#describe(node)
      if (deep && node instanceof Folder) ahead.push(...[...node.children.values()].toReversed())
    }
  }

  #describe(node: Channel | Folder): JsonObject {
    const { owner, permissions } = node.facts
    const path = this.#view.shown(node.path)
    if (node instanceof Folder) return { path, kind: "folder", owner, permissions, entries: node.children.size }
    const { received, delivered, meanReceived, meanDelivered } = node.rates
    return {
      path,
      kind: "channel",
      owner,
      permissions,
      closed: node.closed,
      changedAt: node.changedAt,
      settings: { ...node.settings },
      counts: { ...node.stats() },
      rates: { received, delivered, meanReceived, meanDelivered },
    }
  }

  /** Entries in blocks that fit into a frame. */
  #tell(id: number, entries: readonly JsonObject[]): void {
    for (let at = 0; at < entries.length; at += entriesOfPart) {
      this.#say({ id, part: entries.slice(at, at + entriesOfPart) })
    }
  }

  #say(block: { readonly [key: string]: Json | undefined }): void {
    if (!this.#stream.meta(block)) this.#full = true
  }
}

function settingsOf(request: JsonObject): JsonObject {
  const { settings = {} } = request
  if (!isJsonObject(settings)) throw new RdvError("protocol", '"settings" of a request is no object')
  return settings
}

/** Between two snapshots of a watch, ms. */
const watchMs = 1_000
const maxWatches = 16
const maxWaiting = 64
/** A frame carries 64 KiB. An entry has about 1 KiB, and two paths of up to 4096 characters of up to three bytes each. */
const entriesOfPart = 2
