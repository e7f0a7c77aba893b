/** A channel's settings as JSON: read strictly, because a misspelt one would be a limit that does not hold. */

import { RdvError } from "../../../base/error.ts"
import type { Json, JsonObject } from "../../../base/json.ts"
import { nearest } from "../../../base/nearest.ts"
import { defaultChannelSettings } from "../core/settings.ts"
import type { ChannelSettings } from "../core/settings.ts"

/** The words that a setting may have. */
const words: { readonly [name: string]: readonly string[] } = {
  mode: ["unicast", "multicast"],
  deliver: ["matched", "seen", "done"],
  onDisconnect: ["requeue", "fail"],
  slowReader: ["wait", "cut"],
}

/** Throws `usage`; that numbers are within their bounds, the core sees to. */
export function readSettings(json: JsonObject): Partial<ChannelSettings> {
  const defaults: { readonly [name: string]: Json } = { ...defaultChannelSettings }
  const names = Object.keys(defaults)
  const changes: { [name: string]: Json } = {}
  for (const [name, value] of Object.entries(json)) {
    if (value === undefined) continue
    const like = defaults[name]
    if (like === undefined) {
      const meant = nearest(name, names)
      throw new RdvError("usage", `A channel has no setting ${JSON.stringify(name.slice(0, 80))}`, {
        mend: meant === undefined ? `there are ${names.join(", ")}` : `"${meant}" is meant?`,
      })
    }
    const allowed = words[name]
    if (typeof value !== typeof like || (allowed !== undefined && !allowed.includes(value as string))) {
      throw new RdvError("usage", `The setting ${name} of a channel cannot be ${JSON.stringify(value)}`, {
        mend: `give ${allowed?.join(", ") ?? `a ${typeof like}`}`,
      })
    }
    changes[name] = value
  }
  return changes as Partial<ChannelSettings>
}
