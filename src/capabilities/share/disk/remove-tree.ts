/** Removes what may hold folders that allow no writing: their owner may always change that. */

import * as fs from "node:fs"
import { diskError, errnoOf } from "./disk-error.ts"
import { diskPath } from "./disk-path.ts"
import type { DiskPath } from "./disk-path.ts"
import { pathText } from "../content/path-text.ts"

/** Whatever it is, if it is there; links are removed, not followed. */
export function removeTree(path: DiskPath): void {
  try {
    fs.rmSync(path, { recursive: true, force: true })
  } catch {
    try {
      openFolders(path)
      fs.rmSync(path, { recursive: true, force: true })
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw diskError(error, path)
    }
  }
}

function openFolders(path: DiskPath): void {
  const stat = fs.lstatSync(path)
  if (!stat.isDirectory()) return
  if ((stat.mode & 0o700) !== 0o700) fs.chmodSync(path, 0o700)
  for (const dirent of fs.readdirSync(path, { withFileTypes: true, encoding: "buffer" })) {
    if (dirent.isDirectory()) openFolders(diskPath(path, pathText(dirent.name)))
  }
}
