/** JSON messages over a stream's bytes, one on each line: what does not fit a metadata block travels so. */

import { concat } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import { isJsonObject } from "../../../base/json.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream } from "../../../base/stream.ts"
import { utf8Decode, utf8Encode } from "../../../base/text.ts"

/** A plan with its files, or the measurements of many targets: bytes with the line's end. */
export const longestLine: number = 16 * 1024 * 1024

const lineFeed = 0x0a

/** Answers as `Stream.write`. Throws `limit` for a message that no reader takes. */
export function writeLine(stream: Stream, message: unknown): boolean {
  const bytes = utf8Encode(`${JSON.stringify(message)}\n`)
  if (bytes.length <= longestLine) return stream.write(bytes)
  throw new RdvError("limit", `It has ${bytes.length} bytes as JSON, and ${longestLine} are the most that can be sent`)
}

/** Cuts bytes into lines and reads each. Held is one line at most. */
export class JsonLines {
  readonly #onMessage: (message: JsonObject) => void
  #parts: Uint8Array[] = []
  #length = 0

  constructor(onMessage: (message: JsonObject) => void) {
    this.#onMessage = onMessage
  }

  /** Throws `protocol` for a line that is too long or no JSON object, and what `onMessage` throws. */
  push(chunk: Uint8Array): void {
    let from = 0
    for (let at = chunk.indexOf(lineFeed); at >= 0; at = chunk.indexOf(lineFeed, from)) {
      this.#keep(chunk.subarray(from, at))
      from = at + 1
      const text = utf8Decode(concat(this.#parts, this.#length))
      this.#parts = []
      this.#length = 0
      this.#onMessage(read(text))
    }
    // The memory of the chunk is used again.
    if (from < chunk.length) this.#keep(new Uint8Array(chunk.subarray(from)))
  }

  #keep(part: Uint8Array): void {
    this.#length += part.length
    if (this.#length >= longestLine) throw new RdvError("protocol", `A line is longer than ${longestLine} bytes`)
    this.#parts.push(part)
  }
}

function read(text: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new RdvError("protocol", "A line is not JSON")
  }
  if (!isJsonObject(value)) throw new RdvError("protocol", "A line is not a JSON object")
  return value
}
