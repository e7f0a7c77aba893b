/** What bundling scripts have in common: whether a bundle is behind its sources, and files that are whole or not there. */

import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"

/** Browsers that have what our pages use beside syntax (`Promise.withResolvers`, files of their own in workers). */
export const browsers = ["chrome119", "edge119", "firefox121", "safari17.4"]

/** What a bundle was made of the last time, in a file. */
export class BundleStamp {
  #file

  constructor(file) {
    this.#file = file
  }

  /** Nothing that went into the bundle has changed since, and all of it is there. */
  get isCurrent() {
    try {
      const { inputs, outputs } = JSON.parse(readFileSync(this.#file, "utf8"))
      return outputs.every((file) => existsSync(file)) && inputs.every(([file, change]) => changeOf(file) === change)
    } catch {
      return false
    }
  }

  write(inputs, outputs) {
    // The list of browsers is here.
    const all = [...inputs, fileURLToPath(import.meta.url)]
    put(this.#file, JSON.stringify({ inputs: all.map((file) => [file, changeOf(file)]), outputs }))
  }
}

/** Whole or not at all, for whoever reads it at this moment. */
export function put(path, contents) {
  mkdirSync(dirname(path), { recursive: true })
  const beside = `${path}.${process.pid}`
  writeFileSync(beside, contents)
  renameSync(beside, path)
}

function changeOf(file) {
  const { mtimeMs, size } = statSync(file)
  return `${mtimeMs} ${size}`
}
