/** Cuts written bytes into lines, each with its newline; the unfinished one stays for the next write. */

import { concat, emptyBytes } from "../../../base/bytes.ts"
import { NinepError } from "../../../ninep/errno.ts"

const newline = 10

export class LineCutter {
  #rest: Uint8Array = emptyBytes

  /** The unfinished line. */
  get rest(): Uint8Array {
    return this.#rest
  }

  /** The lines that these bytes finish, as copies. Throws `EMSGSIZE` for a longer one, and has taken nothing then. */
  cut(bytes: Uint8Array, maxMessage: number): Uint8Array[] {
    const lines: Uint8Array[] = []
    let at = 0
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, at)) {
      const line = bytes.subarray(at, end + 1)
      lines.push(lines.length === 0 && this.#rest.length > 0 ? concat([this.#rest, line]) : new Uint8Array(line))
      at = end + 1
    }
    // Not `slice`: of a Buffer that is no copy.
    const left = new Uint8Array(bytes.subarray(at))
    const rest = lines.length === 0 && this.#rest.length > 0 ? concat([this.#rest, left]) : left
    if ([...lines, rest].some((line) => line.length > maxMessage)) {
      throw new NinepError("EMSGSIZE", `A line is longer than ${maxMessage} bytes`)
    }
    this.#rest = rest
    return lines
  }

  /** The unfinished line, which is none any more. */
  takeRest(): Uint8Array {
    const rest = this.#rest
    this.#rest = emptyBytes
    return rest
  }
}
