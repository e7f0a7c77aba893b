/** What one exchange sends, and what it expects back. */

import type { Expectation } from "../scenario/scenario.ts"

export interface Message {
  /** Ready to be written: framed, or a whole HTTP request. Not changed by anybody; may be the same object each time. */
  readonly bytes: Uint8Array
  /** Without framing: what an echo has to return. */
  readonly content: Uint8Array
  readonly expect: Expectation
}

export interface MessageSource {
  next(): Message
}
