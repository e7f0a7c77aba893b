/** A target whose bytes are read again from the disk when they are in their place: `rdv get --verify`. */

import { RdvError } from "./base/error.ts"
import type { Target, TargetHoldings, TargetVersion } from "./capabilities/share/peer/target.ts"

/** `signal` gives the reading up; then it is in its place all the same. */
export function verified(target: Target, signal?: AbortSignal): Target {
  return {
    async open(version) {
      const holdings = await target.open(version)
      return {
        have: holdings.have,
        foundBytes: holdings.foundBytes,
        read: (chunk, into) => holdings.read(chunk, into),
        store: (chunk, sealed) => holdings.store(chunk, sealed),
        async finish() {
          const finished = await holdings.finish()
          await check(holdings, version, signal)
          return finished
        },
        close: () => holdings.close(),
        discard: () => holdings.discard(),
      }
    },
  }
}

/** Of each chunk, sealed again from what was read. */
async function check(
  holdings: TargetHoldings,
  { table, crypto }: TargetVersion,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let chunk = table.manifestChunks; chunk < table.count; chunk++) {
    signal?.throwIfAborted()
    const hash = crypto.hash(await holdings.read(chunk))
    if (Buffer.compare(hash, table.hashOf(chunk)) === 0) continue
    throw new RdvError("corrupt", `Part ${chunk} reads from the disk as something else than was written`, {
      mend: "check the disk, and get it again with --overwrite",
    })
  }
}
