/**
 * What every request but the hot ones is made of: a function from the message to its effect. What it does to the tree
 * happens at once or by a promise; what it does to the connection's fids is the effect's `commit`, which runs only when the
 * client still waits for the answer.
 */

import { NinepError } from "./errno.ts"
import type { Fids } from "./fids.ts"
import type { NinepLimits } from "./limits.ts"
import type { Answer, Dialect } from "./message.ts"
import type { Tree } from "./tree.ts"

/** What operations may know of their connection. */
export interface Desk {
  readonly tree: Tree
  readonly fids: Fids
  readonly limits: NinepLimits
  readonly dialect: Dialect
  /** The agreed message size. */
  readonly messageBytes: number
  /** Seconds since 1970. */
  now(): number
}

type WithoutTag<Message> = Message extends Answer ? Omit<Message, "tag"> : never

export interface Effect {
  readonly answer: WithoutTag<Answer>
  commit?(): void
  /** The request was flushed or its connection lost meanwhile: gives back what nobody will use. */
  undo?(): void | Promise<void>
}

export type Outcome = Effect | Promise<Effect>

/** Throws `EINVAL` or `ENAMETOOLONG` for what cannot be the name of a new file. */
export function checkName(name: string, limits: NinepLimits): void {
  if (name === "" || name === "." || name === "..")
    throw new NinepError("EINVAL", `"${name}" cannot be the name of a file`)
  checkLength(name, limits)
}

export function checkLength(name: string, limits: NinepLimits): void {
  if (utf8Length(name) > limits.nameBytes)
    throw new NinepError("ENAMETOOLONG", `A name has more than ${limits.nameBytes} bytes`)
}

function utf8Length(text: string): number {
  let bytes = text.length
  // Of a surrogate pair each half counts two.
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit >= 0x80) bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2
  }
  return bytes
}
