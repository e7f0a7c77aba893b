/** Runs a bundle in this process: it is written to a file, so that Node tells the places of errors in the sources. */

import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { setSourceMapsSupport } from "node:module"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { RdvError } from "../../../base/error.ts"
import type { TabApp } from "../app/app.ts"
import { oneLine } from "../serve/plain-answer.ts"

export interface Program {
  readonly code: Uint8Array
  readonly assets: ReadonlyMap<string, Uint8Array>
}

/** Rejects `usage` when it is no application, or throws while it loads. `file` is what people know it by. */
export async function loadApp(program: Program, folder: string, file: string): Promise<TabApp> {
  setSourceMapsSupport(true)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const [name, bytes] of program.assets) writeFileSync(join(folder, name), bytes)
  const path = join(folder, "app.mjs")
  writeFileSync(path, program.code)
  let app: Partial<TabApp> | undefined
  try {
    const module = (await import(pathToFileURL(path).href)) as { readonly default?: Partial<TabApp> }
    app = module.default
  } catch (cause) {
    throw new RdvError("usage", `${file} throws while it loads: ${oneLine(cause)}`, { mend: "correct it", cause })
  }
  if (typeof app?.fetch === "function") return named(app as TabApp, file)
  throw new RdvError("usage", `${file}:1:1: the application has no fetch function`, {
    mend: "write export default { fetch(request, env) { … } }",
  })
}

/** The same application, which says whose mistake it is when it does not start. */
function named(app: TabApp, file: string): TabApp {
  return {
    fetch: (request, env) => app.fetch(request, env),
    ...(app.socket !== undefined && { socket: (socket, request, env) => app.socket?.(socket, request, env) }),
    ...(app.start !== undefined && {
      async start(env) {
        try {
          await app.start?.(env)
        } catch (cause) {
          throw new RdvError("usage", `${file} throws in start: ${oneLine(cause)}`, { mend: "correct it", cause })
        }
      },
    }),
  }
}
