/** What stands around a message on a byte stream, so that the other side knows where it ends. */

import { RdvError } from "../../../base/error.ts"
import type { Framing } from "../scenario/scenario.ts"

/** Throws `usage` when the framing cannot carry this content. */
export function framed(content: Uint8Array, framing: Framing): Uint8Array {
  switch (framing.kind) {
    case "none":
      return content
    case "newline": {
      if (content.includes(newline)) {
        const mend = "take it out, or choose another framing"
        throw new RdvError("usage", "A message has a line feed in it, and the framing ends messages with one", { mend })
      }
      const bytes = new Uint8Array(content.length + 1)
      bytes.set(content)
      bytes[content.length] = newline
      return bytes
    }
    case "length": {
      if (content.length >= 2 ** (8 * framing.bytes)) {
        const text = `A message of ${content.length} bytes does not fit a length of ${framing.bytes} bytes`
        throw new RdvError("usage", text, { mend: "choose a longer length" })
      }
      const bytes = new Uint8Array(framing.bytes + content.length)
      for (let at = 0; at < framing.bytes; at++) bytes[at] = content.length >>> (8 * (framing.bytes - 1 - at))
      bytes.set(content, framing.bytes)
      return bytes
    }
    case "fixed": {
      if (content.length !== framing.bytes) {
        const text = `A message has ${content.length} bytes, and the framing says that each has ${framing.bytes}`
        throw new RdvError("usage", text, { mend: "make them equal" })
      }
      return content
    }
  }
}

const newline = 0x0a
