/** The product compiled, as it is installed: a process that compiles as it starts has another memory, and starts later. */

import { execFileSync } from "node:child_process"
import { cpSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import type { Children } from "../children.ts"

const checkout = join(import.meta.dirname, "..", "..")

/** Its command line. */
export function compileProduct(children: Children): string {
  const folder = children.folder()
  const dist = join(folder, "dist")
  const compiler = join(checkout, "node_modules", "typescript", "bin", "tsc")
  execFileSync(process.execPath, [compiler, "-p", join(checkout, "tsconfig.build.json"), "--outDir", dist])
  for (const name of ["package.json", "node_modules"]) symlinkSync(join(checkout, name), join(folder, name))
  const source = join(checkout, "src")
  cpSync(source, dist, { recursive: true, filter: (path) => !path.endsWith(".ts") && path !== join(source, "web") })
  return join(dist, "cli", "main.js")
}
