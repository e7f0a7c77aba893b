/**
 * Messages from a JSON Lines file: `{"text": "get {{counter}}", "weight": 3, "expect": "/^ok/"}` or only `"text"` on each
 * line, and for HTTP `{"method": "POST", "path": "/jobs", "headers": {"Accept": "text/html"}, "body": "{{uuid}}"}`.
 */

import { isJsonObject } from "../../../base/json.ts"
import type { Json, JsonObject } from "../../../base/json.ts"
import { RdvError } from "../../../base/error.ts"
import { nearest } from "../../../base/nearest.ts"
import { Problems } from "../../../config/problems.ts"
import { wrong } from "../../../config/quantity.ts"
import { readTextFile } from "../../../config/text-file.ts"
import { compileTemplate } from "../message/template.ts"
import { readExpectation } from "./answer-text.ts"
import type { WrittenEntry } from "./settings.ts"

const mostBytes = 16 * 1024 * 1024
const mostEntries = 10_000

export type EntryKey = "text" | "weight" | "expect" | "method" | "path" | "headers" | "body"
export const entryKeys: readonly EntryKey[] = ["text", "weight", "expect", "method", "path", "headers", "body"]

/** An HTTP request of a sequence. */
export interface RequestParts {
  readonly method?: string | undefined
  /** By default the target's. */
  readonly path?: string | undefined
  readonly headers?: readonly (readonly [name: string, value: string])[] | undefined
  readonly body?: string | undefined
}

/** As one text, in which places can be filled in. Throws `usage`. */
export function requestText({ method, path = "", headers = [], body }: RequestParts): string {
  const verb = (method ?? (body === undefined ? "GET" : "POST")).toUpperCase()
  if (!/^[A-Z]{1,20}$/.test(verb)) throw wrong(verb, "is no method", "write GET, POST or another word")
  if (/[\s\0]/.test(path.replace(/\{\{[^{}]*\}\}/g, ""))) {
    throw wrong(path, "has characters that no path may have", "write %20 for a space")
  }
  for (const [name, value] of headers) {
    if (/[\r\n:]/.test(name) || /[\r\n]/.test(value)) throw wrong(name, "is no header", "keep it on one line")
  }
  const head = [`${verb} ${path}`, ...headers.map(([name, value]) => `${name}: ${value}`)].join("\n")
  return readTemplate(body === undefined ? head : `${head}\n\n${body}`)
}

/** Throws `usage` with the lines that are wrong. */
export function readSequence(path: string): readonly WrittenEntry[] {
  const problems = new Problems()
  const entries: WrittenEntry[] = []
  for (const [index, line] of readTextFile(path, mostBytes).split(/\r?\n/).entries()) {
    if (line.trim() === "") continue
    try {
      entries.push(readEntry(line))
    } catch (error) {
      if (!(error instanceof RdvError)) throw error
      problems.add({ file: path, line: index + 1, column: 1 }, error.message, error.mend)
    }
    if (entries.length > mostEntries) {
      throw new RdvError("usage", `${path} has more than ${mostEntries} messages`, { mend: "use fewer" })
    }
  }
  problems.check()
  return checkSequence(entries, path)
}

/** What holds for all of them together. Throws `usage`. */
export function checkSequence(entries: readonly WrittenEntry[], where: string): readonly WrittenEntry[] {
  if (entries.some(({ weight }) => weight > 0)) return entries
  const what = entries.length === 0 ? "has no message in it" : "has no message with a weight above 0"
  throw new RdvError("usage", `${where} ${what}`, { mend: "add one" })
}

function readEntry(line: string): WrittenEntry {
  let json: Json
  try {
    json = JSON.parse(line) as Json
  } catch {
    throw wrong(line, "is not JSON", 'write {"text": "hello"} on one line')
  }
  if (typeof json === "string") return { weight: 1, text: readTemplate(json), request: false }
  if (!isJsonObject(json)) throw wrong(line, "is neither an object nor a text", 'write {"text": "hello"}')
  const strange = Object.keys(json).find((key) => !entryKeys.includes(key as EntryKey))
  if (strange !== undefined) {
    const near = nearest(strange, entryKeys)
    throw wrong(
      strange,
      "is not a key that is known here",
      near === undefined ? `use ${entryKeys.join(", ")}` : `did you mean "${near}"?`,
    )
  }
  const { text, weight = 1, expect } = json
  const request = requestKeys.some((key) => json[key] !== undefined)
  if (!request && typeof text !== "string")
    throw new RdvError("usage", 'there is no "text"', { mend: 'add "text": "hello"' })
  if (typeof weight !== "number" || weight < 0)
    throw wrong(JSON.stringify(weight), "is not a weight", "write a number from 0")
  const entry = { weight, request, text: request ? readRequest(json) : readTemplate(text as string) }
  if (expect === undefined) return entry
  if (typeof expect !== "string") throw wrong(JSON.stringify(expect), "is not a text", 'write "expect": "/^ok/"')
  return { ...entry, expect: readExpectation(expect) }
}

export const requestKeys: readonly EntryKey[] = ["method", "path", "headers", "body"]

function readRequest({ text, method, path, headers = {}, body }: JsonObject): string {
  if (text !== undefined) throw bothForms()
  for (const [name, value] of Object.entries({ method, path, body })) {
    if (value !== undefined && typeof value !== "string") throw wrong(name, "is not a text", `write "${name}": "…"`)
  }
  if (!isJsonObject(headers) || Object.values(headers).some((value) => typeof value !== "string")) {
    throw wrong("headers", "is not an object with texts", 'write "headers": {"Accept": "text/html"}')
  }
  return requestText({ method, path, body, headers: Object.entries(headers) } as RequestParts)
}

export function bothForms(): RdvError {
  return new RdvError("usage", "it is both a text and an HTTP request", {
    mend: 'keep "text", or the parts of a request',
  })
}

/** A text whose places can be filled in. Throws `usage`. */
export function readTemplate(text: string): string {
  compileTemplate(text)
  return text
}
