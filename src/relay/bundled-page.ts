/**
 * Pages that `scripts/web.mjs` has bundled, from the folder that lies beside the program's own in a checkout and in the
 * package alike.
 */

import { readdirSync, readFileSync } from "node:fs"
import { extname, join } from "node:path"
import { RdvError } from "../base/error.ts"
import type { OwnPage, OwnPageHandler } from "./own-pages.ts"

const folder = join(import.meta.dirname, "..", "..", "dist", "web")
/** The bundles name their scripts and styles by it. */
const assetPath = "/.rdv/web/"

export interface PageServer {
  serve(path: string, handler: OwnPageHandler): void
}

/**
 * Serves a page, and what it loads. `paths`: as `OwnPages.serve` has them, and what may stand behind each. The bundle is
 * read once, now. Throws `not_found` when there is none.
 */
export function serveBundledPage(server: PageServer, name: string, paths: { readonly [path: string]: RegExp }): void {
  let page: OwnPage
  const assets = new Map<string, OwnPage>()
  try {
    page = { type: "text/html; charset=utf-8", bytes: readFileSync(join(folder, `${name}.html`)), forever: false }
    for (const file of readdirSync(join(folder, "assets"))) {
      const type = types[extname(file)]
      if (type !== undefined)
        assets.set(file, { type, bytes: readFileSync(join(folder, "assets", file)), forever: true })
    }
  } catch (cause) {
    throw new RdvError("not_found", `The page "${name}" was not bundled`, { mend: "run npm run build", cause })
  }
  for (const [path, rest] of Object.entries(paths)) server.serve(path, (text) => (rest.test(text) ? page : undefined))
  server.serve(assetPath, (file) => assets.get(file))
}

const types: { readonly [extension: string]: string } = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
}
