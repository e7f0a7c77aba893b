/**
 * Statements and rows between Go and SQLite, as bytes: integers keep their 64 bits, and reals stay reals. Little-endian;
 * a text or a blob has its length (4 bytes) in front.
 *
 *     statement: mode (1: rows, 0: changes), text, count (4), values
 *     value:     0 | 1 integer (8) | 2 real (8) | 3 text | 4 blob
 *     changes:   changes (8), last id (8)
 *     rows:      columns (4), name and declared type of each, rows (4), values row by row
 */

import type { ExactResult, ExactRows, ExactValue } from "../data/engine.ts"

export interface Statement {
  readonly wantsRows: boolean
  readonly text: string
  readonly values: readonly ExactValue[]
}

export function readStatement(payload: Uint8Array): Statement {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length)
  let at = 1
  const bytes = () => {
    const start = at + 4
    at = start + view.getUint32(at, true)
    return payload.subarray(start, at)
  }
  const text = decoder.decode(bytes())
  const values: ExactValue[] = []
  const count = view.getUint32(at, true)
  at += 4
  for (let number = 0; number < count; number++) {
    const kind = view.getUint8(at++)
    if (kind === 0) values.push(null)
    else if (kind === 1 || kind === 2) {
      values.push(kind === 1 ? view.getBigInt64(at, true) : view.getFloat64(at, true))
      at += 8
    } else if (kind === 3) values.push(decoder.decode(bytes()))
    else values.push(bytes().slice())
  }
  return { wantsRows: payload[0] === 1, text, values }
}

export function changesToBytes({ changes, lastId }: ExactResult): Uint8Array {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setBigInt64(0, BigInt(changes), true)
  view.setBigInt64(8, lastId, true)
  return bytes
}

export function rowsToBytes({ columns, rows }: ExactRows): Uint8Array {
  const out = new RowBytes()
  out.count(columns.length)
  for (const { name, declared } of columns) {
    out.text(name)
    out.text(declared)
  }
  out.count(rows.length)
  for (const row of rows) for (const value of row) out.value(value)
  return out.taken
}

class RowBytes {
  #bytes = new Uint8Array(1024)
  #view = new DataView(this.#bytes.buffer)
  #length = 0

  get taken(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  count(count: number): void {
    this.#room(4)
    this.#view.setUint32(this.#length, count, true)
    this.#length += 4
  }

  text(text: string): void {
    // In UTF-8 a unit of UTF-16 takes three bytes at most.
    this.#room(4 + text.length * 3)
    const { written } = encoder.encodeInto(text, this.#bytes.subarray(this.#length + 4))
    this.count(written)
    this.#length += written
  }

  value(value: ExactValue): void {
    this.#room(9)
    const at = this.#length++
    if (value === null) this.#bytes[at] = 0
    else if (typeof value === "bigint") {
      this.#bytes[at] = 1
      this.#view.setBigInt64(at + 1, value, true)
      this.#length += 8
    } else if (typeof value === "number") {
      this.#bytes[at] = 2
      this.#view.setFloat64(at + 1, value, true)
      this.#length += 8
    } else if (typeof value === "string") {
      this.#bytes[at] = 3
      this.text(value)
    } else {
      this.#bytes[at] = 4
      this.count(value.length)
      this.#room(value.length)
      this.#bytes.set(value, this.#length)
      this.#length += value.length
    }
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + bytes))
    larger.set(this.taken)
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
