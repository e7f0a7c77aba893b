/** What a user drops on the page or chooses: files, and folders with all that is in them. */

import type { GivenFile } from "./messages.ts"

export interface Given {
  readonly name: string
  readonly files: readonly GivenFile[]
}

/** Of a file field; folders tell their paths. */
export function chosenFiles(list: FileList): Given | undefined {
  return named([...list].map((content) => ({ path: content.webkitRelativePath || content.name, content })))
}

/** Of a drop. Call it within the event: the list is empty afterwards. */
export function droppedFiles(transfer: DataTransfer): Promise<Given | undefined> {
  const entries = [...transfer.items].map((item) => (item.kind === "file" ? item.webkitGetAsEntry() : null))
  const plain = [...transfer.files]
  return collect(entries.filter((entry) => entry !== null)).then((files) =>
    named(files.length > 0 ? files : plain.map((content) => ({ path: content.name, content }))),
  )
}

async function collect(entries: readonly FileSystemEntry[], into: GivenFile[] = []): Promise<GivenFile[]> {
  for (const entry of entries) {
    if (entry.isFile) {
      const content = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))
      into.push({ path: entry.fullPath.replace(/^\/+/, ""), content })
    } else await collect(await entriesOf(entry as FileSystemDirectoryEntry), into)
  }
  return into
}

/** A reader gives a hundred at a time, and nothing at the end. */
async function entriesOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader()
  const all: FileSystemEntry[] = []
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject))
    if (some.length === 0) return all
    all.push(...some)
  }
}

/** One file has an empty path; a folder gives its name; what was chosen side by side gets one. */
function named(files: readonly GivenFile[]): Given | undefined {
  const [first] = files
  if (first === undefined) return undefined
  if (files.length === 1 && !first.path.includes("/")) return { name: first.path, files: [{ ...first, path: "" }] }
  const top = first.path.split("/", 1)[0] as string
  if (files.every(({ path }) => path.startsWith(`${top}/`))) {
    return { name: top, files: files.map(({ path, content }) => ({ path: path.slice(top.length + 1), content })) }
  }
  return { name: `${files.length} files`, files: unlike(files) }
}

/** Files of different folders may have one name. */
function unlike(files: readonly GivenFile[]): GivenFile[] {
  const taken = new Set<string>()
  return files.map(({ path, content }) => {
    const dot = path.lastIndexOf(".") > path.lastIndexOf("/") + 1 ? path.lastIndexOf(".") : path.length
    let free = path
    for (let number = 2; taken.has(free); number++) free = `${path.slice(0, dot)} (${number})${path.slice(dot)}`
    taken.add(free)
    return { path: free, content }
  })
}
