/**
 * The stream on which two servers agree on a direct way: blocks in order for who awaits them, candidates to whoever adds
 * them once they can be added. Everything is bounded: the other side is a stranger.
 */

import { RdvError } from "../../../base/error.ts"
import type { ErrorCode } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream } from "../../../base/stream.ts"
import type { RtcCandidate } from "./rtc.ts"
import { candidateBlock, readCandidate } from "./signal-words.ts"

export class SignalTalk {
  readonly #stream: Stream
  #blocks: JsonObject[] = []
  #waiting: PromiseWithResolvers<JsonObject> | undefined
  #candidates: RtcCandidate[] = []
  #add: ((candidate: RtcCandidate) => void) | undefined
  #heard = 0
  #said = 0
  #over: RdvError | undefined

  constructor(stream: Stream) {
    this.#stream = stream
    stream.attach({
      data: (chunk) => stream.consumed(chunk.length),
      meta: (block) => this.#hear(block),
      end: () => this.#fail(new RdvError("closed", "The peer has ended the talk")),
      drain: () => undefined,
      closed: (error) => this.#fail(error ?? new RdvError("closed", "The talk is over")),
    })
  }

  say(block: JsonObject): void {
    if (this.#over === undefined) this.#stream.meta(block)
  }

  sayCandidate(candidate: RtcCandidate): void {
    if (this.#said++ < mostCandidates) this.say(candidateBlock(candidate))
  }

  /** The next block that is no candidate. Rejects with how the stream ended. */
  next(): Promise<JsonObject> {
    const block = this.#blocks.shift()
    if (block !== undefined) return Promise.resolve(block)
    if (this.#over !== undefined) return Promise.reject(this.#over)
    this.#waiting = Promise.withResolvers<JsonObject>()
    return this.#waiting.promise
  }

  /** From now on, and what came before. */
  takeCandidates(add: (candidate: RtcCandidate) => void): void {
    this.#add = add
    for (const candidate of this.#candidates.splice(0)) add(candidate)
  }

  /** In good order. */
  end(): void {
    this.#over ??= new RdvError("closed")
    this.#stream.end()
  }

  reset(code: ErrorCode, reason?: string): void {
    this.#fail(new RdvError(code, reason))
    this.#stream.reset(code, reason)
  }

  #hear(block: JsonObject): void {
    if (this.#over !== undefined) return
    if (++this.#heard > mostBlocks) {
      this.reset("limit", "More signals than a connection needs")
      return
    }
    if (block["do"] !== "candidate") {
      if (this.#waiting === undefined) this.#blocks.push(block)
      else this.#waiting.resolve(block)
      this.#waiting = undefined
      return
    }
    try {
      const candidate = readCandidate(block)
      if (this.#add === undefined) this.#candidates.push(candidate)
      else this.#add(candidate)
    } catch (thrown) {
      this.reset("protocol", (thrown as RdvError).message)
    }
  }

  #fail(error: RdvError): void {
    if (this.#over !== undefined) return
    this.#over = error
    this.#waiting?.reject(error)
    this.#waiting = undefined
    this.#blocks = []
    this.#candidates = []
  }
}

const mostCandidates = 40
const mostBlocks = 64
