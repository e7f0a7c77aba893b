/** The repository's own files, read as text, for the tests that hold it to its rules. */

import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"

/** The repository's top folder. */
export const root: string = resolve(import.meta.dirname, "../..")

/** Files that belong to the repository, tracked or about to be; paths with `/`, relative to the top. */
export function repositoryFiles(): readonly string[] {
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"], {
    cwd: root,
    encoding: "utf8",
  })
  // A file deleted from the work tree stays listed until the deletion is committed.
  return listed.split("\0").filter((file) => file !== "" && existsSync(join(root, file)))
}

export function readSource(file: string): string {
  return readFileSync(join(root, file), "utf8")
}

/** One import of a file. */
export interface Import {
  readonly specifier: string
  readonly line: number
}

// Comments are blanked first, so that an example in a docstring is not taken for an import.
const comments = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm
const imports =
  /^(?:import|export)\s(?:[^"';]*?\sfrom\s*)?"([^"]+)"|\bimport\(\s*"([^"]+)"|\bnew URL\(\s*"([^"]+)",\s*import\.meta\.url/gm

export function importsOf(text: string): readonly Import[] {
  const code = text.replace(comments, (comment) => comment.replace(/[^\n]/g, " "))
  return [...code.matchAll(imports)].map((match) => ({
    specifier: match[1] ?? match[2] ?? match[3] ?? "",
    line: code.slice(0, match.index).split("\n").length,
  }))
}
