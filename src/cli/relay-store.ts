/** The store of the relay of this data folder, for commands that administer it, whether the relay runs or not. */

import { systemClock } from "../base/clock.ts"
import { silentLog } from "../base/log.ts"
import { openSqliteStore } from "../store/sqlite-store.ts"
import type { Store } from "../store/store.ts"
import { foldersOf, relayStorePath } from "./common-flags.ts"
import type { CommandCall } from "./command.ts"

/** Open while `work` runs. */
export async function withRelayStore(
  call: CommandCall,
  work: (store: Store) => number | Promise<number>,
): Promise<number> {
  const store = openSqliteStore({ path: relayStorePath(foldersOf(call)), clock: systemClock, log: silentLog })
  try {
    return await work(store)
  } finally {
    store.close()
  }
}

/** What another command needs to work on the same data: ` --data DIR`, or nothing. */
export function sameData({ flags }: CommandCall): string {
  return flags.onCommandLine("data") ? ` --data ${flags.text("data")}` : ""
}
