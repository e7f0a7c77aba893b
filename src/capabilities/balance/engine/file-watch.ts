/**
 * Notices that a file says something else: by looking at it every second, because editors and orchestrators write in place,
 * rename over it or swap links, and no one event tells all of that. A file that has just changed is read at the next look,
 * when it is written to its end. Whoever reads it without being told says so, and is not told of the same again.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import { fileState } from "../../../config/file-state.ts"

export interface FileWatchOptions {
  readonly clock: Clock
  readonly file: string
  /** Of the file as it was read (`fileStateNow`); default: as it is at the first look. */
  readonly read?: string
  readonly onChange: () => void
}

const lookMs = 1_000

export class FileWatch {
  readonly #options: FileWatchOptions
  /** The file's state that was told or read last; undefined before the first look. */
  #told: string | undefined
  #seen: string | undefined
  #timer: Timer | undefined
  #isStopped = false

  /** Watches until `stop`. */
  constructor(options: FileWatchOptions) {
    this.#options = options
    this.#told = options.read
    void this.#look()
  }

  /** It was read in this state, or later. */
  wasRead(state: string): void {
    this.#told = state
    // A look that is under way may have seen the one before, which is not to be told either.
    this.#seen = state
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }

  async #look(): Promise<void> {
    const state = await fileState(this.#options.file)
    if (this.#isStopped) return
    const isSettled = state === this.#seen
    this.#seen = state
    this.#told ??= state
    if (isSettled && state !== this.#told) {
      this.#told = state
      this.#options.onChange()
    }
    this.#timer = this.#options.clock.after(lookMs, () => void this.#look())
  }
}
