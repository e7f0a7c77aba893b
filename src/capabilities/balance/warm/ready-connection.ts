/**
 * One connection that stands ready. It is read all the time, because only who reads hears that the other side has ended or
 * broken it. What the target says meanwhile (a greeting) is kept for the client, up to a bound; then reading stops, and the
 * rest waits in the kernel.
 */

import { Socket } from "node:net"
import type { JointEnd } from "../../../sockets/joint.ts"

/** Greetings are shorter by far. What comes in one piece, 64 KiB at most, is kept as a whole. */
const mostKeptBytes = 16_384
const readBytes = 4_096
/** Silence before the first probe: with those that follow each second, a target that is gone is found out after 15 s. */
const probeMs = 5_000

/** `ended`: by a FIN. */
export type Loss = "ended" | "broken"

export class ReadyConnection {
  readonly #end: JointEnd
  readonly #lost: (loss: Loss) => void
  readonly #kept: Uint8Array[] = []
  #keptBytes = 0
  #isProbed = false

  /** `end` is paused, and this one's until it is taken. `lost` is called at most once, and never after `take` or `drop`. */
  constructor(end: JointEnd, lost: (loss: Loss) => void) {
    this.#end = end
    this.#lost = lost
    const { stream, reader } = end
    stream.on("end", this.#onEnd)
    stream.on("error", this.#onBroken)
    stream.on("close", this.#onBroken)
    if (reader === undefined) stream.on("data", this.#keep)
    else {
      reader.limitTo(readBytes)
      reader.receive = this.#keep
    }
    stream.resume()
  }

  /** It has lived long enough to be worth it. */
  probe(): void {
    if (!this.#isProbed) this.#socket?.setKeepAlive(true, probeMs)
    this.#isProbed = true
  }

  /** It is the caller's, paused; undefined when it is dead, or has said what it should not have. */
  take(options: { readonly mayHaveSpoken: boolean }): JointEnd | undefined {
    const { stream, reader } = this.#end
    const isDead = stream.destroyed || stream.errored !== null || stream.readableEnded
    if (isDead || (this.#keptBytes > 0 && !options.mayHaveSpoken)) {
      this.drop()
      return undefined
    }
    this.#leave()
    stream.pause()
    if (this.#isProbed) this.#socket?.setKeepAlive(false)
    // A small read at a time was for the bound.
    reader?.release()
    const first = this.#kept.length === 0 ? undefined : Buffer.concat(this.#kept)
    return { ...this.#end, first, untried: true }
  }

  drop(): void {
    this.#leave()
    this.#end.stream.on("error", ignore)
    this.#end.stream.destroy()
  }

  get #socket(): Socket | undefined {
    const { stream, below = stream } = this.#end
    return below instanceof Socket ? below : undefined
  }

  #leave(): void {
    const { stream, reader } = this.#end
    stream.removeListener("end", this.#onEnd)
    stream.removeListener("error", this.#onBroken)
    stream.removeListener("close", this.#onBroken)
    if (reader === undefined) stream.removeListener("data", this.#keep)
    else reader.receive = () => false
  }

  readonly #keep = (bytes: Uint8Array): boolean => {
    this.#kept.push(bytes)
    this.#keptBytes += bytes.length
    if (this.#keptBytes >= mostKeptBytes) this.#end.stream.pause()
    return false
  }

  readonly #onEnd = (): void => this.#gone("ended")

  readonly #onBroken = (): void => this.#gone("broken")

  #gone(loss: Loss): void {
    this.drop()
    this.#lost(loss)
  }
}

function ignore(): void {
  // It was dropped; how it goes is of no interest.
}
