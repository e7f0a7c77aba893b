/**
 * From the target of a request to a file under the served folder, and never to anything else. The text is judged first,
 * without the disk; then the real path is, so that a link cannot lead out. Both are judged anew on every request: the
 * folder may change, and may itself be a link that a deployment moves.
 */

import { realpath, stat } from "node:fs/promises"
import type { Stats } from "node:fs"
import { join, sep } from "node:path"

/** The path of a request, decoded and clean: no segment is empty, hidden or more than one name. */
export interface FolderPath {
  readonly segments: readonly string[]
  /** It ended with a slash, so it means a directory. */
  readonly directory: boolean
}

/** What a request cannot have, as the status to answer with. */
export type Refused = 400 | 403 | 404

export interface Found {
  /** The real path, links resolved. */
  readonly path: string
  /** The real path of the served folder at this moment. */
  readonly root: string
  readonly stats: Stats
}

/** Reads a request target in origin form; the query is not looked at. `platform` is a parameter for tests. */
export function readFolderPath(target: string, platform: string = process.platform): FolderPath | Refused {
  const query = target.indexOf("?")
  const path = query < 0 ? target : target.slice(0, query)
  if (!path.startsWith("/")) return 400
  const segments: string[] = []
  for (const encoded of path.split("/")) {
    // Doubled slashes are one: `//host/` must never come back in a `Location`, where it would name another host.
    if (encoded === "") continue
    const segment = decode(encoded)
    if (segment === undefined) return 400
    // RFC 8615 keeps one hidden place public, and only at the top.
    const wellKnown = segments.length === 0 && segment === ".well-known"
    if ((segment.startsWith(".") && !wellKnown) || !isOneName(segment, platform)) return 404
    segments.push(segment)
  }
  return { segments, directory: path.endsWith("/") }
}

/** Finds what the segments lead to. Throws only what nobody expects of a file system. */
export async function find(root: string, segments: readonly string[]): Promise<Found | Refused> {
  try {
    const realRoot = await realpath(root)
    const path = await realpath(join(realRoot, ...segments))
    if (!isInside(realRoot, path)) return 404
    return { path, root: realRoot, stats: await stat(path) }
  } catch (error) {
    const status = refusalOf(error)
    if (status === undefined) throw error
    return status
  }
}

/** The answer to a file system's refusal; undefined for one that deserves a line in the log. */
export function refusalOf(error: unknown): Refused | undefined {
  switch ((error as { code?: string }).code) {
    case "ENOENT":
    case "ENOTDIR":
    case "ENAMETOOLONG":
    case "ELOOP":
      return 404
    case "EACCES":
    case "EPERM":
      return 403
    default:
      return undefined
  }
}

/** The path of segments as it stands in a URL. */
export function encodePath(segments: readonly string[]): string {
  return segments.map((segment) => `/${encodeURIComponent(segment.toWellFormed())}`).join("")
}

function isInside(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep)
}

function decode(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded)
  } catch {
    return undefined
  }
}

/** False for what a file system would read as several names, as another drive, or as a device. */
function isOneName(segment: string, platform: string): boolean {
  if (/[/\\\0]/.test(segment)) return false
  if (platform !== "win32") return true
  return !/[:*?"<>|]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$)(\.|$)/i.test(segment)
}
