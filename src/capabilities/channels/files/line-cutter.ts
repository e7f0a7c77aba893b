/** Cuts written bytes behind their last newline; the unfinished line stays for the next write. */

import { concat, emptyBytes } from "../../../base/bytes.ts"
import { NinepError } from "../../../ninep/errno.ts"

const newline = 10

export class LineCutter {
  #rest: Uint8Array = emptyBytes

  /** The unfinished line. */
  get rest(): Uint8Array {
    return this.#rest
  }

  /**
   * The lines that these bytes finish, in one piece and a copy: lines can be many and short, and each by itself would take a
   * multiple of its bytes. Throws `EMSGSIZE` for a longer one, and has taken nothing then.
   */
  cut(bytes: Uint8Array, maxMessage: number): Uint8Array {
    let at = 0
    let begun = this.#rest.length
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, at)) {
      checkLength(begun + end + 1 - at, maxMessage)
      at = end + 1
      begun = 0
    }
    checkLength(begun + bytes.length - at, maxMessage)
    // `concat` makes a copy also of one.
    const lines = at === 0 ? emptyBytes : concat([this.#rest, bytes.subarray(0, at)])
    this.#rest = concat([at === 0 ? this.#rest : emptyBytes, bytes.subarray(at)])
    return lines
  }

  /** The unfinished line, which is none any more. */
  takeRest(): Uint8Array {
    const rest = this.#rest
    this.#rest = emptyBytes
    return rest
  }
}

function checkLength(length: number, maxMessage: number): void {
  if (length > maxMessage) throw new NinepError("EMSGSIZE", `A line is longer than ${maxMessage} bytes`)
}

/** The line that begins at `at`, with its newline: a copy. */
export function lineAt(lines: Uint8Array, at: number): Uint8Array {
  // Not `slice`: of a Buffer that is no copy.
  return new Uint8Array(lines.subarray(at, lines.indexOf(newline, at) + 1))
}
