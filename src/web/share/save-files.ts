/** Copies what was received into a folder that the user has chosen, below a folder of its own that was not there before. */

import { asRdvError, RdvError } from "../../base/error.ts"
import type { SavedFile } from "./messages.ts"

/** Resolves with the name of the folder that was made. Rejects `forbidden`, `limit`. */
export async function saveFiles(
  into: FileSystemDirectoryHandle,
  name: string,
  files: readonly SavedFile[],
): Promise<string> {
  try {
    const top = await newFolder(into, allowed(name))
    for (const { path, content } of files) {
      const names = path.split("/").map(allowed)
      const last = names.pop() as string
      let folder = top
      for (const each of names) folder = await folder.getDirectoryHandle(each, { create: true })
      const file = await folder.getFileHandle(last, { create: true })
      await content.stream().pipeTo(await file.createWritable())
    }
    return top.name
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotAllowedError") {
      throw new RdvError("forbidden", "The browser may not write into this folder", { mend: "choose another one" })
    }
    if (error instanceof DOMException && error.name === "QuotaExceededError") {
      throw new RdvError("limit", "The disk is full", { mend: "free some room, then save again" })
    }
    throw asRdvError(error)
  }
}

async function newFolder(into: FileSystemDirectoryHandle, name: string): Promise<FileSystemDirectoryHandle> {
  for (let number = 1; ; number++) {
    const free = number === 1 ? name : `${name} (${number})`
    try {
      await into.getDirectoryHandle(free)
    } catch (error) {
      // A file of that name is in the way as well.
      if (error instanceof DOMException && error.name === "TypeMismatchError") continue
      return into.getDirectoryHandle(free, { create: true })
    }
  }
}

/** What no system that runs browsers takes in a name. */
function allowed(name: string): string {
  return name
    .toWellFormed()
    .replaceAll(/[<>:"\\|?*\u0000-\u001f\u007f]/g, "_")
    .replace(/[. ]+$/, "_")
}
