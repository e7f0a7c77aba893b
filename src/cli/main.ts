#!/usr/bin/env node
/** The command `rdv`. It keeps what Node compiles, so that all but the first start take a third of the time. */

import { enableCompileCache } from "node:module"
import { homedir } from "node:os"
import { join } from "node:path"
import { boundYoungGeneration } from "./young-generation.ts"

boundYoungGeneration()
enableCompileCache(join(cacheFolder(), "rdv", "compiled"))
const { runProgram } = await import("./program.ts")
process.exit(await runProgram(process.argv.slice(2)))

/** Not the system's temporary folder, which other users can write to. */
function cacheFolder(): string {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = process.env
  if (process.platform === "win32") return local || join(homedir(), "AppData", "Local")
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches")
  return xdg?.startsWith("/") === true ? xdg : join(homedir(), ".cache")
}
