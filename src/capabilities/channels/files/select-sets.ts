/**
 * The text of a select: a case in each line.
 *
 *     /jobs?               receive
 *     /results!text        send; \n, \t and \\ stand for newline, TAB and backslash
 *     timeout 5s           when nothing could happen until then
 *     default              when nothing can happen at once
 */

import { RdvError } from "../../../base/error.ts"
import { utf8Encode } from "../../../base/text.ts"
import { readDuration } from "../../../config/quantity.ts"
import type { Identity } from "./identity.ts"

export interface SelectSet {
  readonly cases: readonly SetCase[]
  /** Undefined: it waits for ever. */
  readonly timeoutMs: number | undefined
  readonly hasDefault: boolean
}

export interface SetCase {
  /** As it was written. */
  readonly path: string
  /** Undefined: it receives. */
  readonly bytes: Uint8Array | undefined
}

export const longestSet: number = 2 ** 20

/** Throws `usage`. */
export function readSelectSet(text: string): SelectSet {
  const cases: SetCase[] = []
  let timeoutMs: number | undefined
  let hasDefault = false
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue
    if (line.trim() === "default") hasDefault = true
    else if (line.startsWith("timeout ")) timeoutMs = readDuration(line.slice("timeout ".length).trim())
    else cases.push(readCase(line))
  }
  if (cases.length > mostCases) throw new RdvError("usage", `A select has at most ${mostCases} cases`)
  return { cases, timeoutMs, hasDefault }
}

const mostCases = 1_000

function readCase(line: string): SetCase {
  const receive = /^(\/[^!]*)\?\s*$/.exec(line)
  if (receive !== null) return { path: receive[1] as string, bytes: undefined }
  const send = /^(\/[^!]*)!(.*)$/s.exec(line)
  if (send !== null) return { path: send[1] as string, bytes: utf8Encode(unescape(send[2] as string)) }
  throw new RdvError("usage", `${JSON.stringify(line.slice(0, 80))} is no case of a select`, {
    mend: 'write "/path?", "/path!text", "timeout 5s" or "default"',
  })
}

function unescape(text: string): string {
  return text.replaceAll(/\\([nt\\])/g, (_, letter: string) => ({ n: "\n", t: "\t", "\\": "\\" })[letter] as string)
}

/**
 * Sets that were written under a name, for whoever opens the name next: in a shell, `printf … > /select/x` and
 * `cat /select/x` are two open files. Each user has names of its own.
 */
export class SelectSets {
  readonly #texts: Map<string, string> = new Map()

  keep(user: Identity, name: string, text: string): void {
    const key = keyOf(user, name)
    this.#texts.delete(key)
    if (text.length > longestKept) return
    this.#texts.set(key, text)
    const [oldest] = this.#texts.keys()
    if (this.#texts.size > mostKept && oldest !== undefined) this.#texts.delete(oldest)
  }

  find(user: Identity, name: string): string | undefined {
    return this.#texts.get(keyOf(user, name))
  }
}

/** Users of the same name who begin at different folders are not the same. */
function keyOf({ prefix, uid, name: user }: Identity, name: string): string {
  return JSON.stringify([prefix, uid, user, name])
}

const longestKept = 65_536
const mostKept = 256
