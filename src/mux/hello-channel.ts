/**
 * A link while the handshake runs: one HELLO at a time each way, everything bounded, and what arrives behind the last
 * HELLO kept for the session.
 */

import { emptyBytes, concat } from "../base/bytes.ts"
import type { Clock } from "../base/clock.ts"
import { codeFromNumber, RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import { utf8Encode } from "../base/text.ts"
import type { Checksum } from "../wire/crc32.ts"
import { readU32 } from "../wire/decode.ts"
import { encodeCheck, encodeFrame } from "../wire/encode.ts"
import { frameType, headerBytes } from "../wire/frame.ts"
import { readHello } from "../wire/hello.ts"
import type { Hello } from "../wire/hello.ts"
import { maxHelloPayload } from "../wire/limits.ts"
import { readJsonObject } from "../wire/open.ts"
import { handshakeMs } from "./limits.ts"
import type { Link } from "./link.ts"

export class HelloChannel {
  readonly link: Link
  readonly #checksum: Checksum
  #bytes: Uint8Array = emptyBytes
  /** Arrived while nobody waits for a message. Joined only then: many small reads must not be copied again and again. */
  #early: Uint8Array[] = []
  #earlyBytes = 0
  #failed: RdvError | undefined
  #waiting: PromiseWithResolvers<Hello> | undefined
  readonly #timer: { cancel(): void }

  constructor(link: Link, checksum: Checksum, clock: Clock, deadlineMs: number = handshakeMs) {
    this.link = link
    this.#checksum = checksum
    this.#timer = clock.after(deadlineMs, () => {
      this.abort(new RdvError("timeout", `No handshake within ${deadlineMs / 1000} s`))
    })
    link.attach({
      data: (bytes) => {
        if (this.#failed !== undefined) return false
        this.#early.push(bytes)
        this.#earlyBytes += bytes.length
        if (this.#earlyBytes > maxEarlyBytes || this.#early.length > maxEarlyReads) {
          this.abort(new RdvError("limit", "Too much before the handshake ended"))
          return false
        }
        if (this.#waiting !== undefined) this.#parse()
        return true
      },
      drain: () => undefined,
      closed: (error) => this.#fail(error ?? new RdvError("link_lost", "The link was closed during the handshake")),
    })
  }

  send(message: JsonObject): void {
    const frame = encodeFrame(frameType.hello, 0, utf8Encode(JSON.stringify(message)))
    this.link.send([frame, encodeCheck(this.#checksum(frame, 0))])
  }

  /** Says no in one message and ends the link. */
  refuse(code: number, reason: string): void {
    this.send({ kind: "refuse", code, ...(reason !== "" && { reason }) })
    this.#fail(new RdvError(codeFromNumber(code), reason))
    this.link.close()
  }

  /** The peer's next message; a refusal rejects with its code. */
  next(): Promise<Hello> {
    if (this.#failed !== undefined) return Promise.reject(this.#failed)
    this.#waiting = Promise.withResolvers<Hello>()
    const { promise } = this.#waiting
    this.#parse()
    if (this.#waiting !== undefined) this.link.resume()
    return promise
  }

  /**
   * Ends the channel's part; returns what arrived behind the last HELLO. The link stays paused until its session resumes
   * it. Throws when the link broke meanwhile.
   */
  finish(): Uint8Array {
    this.#timer.cancel()
    if (this.#failed !== undefined) throw this.#failed
    this.link.pause()
    this.#join()
    const early = this.#bytes
    this.#bytes = emptyBytes
    return early
  }

  abort(error: RdvError): void {
    this.#fail(error)
    this.link.abort(error)
  }

  #fail(error: RdvError): void {
    this.#timer.cancel()
    this.#failed ??= error
    this.#waiting?.reject(this.#failed)
    this.#waiting = undefined
    this.#early = []
    this.#bytes = emptyBytes
  }

  #join(): void {
    if (this.#early.length > 0) this.#bytes = concat([this.#bytes, ...this.#early])
    this.#early = []
  }

  /** Takes one HELLO and its CHECK from the front, when they are there and somebody waits. */
  #parse(): void {
    this.#join()
    const bytes = this.#bytes
    if (this.#waiting === undefined || bytes.length === 0) return
    try {
      if (bytes[0] !== frameType.hello) throw new RdvError("protocol", "The link does not begin with a HELLO frame")
      if (bytes.length < headerBytes) return
      if (readU32(bytes, 4) !== 0) throw new RdvError("protocol", "A HELLO names a stream")
      const length = readU32(bytes, 0) & 0xffffff
      if (length > maxHelloPayload)
        throw new RdvError("protocol", `A HELLO of ${length} bytes is over ${maxHelloPayload}`)
      const end = headerBytes + length
      if (bytes.length < end + headerBytes + 4) return
      if (readU32(bytes, end) !== checkHeader || readU32(bytes, end + 4) !== 0) {
        throw new RdvError("protocol", "A HELLO is not followed by a CHECK")
      }
      if (readU32(bytes, end + headerBytes) !== this.#checksum(bytes.subarray(0, end), 0)) throw new RdvError("corrupt")
      const hello = readHello(readJsonObject(bytes, headerBytes, end))
      this.#bytes = bytes.subarray(end + headerBytes + 4)
      this.#earlyBytes = this.#bytes.length
      const waiting = this.#waiting
      this.#waiting = undefined
      // While a proof is checked, a peer that goes on at once feels it instead of filling our memory.
      this.link.pause()
      if (hello.kind === "refuse") {
        const code = codeFromNumber(hello.code)
        const refusal = new RdvError(code, hello.reason === "" ? undefined : hello.reason, { origin: "remote" })
        waiting.reject(refusal)
        this.abort(refusal)
      } else waiting.resolve(hello)
    } catch (error) {
      this.abort(error as RdvError)
    }
  }
}

/** A peer may send behind its last HELLO at once; one read of a transport holds less than this. */
const maxEarlyBytes = 1024 * 1024
const maxEarlyReads = 4096

/** Type and length of a CHECK frame. */
const checkHeader = frameType.check * 2 ** 24 + 4
