/**
 * Files that settings name, beside the one that they stand in: certificates, authorities, lists of networks. Their contents
 * change while the settings say the same, and whoever reloads wants to hear of it.
 */

import { createHash, X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import type { Settings } from "./settings.ts"

/** What it is, and where → what is in it. */
export type FileMarks = ReadonlyMap<string, FileMark>

interface FileMark {
  /** Of the contents. */
  readonly mark: string
  /** How it is told that there is another one. */
  readonly change: string
}

/** As the files are now; one that cannot be read has a mark, too. */
export function fileMarks({ apps }: Settings): FileMarks {
  const marks = new Map<string, FileMark>()
  const note = (what: string, change: string, ...files: readonly string[]) => {
    const name = `${what} ${files[0]}`
    if (!marks.has(name)) marks.set(name, { mark: markOf(files), change })
  }
  const noteCertificate = (cert: string, key: string) => {
    if (!marks.has(`certificate ${cert}`)) note("certificate", renewed(cert), cert, key)
  }
  for (const { listeners, targets, access } of apps) {
    for (const { tls } of listeners) {
      for (const { cert, key } of tls?.certificates ?? []) noteCertificate(cert, key)
      if (tls?.clientCa !== undefined) note("authorities", "changed", tls.clientCa)
    }
    for (const { tls } of targets) {
      if (tls?.cert !== undefined && tls.key !== undefined) noteCertificate(tls.cert, tls.key)
      if (tls?.ca !== undefined) note("authorities", "changed", tls.ca)
    }
    for (const { file } of access.rules) if (file !== undefined) note("list", "changed", file)
  }
  return marks
}

/** A line for each file that both have, and that is another one now: `certificate /etc/a.pem renewed, valid until …`. */
export function fileChanges(before: FileMarks, after: FileMarks): string[] {
  return [...after]
    .filter(([name, { mark }]) => before.has(name) && before.get(name)?.mark !== mark)
    .map(([name, { change }]) => `${name} ${change}`)
}

function markOf(files: readonly string[]): string {
  const hash = createHash("sha256")
  for (const file of files) {
    try {
      hash.update(createHash("sha256").update(readFileSync(file)).digest())
    } catch (error) {
      hash.update((error as { code?: string }).code ?? "unknown")
    }
  }
  return hash.digest("base64")
}

function renewed(cert: string): string {
  try {
    return `renewed, valid until ${new X509Certificate(readFileSync(cert)).validToDate.toISOString().slice(0, 10)}`
  } catch {
    // Whoever uses it says what is wrong with it.
    return "changed"
  }
}
