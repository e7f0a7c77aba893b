/** A public name for something that the relay itself serves for somebody: the same rules as for a route. */

import { RdvError } from "../base/error.ts"
import type { Caller } from "../host/host.ts"
import type { Store } from "../store/store.ts"
import { allowsName } from "../store/token-scopes.ts"
import { checkName } from "./names.ts"
import type { Registry } from "./registry.ts"

/**
 * The one spelling of the name, which belongs to the caller from now on. Throws `usage` for what is no name, `forbidden` and
 * `claimed` for one that is not the caller's to have.
 */
export function claimName(wanted: string, { id, names }: Caller, store: Store, registry: Registry): string {
  const name = checkName(wanted)
  if (id === undefined || id.startsWith("session/")) {
    throw new RdvError("unauthorized", "Nobody would know you again", { mend: "come with a token" })
  }
  if (!allowsName({ ...(names !== undefined && { names }) }, name)) {
    throw new RdvError("forbidden", `The token does not allow the name "${name}"`)
  }
  registry.check("http", name, id)
  if (!store.claimName("http", name, id).ok) {
    throw new RdvError("claimed", `"${name}" belongs to somebody else`, { mend: "choose another name" })
  }
  return name
}
