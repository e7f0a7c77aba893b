/** What the bundler says, in our words: the place, what is wrong there, and what mends it, one line each. */

import { builtinModules } from "node:module"
import type { Message } from "esbuild"
import { asRdvError } from "../../../base/error.ts"
import type { RdvError } from "../../../base/error.ts"
import type { Place } from "../../../config/problems.ts"
import { Problems } from "../../../config/problems.ts"

const builtins: ReadonlySet<string> = new Set(builtinModules)

/** Whether only Node has this module. */
export function isBuiltin(path: string): boolean {
  return path.startsWith("node:") || builtins.has(path)
}

/** The `usage` error that stands for what was thrown; `file` is where a problem without a place belongs. */
export function bundleError(thrown: unknown, file: string): RdvError {
  const messages = (thrown as { readonly errors?: readonly Message[] } | null)?.errors
  if (messages === undefined || messages.length === 0) return asRdvError(thrown)
  const problems = new Problems()
  for (const message of messages) {
    const [what, mend] = words(message)
    problems.add(placeOf(message, file), what, mend)
  }
  try {
    problems.check()
  } catch (error) {
    return asRdvError(error)
  }
  return asRdvError(thrown)
}

function words({ text, location, notes }: Message): [what: string, mend: string] {
  const [, missing] = /^Could not resolve "(.*)"$/s.exec(text) ?? []
  if (missing !== undefined) {
    if (isBuiltin(missing)) {
      return [
        `"${missing}" is a part of Node, which no browser has`,
        "use env.sql, env.blobs and what the web platform has (fetch, crypto.subtle, streams)",
      ]
    }
    const isPath = /^[./]/.test(missing)
    return [
      `there is no ${isPath ? "file" : "package"} "${missing}"`,
      isPath ? "check the path, with the end of the file's name" : `npm install ${packageOf(missing)}`,
    ]
  }
  const [, , name] = /^No matching export in "(.*)" for import "(.*)"$/s.exec(text) ?? []
  if (name !== undefined) return [lowerFirst(text), "check the name of what is imported"]
  const [, end] = /^No loader is configured for "(.*)" files/s.exec(text) ?? []
  if (end !== undefined) {
    return [`files that end in ${end} cannot be imported as they are`, `add: with { type: "text" } or "binary"`]
  }
  const suggestion = location?.suggestion
  const hint = suggestion !== undefined && suggestion !== "" ? `write ${suggestion}` : undefined
  return [lowerFirst(text), hint ?? notes[0]?.text.replace(/\.$/, "") ?? "correct that line"]
}

/** Bytes before the place count as characters; editors count from 1. */
function placeOf({ location }: Message, file: string): Place {
  if (location === null) return { file, line: 1, column: 1 }
  const before = Buffer.from(location.lineText).subarray(0, location.column).toString()
  return { file: location.file, line: location.line, column: before.length + 1 }
}

function packageOf(path: string): string {
  return path
    .split("/")
    .slice(0, path.startsWith("@") ? 2 : 1)
    .join("/")
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1)
}
