/** The client's side of a stream that selects: one select at a time, the stream is used again for the next one. */

import { codeFromNumber, codeNumber, RdvError } from "../../../../base/error.ts"
import type { Stream } from "../../../../base/stream.ts"
import { utf8Decode, utf8Encode } from "../../../../base/text.ts"
import { Line } from "../../core/line.ts"
import { FrameReader } from "../frame-reader.ts"
import type { FrameSink } from "../frame-reader.ts"
import { FrameWriter } from "../frame-writer.ts"
import { readU16, readU64 } from "../numbers.ts"
import { forever, frameExtraBytes, frameKind, noCase } from "../protocol.ts"
import { isLost, Lane } from "./connection.ts"
import type { Connection, LaneOwner } from "./connection.ts"
import { Message } from "./message.ts"
import type { Answers } from "./message.ts"

/** `bytes` undefined: a receive. */
export interface WireCase {
  readonly path: string
  readonly bytes: Uint8Array | undefined
}

/** A case that happened: of a receive its message, which is owed an answer. */
export interface Chosen {
  readonly index: number
  readonly message: Message | undefined
}

interface Asked {
  readonly cases: readonly WireCase[]
  readonly ms: number
  readonly hear: (chosen: Chosen | undefined, error: RdvError | undefined) => void
  /** Written: what happens now, happened. */
  isSent: boolean
  cancelledWith: RdvError | undefined
}

export class Selector implements LaneOwner, FrameSink, Answers {
  readonly #connection: Connection
  readonly #lane: Lane
  readonly #open: Line<Message> = new Line()
  #out: FrameWriter | undefined
  #frames: FrameReader | undefined
  #asked: Asked | undefined
  #next = 0
  #closing: PromiseWithResolvers<void> | undefined
  /** Runs when a select is through. */
  readonly #onFree: (selector: Selector) => void

  constructor(connection: Connection, onFree: (selector: Selector) => void) {
    this.#connection = connection
    this.#onFree = onFree
    this.#lane = new Lane(connection, { do: "select" }, this)
  }

  get isBusy(): boolean {
    return this.#asked !== undefined
  }

  /** `hear` is called once, never before this returns. There are 1 to `maxCases` cases. */
  select(cases: readonly WireCase[], ms: number, hear: Asked["hear"]): void {
    this.#asked = { cases, ms, hear, isSent: false, cancelledWith: undefined }
    if (this.#out === undefined) this.#lane.want()
    else this.#emit(this.#out)
  }

  /** `hear` is told `error`, or what happened before. */
  cancel(error: RdvError): void {
    const asked = this.#asked
    if (asked === undefined || asked.cancelledWith !== undefined) return
    if (!asked.isSent) {
      this.#tell(undefined, error)
      return
    }
    asked.cancelledWith = error
    this.#out?.begin(frameKind.cancel, 0)
  }

  /** `Answers`. */
  answer(message: Message, reason: string | undefined): void {
    if (message.line === undefined) return
    message.line.remove(message)
    const code = reason === undefined ? 0 : codeNumber("cancelled")
    this.#out?.verdict(frameKind.answer, message.number, code, reason ?? "")
  }

  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = Promise.withResolvers<void>()
      this.#lane.stop()
      const { stream } = this.#lane
      this.#tell(undefined, new RdvError("closed", "The select was closed"))
      if (stream === undefined) this.#closing.resolve()
      else {
        this.#out?.flush()
        stream.end()
      }
    }
    return this.#closing.promise
  }

  opened(stream: Stream): void {
    this.#out = new FrameWriter(this.#connection.outlet, stream)
    this.#frames = new FrameReader(this, 2 ** 30 + frameExtraBytes)
    this.#next = 0
    this.#emit(this.#out)
  }

  refused(error: RdvError): void {
    this.#tell(undefined, error)
  }

  data(chunk: Uint8Array): void {
    try {
      this.#frames?.push(chunk)
    } catch (thrown) {
      if (!(thrown instanceof RdvError)) throw thrown
      this.#lane.stream?.reset(thrown.code, thrown.message)
    }
    this.#lane.stream?.consumed(chunk.length)
  }

  meta(): void {}

  end(): void {
    this.#lane.stream?.end()
  }

  drain(): void {
    if (this.#out !== undefined) this.#out.full = false
  }

  closed(error: RdvError | undefined): void {
    this.#out?.stop()
    this.#out = undefined
    this.#frames?.stop()
    while (this.#open.shift() !== undefined);
    this.#closing?.resolve()
    const asked = this.#asked
    if (asked === undefined) return
    const why = error ?? new RdvError("closed", "The server has ended the stream")
    if (!isLost(why)) this.#tell(undefined, why)
    // A receive that was chosen went back; only a send may have happened.
    else if (asked.cancelledWith !== undefined) this.#tell(undefined, asked.cancelledWith)
    else if (!asked.isSent || asked.cases.every(({ bytes }) => bytes === undefined)) {
      asked.isSent = false
      this.#lane.wantAgain()
    } else {
      this.#tell(undefined, new RdvError("link_lost", "The session was lost during a select", { cause: why }))
    }
  }

  frame(kind: number, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start
    const asked = this.#asked
    if (asked?.isSent !== true) throw new RdvError("protocol", "An answer to no select")
    if (kind === frameKind.chosen && length >= 3) {
      const index = readU16(bytes, start)
      if (bytes[start + 2] === 1) {
        this.#tell({ index, message: undefined }, undefined)
        return
      }
      if (length < 13) throw new RdvError("protocol", "A channel frame of the wrong length")
      const body = bytes.slice(start + 13, end)
      const message = new Message(this, this.#next++, readU64(bytes, start + 3), readU16(bytes, start + 11), body)
      this.#open.push(message)
      this.#tell({ index, message }, undefined)
    } else if (kind === frameKind.none && length >= 4) {
      const code = codeFromNumber(readU16(bytes, start + 2))
      const index = readU16(bytes, start)
      const reason = utf8Decode(bytes, start + 4, end)
      const isOurs = index === noCase && code === "cancelled" && asked.cancelledWith !== undefined
      const error = isOurs ? asked.cancelledWith : new RdvError(code, reason, { origin: "remote" })
      this.#tell(index === noCase ? undefined : { index, message: undefined }, error)
    } else throw new RdvError("protocol", `The server sent a frame of kind ${kind} to a select`)
  }

  #emit(out: FrameWriter): void {
    const asked = this.#asked
    if (asked === undefined || asked.isSent) return
    asked.isSent = true
    for (const { path, bytes } of asked.cases) {
      const name = utf8Encode(path)
      const length = bytes?.length ?? 0
      // In one piece: the path is not the last part of the body.
      const body = new Uint8Array(3 + name.length + length)
      body[0] = bytes === undefined ? 0 : 1
      body[1] = name.length >>> 8
      body[2] = name.length
      body.set(name, 3)
      if (bytes !== undefined) body.set(bytes, 3 + name.length)
      out.begin(frameKind.case, body.length)
      out.bytes(body)
    }
    out.begin(frameKind.go, 4)
    out.u32(asked.ms === forever ? forever : Math.min(Math.ceil(asked.ms), forever - 1))
  }

  #tell(chosen: Chosen | undefined, error: RdvError | undefined): void {
    const asked = this.#asked
    if (asked === undefined) return
    this.#asked = undefined
    asked.hear(chosen, error)
    this.#onFree(this)
  }
}
