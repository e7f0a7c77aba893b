/** Messages in a stream of bytes, for pipes: a line each, between NULs, or everything as one. */

import { concat, emptyBytes } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"

export type Framing = "lines" | "null" | "whole"

/** The messages of a stream, without what separates them. Rejects with `too_large` above `mostBytes`. */
export async function* messagesOf(
  chunks: AsyncIterable<Uint8Array>,
  framing: Framing,
  mostBytes: number,
): AsyncGenerator<Uint8Array> {
  const end = framing === "lines" ? 10 : 0
  let pieces: Uint8Array[] = []
  let held = 0
  const keep = (piece: Uint8Array) => {
    if (piece.length === 0) return
    held += piece.length
    if (held > mostBytes) {
      throw new RdvError("too_large", `A message on standard input is larger than ${mostBytes} bytes`, {
        mend: "the channel takes no more: see max-message in rdv chan stat",
      })
    }
    pieces.push(piece)
  }
  const take = () => {
    const [first] = pieces
    const message = pieces.length === 1 && first !== undefined ? first : concat(pieces)
    pieces = []
    held = 0
    return message
  }
  for await (const chunk of chunks) {
    let from = 0
    if (framing !== "whole") {
      for (let at = chunk.indexOf(end); at >= 0; at = chunk.indexOf(end, from)) {
        keep(chunk.subarray(from, at))
        yield take()
        from = at + 1
      }
    }
    keep(chunk.subarray(from))
  }
  if (framing === "whole" || held > 0) yield take()
}

const terminators: Readonly<Record<Framing, Uint8Array>> = {
  lines: new Uint8Array([10]),
  null: new Uint8Array([0]),
  whole: emptyBytes,
}

/** The message with what shows its end; a line that has one already keeps it. */
export function framed(message: Uint8Array, framing: Framing): Uint8Array {
  if (framing === "whole" || (framing === "lines" && message.at(-1) === 10)) return message
  return concat([message, terminators[framing]])
}
