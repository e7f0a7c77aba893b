/** The code of a share from standard input: on the command line every user of the machine can read it. */

import { RdvError } from "../base/error.ts"

/** A link is shorter. */
const mostBytes = 4_096

/** `-` is the first line of `input`; anything else is the code itself. Rejects `usage` when there is no line. */
export async function codeWord(word: string, input: AsyncIterable<Uint8Array>): Promise<string> {
  if (word !== "-") return word
  let bytes = Buffer.alloc(0)
  for await (const more of input) {
    bytes = Buffer.concat([bytes, more])
    if (bytes.includes(10) || bytes.length > mostBytes) break
  }
  const line = bytes.subarray(0, mostBytes).toString("utf8").split("\n", 1)[0]?.trim() ?? ""
  if (line === "") {
    throw new RdvError("usage", "There is no code on standard input", { mend: "write it there: echo CODE | rdv get -" })
  }
  return line
}
