/**
 * Finds the end of an answer in what a connection brings, and judges it. One reader serves one connection, answer after
 * answer, and keeps no bytes that it is given: they lie in memory that all connections read into.
 */

import type { LoadError } from "./client.ts"
import type { Message } from "../message/message.ts"

/** What `push` says instead of an offset: the answer is not complete. */
export const more = -1
/** Or: this is no answer, as `fault` tells. The reader is of no use afterwards. */
export const broken = -2

export interface AnswerReader {
  /** An answer to this is awaited now. True: there is nothing to wait for, it is complete when the message is sent. */
  begin(message: Message): boolean
  /** Takes `bytes` between the two offsets. The offset behind the answer when it is complete, else `more` or `broken`. */
  push(bytes: Buffer, from: number, to: number): number
  /** The other side has ended while an answer was awaited; true when that completes it. */
  end(): boolean
  /** Of the present answer, with what stands around it. */
  readonly bytes: number
  /** Of the complete answer: why it is not what was expected. */
  readonly wrong: LoadError | undefined
  readonly fault: LoadError | undefined
  /** Of the complete answer: whether another message may follow on this connection. */
  readonly persists: boolean
  /** Nobody knows where the answer ends: what comes behind it belongs to it. */
  readonly boundless: boolean
}
