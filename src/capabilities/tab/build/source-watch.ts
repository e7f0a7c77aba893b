/** Hears when files change that an application is made of, and when one appears that it may have missed. */

import { watch, watchFile, unwatchFile } from "node:fs"
import type { FSWatcher } from "node:fs"
import { basename, dirname, sep } from "node:path"

export class SourceWatch {
  readonly #onChange: () => void
  /** By folder: editors replace files, and a watch of the file itself would be one of the old one. */
  readonly #folders: Map<string, FSWatcher> = new Map()
  /** Where folders cannot be watched: looked at now and then. */
  readonly #polled: Set<string> = new Set()
  #names: ReadonlySet<string> = new Set()
  #timer: NodeJS.Timeout | undefined

  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  /** These from now on. What packages bring does not change while somebody works. */
  follow(files: readonly string[]): void {
    const own = files.filter((file) => !file.includes(`${sep}node_modules${sep}`))
    this.#names = new Set(own.map((file) => basename(file)))
    const folders = new Set(own.map((file) => dirname(file)))
    for (const [folder, watcher] of this.#folders) {
      if (folders.has(folder)) continue
      watcher.close()
      this.#folders.delete(folder)
    }
    for (const folder of folders) if (!this.#folders.has(folder)) this.#open(folder, own)
  }

  close(): void {
    clearTimeout(this.#timer)
    for (const watcher of this.#folders.values()) watcher.close()
    for (const file of this.#polled) unwatchFile(file, this.#changed)
  }

  #open(folder: string, files: readonly string[]): void {
    try {
      const watcher = watch(folder, (_event, name) => {
        if (name === null || this.#names.has(name) || sourceName.test(name)) this.#changed()
      })
      watcher.on("error", () => this.#poll(folder, files))
      this.#folders.set(folder, watcher)
    } catch {
      // The system watches no more folders, or this one never.
      this.#poll(folder, files)
    }
  }

  #poll(folder: string, files: readonly string[]): void {
    for (const file of files) {
      if (dirname(file) !== folder || this.#polled.has(file)) continue
      this.#polled.add(file)
      watchFile(file, { interval: pollMs, persistent: false }, this.#changed)
    }
  }

  /** One save is several notices. */
  readonly #changed = (): void => {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.#onChange, settleMs)
  }
}

const sourceName = /\.(?:[cm]?[jt]sx?|json|html|css|sql|md|svg|txt)$/
const settleMs = 15
const pollMs = 300
