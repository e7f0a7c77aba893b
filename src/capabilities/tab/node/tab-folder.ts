/** Where a server in Node keeps what it has: its database, its key and the program that it runs. */

import { createHash } from "node:crypto"
import { mkdirSync } from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { RdvError } from "../../../base/error.ts"

export interface TabFolder {
  readonly path: string
  readonly database: string
  readonly key: string
  /** Keys of peers. */
  readonly peers: string
  /** Written anew at each start. */
  readonly program: string
}

/**
 * The folder is made when it is not there. Without one that the user names it is below `data`, another one for each
 * application's path: two that are called `app.ts` share nothing. Throws `usage` when it cannot be made.
 */
export function tabFolder(wanted: string | undefined, data: string, app: string): TabFolder {
  const path = wanted === undefined ? join(data, "tabs", `${nameOfApp(app)}-${hashOf(app)}`) : resolve(wanted)
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new RdvError("usage", `The folder ${path} cannot be made (${(cause as { code?: string }).code ?? "?"})`, {
      mend: "choose another one with --data",
      cause,
    })
  }
  return {
    path,
    database: join(path, "data.sqlite"),
    key: join(path, "identity.pem"),
    peers: join(path, "peers.json"),
    program: join(path, "program"),
  }
}

/** A word for people: what its file or its folder is called, as a host name may have it. */
export function nameOfApp(app: string): string {
  const stem = basename(app).replace(/\.[a-z]+$/, "")
  const word = /^(?:app|index|main|server)$/.test(stem) ? basename(dirname(app)) : stem
  const name = word
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
  return name.slice(0, 40).replace(/-$/, "") || "app"
}

function hashOf(app: string): string {
  return createHash("sha256").update(app).digest("hex").slice(0, 8)
}
