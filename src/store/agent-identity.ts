/**
 * The name by which a relay knows an agent again: generated host names and ports stay the same for it. It is random and
 * says nothing about the machine; it is no secret, and no proof of anything.
 */

import {
  linkSync,
  mkdirSync,
  openSync,
  closeSync,
  fsyncSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs"
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { RdvError } from "../base/error.ts"

const shape = /^[A-Za-z0-9_-]{22}$/

/**
 * Reads the id from `agent-id` in the state folder, or makes one: 128 random bits as base64url. Agents that start at the
 * same moment get the same one. Throws `usage` when the file cannot be read, written or understood.
 */
export function agentIdentity(stateFolder: string): string {
  const path = join(stateFolder, "agent-id")
  try {
    return read(path) ?? create(stateFolder, path)
  } catch (error) {
    if (error instanceof RdvError) throw error
    throw new RdvError(
      "usage",
      `The agent's id cannot be kept in ${path} (${(error as { code?: string }).code ?? "?"})`,
      {
        cause: error,
        mend: "check that the folder is yours and not read-only, or set RDV_DATA to another folder",
      },
    )
  }
}

function read(path: string): string | undefined {
  let text: string
  try {
    text = readFileSync(path, "utf8").trim()
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined
    throw error
  }
  if (shape.test(text)) return text
  throw new RdvError("usage", `The agent's id in ${path} is damaged`, {
    mend: "delete the file: a new id is made, and generated names change once",
  })
}

function create(folder: string, path: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const id = randomBytes(16).toString("base64url")
  const temporary = `${path}.${randomBytes(6).toString("hex")}`
  try {
    const file = openSync(temporary, "wx", 0o600)
    try {
      writeSync(file, `${id}\n`)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    return publish(temporary, path) ? id : (read(path) ?? id)
  } finally {
    rmSync(temporary, { force: true })
  }
}

/** A hard link fails when the file exists, a rename would replace what another agent just began to use. */
function publish(temporary: string, path: string): boolean {
  try {
    linkSync(temporary, path)
    return true
  } catch (error) {
    if ((error as { code?: string }).code === "EEXIST") return false
    // File systems without hard links.
    renameSync(temporary, path)
    return true
  }
}
