/**
 * The way of chunks to the relay: a connection of its own where there is one, a stream of the session else. It is made
 * again whenever it is lost, and what had to take the stream comes back to a connection by itself. Nothing is lost with a
 * path: the relay assigns again what was under way.
 */

import { Backoff } from "../../../base/backoff.ts"
import { delay } from "../../../base/clock.ts"
import type { Clock } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import type { ChunkPath, ChunkPathSink } from "../paths/chunk-path.ts"
import { greetRelay } from "../paths/relay-greeting.ts"
import { streamPath } from "../paths/stream-path.ts"
import { streamPipe } from "../paths/stream-pipe.ts"
import { piecesService } from "../protocol/control.ts"
import type { RelayAccess } from "./relay-access.ts"

export interface RelayPathOptions {
  readonly access: RelayAccess
  readonly clock: Clock
  readonly log: Log
  readonly random?: () => number
  /** Who receives on a new path; `up` follows. */
  readonly sink: (path: ChunkPath) => Omit<ChunkPathSink, "closed">
  readonly up: (path: ChunkPath) => void
  readonly down: (path: ChunkPath, error: RdvError | undefined) => void
}

export class RelayPath {
  readonly #options: RelayPathOptions
  /** Ends when the ticket does. */
  #era: AbortController | undefined
  #ticket: string | undefined
  #current: ChunkPath | undefined
  /** With a promise that settles at its end. */
  readonly #paths = new Map<ChunkPath, Promise<void>>()
  readonly #tasks = new Set<Promise<void>>()

  constructor(options: RelayPathOptions) {
    this.#options = options
  }

  /** The one that is used for what begins now. */
  get current(): ChunkPath | undefined {
    return this.#current
  }

  /** Keeps a path with this ticket until `close` or another one. `connections`: the relay takes them where it was dialled. */
  open(ticket: string, connections: boolean): void {
    if (this.#era !== undefined && this.#ticket === ticket) return
    this.close()
    this.#ticket = ticket
    const era = new AbortController()
    this.#era = era
    const tries = connections && this.#options.access.connect !== undefined
    this.#own(this.#keep(ticket, tries, era.signal))
  }

  /** No path any more; what is under way on one is dropped. */
  close(): void {
    this.#era?.abort(new RdvError("closed"))
    this.#era = undefined
    for (const path of this.#paths.keys()) path.abort(new RdvError("cancelled"))
  }

  /** Settles when nothing runs any more, after `close`. */
  async over(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks)
  }

  #own(task: Promise<void>): void {
    const owned = task.finally(() => this.#tasks.delete(owned))
    this.#tasks.add(owned)
  }

  async #keep(ticket: string, tries: boolean, signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#options
    const backoff = new Backoff({ firstMs: 200, maxMs: 5_000, ...(random !== undefined && { random }) })
    /** Connections that came to nothing, one after the other. */
    let failures = 0
    while (!signal.aborted) {
      const begun = clock.now()
      let path: ChunkPath | undefined
      if (tries && failures < mostFailures) {
        path = await this.#connect(ticket, signal)
        failures = path === undefined ? mostFailures : failures + 1
      }
      if (path === undefined && !signal.aborted) {
        path = await this.#overSession(ticket, signal)
        if (path !== undefined && tries) this.#own(this.#comeBack(ticket, path, signal))
        failures = 0
      }
      // When the stream has given way to a connection, that one is waited for.
      for (let next = path; next !== undefined; next = this.#current) await this.#paths.get(next)
      if (signal.aborted) return
      if (clock.now() - begun > steadyMs) {
        backoff.reset()
        failures = 0
      }
      log.debug("share.path.lost")
      await delay(clock, backoff.next(), signal).catch(() => undefined)
    }
  }

  /** Undefined when there is no connection to be had. */
  async #connect(ticket: string, signal: AbortSignal): Promise<ChunkPath | undefined> {
    const { access, clock, log } = this.#options
    const attempt = new AbortController()
    const giveUp = () => attempt.abort(signal.reason)
    signal.addEventListener("abort", giveUp, { once: true })
    const timer = clock.after(connectMs, () => attempt.abort(new RdvError("timeout", "No connection to the relay")))
    try {
      const pipe = await access.connect?.(attempt.signal)
      if (pipe === undefined) return undefined
      if (signal.aborted) {
        pipe.abort(new RdvError("cancelled"))
        return undefined
      }
      const greeted = await greetRelay(pipe, ticket, { clock, signal: attempt.signal })
      if (!signal.aborted) return this.#take(streamPath(greeted, { clock, probes: true }))
      greeted.abort(new RdvError("cancelled"))
      return undefined
    } catch (error) {
      if (!signal.aborted) log.info("share.path.unreachable", { reason: asRdvError(error).message })
      return undefined
    } finally {
      timer.cancel()
      signal.removeEventListener("abort", giveUp)
    }
  }

  async #overSession(ticket: string, signal: AbortSignal): Promise<ChunkPath | undefined> {
    const { access, clock, log } = this.#options
    try {
      const stream = await access.open(piecesService, { ticket }, signal)
      if (signal.aborted) {
        stream.reset("cancelled")
        return undefined
      }
      return this.#take(streamPath(streamPipe(stream, { clock, peer: "relay" }), { clock }))
    } catch (error) {
      if (!signal.aborted) log.info("share.path.refused", { reason: asRdvError(error).message })
      return undefined
    }
  }

  /** While a stream carries the chunks: looks from time to time whether a connection can be had. */
  async #comeBack(ticket: string, old: ChunkPath, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    const watch = new AbortController()
    const stop = () => watch.abort(new RdvError("closed"))
    signal.addEventListener("abort", stop, { once: true })
    void this.#paths.get(old)?.then(stop)
    for (let pauseMs = firstReturnMs; !watch.signal.aborted; pauseMs = Math.min(pauseMs * 2, mostReturnMs)) {
      await delay(clock, pauseMs, watch.signal).catch(() => undefined)
      if (watch.signal.aborted || (await this.#connect(ticket, watch.signal)) === undefined) continue
      // What the relay is sending over the stream has time to come.
      await delay(clock, overlapMs, watch.signal).catch(() => undefined)
      old.close()
      break
    }
    signal.removeEventListener("abort", stop)
  }

  #take(path: ChunkPath): ChunkPath {
    let settle: () => void = () => undefined
    this.#paths.set(path, new Promise<void>((resolve) => (settle = resolve)))
    this.#current = path
    const sink = this.#options.sink(path)
    this.#options.up(path)
    path.attach({
      room: (name, length) => sink.room(name, length),
      chunk: (name, sealed) => sink.chunk(name, sealed),
      asked: (name) => sink.asked(name),
      cancelled: (name) => sink.cancelled(name),
      refused: (name, why) => sink.refused(name, why),
      ready: () => sink.ready(),
      closed: (error) => {
        this.#paths.delete(path)
        if (this.#current === path) this.#current = undefined
        this.#options.down(path, error)
        settle()
      },
    })
    return path
  }
}

const connectMs = 5_000
/** Connections that break at once, before the stream has its turn. */
const mostFailures = 2
/** A path that lived so long was a good one. */
const steadyMs = 5_000
const firstReturnMs = 5_000
const mostReturnMs = 60_000
const overlapMs = 2_000
