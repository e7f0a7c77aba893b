/**
 * A slow visitor: a stream around a socket that reads and writes so many bytes a second. Reading is slowed by not reading,
 * so that the window of TCP really closes and the other side notices; writing by small slices. It stands in the path only
 * where a limit is set.
 */

import type { OnReadOpts, Socket } from "node:net"
import { Duplex } from "node:stream"
import { Bucket } from "../../../base/bucket.ts"
import { systemClock } from "../../../base/clock.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { cutSocket } from "../../../sockets/cut.ts"

export interface ThrottleLimits {
  readonly readBytesPerSecond?: number
  readonly writeBytesPerSecond?: number
}

/** Timers are not set for less, ms. */
const stepMs = 10
/** What may pass at once, as time of the rate, ms; and the most that is read at once. */
const burstMs = 20
const readBytes = 64 * 1024

export class Throttle extends Duplex {
  /** The option of that name for the socket; reads small pieces, as a large one would be a burst. */
  readonly onread: OnReadOpts
  readonly #read: Bucket | undefined
  readonly #write: Bucket | undefined
  readonly #clock: Clock
  #socket: Socket | undefined
  #readTimer: Timer | undefined
  #writeTimer: Timer | undefined

  constructor({ readBytesPerSecond, writeBytesPerSecond }: ThrottleLimits, clock: Clock = systemClock) {
    super({ allowHalfOpen: true })
    this.#clock = clock
    this.#read = bucket(readBytesPerSecond, clock)
    this.#write = bucket(writeBytesPerSecond, clock)
    const piece = Math.ceil(Math.min(readBytes, Math.max(1, ((readBytesPerSecond ?? Infinity) * burstMs) / 1000)))
    this.onread = {
      buffer: Buffer.allocUnsafeSlow(piece),
      callback: (length, bytes) => this.#took(bytes as Buffer, length),
    }
  }

  /** The socket that was made with `onread`. Its errors and its end become the stream's. */
  attach(socket: Socket): void {
    this.#socket = socket
    socket.on("end", () => this.push(null))
    socket.on("error", (error) => this.destroy(error))
    socket.on("close", () => this.destroy())
    socket.resume()
  }

  /** Ends the connection at once, by a reset. */
  cut(): void {
    if (this.#socket !== undefined) cutSocket(this.#socket)
    this.destroy()
  }

  override _read(): void {
    // Bytes come when the limit allows; whoever reads this stream takes them at once.
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#slice(bytes, 0, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#socket === undefined || this.#socket.destroyed) done()
    else this.#socket.end(() => done())
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#readTimer?.cancel()
    this.#writeTimer?.cancel()
    this.#socket?.destroy()
    done(error)
  }

  #took(bytes: Buffer, length: number): boolean {
    this.push(Buffer.from(bytes.subarray(0, length)))
    const bucket = this.#read
    if (bucket === undefined) return true
    bucket.spend(length)
    if (bucket.level >= 0) return true
    this.#readTimer ??= this.#clock.after(Math.max(stepMs, bucket.waitMs(0)), () => {
      this.#readTimer = undefined
      this.#socket?.resume()
    })
    return false
  }

  #slice(bytes: Buffer, from: number, done: (error?: Error | null) => void): void {
    const socket = this.#socket as Socket
    const bucket = this.#write
    if (bucket === undefined) {
      socket.write(bytes, done)
      return
    }
    const allowed = Math.min(bytes.length - from, Math.floor(bucket.level + rounding))
    if (allowed <= 0) {
      this.#writeTimer = this.#clock.after(Math.max(stepMs, bucket.waitMs(1)), () => this.#slice(bytes, from, done))
      return
    }
    bucket.spend(allowed)
    const to = from + allowed
    // The next slice waits until the kernel has this one.
    socket.write(bytes.subarray(from, to), (error) => {
      if (error || to === bytes.length) done(error)
      else if (!this.destroyed) this.#slice(bytes, to, done)
    })
  }
}

/** What sums of fractions may be off. */
const rounding = 1e-6

function bucket(perSecond: number | undefined, clock: Clock): Bucket | undefined {
  if (perSecond === undefined) return undefined
  return new Bucket({ clock, perSecond, size: Math.max(1, (perSecond * burstMs) / 1000) })
}
