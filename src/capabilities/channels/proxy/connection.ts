/** One connection upstream, from its link to its loss: what goes out, what comes in, and whether anybody is there. */

import type { Clock } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import { encode } from "../../../ninep/codec.ts"
import { Frames } from "../../../ninep/frames.ts"
import type { FrameSink } from "../../../ninep/frames.ts"
import type { Dialect } from "../../../ninep/message.ts"
import { Outbox } from "../../../ninep/outbox.ts"
import { NinepProtocolError } from "../../../ninep/protocol-error.ts"
import { Caller } from "./caller.ts"
import type { ProxyLimits } from "./limits.ts"
import { put } from "./put.ts"
import { tagAt } from "./request.ts"
import { Silence } from "./silence.ts"
import type { UpstreamLink } from "./upstream.ts"

export interface ConnectionOptions {
  readonly link: UpstreamLink
  /** For errors. */
  readonly name: string
  readonly limits: ProxyLimits
  readonly clock: Clock
  readonly mayGoSilent: boolean
  /** Answers that are for the client; the sink may throw `NinepProtocolError`. */
  readonly onAnswer: FrameSink
  /** Bytes came in, and all answers in them were told. */
  readonly onHeard: () => void
  readonly onDrain: () => void
  /** Called at most once, and not for `end`. */
  readonly onLost: (error: RdvError) => void
  /** Whether the server owes an answer. */
  readonly owes: () => boolean
  /** It has been silent for long: `ask` may be called. */
  readonly onSilence: () => void
  /** The server lives: it has answered what `ask` asked. */
  readonly onAsked: (tag: number) => void
}

export class Connection {
  readonly out: Outbox
  readonly #options: ConnectionOptions
  readonly #silence: Silence | undefined
  #caller: Caller | undefined
  #isOver = false
  #isPaused = false
  /** The tag of a question to a silent server. */
  askedTag: number | undefined

  /** Takes over a link that nobody listens to. `start` lets it speak. */
  constructor(options: ConnectionOptions) {
    const { link, limits, clock, mayGoSilent, owes, onSilence, name } = options
    this.#options = options
    this.out = new Outbox(link)
    const frames = new Frames(limits.msize, (bytes, start, end) => this.#take(bytes, start, end))
    link.onData = (bytes) => this.#hear(frames, bytes)
    link.onDrain = () => {
      this.out.drain()
      if (!this.#isOver) options.onDrain()
    }
    link.onClose = (error) => this.#lose(asRdvError(error ?? new RdvError("link_lost", `${name} closed`), "link_lost"))
    if (mayGoSilent && limits.silenceMs > 0) {
      const onDead = () => this.#lose(new RdvError("timeout", `${name} does not answer any more`))
      this.#silence = new Silence({
        clock,
        silenceMs: limits.silenceMs,
        // While we do not listen, it cannot be heard.
        owes: () => !this.#isPaused && (this.#caller !== undefined || owes()),
        ask: onSilence,
        onDead,
      })
    }
  }

  start(): void {
    this.#options.link.resume()
  }

  /** Until `passOn`, answers are those to calls of the proxy's own. */
  takeOver(dialect: Dialect): Caller {
    this.#caller = new Caller(dialect, (bytes) => {
      put(this.out, bytes)
      this.out.flush()
    })
    return this.#caller
  }

  passOn(): void {
    this.#caller = undefined
  }

  /** Asks a silent server to flush what there never was. */
  ask(tag: number, oldtag: number): void {
    this.askedTag = tag
    put(this.out, encode({ type: "Tflush", tag, oldtag }, "9P2000"))
    this.out.flush()
  }

  setPaused(isPaused: boolean): void {
    if (this.#isPaused === isPaused || this.#isOver) return
    this.#isPaused = isPaused
    if (isPaused) this.#options.link.pause()
    else this.#options.link.resume()
  }

  /** Ends it: by its close, or at once. */
  end(how: "close" | "abort"): void {
    if (this.#isOver) return
    this.#stop(new RdvError("closed"))
    if (how === "close") this.#options.link.close()
    else this.#options.link.abort()
  }

  #hear(frames: Frames, bytes: Uint8Array): void {
    if (this.#isOver) return
    this.#silence?.heard()
    try {
      frames.push(bytes)
    } catch (thrown) {
      if (!(thrown instanceof NinepProtocolError)) throw thrown
      this.#lose(new RdvError("protocol", `${this.#options.name}: ${thrown.message}`))
    }
    if (!this.#isOver) this.#options.onHeard()
  }

  #take(bytes: Uint8Array, start: number, end: number): void {
    if (this.#isOver) return
    if (this.#caller !== undefined) return this.#caller.take(bytes.subarray(start, end))
    const tag = tagAt(bytes, start)
    if (tag !== this.askedTag) return this.#options.onAnswer(bytes, start, end)
    this.askedTag = undefined
    this.#options.onAsked(tag)
  }

  #lose(error: RdvError): void {
    if (this.#isOver) return
    this.#stop(error)
    this.#options.link.abort()
    this.#options.onLost(error)
  }

  #stop(error: RdvError): void {
    this.#isOver = true
    this.#silence?.stop()
    this.#caller?.fail(error)
  }
}
