/** Copies whole messages into the outbox of a link. */

import type { Outbox } from "../../../ninep/outbox.ts"

export function put(out: Outbox, bytes: Uint8Array, start: number = 0, end: number = bytes.length): void {
  const at = out.reserve(end - start)
  out.bytes.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), at)
}
