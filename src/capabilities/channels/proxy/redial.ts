/** Reaches the upstream again and again, until there is a link, or patience or hope ends. */

import { Backoff } from "../../../base/backoff.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { ErrorCode } from "../../../base/error.ts"
import type { Upstream, UpstreamLink } from "./upstream.ts"

/** Refusals that only a person can mend. */
export const finalCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["unauthorized", "forbidden", "version", "usage"])

export interface RedialOptions {
  readonly upstream: Upstream
  readonly clock: Clock
  /** 0: for ever. */
  readonly giveUpMs: number
  readonly onLink: (link: UpstreamLink) => void
  /** An attempt failed, and the next one comes. */
  readonly onRetry: (error: RdvError, retryMs: number) => void
  readonly onGivenUp: (error: RdvError) => void
}

export class Redial {
  readonly #options: RedialOptions
  readonly #backoff: Backoff = new Backoff({ firstMs: firstRetryMs, maxMs: maxRetryMs })
  #attempt: AbortController | undefined
  #timer: Timer | undefined
  #patience: Timer | undefined
  #isStopped = false

  constructor(options: RedialOptions) {
    this.#options = options
  }

  /** Begins at once, or after a delay when the last link came to nothing, because of `error`. */
  start(error?: RdvError): void {
    const { clock, giveUpMs, upstream } = this.#options
    if (giveUpMs > 0) {
      this.#patience ??= clock.after(giveUpMs, () => {
        this.#giveUp(new RdvError("timeout", `${upstream.name} stayed away for ${giveUpMs / 1_000} s`))
      })
    }
    if (error === undefined) this.#try()
    else this.#retry(error)
  }

  /** The conversation goes on: from here on delays are short again, and patience is new. */
  settled(): void {
    this.#backoff.reset()
    this.#patience?.cancel()
    this.#patience = undefined
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#patience?.cancel()
    this.#attempt?.abort(new RdvError("cancelled"))
  }

  #try(): void {
    if (this.#isStopped) return
    const attempt = new AbortController()
    this.#attempt = attempt
    this.#options.upstream.connect(attempt.signal).then(
      (link) => {
        this.#attempt = undefined
        if (this.#isStopped) link.abort()
        else this.#options.onLink(link)
      },
      (thrown: unknown) => {
        this.#attempt = undefined
        if (this.#isStopped) return
        const error = asRdvError(thrown)
        if (finalCodes.has(error.code)) this.#giveUp(error)
        else this.#retry(error)
      },
    )
  }

  #retry(error: RdvError): void {
    const retryMs = this.#backoff.next()
    this.#options.onRetry(error, retryMs)
    this.#timer = this.#options.clock.after(retryMs, () => this.#try())
  }

  #giveUp(error: RdvError): void {
    if (this.#isStopped) return
    this.stop()
    this.#options.onGivenUp(error)
  }
}

/** A server that was restarted is there again this soon, ms. */
const firstRetryMs = 50
/** Somebody waits for it, ms. */
const maxRetryMs = 1_000
