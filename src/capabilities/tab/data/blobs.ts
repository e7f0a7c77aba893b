/**
 * Files as rows of 256 KiB in the application's database. While one arrives it has no id, so nobody sees it and the next
 * start clears away what a crash left of it; its id is the hash of its bytes, and the same bytes are kept once. Memory
 * holds one piece of each that comes or goes.
 */

import { sha256 } from "@noble/hashes/sha2.js"
import { base64url } from "../../../base/bytes.ts"
import type { Clock } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import type { BlobFacts, Blobs } from "../app/blobs.ts"
import type { Sql } from "../app/sql.ts"
import { piecesOf } from "./blob-pieces.ts"
import type { TabSql } from "./tab-sql.ts"

/** A blob's row, except of the last one: what it has of a file. */
export const rowBytes: number = 256 * 1024

export interface OpenBlobsOptions {
  readonly clock: Clock
  readonly log: Log
}

/** Also clears away what crashes have left; nobody waits for that. */
export async function openBlobs(sql: TabSql, { clock, log }: OpenBlobsOptions): Promise<Blobs> {
  const left = await sql.all<{ content: number }>("SELECT content FROM _rdv_blobs WHERE id IS NULL")
  dropAll(sql, left).catch((error: unknown) => {
    const { code, message } = asRdvError(error)
    // Then the next start does it.
    if (code !== "closed") log.warn("tab.blobs.left", { error: message })
  })
  return blobsIn(sql, clock)
}

/** Those of one transaction, or of the database. */
export function blobsIn(sql: Sql, clock: Clock): Blobs {
  return new RowBlobs(sql, clock)
}

class RowBlobs implements Blobs {
  readonly #sql: Sql
  readonly #clock: Clock

  constructor(sql: Sql, clock: Clock) {
    this.#sql = sql
    this.#clock = clock
  }

  async put(
    content: ReadableStream<Uint8Array> | Uint8Array,
    options: { readonly type?: string; readonly limitBytes?: number } = {},
  ): Promise<BlobFacts> {
    const { type = unknownType, limitBytes = defaultLimitBytes } = options
    if (content instanceof Uint8Array && content.length > limitBytes) throw tooLarge(limitBytes)
    const made = await this.#sql.run(
      "INSERT INTO _rdv_blobs (id, bytes, type, made) VALUES (NULL, 0, ?, ?)",
      type,
      this.#clock.wall(),
    )
    try {
      const { id, bytes } = await this.#write(made.lastId, content, limitBytes)
      return await this.#name(made.lastId, id, bytes, type)
    } catch (error) {
      // Else the next start does it: the storage may be full, or closed.
      await drop(this.#sql, made.lastId).catch(() => undefined)
      throw error
    }
  }

  async stat(id: string): Promise<BlobFacts | undefined> {
    return await this.#sql.get<FactsRow>("SELECT id, bytes, type FROM _rdv_blobs WHERE id = ?", id)
  }

  async get(
    id: string,
    { from = 0, to = Infinity }: { readonly from?: number; readonly to?: number } = {},
  ): Promise<ReadableStream<Uint8Array> | undefined> {
    if (!(from >= 0 && to >= 0)) throw new RdvError("usage", "A range of a blob begins at 0 or behind it")
    const row = await this.#sql.get<{ content: number; bytes: number }>(
      "SELECT content, bytes FROM _rdv_blobs WHERE id = ?",
      id,
    )
    return row === undefined ? undefined : this.#read(row.content, from, Math.min(to, row.bytes))
  }

  async delete(id: string): Promise<boolean> {
    // Without its id it is gone for everybody, at once and as a whole.
    const row = await this.#sql.get<{ content: number }>(
      "UPDATE _rdv_blobs SET id = NULL WHERE id = ? RETURNING content",
      id,
    )
    if (row === undefined) return false
    await drop(this.#sql, row.content)
    return true
  }

  async #write(
    content: number,
    from: ReadableStream<Uint8Array> | Uint8Array,
    limitBytes: number,
  ): Promise<{ id: string; bytes: number }> {
    const hash = sha256.create()
    let bytes = 0
    let number = 0
    for await (const piece of piecesOf(from, rowBytes)) {
      bytes += piece.length
      if (bytes > limitBytes) throw tooLarge(limitBytes)
      hash.update(piece)
      await this.#sql.run(
        "INSERT INTO _rdv_blob_rows (content, number, bytes) VALUES (?, ?, ?)",
        content,
        number,
        piece,
      )
      number++
    }
    return { id: base64url(hash.digest()), bytes }
  }

  /** From here on it is there, or the one that was there before stands for both. */
  async #name(content: number, id: string, bytes: number, type: string): Promise<BlobFacts> {
    const facts = await this.#sql.transaction((sql) => {
      const before = sql.get<FactsRow>("SELECT id, bytes, type FROM _rdv_blobs WHERE id = ?", id)
      if (before === undefined) {
        sql.run("UPDATE _rdv_blobs SET id = ?, bytes = ? WHERE content = ?", id, bytes, content)
        return { id, bytes, type, isNew: true }
      }
      if (before.type !== unknownType || type === unknownType) return { ...before, isNew: false }
      sql.run("UPDATE _rdv_blobs SET type = ? WHERE id = ?", type, id)
      return { id, bytes, type, isNew: false }
    })
    if (!facts.isNew) await drop(this.#sql, content)
    return { id: facts.id, bytes: facts.bytes, type: facts.type }
  }

  /** A row at a time, when somebody wants it. */
  #read(content: number, from: number, to: number): ReadableStream<Uint8Array> {
    let at = from
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          if (at >= to) {
            controller.close()
            return
          }
          const number = Math.floor(at / rowBytes)
          const row = await this.#sql.get<{ bytes: Uint8Array }>(
            "SELECT bytes FROM _rdv_blob_rows WHERE content = ? AND number = ?",
            content,
            number,
          )
          if (row === undefined) throw new RdvError("removed", "The blob was deleted while it was read")
          const start = number * rowBytes
          const piece = row.bytes.subarray(at - start, to - start)
          at += piece.length
          controller.enqueue(piece)
        },
      },
      { highWaterMark: 0 },
    )
  }
}

async function dropAll(sql: Sql, rows: readonly { readonly content: number }[]): Promise<void> {
  for (const { content } of rows) await drop(sql, content)
}

/** In steps: a large one as a whole would hold up everybody. */
async function drop(sql: Sql, content: number): Promise<void> {
  for (;;) {
    const { changes } = await sql.run(
      "DELETE FROM _rdv_blob_rows WHERE rowid IN (SELECT rowid FROM _rdv_blob_rows WHERE content = ? LIMIT 32)",
      content,
    )
    if (changes < 32) break
  }
  await sql.run("DELETE FROM _rdv_blobs WHERE content = ? AND id IS NULL", content)
}

function tooLarge(limitBytes: number): RdvError {
  return new RdvError("too_large", `The blob has more than ${limitBytes} bytes, which is the limit`)
}

type FactsRow = { readonly id: string; readonly bytes: number; readonly type: string }

const unknownType = "application/octet-stream"
const defaultLimitBytes = 1024 * 1024 * 1024
