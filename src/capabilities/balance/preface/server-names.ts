/**
 * Who serves a name: exact names before wildcards, longer wildcards before shorter ones, and whoever takes the rest.
 * `*.shop.test` stands for every name below `shop.test`, however deep, and not for `shop.test` itself. A lookup costs one
 * look per label, however many names there are.
 */

import { domainToASCII } from "node:url"

export class ServerNames<Owner> {
  readonly #exact: Map<string, Owner> = new Map()
  /** By what follows the star, with its dot. */
  readonly #below: Map<string, Owner> = new Map()
  /** Takes what nobody else does, and connections without a name. */
  readonly #otherwise: Owner | undefined

  /** Patterns with their owners; the first one of equal patterns counts. Names may have letters beyond ASCII. */
  constructor(entries: Iterable<readonly [pattern: string, owner: Owner]>, otherwise?: Owner) {
    this.#otherwise = otherwise
    for (const [pattern, owner] of entries) {
      const isBelow = pattern.startsWith("*.")
      const key = isBelow ? `.${inAscii(pattern.slice(2))}` : inAscii(pattern)
      const owners = isBelow ? this.#below : this.#exact
      if (!owners.has(key)) owners.set(key, owner)
    }
  }

  /** `name` in lower case, as `readClientHello` gives it. Undefined when nobody serves it. */
  find(name: string | undefined): Owner | undefined {
    if (name === undefined) return this.#otherwise
    const exact = this.#exact.get(name)
    if (exact !== undefined) return exact
    if (this.#below.size > 0) {
      for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
        const owner = dot > 0 ? this.#below.get(name.slice(dot)) : undefined
        if (owner !== undefined) return owner
      }
    }
    return this.#otherwise
  }
}

/** `Straße.test` → `xn--strae-oqa.test`; what is no name stays as it is and matches nothing. */
function inAscii(name: string): string {
  return domainToASCII(name) || name.toLowerCase()
}
