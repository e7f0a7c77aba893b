/** Which names and ports agents serve at this moment, as the running relay tells. */

import { isJsonObject } from "../base/json.ts"
import type { Json } from "../base/json.ts"
import { readStatuses } from "../observe/status-socket.ts"
import { folders } from "../store/paths.ts"
import type { Store } from "../store/store.ts"
import { foldersOf } from "./common-flags.ts"
import type { CommandCall } from "./command.ts"

/** `http/blog`, `tcp/2222`; undefined when no relay of this store answers. */
export async function servedNames(call: CommandCall, store: Store): Promise<ReadonlySet<string> | undefined> {
  // A relay answers in its user's state folder, whatever its --data says.
  const states = new Set([folders({ env: call.env }).state, foldersOf(call).state])
  const found = (await Promise.all([...states].map((state) => readStatuses(state)))).flat()
  const relays = found.map(({ status }) => status?.["relay"]).filter(isJsonObject)
  const routes = relays.find((relay) => relay["store"] === store.path)?.["routes"]
  if (!Array.isArray(routes)) return undefined
  return new Set((routes as Json[]).filter(isJsonObject).map(({ kind, name }) => `${text(kind)}/${text(name)}`))
}

function text(value: Json | undefined): string {
  return typeof value === "string" ? value : "?"
}
