/**
 * Puts together what arrives in pieces and out of order: controls in their order, chunks in the memory that the path's
 * owner gives. The number of chunks that come in at once is bounded; what exceeds it is stopped at its sender.
 */

import { RdvError } from "../../../base/error.ts"
import { largestChunk, sealBytes } from "../content/chunk-crypto.ts"
import type { ChunkName, ChunkPathSink } from "./chunk-path.ts"
import { controlWindow } from "./datagram-outbox.ts"
import type { Control, PieceHead } from "./datagram-packet.ts"
import { Ranges } from "./datagram-ranges.ts"

const mostChunks = 256
/** Numbers of transfers that never came lie between those that did: who counts in order leaves few. */
const mostGaps = 4096

interface Incoming {
  readonly name: ChunkName
  readonly memory: Uint8Array
  readonly got: Ranges
}

export class Inbox {
  /** Of chunks, each once, as they come in. */
  receivedBytes = 0
  #nextControl = 0
  readonly #controls = new Map<number, Control>()
  readonly #chunks = new Map<number, Incoming>()
  /** Numbers of transfers of which nothing more is wanted. */
  readonly #finished = new Ranges()

  /** Calls `take` for it and all that waited for it. Throws `protocol`. */
  control(sequence: number, control: Control, take: (control: Control) => void): void {
    if (sequence < this.#nextControl) return
    if (sequence >= this.#nextControl + controlWindow) throw new RdvError("protocol", "A control out of its window")
    this.#controls.set(sequence, control)
    for (let next = this.#controls.get(this.#nextControl); next !== undefined;) {
      this.#controls.delete(this.#nextControl++)
      take(next)
      next = this.#controls.get(this.#nextControl)
    }
  }

  /** `stop`: tells the sender that this transfer is not wanted. Throws `protocol`. */
  piece(head: PieceHead, bytes: Uint8Array, sink: ChunkPathSink, stop: (transfer: number) => void): void {
    let incoming = this.#chunks.get(head.transfer)
    if (incoming === undefined) {
      if (this.#finished.has(head.transfer)) return
      if (head.length === 0 || head.length > largestChunk + sealBytes) {
        throw new RdvError("protocol", `A chunk of ${head.length} bytes is announced`, { origin: "remote" })
      }
      if (this.#finished.count > mostGaps)
        throw new RdvError("protocol", "Transfers without order", { origin: "remote" })
      const name: ChunkName = { version: head.version, chunk: head.chunk }
      const memory = this.#chunks.size < mostChunks ? sink.room(name, head.length) : undefined
      if (memory === undefined) {
        this.#finished.add(head.transfer, head.transfer + 1)
        stop(head.transfer)
        return
      }
      incoming = { name, memory, got: new Ranges() }
      this.#chunks.set(head.transfer, incoming)
    }
    const { name, memory, got } = incoming
    if (memory.length !== head.length || name.chunk !== head.chunk || name.version !== head.version) {
      throw new RdvError("protocol", "Two pieces of a transfer differ in what they are of", { origin: "remote" })
    }
    const end = head.offset + bytes.length
    if (bytes.length === 0) throw new RdvError("protocol", "A piece without bytes", { origin: "remote" })
    const added = got.add(head.offset, end)
    if (added === 0) return
    if (got.count > mostGaps) throw new RdvError("protocol", "A chunk comes in too many pieces", { origin: "remote" })
    this.receivedBytes += added
    memory.set(bytes, head.offset)
    if (got.size !== memory.length) return
    this.#chunks.delete(head.transfer)
    this.#finished.add(head.transfer, head.transfer + 1)
    sink.chunk(name, memory)
  }

  clear(): void {
    this.#chunks.clear()
    this.#controls.clear()
  }
}
