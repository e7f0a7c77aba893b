/**
 * A build folder: what a static host or a relay serves so that an application runs in its visitors' tabs.
 *
 *     index.html    app.js    rdv-sw.js    .rdv/ (hashed names, runtime.json, tab.json)
 */

import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { dirname, join, relative, sep } from "node:path"
import { RdvError } from "../../../base/error.ts"
import type { AppBundle } from "./app-bundler.ts"
import type { TabRuntime } from "./runtime-folder.ts"

/** `.rdv/tab.json`: where the application's servers may go public. */
export interface BuildPlace {
  /** As it is published; null: only a relay that is open to all takes it. */
  readonly app: string | null
  /** `wss://host:port`; null: nowhere. */
  readonly relay: string | null
  readonly domain: string | null
}

/** By path, without a slash in front. */
export type BuildFiles = ReadonlyMap<string, Uint8Array>

export interface Build {
  readonly files: BuildFiles
  /** Changes whenever any of the files does. */
  readonly version: string
}

export interface BuildOptions {
  readonly runtime: TabRuntime
  readonly bundle: AppBundle
  readonly place: BuildPlace
  /** A development server's: the path of its event stream. */
  readonly events?: string
}

export function buildFiles({ runtime, bundle, place, events }: BuildOptions): Build {
  const files = new Map(runtime.files)
  const kept = [...runtime.names.files, appPath]
  files.set("app.js", bundle.code)
  for (const [name, bytes] of bundle.assets) {
    files.set(`.rdv/${name}`, bytes)
    kept.push(`/.rdv/${name}`)
  }
  const version = versionOf(files)
  const { page, worker, workerMain, boot } = runtime.names
  const names = { version, page, worker, workerMain, boot, app: appPath, files: kept, ...(events && { events }) }
  files.set(".rdv/runtime.json", json(names))
  files.set(".rdv/tab.json", json({ ...place }))
  return { files, version }
}

/**
 * Writes a build to a folder. What an earlier build has left there goes; a folder that holds something else is refused with
 * `usage`, so that nobody loses a folder by a slip of the hand.
 */
export function writeBuild(folder: string, { files }: Build): void {
  if (existsSync(folder) && !statSync(folder).isDirectory()) {
    throw new RdvError("usage", `${folder} is no folder`, { mend: "choose another place with -o" })
  }
  const before = existsSync(folder) ? readdirSync(folder) : []
  if (before.length > 0 && !existsSync(join(folder, ".rdv", "runtime.json"))) {
    throw new RdvError("usage", `${folder} holds other files than a build`, {
      mend: "choose another place with -o, or empty it",
    })
  }
  // What the list names stands before it: who serves the folder meanwhile serves whole versions.
  const list = ".rdv/runtime.json"
  for (const [path, bytes] of files) if (path !== list) put(join(folder, path), bytes)
  put(join(folder, list), files.get(list) as Uint8Array)
  for (const name of readdirSync(join(folder, ".rdv"))) {
    if (!files.has(`.rdv/${name}`)) rmSync(join(folder, ".rdv", name), { recursive: true, force: true })
  }
}

/** Reads a folder that was built before. Undefined: it is none. */
export function readBuild(folder: string): BuildFiles | undefined {
  if (!existsSync(join(folder, ".rdv", "runtime.json"))) return undefined
  const files = new Map<string, Uint8Array>()
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    files.set(relative(folder, path).split(sep).join("/"), readFileSync(path))
  }
  return files
}

function versionOf(files: BuildFiles): string {
  const hash = createHash("sha256")
  for (const path of [...files.keys()].toSorted()) {
    const bytes = files.get(path) as Uint8Array
    hash.update(`${path}\0${bytes.length}\0`).update(bytes)
  }
  return hash.digest("hex").slice(0, 16)
}

function json(value: unknown): Uint8Array {
  return Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`)
}

/** Whole or not at all. */
function put(path: string, bytes: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true })
  const beside = `${path}.${process.pid}`
  writeFileSync(beside, bytes)
  renameSync(beside, path)
}

const appPath = "/app.js"
