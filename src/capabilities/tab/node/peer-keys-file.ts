/** The keys that a server has met its peers with, in a file beside its database. */

import { readFile, rename, writeFile } from "node:fs/promises"
import { isJsonObject } from "../../../base/json.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { KeptKeys } from "../peers/known-keys.ts"

export function keptKeysIn(path: string): KeptKeys {
  /** One after the other: the last one stays. */
  let saving = Promise.resolve()
  const save = async (keys: JsonObject) => {
    const beside = `${path}.new`
    await writeFile(beside, `${JSON.stringify(keys, undefined, 2)}\n`, { mode: 0o600 })
    await rename(beside, path)
  }
  return {
    async load() {
      try {
        const keys: unknown = JSON.parse(await readFile(path, "utf8"))
        return isJsonObject(keys) ? keys : {}
      } catch (error) {
        if ((error as { code?: string }).code === "ENOENT") return {}
        throw error
      }
    },
    async save(keys) {
      const mine = saving.then(() => save(keys))
      saving = mine.catch(() => undefined)
      await mine
    },
  }
}
