/** `rdv chan serve` as a user starts it: one process, no configuration, nobody else's data. */

import { join } from "node:path"
import type { Children } from "../children.ts"
import type { Running } from "./systems.ts"

const commandLine = join(import.meta.dirname, "..", "..", "src", "cli", "main.ts")

export async function startRdv(children: Children, kind: "tcp" | "unix"): Promise<Running> {
  const folder = children.folder()
  const path = join(folder, "channels.sock")
  const listen = kind === "tcp" ? "tcp://127.0.0.1:0" : `unix:${path}`
  const flags = process.env["RDV_BENCH_FLAGS"]?.split(" ") ?? []
  const child = children.node(
    "rdv chan serve",
    [...flags, commandLine, "chan", "serve", "--listen", listen, "--json"],
    {
      env: homeIn(folder),
    },
  )
  if (kind === "unix") {
    await child.until(/channels\.sock/, 30_000)
    return { place: { path }, pid: child.pid, stop: () => child.stop() }
  }
  const port = Number((await child.until(/tcp:\/\/[^\s":]*:(\d+)/, 30_000))[1])
  return { place: { host: "127.0.0.1", port }, pid: child.pid, stop: () => child.stop() }
}

/** Nothing of the user's configuration and data plays in. */
function homeIn(folder: string): NodeJS.ProcessEnv {
  const xdg = { XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder, XDG_STATE_HOME: folder, XDG_RUNTIME_DIR: folder }
  return { ...process.env, HOME: folder, ...xdg }
}
