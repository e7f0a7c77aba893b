/** Names that this machine cannot have, found out before anything is transferred. */

import { RdvError } from "../../../base/error.ts"
import { printable } from "../../../base/columns.ts"
import type { Entry } from "../content/manifest.ts"
import { isFileAlone } from "../content/manifest-rules.ts"
import { isPath, isSegment } from "../content/path-rules.ts"
import { pathBytes } from "../content/path-text.ts"

export interface NameRules {
  readonly platform: NodeJS.Platform
  /** Two names that differ in case alone are one name here. */
  readonly foldsCase: boolean
  /** Bytes of the path of the folder that the entries go into. */
  readonly folderBytes: number
}

/** Throws `usage` with the name, `protocol` for one that no honest sender sends. */
export function checkNames(name: string, entries: readonly Entry[], rules: NameRules): void {
  if (!isSegment(name)) throw new RdvError("protocol", `What is shared has an impossible name: ${shown(name)}`)
  checkSegment(name, name, rules)
  const seen = rules.foldsCase ? new Map<string, string>() : undefined
  for (const [index, { type, path }] of entries.entries()) {
    // What is shared itself.
    if (path === "" && index === 0 && (type === "folder" || isFileAlone(entries))) continue
    if (!isPath(path)) throw new RdvError("protocol", `What is shared has an impossible path: ${shown(path)}`)
    const bytes = pathBytes(path)?.length ?? Infinity
    if (rules.folderBytes + 1 + bytes > longestPathOf(rules.platform)) {
      throw new RdvError("usage", `The path is too long here: ${shown(path)}`, {
        mend: "put it into a folder higher up",
      })
    }
    for (const segment of path.split("/")) checkSegment(segment, path, rules)
    if (seen === undefined) continue
    const folded = path.normalize("NFC").toLowerCase()
    const other = seen.get(folded)
    if (other !== undefined) {
      throw new RdvError("usage", `${shown(other)} and ${shown(path)} are the same name on this file system`, {
        mend: "put it on a file system that tells upper and lower case apart",
      })
    }
    seen.set(folded, path)
  }
}

/** Names that a file system may refuse although most take them: worth a try before the first byte comes. */
export function doubtfulNames(entries: readonly Entry[]): string[] {
  let longest = ""
  let strange: string | undefined
  for (const { path } of entries) {
    for (const segment of path.split("/")) {
      if (segment.length > longest.length) longest = segment
      if (!segment.isWellFormed()) strange = segment
    }
  }
  // Encrypted file systems have the shortest limit that is common.
  return [...(longest.length > 100 ? [longest] : []), ...(strange === undefined ? [] : [strange])]
}

function checkSegment(segment: string, path: string, { platform }: NameRules): void {
  const isWide = platform === "win32"
  const length = isWide ? segment.length : (pathBytes(segment)?.length ?? Infinity)
  if (length > 255) throw new RdvError("usage", `The name is too long for a file: ${shown(path)}`)
  if (platform !== "win32") return
  if (/[<>:"|?*\\\u0000-\u001f]/.test(segment) || /[. ]$/.test(segment) || !segment.isWellFormed()) {
    throw new RdvError("usage", `Windows cannot have the name ${shown(path)}`)
  }
  // With any ending, and with spaces before it.
  if (/^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\.|$)/i.test(segment)) {
    throw new RdvError("usage", `Windows keeps the name ${shown(path)} for a device`)
  }
}

function longestPathOf(platform: NodeJS.Platform): number {
  return platform === "win32" ? 32_000 : platform === "darwin" ? 1023 : 4095
}

function shown(text: string): string {
  return printable(text.length > 120 ? `${text.slice(0, 60)}…${text.slice(-40)}` : text)
}
