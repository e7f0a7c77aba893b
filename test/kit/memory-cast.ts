/** A multicast of one process: every listener hears what is spoken, but for what it is told to miss. */

import type {
  CastEvents,
  CastListener,
  CastPass,
  CastPlace,
  CastReport,
  CastSink,
  CastSpeaker,
  ChunkCast,
} from "../../src/capabilities/share/paths/chunk-cast.ts"

export class MemoryCast implements ChunkCast {
  readonly #sinks = new Set<CastSink>()
  #events: CastEvents | undefined
  /** Chunks that do not arrive. */
  readonly missed: Set<number> = new Set()
  /** Passes that were made. */
  passes = 0
  /** Resolves between two chunks. */
  pause: (() => Promise<void>) | undefined
  /** Nobody takes part. */
  isShut = false

  listen(_place: CastPlace, sink: CastSink): CastListener {
    if (this.isShut) throw new Error("There is no network")
    this.#sinks.add(sink)
    queueMicrotask(() => {
      if (!this.#sinks.has(sink) || this.#events === undefined) return
      sink.heard()
      this.#events.heard(this.#sinks.size)
    })
    return {
      place: "memory",
      receivedBytes: 0,
      cancel: () => undefined,
      close: () => {
        this.#sinks.delete(sink)
        this.#events?.heard(this.#sinks.size)
      },
    }
  }

  speak(_place: CastPlace, events: CastEvents): CastSpeaker {
    if (this.isShut) throw new Error("There is no network")
    this.#events = events
    return {
      place: "memory",
      receivers: this.#sinks.size,
      pass: (pass) => this.#pass(pass),
      close: () => (this.#events = undefined),
    }
  }

  async #pass({ version, chunks, read, signal }: CastPass): Promise<CastReport> {
    this.passes++
    let count = 0
    let bytes = 0
    for (const chunk of chunks) {
      signal.throwIfAborted()
      await this.pause?.()
      const sealed = await read(chunk)
      count++
      bytes += sealed.length
      if (this.missed.has(chunk)) continue
      for (const sink of this.#sinks) {
        const memory = sink.room({ version, chunk }, sealed.length)
        if (memory === undefined) continue
        memory.set(sealed)
        sink.chunk({ version, chunk }, memory)
      }
    }
    for (const sink of this.#sinks) sink.over(version)
    return { chunks: count, skipped: 0, bytes, wireBytes: bytes, repairedBytes: 0, receivers: this.#sinks.size, ms: 0 }
  }
}
