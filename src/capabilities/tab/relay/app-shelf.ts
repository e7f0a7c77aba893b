/**
 * The applications that are published at a relay, in a folder of its data. A revision is written beside the one that is
 * served and takes its place at once, or not at all; whoever is being sent an old file gets the rest of it.
 *
 *     APP/current            the name of the revision that is served
 *     APP/REVISION/…         see `app-revision.ts`
 */

import { createHash, randomBytes } from "node:crypto"
import { mkdir, open, readdir, readFile, rename, stat } from "node:fs/promises"
import { join } from "node:path"
import { RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import { FileWriter, finishRevision, isFolder, readRevision, removeRevision } from "./app-revision.ts"
import type { AppFile } from "./app-revision.ts"
import type { PublishedFile } from "./published-file.ts"

export interface PublishedApp {
  readonly app: string
  /** Changes with any byte or name of it: 16 hexadecimal digits. */
  readonly revision: string
  readonly folder: string
  readonly files: ReadonlyMap<string, AppFile>
  /** As they were sent. */
  readonly bytes: number
  /** Milliseconds since 1970 UTC. */
  readonly publishedAt: number
}

/** A revision that is being written. It ends with `publish` or `abandon`. */
export interface AppDraft {
  file(file: PublishedFile): Promise<FileWriter>
  publish(files: readonly PublishedFile[]): Promise<PublishedApp>
  abandon(): Promise<void>
}

export class AppShelf {
  readonly #folder: string
  readonly #wall: () => number
  readonly #apps: Map<string, PublishedApp> = new Map()
  /** Of two who publish the same at once, the second one comes behind the first. */
  #changes: Promise<unknown> = Promise.resolve()

  private constructor(folder: string, wall: () => number) {
    this.#folder = folder
    this.#wall = wall
  }

  /** With what was published before; folders that are damaged are told of and left alone. */
  static async open(folder: string, wall: () => number, log: Log): Promise<AppShelf> {
    const shelf = new AppShelf(folder, wall)
    const names = await readdir(folder).catch(() => [])
    for (const app of names) {
      if (!(await isFolder(join(folder, app)))) continue
      try {
        await shelf.#load(app)
      } catch (error) {
        log.warn("tab.app_unreadable", { app, reason: error instanceof Error ? error.message : String(error) })
      }
    }
    return shelf
  }

  get(app: string): PublishedApp | undefined {
    return this.#apps.get(app)
  }

  list(): PublishedApp[] {
    return [...this.#apps.values()]
  }

  get bytes(): number {
    return this.list().reduce((sum, { bytes }) => sum + bytes, 0)
  }

  async draft(app: string): Promise<AppDraft> {
    const own = join(this.#folder, app)
    const folder = join(own, `draft-${randomBytes(8).toString("hex")}`)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    return {
      file: (file) => FileWriter.open(folder, file),
      publish: async (files) => {
        // Takes seconds, and concerns nobody else.
        const done = await finishRevision(folder, files)
        return await this.#inTurn(() => this.#publish(app, folder, done))
      },
      abandon: () => removeRevision(folder),
    }
  }

  /** False when there is none of this name. */
  async remove(app: string): Promise<boolean> {
    if (!this.#apps.delete(app)) return false
    await this.#inTurn(() => removeRevision(join(this.#folder, app)))
    return true
  }

  #inTurn<Value>(change: () => Promise<Value>): Promise<Value> {
    const changed = this.#changes.then(change)
    this.#changes = changed.catch(() => undefined)
    return changed
  }

  async #publish(app: string, draft: string, done: readonly AppFile[]): Promise<PublishedApp> {
    const revision = revisionOf(done)
    const own = join(this.#folder, app)
    const folder = join(own, revision)
    const before = this.#apps.get(app)
    if (before?.revision === revision) await removeRevision(draft)
    else {
      // Left over from a relay that was killed between the two steps.
      await removeRevision(folder)
      await rename(draft, folder)
      await writeDurably(join(own, "current"), revision)
    }
    const published = { ...appOf(app, revision, folder, done), publishedAt: this.#wall() }
    this.#apps.set(app, published)
    if (before !== undefined && before.revision !== revision) await removeRevision(before.folder)
    return published
  }

  async #load(app: string): Promise<void> {
    const own = join(this.#folder, app)
    const revision = (await readFile(join(own, "current"), "utf8")).trim()
    if (!/^[0-9a-f]{16}$/.test(revision)) throw new RdvError("corrupt", `${join(own, "current")} names no revision`)
    const folder = join(own, revision)
    const files = await readRevision(folder)
    const { mtimeMs } = await stat(join(own, "current"))
    this.#apps.set(app, { ...appOf(app, revision, folder, files), publishedAt: mtimeMs })
    for (const each of await readdir(own)) {
      if (each !== revision && each !== "current") await removeRevision(join(own, each))
    }
  }
}

function appOf(
  app: string,
  revision: string,
  folder: string,
  files: readonly AppFile[],
): Omit<PublishedApp, "publishedAt"> {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  return { app, revision, folder, files: new Map(files.map((file) => [file.path, file])), bytes }
}

function revisionOf(files: readonly PublishedFile[]): string {
  const lines = files.map(({ path, sha256, type }) => `${path}\0${sha256}\0${type}\n`)
  return createHash("sha256").update(lines.toSorted().join("")).digest("hex").slice(0, 16)
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(`${path}.new`, "w", 0o600)
  try {
    await file.writeFile(`${text}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
}
