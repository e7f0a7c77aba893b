/**
 * The near end of an exchange that the relay answers itself: what the visitor's side takes for a stream. It sends a head
 * and the bytes of a file, no more of them at a time than the visitor takes.
 */

import { open } from "node:fs/promises"
import type { FileHandle } from "node:fs/promises"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { ErrorCode } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"

export interface LocalResponse {
  readonly status: number
  readonly reason: string
  /** Name, value, name, value. */
  readonly headers: readonly string[]
  /** The path of a file, bytes, or nothing. */
  readonly body: string | Uint8Array | undefined
}

export class LocalAnswer implements Stream {
  readonly id = 0
  readonly service: string
  readonly header: JsonObject
  readonly #response: LocalResponse
  #sink: StreamSink | undefined
  #file: FileHandle | undefined
  /** Sent and not taken yet. */
  #flight = 0
  #isReading = false
  #isOver = false

  constructor(service: string, header: JsonObject, response: LocalResponse) {
    this.service = service
    this.header = header
    this.#response = response
  }

  attach(sink: StreamSink): void {
    const isFirst = this.#sink === undefined
    this.#sink = sink
    if (isFirst) void this.#begin()
  }

  /** The request's body means nothing here. */
  write(): boolean {
    return true
  }

  meta(): boolean {
    return true
  }

  end(): void {
    // Nobody waits for it.
  }

  reset(code: ErrorCode, reason?: string): void {
    this.#over(new RdvError(code, reason))
  }

  consumed(bytes: number): void {
    this.#flight -= bytes
    void this.#read()
  }

  async #begin(): Promise<void> {
    const { status, reason, headers, body } = this.#response
    try {
      // Before the head: a file that is gone is a failure, not half an answer.
      if (typeof body === "string") this.#file = await open(body, "r")
      else await Promise.resolve()
      if (this.#isOver) {
        await this.#file?.close()
        return
      }
      this.#sink?.meta({ status, reason, headers: [...headers] })
      if (this.#file !== undefined) await this.#read()
      else {
        if (body instanceof Uint8Array && body.length > 0) {
          this.#flight += body.length
          this.#sink?.data(body)
        }
        this.#finish()
      }
    } catch (error) {
      this.#over(asRdvError(error))
    }
  }

  async #read(): Promise<void> {
    const file = this.#file
    if (file === undefined || this.#isReading) return
    this.#isReading = true
    try {
      while (!this.#isOver && this.#flight < windowBytes) {
        const { bytesRead, buffer } = await file.read(new Uint8Array(chunkBytes), 0, chunkBytes)
        // It may have been over while the disk was asked.
        if (this.#hasEnded()) return
        if (bytesRead === 0) {
          this.#finish()
          return
        }
        this.#flight += bytesRead
        this.#sink?.data(buffer.subarray(0, bytesRead))
      }
    } catch (error) {
      this.#over(asRdvError(error))
    } finally {
      this.#isReading = false
    }
  }

  #hasEnded(): boolean {
    return this.#isOver
  }

  #finish(): void {
    if (this.#isOver) return
    this.#sink?.end()
    this.#over(undefined)
  }

  #over(error: RdvError | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#file?.close().catch(() => undefined)
    this.#sink?.closed(error)
  }
}

const chunkBytes = 64 * 1024
/** On their way to one visitor. */
const windowBytes = 256 * 1024
