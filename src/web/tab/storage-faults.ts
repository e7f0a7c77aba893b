/**
 * Why the browser's storage refused. SQLite only hears that input or output failed, since its file system in the browser
 * has no other word; that the quota is used up is said to the build's log alone, so here that log is read.
 */

export class StorageFaults {
  #full: unknown

  /** One line of the build's log. */
  readonly hear = (...words: readonly unknown[]): void => {
    for (const word of words) {
      if (!(word instanceof Error || word instanceof DOMException)) continue
      // Firefox writes less than was asked for, which the build finds odd.
      if (word.name === "QuotaExceededError" || word.message.includes("Unknown write() failure")) this.#full = word
    }
  }

  /** What has said since the last call that there is no room; undefined: nothing. */
  takeFull(): unknown {
    const full = this.#full
    this.#full = undefined
    return full
  }
}
