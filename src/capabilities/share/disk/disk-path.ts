/** Names of manifests as the file system takes them. */

import { RdvError } from "../../../base/error.ts"
import { pathBytes, pathText } from "../content/path-text.ts"

/** Text where the name is text, else bytes. */
export type DiskPath = string | Buffer

/** `below` is a path of a manifest, or one name; empty: `folder` itself. Throws `protocol` for what is no name. */
export function diskPath(folder: DiskPath, below: string): DiskPath {
  if (below === "") return folder
  if (typeof folder === "string" && below.isWellFormed()) return folder === "/" ? `/${below}` : `${folder}/${below}`
  const bytes = pathBytes(below)
  if (bytes === undefined) throw new RdvError("protocol", "A name holds half a character")
  return Buffer.concat([typeof folder === "string" ? Buffer.from(folder) : folder, Buffer.from("/"), bytes])
}

/** For people. */
export function shownPath(path: DiskPath): string {
  return (typeof path === "string" ? path : pathText(path)).toWellFormed()
}
