/**
 * The server of an application, wherever it runs: it hands requests to the one function that answers, and takes care of
 * what every answer needs. Who sent a request is known to the application; what the application throws is a one-line answer
 * and a line in the log; a request with an `Idempotency-Key` has its effect once; work behind the answer is waited for.
 */

import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Log } from "../../../base/log.ts"
import type { TabApp } from "../app/app.ts"
import type { TabEnv } from "../app/env.ts"
import type { TabSocket } from "../app/socket.ts"
import { setVisitor } from "../app/visitor.ts"
import type { Visitor } from "../app/visitor.ts"
import { isStorageFull } from "../data/sql-error.ts"
import { acceptOnUse } from "./accept-on-use.ts"
import { answerOnce, keyOf } from "./answer-once.ts"
import { oneLine, plainAnswer } from "./plain-answer.ts"
import { insertIntoPage, isOwnNavigation } from "./page-insert.ts"
import type { Replies } from "./replies.ts"

export interface TabServerOptions {
  readonly app: TabApp
  /** `waitUntil` is the server's own. */
  readonly env: Omit<TabEnv, "waitUntil">
  /** Without it, an `Idempotency-Key` is a header like any other. */
  readonly replies?: Replies | undefined
  readonly clock: Clock
  readonly log: Log
  /** HTML that goes into the head of each page that the own browser navigates to. */
  readonly insertIntoPages?: string | undefined
}

export class TabServer {
  readonly clock: Clock
  readonly log: Log
  readonly #options: TabServerOptions
  readonly #env: TabEnv
  /** What runs: answers until their last byte, sockets until their end, work behind answers. */
  readonly #holds: Set<() => void> = new Set()
  #isDraining = false
  #idle: PromiseWithResolvers<void> | undefined
  readonly #counts = { requests: 0, failed: 0, again: 0, sockets: 0, openSockets: 0, behind: 0 }

  constructor(options: TabServerOptions) {
    this.#options = options
    this.clock = options.clock
    this.log = options.log
    const { sql, blobs, identity, peers, log } = options.env
    this.#env = { sql, blobs, identity, peers, log, waitUntil: (work) => this.#waitUntil(work) }
  }

  /** Lets the application prepare. Rejects with what it throws. */
  async start(): Promise<void> {
    await this.#options.app.start?.(this.#env)
  }

  /**
   * Answers; never rejects. The body of an answer that was asked for by HEAD is the application's, and is not to be sent.
   * Whoever sends the answer says by `hold` how long that takes.
   */
  async fetch(request: Request, visitor: Visitor): Promise<Response> {
    if (this.#isDraining) return plainAnswer(503, "The server is shutting down", { "retry-after": "1" })
    setVisitor(request, visitor)
    this.#counts.requests++
    const release = this.hold()
    try {
      const response = await this.#answer(request, visitor)
      const { insertIntoPages } = this.#options
      const inserts = insertIntoPages !== undefined && insertIntoPages !== ""
      return inserts && isOwnNavigation(request, visitor) ? insertIntoPage(response, insertIntoPages) : response
    } catch (thrown) {
      return this.#failure(request, visitor, thrown)
    } finally {
      release()
    }
  }

  /**
   * Offers the socket to the application. Undefined: it is accepted, because the application used it or returned; a
   * response is a refusal, and the socket is nobody's. Never rejects.
   */
  async socket(socket: TabSocket, request: Request, visitor: Visitor): Promise<Response | undefined> {
    const { app } = this.#options
    if (this.#isDraining) return plainAnswer(503, "The server is shutting down", { "retry-after": "1" })
    if (app.socket === undefined) return plainAnswer(426, "The application takes no WebSockets", {})
    setVisitor(request, visitor)
    const refusal = await acceptOnUse(socket, async (used) => app.socket?.(used, request, this.#env), {
      failed: (thrown) => {
        this.log.warn("tab.socket_failed", { path: pathOf(request), reason: oneLine(thrown) })
        this.#counts.failed++
      },
    })
    if (refusal !== undefined) {
      if (refusal instanceof Response) return refusal
      this.log.warn("tab.socket_refused", { path: pathOf(request), reason: oneLine(refusal.thrown) })
      return plainAnswer(403, visitor.kind === "own" ? oneLine(refusal.thrown) : "The application refused the socket")
    }
    this.#counts.sockets++
    this.#counts.openSockets++
    const release = this.hold(() => socket.close(1001, "the server is shutting down"))
    void socket.closed.then(() => {
      this.#counts.openSockets--
      release()
    })
    return undefined
  }

  /** Something runs that `drain` waits for; `stop` asks it to end. Returns a function that says it has ended. */
  hold(stop: () => void = () => undefined): () => void {
    // A function of its own for each: the set tells them apart.
    const held = () => stop()
    this.#holds.add(held)
    if (this.#isDraining) held()
    return () => {
      if (this.#holds.delete(held) && this.#holds.size === 0) this.#idle?.resolve()
    }
  }

  /** Takes nothing new, closes sockets (1001), waits for answers and for work behind them up to `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    this.#isDraining = true
    for (const stop of this.#holds) stop()
    if (this.#holds.size === 0) return
    this.#idle ??= Promise.withResolvers()
    const idle = this.#idle
    const timer = this.clock.after(graceMs, () => idle.resolve())
    await idle.promise
    timer.cancel()
    if (this.#holds.size > 0) this.log.warn("tab.cut", { running: this.#holds.size, graceMs })
  }

  get isDraining(): boolean {
    return this.#isDraining
  }

  status(): JsonObject {
    return { ...this.#counts, running: this.#holds.size, draining: this.#isDraining }
  }

  async #answer(request: Request, visitor: Visitor): Promise<Response> {
    const { app, replies } = this.#options
    const key = replies === undefined ? undefined : keyOf(request)
    if (replies === undefined || key === undefined) return checked(await app.fetch(request, this.#env))
    if (key instanceof Response) return key
    const { response, again } = await answerOnce({
      key,
      request,
      visitor,
      replies,
      clock: this.clock,
      answer: async (own, data) => {
        setVisitor(own, visitor)
        return checked(await app.fetch(own, { ...this.#env, ...data }))
      },
    })
    if (again) this.#counts.again++
    return response
  }

  #failure(request: Request, visitor: Visitor, thrown: unknown): Response {
    // Who left needs no answer, and an application that stopped therefore did well.
    if (request.signal.aborted) return plainAnswer(499, "The visitor left")
    this.#counts.failed++
    const reason = oneLine(thrown)
    this.log.error("tab.request_failed", { method: request.method, path: pathOf(request), reason, ...where(thrown) })
    // RFC 4918 section 11.5: whoever it is can come back when there is room.
    if (isStorageFull(thrown)) return plainAnswer(507, "The storage is full")
    // Strangers learn nothing about the inside.
    return plainAnswer(500, visitor.kind === "own" ? `The application failed: ${reason}` : "The application failed")
  }

  #waitUntil(work: Promise<unknown>): void {
    this.#counts.behind++
    const release = this.hold()
    void this.#settled(work).then(() => {
      this.#counts.behind--
      release()
      return undefined
    })
  }

  async #settled(work: Promise<unknown>): Promise<void> {
    try {
      await work
    } catch (thrown) {
      this.log.error("tab.work_failed", { reason: oneLine(thrown) })
    }
  }
}

function checked(response: unknown): Response {
  if (response instanceof Response) return response
  throw new RdvError("bad_response", "fetch of the application returned no Response")
}

/** Without the query: it may hold secrets. */
function pathOf(request: Request): string {
  return new URL(request.url).pathname
}

/** The place in the application, for who debugs it. */
function where(thrown: unknown): JsonObject {
  const line = thrown instanceof Error ? /\n\s*(?:at )?([^\n]+)/.exec(thrown.stack ?? "")?.[1] : undefined
  return line === undefined ? {} : { at: line }
}
