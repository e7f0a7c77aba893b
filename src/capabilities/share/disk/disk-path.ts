/** Names of manifests as the file system takes them. */

import { RdvError } from "../../../base/error.ts"
import { pathBytes, pathText } from "../content/path-text.ts"

/** Text where the name is text, else bytes. */
export type DiskPath = string | Buffer

/** `below` is a path of a manifest, or one name; empty: `folder` itself. Throws `protocol` for what is no name. */
export function diskPath(folder: DiskPath, below: string): DiskPath {
  if (below === "") return folder
  const inner = diskName(below)
  if (typeof folder === "string" && typeof inner === "string")
    return folder === "/" ? `/${inner}` : `${folder}/${inner}`
  return Buffer.concat([Buffer.from(folder as string), slash, Buffer.from(inner as string)])
}

/** A path, or the target of a link, by itself. Throws `protocol`. */
export function diskName(name: string): DiskPath {
  if (name.isWellFormed()) return name
  const bytes = pathBytes(name)
  if (bytes === undefined) throw new RdvError("protocol", "A name holds half a character")
  return Buffer.from(bytes)
}

const slash = Buffer.from("/")

/** For people. */
export function shownPath(path: DiskPath): string {
  return (typeof path === "string" ? path : pathText(path)).toWellFormed()
}
