/** An application as its author writes it, for tests that build, publish and run it: a text, since it
 * is a program of its own. */

import { copyFileSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** `app.ts` with what it imports. Returns its path. */
export function writeApp(folder: string, title: string): string {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, "page.html"), "<!doctype html><title>TITLE</title><h1>TITLE</h1>\n")
  writeTitle(folder, title)
  copyFileSync(join(import.meta.dirname, "notes-app.txt"), join(folder, "app.ts"))
  return join(folder, "app.ts")
}

export function writeTitle(folder: string, title: string): void {
  writeFileSync(join(folder, "title.ts"), `export const title: string = ${JSON.stringify(title)}\n`)
}
