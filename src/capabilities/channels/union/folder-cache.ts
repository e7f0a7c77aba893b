/**
 * Fids of folders that were walked through a moment ago. A path is walked name by name, and each walk from the root would
 * walk all names before it once more; where the other server has bound a third one's tree, or ours, that would double with
 * each name. What is kept is short-lived, because others may move a folder, and a walk that fails is tried from the root.
 */

import type { Clock } from "../../../base/clock.ts"
import { NinepError } from "../../../ninep/errno.ts"
import type { RemoteFile } from "../../../ninep/remote-file.ts"

const keptMs = 2_000
const most = 64

interface Kept {
  readonly file: RemoteFile
  readonly at: number
}

export class FolderCache {
  readonly #clock: Clock
  readonly #root: RemoteFile
  /** By path, oldest first. */
  readonly #kept: Map<string, Kept> = new Map()

  constructor(clock: Clock, root: RemoteFile) {
    this.#clock = clock
    this.#root = root
  }

  /** A fid of the caller's own. */
  async walk(names: readonly string[], signal: AbortSignal): Promise<RemoteFile> {
    for (let length = names.length - 1; length > 0; length--) {
      const key = keyOf(names.slice(0, length))
      const kept = this.#kept.get(key)
      if (kept === undefined || this.#clock.now() - kept.at > keptMs) continue
      try {
        return await kept.file.walk(names.slice(length), signal)
      } catch (error) {
        if (!(error instanceof NinepError) || signal.aborted) throw error
        this.#drop(key)
        break
      }
    }
    return this.#root.walk(names, signal)
  }

  /** Takes a fid that the caller needs no more: it is kept when it is a folder's, else it goes. */
  keep(names: readonly string[], file: RemoteFile): void {
    const key = keyOf(names)
    if (!file.isFolder || names.length === 0 || this.#kept.has(key)) {
      void file.leave()
      return
    }
    this.#kept.set(key, { file, at: this.#clock.now() })
    for (const [each, { at }] of this.#kept) {
      if (this.#kept.size <= most && this.#clock.now() - at <= keptMs) break
      this.#drop(each)
    }
  }

  /** Nothing is as it was at or below this path. */
  forget(names: readonly string[]): void {
    const key = keyOf(names)
    for (const each of this.#kept.keys()) if (each === key || each.startsWith(`${key}/`)) this.#drop(each)
  }

  #drop(key: string): void {
    const kept = this.#kept.get(key)
    this.#kept.delete(key)
    void kept?.file.leave()
  }
}

/** Names have no `/`. */
function keyOf(names: readonly string[]): string {
  return names.join("/")
}
