/**
 * Which key each name was seen with first. A relay gives names to keys, and could lie about it: who has met somebody before
 * notices. A change is told and not forbidden, since an owner may also have lost the old key.
 */

import type { JsonObject } from "../../../base/json.ts"
import type { Log } from "../../../base/log.ts"

export interface KnownKey {
  readonly key: string
  /** The one that it was known with before. */
  readonly former: string | undefined
}

/** Where they are kept beyond the life of a server. */
export interface KeptKeys {
  load(): Promise<JsonObject>
  save(keys: JsonObject): Promise<void>
}

export class KnownKeys {
  readonly #log: Log
  readonly #kept: KeptKeys | undefined
  /** The one that was met last comes last. */
  readonly #keys = new Map<string, KnownKey>()
  readonly #loaded: Promise<void>

  constructor({ log, kept }: { readonly log: Log; readonly kept: KeptKeys | undefined }) {
    this.#log = log
    this.#kept = kept
    this.#loaded = this.#load()
  }

  get(name: string): KnownKey | undefined {
    return this.#keys.get(name)
  }

  /** Somebody with this key goes by this name. */
  async meet(name: string, key: string): Promise<void> {
    await this.#loaded
    const known = this.#keys.get(name)
    if (known?.key === key) return
    const former = known?.key
    if (former !== undefined) this.#log.warn("tab.peer_key_changed", { name, key, former })
    this.#keys.delete(name)
    this.#keys.set(name, { key, former })
    if (this.#keys.size > mostKeys) this.#keys.delete(this.#keys.keys().next().value as string)
    try {
      await this.#kept?.save(Object.fromEntries([...this.#keys].map(([each, { key }]) => [each, key])))
    } catch (error) {
      this.#log.warn("tab.peer_keys_not_kept", { reason: String(error) })
    }
  }

  async #load(): Promise<void> {
    try {
      for (const [name, key] of Object.entries((await this.#kept?.load()) ?? {})) {
        if (typeof key === "string") this.#keys.set(name, { key, former: undefined })
      }
    } catch (error) {
      this.#log.warn("tab.peer_keys_not_kept", { reason: String(error) })
    }
  }
}

const mostKeys = 1000
