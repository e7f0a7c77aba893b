/**
 * A file that a user wrote, in YAML 1.2 or JSON: read as a whole, within bounds, and then value by value with a cursor.
 *
 *     const document = readDocument(text, { file: "load.yaml" })
 *     const fields = document.root.fields(["name", "timeout"])
 *     const timeoutMs = fields?.get("timeout")?.read(readDuration)
 *     document.check()
 */

import { readTextFile } from "./text-file.ts"
import { Problems } from "./problems.ts"
import type { Place } from "./problems.ts"
import { parseText } from "./tree.ts"
import { ConfigValue } from "./value.ts"

export interface DocumentOptions {
  /** As errors shall name it. */
  readonly file: string
}

export interface ConfigDocument {
  readonly file: string
  readonly root: ConfigValue
  readonly problems: Problems
  /** Throws `usage` when anything was wrong so far; `problemsOf` tells all of it. */
  check(): void
}

/** Of the text, in bytes. */
export const mostDocumentBytes: number = 1024 * 1024

/** Throws `usage` for what is neither YAML nor JSON, with line and column. */
export function readDocument(text: string, { file }: DocumentOptions): ConfigDocument {
  const problems = new Problems()
  const start: Place = { file, line: 1, column: 1 }
  if (text.length > mostDocumentBytes) {
    problems.add(start, `it is larger than ${mostDocumentBytes} bytes`, "make it smaller")
    problems.check()
  }
  const { tree, placeOf } = parseText(text, file, problems)
  problems.check()
  if (tree === undefined) {
    problems.add(start, "it is empty", "write something into it")
    problems.check()
  }
  const root = new ConfigValue(tree as NonNullable<typeof tree>, { problems, placeOf })
  return { file, root, problems, check: () => problems.check() }
}

/** The same from a path, which also is its name in errors. Throws `usage` when it cannot be read, too. */
export function readDocumentFile(path: string): ConfigDocument {
  return readDocument(readTextFile(path, mostDocumentBytes), { file: path })
}
