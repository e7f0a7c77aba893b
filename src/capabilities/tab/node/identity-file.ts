/**
 * The key of a server in Node: a file that only its user reads (PKCS #8 in PEM, RFC 7468). It is made once; who loses it
 * loses the server's public names.
 */

import { closeSync, fsyncSync, linkSync, openSync, readFileSync, rmSync, statSync, writeSync } from "node:fs"
import { RdvError } from "../../../base/error.ts"
import { identityKeyFrom, newIdentityPkcs8 } from "../identity/key-pair.ts"
import type { IdentityKey } from "../identity/key-pair.ts"

/** Reads the key, or makes one. Rejects `usage` when the file cannot be used, or when others may read it. */
export async function identityFromFile(path: string): Promise<IdentityKey> {
  let text = read(path)
  if (text === undefined) {
    write(path, await newIdentityPkcs8())
    text = read(path) ?? ""
  }
  const [, body] = /^-----BEGIN PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----\s*$/.exec(text) ?? []
  const bytes = Buffer.from(body ?? "", "base64")
  try {
    return await identityKeyFrom(bytes)
  } catch (cause) {
    throw new RdvError("usage", `${path} holds no key of a server`, {
      mend: "restore it, or delete it: a new key is made, which has none of the old one's names",
      cause,
    })
  }
}

function read(path: string): string | undefined {
  try {
    if (process.platform !== "win32" && (statSync(path).mode & 0o077) !== 0) {
      throw new RdvError("usage", `Others may read the key in ${path}`, { mend: `chmod 600 ${path}` })
    }
    return readFileSync(path, "utf8")
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined
    if (error instanceof RdvError) throw error
    throw new RdvError("usage", `The key in ${path} cannot be read`, { mend: "check who may read it", cause: error })
  }
}

/** Whole, on disk, and never over another one. */
function write(path: string, pkcs8: Uint8Array): void {
  const body = Buffer.from(pkcs8)
    .toString("base64")
    .replace(/(.{64})(?=.)/g, "$1\n")
  const beside = `${path}.${process.pid}`
  try {
    const file = openSync(beside, "wx", 0o600)
    try {
      writeSync(file, `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    linkSync(beside, path)
  } catch (cause) {
    if ((cause as { code?: string }).code === "EEXIST") return
    throw new RdvError("usage", `The key cannot be kept in ${path}`, { mend: "check that the folder is yours", cause })
  } finally {
    rmSync(beside, { force: true })
  }
}
