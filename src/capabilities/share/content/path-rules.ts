/**
 * Which paths may be shared: those that stay below the folder they are unpacked into, on every system that splits paths at `/`.
 * Names that one system cannot have (`NUL`, `a:b`) are that receiver's business.
 */

import { pathBytes } from "./path-text.ts"

/** Of a path or the target of a link, in bytes: PATH_MAX of Linux. */
export const longestPath = 4096

/** One name: not empty, `.`, `..`, and without `/` and NUL. */
export function isSegment(text: string): boolean {
  return text !== "" && text !== "." && text !== ".." && !/[/\0]/.test(text)
}

/** Segments with `/` between them. */
export function isPath(text: string): boolean {
  return text.split("/").every(isSegment)
}

/**
 * The order of entries: byte by byte, `/` before all others, so that what is in a folder follows it at once. Below 0: `a` comes
 * first.
 */
export function comparePaths(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) {
    const [x, y] = [a[at] as number, b[at] as number]
    if (x !== y) return (x === slash ? -1 : x) - (y === slash ? -1 : y)
  }
  return a.length - b.length
}

const slash = 0x2f

/** Sorts as a manifest has to be. Entries whose path has no bytes come in any order. */
export function sortEntries<E extends { readonly path: string }>(entries: readonly E[]): E[] {
  const keyed = entries.map((entry) => ({ entry, key: pathBytes(entry.path) ?? new Uint8Array(0) }))
  return keyed.sort((a, b) => comparePaths(a.key, b.key)).map(({ entry }) => entry)
}

/**
 * The target of a link at `path` as a manifest keeps it: some `..`, then names. Undefined when it leaves what is shared, or says
 * so by an absolute path. `..` behind a name takes that name away, whatever it is.
 */
export function normalTarget(path: string, target: string): string | undefined {
  if (target === "" || target.startsWith("/") || target.includes("\0")) return undefined
  let up = 0
  const names: string[] = []
  for (const segment of target.split("/")) {
    if (segment === "" || segment === ".") continue
    if (segment !== "..") names.push(segment)
    else if (names.pop() === undefined) up++
  }
  if (up > path.split("/").length - 1) return undefined
  // `..` behind a name would follow that name first, out of what is shared if it is a link to a higher place.
  const kept = [...Array.from({ length: up }, () => ".."), ...names].join("/")
  return kept === "" ? "." : kept
}
