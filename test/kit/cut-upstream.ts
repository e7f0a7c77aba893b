/** A 9P server that is lost at the messages that a test says, and is back with the same tree. */

import { RdvError } from "../../src/base/error.ts"
import { silentLog } from "../../src/base/log.ts"
import type { Upstream, UpstreamLink } from "../../src/capabilities/channels/proxy/upstream.ts"
import { NinepConnection } from "../../src/ninep/connection.ts"
import { Frames } from "../../src/ninep/frames.ts"
import type { NinepLimits } from "../../src/ninep/limits.ts"
import type { Tree } from "../../src/ninep/tree.ts"

export type CutKind =
  /** The request does not arrive. */
  | "before"
  /** Half of it does. */
  | "within"
  /** It takes effect, and no answer comes. */
  | "unanswered"
  /** Half of the next answer comes. */
  | "answer"

export interface Cut {
  /** Which request, counted from 1 over all connections. */
  readonly at: number
  readonly kind: CutKind
}

export class CutUpstream implements Upstream {
  readonly name = "model"
  mayGoSilent = false
  /** Nobody can connect. */
  isAway = false
  /** Takes what is sent and says nothing more. */
  isSilent = false
  /** Of the next connections. */
  ninepLimits: Partial<NinepLimits> = {}
  requests = 0
  connects = 0
  /** Types of the requests that have arrived. */
  readonly types: number[] = []
  readonly #tree: () => Tree
  readonly #cuts: Cut[]
  #present: (() => void) | undefined

  constructor(tree: () => Tree, cuts: readonly Cut[] = []) {
    this.#tree = tree
    this.#cuts = [...cuts].sort((a, b) => a.at - b.at)
  }

  connect(): Promise<UpstreamLink> {
    if (this.isAway) return Promise.reject(new RdvError("unreachable", "The model is away"))
    this.connects++
    return Promise.resolve(this.#link())
  }

  cut(): void {
    this.#present?.()
  }

  /** At the next request. */
  cutNext(kind: CutKind): void {
    this.#cuts.unshift({ at: this.requests + 1, kind })
  }

  #link(): UpstreamLink {
    let isOver = false
    let isHalving = false
    let isMute = false
    let isPaused = false
    const held: (() => void)[] = []
    const over = () => {
      if (isOver) return
      isOver = true
      server.closed()
      queueMicrotask(() => link.onClose?.(undefined))
    }
    this.#present = over
    const server = new NinepConnection({
      tree: this.#tree(),
      log: silentLog,
      limits: this.ninepLimits,
      output: {
        write: (bytes) => {
          if (isOver || isMute || this.isSilent) return true
          const copy = bytes.slice(0, isHalving ? Math.ceil(bytes.length / 2) : bytes.length)
          const isLast = isHalving
          isMute ||= isHalving
          const deliver = () => {
            if (isOver) return
            if (isPaused) {
              held.push(deliver)
              return
            }
            link.onData?.(copy)
            copy.fill(0xee)
            if (isLast) over()
          }
          queueMicrotask(deliver)
          return true
        },
      },
    })
    server.onEnd = over
    const frames = new Frames(2 ** 21, (bytes, start, end) => {
      if (isOver) return
      this.requests++
      const cut = this.#cuts[0]
      const kind = cut !== undefined && cut.at <= this.requests ? cut.kind : undefined
      if (kind !== undefined) this.#cuts.shift()
      if (kind === "before" || kind === "within") {
        if (kind === "within") server.receive(bytes.slice(start, start + ((end - start) >> 1)))
        over()
        return
      }
      this.types.push(bytes[start + 4] as number)
      if (kind === "unanswered") {
        isMute = true
        setImmediate(over)
      }
      if (kind === "answer") {
        isHalving = true
        // A blocked request has no answer to halve.
        setTimeout(over, 2)
      }
      server.receive(bytes.slice(start, end))
    })
    const link: UpstreamLink = {
      onData: undefined,
      onDrain: undefined,
      onClose: undefined,
      write(bytes) {
        if (!isOver) frames.push(bytes.slice())
        return true
      },
      pause: () => (isPaused = true),
      resume() {
        isPaused = false
        for (const deliver of held.splice(0)) queueMicrotask(deliver)
      },
      close: over,
      abort: over,
    }
    return link
  }
}
