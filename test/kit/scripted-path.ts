/** A path of chunks whose other side is the test: what was said stands in lists, and what comes is said by it. */

import type { RdvError } from "../../src/base/error.ts"
import type { ChunkName, ChunkPath, ChunkPathSink, Refusal } from "../../src/capabilities/share/paths/chunk-path.ts"

export class ScriptedPath implements ChunkPath {
  readonly kind = "stream"
  readonly over = "memory"
  readonly peer = "test"
  sink: ChunkPathSink | undefined
  readonly asks: number[] = []
  readonly cancels: number[] = []
  readonly refusals: [number, Refusal][] = []
  readonly sends: { readonly chunk: number; readonly sealed: Uint8Array; readonly sent: () => void }[] = []
  /** What `send` answers. */
  takesMore = true
  /** Calls `sent` at once. */
  isQuick = true
  queuedBytes = 0
  rttMs: number | undefined
  sentBytes = 0
  receivedBytes = 0

  attach(sink: ChunkPathSink): void {
    this.sink = sink
  }

  send(name: ChunkName, sealed: Uint8Array, sent?: () => void): boolean {
    this.sends.push({ chunk: name.chunk, sealed, sent: sent ?? (() => undefined) })
    this.sentBytes += sealed.length
    if (this.isQuick) sent?.()
    return this.takesMore
  }

  ask(name: ChunkName): void {
    this.asks.push(name.chunk)
  }

  cancel(name: ChunkName): void {
    this.cancels.push(name.chunk)
  }

  refuse(name: ChunkName, why: Refusal): void {
    this.refusals.push([name.chunk, why])
  }

  close(): void {
    this.sink?.closed(undefined)
  }

  abort(error: RdvError): void {
    this.sink?.closed(error)
  }
}
