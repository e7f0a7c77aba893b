/**
 * What other servers are still to get. An entry is written in the transaction of what it tells, and goes when the other
 * side has it: so nothing is lost by a crash on either side, and what arrives twice is recognised by its key. Each server's
 * entries leave in order; while it is away they wait, and are tried again ever more seldom, or as soon as it is heard of.
 */

import type { SqlTransaction, TabEnv } from "../../src/tab.ts"
import { askPeer, PeerRefusal } from "./peer-calls.ts"

/** `fetch` gets something from there in place of telling something. */
export type Lane = "tell" | "fetch"

export interface OutboxEntry {
  readonly peer: string
  readonly lane: Lane
  readonly path: string
  readonly body: string
  readonly key: string
}

export interface OutboxOptions {
  readonly env: TabEnv
  /** Does an entry of the lane `fetch`. Rejects when it has to be done again. */
  readonly fetch: (entry: OutboxEntry) => Promise<void>
  /** The other side has it, and has said this. */
  readonly onAnswer: (entry: OutboxEntry, answer: unknown) => Promise<void>
  /** It never will. */
  readonly onRefused: (entry: OutboxEntry, reason: string) => Promise<void>
  /** Somebody has become reachable, or no longer is. */
  readonly onChange: () => void
}

export interface Waiting {
  readonly peer: string
  readonly count: number
  readonly trouble: string | null
}

/** Within a transaction. The same key is the same entry. */
export function addToOutbox(sql: SqlTransaction, { peer, lane, path, body, key }: OutboxEntry): void {
  const text = "INSERT OR IGNORE INTO outbox (peer, lane, path, body, key, due, made) VALUES (?, ?, ?, ?, ?, 0, ?)"
  sql.run(text, peer, lane, path, body, key, Date.now())
}

export class Outbox {
  readonly #options: OutboxOptions
  /** Lanes that are being emptied. */
  readonly #running = new Set<string>()
  #timer: Parameters<typeof clearTimeout>[0]
  #isOver = false

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  /** Looks for what is due; `peer`: it was heard of, so its entries are due now. Nobody waits for it. */
  wake(peer?: string): void {
    if (!this.#isOver) this.#options.env.waitUntil(this.#look(peer))
  }

  async waiting(): Promise<Waiting[]> {
    return this.#options.env.sql.all<Waiting & { readonly [column: string]: string | number | null }>(
      "SELECT peer, count(*) AS count, max(trouble) AS trouble FROM outbox GROUP BY peer ORDER BY peer LIMIT 50",
    )
  }

  async #look(peer: string | undefined): Promise<void> {
    const { env } = this.#options
    try {
      if (peer !== undefined) await env.sql.run("UPDATE outbox SET due = 0 WHERE peer = ? AND due > 0", peer)
      const heads = await env.sql.all<{ peer: string; lane: Lane; due: number }>(
        "SELECT peer, lane, due FROM outbox WHERE id IN (SELECT min(id) FROM outbox GROUP BY peer, lane)",
      )
      let next = Infinity
      for (const { peer: name, lane, due } of heads) {
        if (this.#running.has(`${lane} ${name}`)) continue
        // Only who is public reaches others.
        if (env.identity.name === undefined) next = Math.min(next, Date.now() + privateMs)
        else if (due > Date.now()) next = Math.min(next, due)
        else env.waitUntil(this.#empty(name, lane))
      }
      this.#wakeAt(next)
    } catch (error) {
      this.#end(error)
    }
  }

  async #empty(peer: string, lane: Lane): Promise<void> {
    const { env } = this.#options
    const name = `${lane} ${peer}`
    if (this.#running.has(name)) return
    this.#running.add(name)
    try {
      for (;;) {
        const entry = await env.sql.get<Row>(
          "SELECT * FROM outbox WHERE peer = ? AND lane = ? ORDER BY id LIMIT 1",
          peer,
          lane,
        )
        if (entry === undefined || entry.due > Date.now()) return
        if (!(await this.#deliver(entry))) return
      }
    } catch (error) {
      this.#end(error)
    } finally {
      this.#running.delete(name)
      this.wake()
    }
  }

  /** False: it has to wait. */
  async #deliver(entry: Row): Promise<boolean> {
    const { env, fetch, onAnswer, onRefused, onChange } = this.#options
    try {
      if (entry.lane === "fetch") await fetch(entry)
      else {
        const { json } = await askPeer(env, entry.peer, { path: entry.path, body: entry.body, key: entry.key })
        await onAnswer(entry, json)
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      const isOld = Date.now() - entry.made > keepMs
      if (!isOld && !(error instanceof PeerRefusal)) {
        const waitMs = Math.min(longestMs, shortestMs * 2 ** entry.tries) * (0.75 + Math.random() / 2)
        const text = "UPDATE outbox SET tries = tries + 1, due = ?, trouble = ? WHERE id = ?"
        await env.sql.run(text, Math.round(Date.now() + waitMs), reason, entry.id)
        onChange()
        return false
      }
      env.log.warn("not delivered", { peer: entry.peer, path: entry.path, reason })
      await onRefused(entry, reason)
    }
    await env.sql.run("DELETE FROM outbox WHERE id = ?", entry.id)
    onChange()
    return true
  }

  #wakeAt(due: number): void {
    clearTimeout(this.#timer)
    if (due === Infinity || this.#isOver) return
    this.#timer = setTimeout(() => this.wake(), Math.min(longestMs, Math.max(50, due - Date.now())))
    // In Node, a process does not go on for this alone.
    ;(this.#timer as { unref?: () => void }).unref?.()
  }

  /** The database is closed: the server has ended, and the next one goes on. */
  #end(error: unknown): void {
    if ((error as { code?: unknown }).code !== "closed") throw error
    this.#isOver = true
    clearTimeout(this.#timer)
  }
}

interface Row extends OutboxEntry {
  readonly [column: string]: string | number | null
  readonly peer: string
  readonly lane: Lane
  readonly path: string
  readonly body: string
  readonly key: string
  readonly id: number
  readonly tries: number
  readonly due: number
  readonly made: number
}

const shortestMs = 500
const longestMs = 30_000
const privateMs = 2_000
/** Who is away for longer has to ask for what was said; nothing is sent to him any more. */
const keepMs = 30 * 24 * 60 * 60 * 1000
