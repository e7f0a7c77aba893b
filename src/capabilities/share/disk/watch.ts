/**
 * Makes a new version of a content when its files change. The system's notices say when to look; the look itself decides, and
 * happens now and then without a notice too, since network disks send none. Files are read when they have been left alone
 * for a moment.
 */

import * as fs from "node:fs"
import { basename, dirname, resolve } from "node:path"
import type { Clock, Timer } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import { diskError } from "./disk-error.ts"
import { fileContent } from "./file-content.ts"
import type { FileContent, FileContentOptions } from "./file-content.ts"
import { lookOf, scanTree } from "./tree-scan.ts"
import type { Scan } from "./tree-scan.ts"

export interface ContentWatchOptions extends Omit<FileContentOptions, "previous" | "scan" | "signal" | "version"> {
  /** The version that is shared now. */
  readonly current: FileContent
  readonly clock: Clock
  /** The next version, which is the caller's. It never comes while the one before is being made. */
  onVersion(content: FileContent): void
  /** A look or a version failed; the watch goes on. The same problem is told once. */
  onProblem(error: RdvError): void
  /** Between the looks that no notice asks for, ms. Default 2,000 where there are no notices, else 30,000. */
  readonly pollMs?: number
}

export interface ContentWatch {
  /** Nothing is told behind this. */
  close(): Promise<void>
}

/** Files have to look the same twice, so long apart. */
const settleMs = 300

export function watchContent(options: ContentWatchOptions): ContentWatch {
  return new Watch(options)
}

class Watch implements ContentWatch {
  readonly #options: ContentWatchOptions
  readonly #stop = new AbortController()
  readonly #watchers: fs.FSWatcher[] = []
  #hasNotices = true
  #current: FileContent
  /** As the current version was, or as a version that failed for good was. */
  #settled: string
  #seen: string | undefined
  #timer: Timer | undefined
  #dueAt = Infinity
  #looking: Promise<void> | undefined
  #isAsked = false
  #lookTook = 0
  #told: string | undefined

  constructor(options: ContentWatchOptions) {
    this.#options = options
    this.#current = options.current
    this.#settled = stateOf(options.current.scan)
    for (const path of options.paths) this.#watch(resolve(path))
    this.#later(settleMs)
  }

  async close(): Promise<void> {
    this.#stop.abort(new RdvError("closed", "The watch ended"))
    this.#timer?.cancel()
    for (const watcher of this.#watchers) watcher.close()
    await this.#looking
  }

  /** A file is watched through its folder: whoever saves it may put another file in its place. */
  #watch(path: string): void {
    try {
      const isFolder = fs.statSync(path).isDirectory()
      const name = basename(path)
      const watcher = fs.watch(
        isFolder ? path : dirname(path),
        { recursive: isFolder, persistent: false },
        (_, changed) => {
          if (isFolder || changed === null || changed === name) this.#notice()
        },
      )
      // Too many folders for the system, or a disk without notices.
      watcher.on("error", () => (this.#hasNotices = false))
      this.#watchers.push(watcher)
    } catch {
      this.#hasNotices = false
    }
  }

  #notice(): void {
    if (this.#looking === undefined) this.#later(settleMs)
    else this.#isAsked = true
  }

  /** A look is taken then, or sooner if one is due before. */
  #later(delayMs: number): void {
    const { clock } = this.#options
    const dueAt = clock.now() + delayMs
    if (this.#stop.signal.aborted || (this.#timer !== undefined && dueAt >= this.#dueAt)) return
    this.#timer?.cancel()
    this.#dueAt = dueAt
    this.#timer = clock.after(delayMs, () => {
      this.#timer = undefined
      this.#looking = this.#look().finally(() => {
        this.#looking = undefined
        this.#later(this.#isAsked || this.#seen !== undefined ? settleMs : this.#pollMs())
        this.#isAsked = false
      })
    })
  }

  #pollMs(): number {
    const { pollMs = this.#hasNotices ? 30_000 : 2_000 } = this.#options
    // Looking at a large tree shall not become all that is done.
    return Math.max(pollMs, this.#lookTook * 20)
  }

  async #look(): Promise<void> {
    const { clock } = this.#options
    const { signal } = this.#stop
    const begun = clock.now()
    try {
      const scan = await scanTree({ ...this.#options, signal })
      this.#lookTook = clock.now() - begun
      const state = stateOf(scan)
      const isSettled = state === this.#seen
      this.#seen = state === this.#settled ? undefined : state
      if (this.#seen === undefined || !isSettled) return
      const content = await fileContent({ ...this.#options, previous: this.#current, scan, signal })
      if (signal.aborted) {
        await content.close()
        return
      }
      this.#seen = undefined
      this.#settled = state
      this.#told = undefined
      this.#current = content
      this.#options.onVersion(content)
    } catch (error) {
      if (!signal.aborted) this.#problem(error)
    }
  }

  #problem(error: unknown): void {
    const problem = diskError(error, this.#options.paths[0] as string)
    this.#lookTook = Math.max(this.#lookTook, 50)
    // It changes while it is read: the next look knows more.
    if (problem.code === "corrupt") return
    this.#seen = undefined
    if (this.#told === problem.message) return
    this.#told = problem.message
    this.#options.onProblem(problem)
  }
}

function stateOf(scan: Scan): string {
  return `${lookOf(scan)} ${scan.entries.map((entry) => (entry.type === "symlink" ? "" : entry.mode)).join()}`
}
