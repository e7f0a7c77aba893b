/** The first words of a client: version(5). */

import type { Calls } from "./client-calls.ts"
import { NinepError } from "./errno.ts"
import { NOTAG, type Dialect } from "./message.ts"
import { RemoteError } from "./remote-error.ts"

/** Below it no folder entry or stat record is sure to fit. */
const leastMsize = 512

/**
 * Asks for the dialects one after the other until the server has one of them; it may choose another one of them by itself.
 * Throws `EPROTO` when it has none.
 */
export async function agreeOnVersion(
  calls: Calls,
  dialects: readonly Dialect[],
  msize: number,
  signal?: AbortSignal,
): Promise<void> {
  const said: string[] = []
  for (const version of dialects) {
    try {
      const answer = await calls.ask({ type: "Tversion", tag: NOTAG, msize, version }, signal)
      const chosen = dialects.find((dialect) => dialect === answer.version)
      if (chosen !== undefined) {
        if (answer.msize > msize || answer.msize < leastMsize)
          throw new NinepError("EPROTO", `The 9P server wants messages of ${answer.msize} bytes; ${msize} were offered`)
        calls.agree(chosen, answer.msize)
        return
      }
      said.push(`"${answer.version}"`)
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error
      said.push(error.message)
    }
  }
  throw new NinepError("EPROTO", `The 9P server has none of ${dialects.join(", ")}: it says ${said.join(", ")}`)
}
