/** What `scripts/tab-runtime.mjs` has bundled: everything of a build folder but the application itself. */

import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { RdvError } from "../../../base/error.ts"

/** `runtime.json` of a build folder, as pages and workers read it (`src/web/tab/runtime-files.ts`). */
export interface RuntimeNames {
  readonly page: string
  readonly worker: string
  readonly workerMain: string
  readonly boot: string
  readonly files: readonly string[]
}

export interface TabRuntime {
  readonly names: RuntimeNames
  /** By path, without a slash in front. */
  readonly files: ReadonlyMap<string, Uint8Array>
}

/** Throws `not_found` in a checkout that was not built. */
export function readTabRuntime(folder: string = usualFolder): TabRuntime {
  try {
    const names = JSON.parse(readFileSync(join(folder, "runtime.json"), "utf8")) as RuntimeNames
    const paths = ["index.html", "rdv-sw.js", ...readdirSync(join(folder, ".rdv")).map((name) => `.rdv/${name}`)]
    const files = new Map(paths.map((path) => [path, readFileSync(join(folder, path)) as Uint8Array]))
    for (const path of names.files) if (!files.has(path.slice(1))) throw new Error(`${path} is missing`)
    return { names, files }
  } catch (cause) {
    throw new RdvError("not_found", "The runtime of tabs was not bundled", { mend: "run npm run build", cause })
  }
}

/** The same in a checkout and in the package. */
const usualFolder: string = join(import.meta.dirname, "..", "..", "..", "..", "dist", "web", "tab")
