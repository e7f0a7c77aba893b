/**
 * Answers to requests with an `Idempotency-Key`, in the same transaction as their effects: there is no moment at which one
 * of both is on disk without the other. They are kept for a day, and no more than so many: the oldest go first.
 */

import type { Clock } from "../../../base/clock.ts"
import type { Blobs } from "../app/blobs.ts"
import type { Sql } from "../app/sql.ts"
import type { Replies, ReplyData, StoredReply } from "../serve/replies.ts"
import { ScopedSql } from "./scoped-sql.ts"
import type { TabSql } from "./tab-sql.ts"

export interface OpenRepliesOptions {
  readonly clock: Clock
  /** Those of the application within a transaction. */
  readonly blobs: (sql: Sql) => Blobs
  /** Defaults: a day, 10,000, 64 MiB. */
  readonly keepMs?: number
  readonly most?: number
  readonly mostBytes?: number
}

export function openReplies(sql: TabSql, options: OpenRepliesOptions): Replies {
  return new StoredReplies(sql, options)
}

class StoredReplies implements Replies {
  readonly #sql: TabSql
  readonly #options: Required<OpenRepliesOptions>
  /** By key: who runs, and who waits for it. */
  readonly #running = new Map<string, Promise<unknown>>()
  /** Since the oldest were last looked at. */
  #kept = 0
  #keptBytes = 0

  constructor(sql: TabSql, options: OpenRepliesOptions) {
    this.#sql = sql
    this.#options = { keepMs: dayMs, most: 10_000, mostBytes: 64 * 1024 * 1024, ...options }
  }

  async once(
    key: string,
    run: (data: ReplyData) => Promise<StoredReply>,
  ): Promise<{ readonly reply: StoredReply; readonly again: boolean }> {
    for (let before = this.#running.get(key); before !== undefined; before = this.#running.get(key)) {
      await before.catch(() => undefined)
    }
    const running = this.#run(key, run)
    this.#running.set(key, running)
    try {
      return await running
    } finally {
      this.#running.delete(key)
    }
  }

  async #run(
    key: string,
    run: (data: ReplyData) => Promise<StoredReply>,
  ): Promise<{ reply: StoredReply; again: boolean }> {
    const now = this.#options.clock.wall()
    const row = await this.#sql.get<ReplyRow>(
      "SELECT status, headers, body FROM _rdv_replies WHERE key = ? AND made > ?",
      key,
      now - this.#options.keepMs,
    )
    if (row !== undefined) {
      const headers = JSON.parse(row.headers) as string[]
      return { reply: { status: row.status, headers, body: row.body }, again: true }
    }
    const scoped = new ScopedSql(this.#sql)
    try {
      const reply = await run({ sql: scoped, blobs: this.#options.blobs(scoped) })
      const { status, headers, body } = reply
      await scoped.commit(
        "INSERT OR REPLACE INTO _rdv_replies (key, made, status, headers, body) VALUES (?, ?, ?, ?, ?)",
        [key, now, status, JSON.stringify(headers), body],
      )
      // What is on disk has happened, whatever becomes of older ones: they are looked at again the next time.
      void this.#expire(now, body.length).catch(() => undefined)
      return { reply, again: false }
    } catch (error) {
      await scoped.rollback()
      throw error
    }
  }

  async #expire(now: number, bytes: number): Promise<void> {
    const { keepMs, most, mostBytes } = this.#options
    this.#kept++
    this.#keptBytes += bytes
    if (this.#kept * 100 < most && this.#keptBytes * 16 < mostBytes) return
    this.#kept = 0
    this.#keptBytes = 0
    await this.#sql.run(
      `DELETE FROM _rdv_replies WHERE made <= ? OR rowid <= (
        SELECT max(row) FROM (
          SELECT rowid AS row, count(*) OVER newer AS number, sum(length(body)) OVER newer AS bytes
          FROM _rdv_replies WINDOW newer AS (ORDER BY rowid DESC)
        ) WHERE number > ? OR bytes > ?
      )`,
      now - keepMs,
      most,
      mostBytes,
    )
  }
}

type ReplyRow = { readonly status: number; readonly headers: string; readonly body: Uint8Array }

const dayMs = 24 * 60 * 60 * 1000
