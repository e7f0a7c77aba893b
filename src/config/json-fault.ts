/**
 * Where a text leaves JSON (RFC 8259), in words for who wrote it: the parser that reads all files knows YAML, in which JSON
 * is a corner, and tells of indentation and block maps where a comma is missing.
 */

export interface JsonFault {
  /** Characters from the start of the text. */
  readonly at: number
  /** In lower case or with a quoted word: it stands behind a place. */
  readonly what: string
  readonly mend: string
}

/** The first fault; undefined for good JSON, and for lists and maps that are nested deeper than any file of ours. */
export function jsonFault(text: string): JsonFault | undefined {
  try {
    new Scanner(text).all()
  } catch (thrown) {
    if (thrown instanceof Found) return thrown.fault
    throw thrown
  }
  return undefined
}

/** How a scan ends early. */
class Found extends Error {
  readonly fault: JsonFault | undefined

  constructor(fault: JsonFault | undefined) {
    super(fault?.what)
    this.fault = fault
  }
}

const mostDepth = 500
const closers = { "{": "}", "[": "]" } as const
type Opener = keyof typeof closers

class Scanner {
  readonly #text: string
  #at: number

  constructor(text: string) {
    this.#text = text
    // A byte order mark.
    this.#at = text.startsWith("\uFEFF") ? 1 : 0
  }

  all(): void {
    this.#blank()
    this.#value(0, "the file ends before there is a value", this.#at)
    this.#blank()
    if (this.#at < this.#text.length) {
      this.#fail(
        this.#at,
        `${this.#shown()} stands behind the end of it`,
        "leave it out, or look for a bracket too many",
      )
    }
  }

  #value(depth: number, missing: string, missingAt: number): void {
    if (depth > mostDepth) throw new Found(undefined)
    const next = this.#text[this.#at]
    if (next === undefined) this.#fail(missingAt, missing, "write one")
    else if (next === "{" || next === "[") this.#group(next, depth)
    else if (next === '"') this.#string()
    else this.#word(missing, missingAt)
  }

  /** A map or a list. */
  #group(opener: Opener, depth: number): void {
    const from = this.#at++
    const closer = closers[opener]
    let comma: number | undefined
    for (;;) {
      this.#blank()
      const next = this.#text[this.#at]
      if (next === undefined) this.#notClosed(from, opener)
      if (next === closer) {
        if (comma !== undefined) this.#fail(comma, `there is a comma before the "${closer}"`, "leave the comma out")
        this.#at++
        return
      }
      if (next === ",") this.#fail(this.#at, "there is nothing before the comma", "leave the comma out")
      if (opener === "{") this.#entry(depth)
      else this.#value(depth + 1, "a value is missing here", this.#at)
      const end = this.#at
      this.#blank()
      const behind = this.#text[this.#at]
      if (behind === undefined) this.#notClosed(from, opener)
      if (behind === ",") comma = this.#at++
      else if (behind !== closer) this.#noComma(end, behind, opener, from)
      else comma = undefined
    }
  }

  #entry(depth: number): void {
    const from = this.#at
    if (this.#text[from] !== '"') {
      if (/[\]}]/.test(this.#text[from] as string))
        this.#fail(from, `the "${this.#text[from]}" closes nothing`, "check it")
      this.#quotes()
      const word = this.#shown()
      this.#fail(from, `the key ${word} is not in double quotes`, 'write "key": value')
    }
    this.#string()
    const key = this.#text.slice(from, this.#at)
    const end = this.#at
    this.#blank()
    if (this.#text[this.#at] !== ":")
      this.#fail(end, `there is no colon behind the key ${cut(key)}`, 'write "key": value')
    this.#at++
    this.#blank()
    this.#value(depth + 1, `the key ${cut(key)} has no value`, from)
  }

  #string(): void {
    const from = this.#at++
    for (;;) {
      const next = this.#text[this.#at]
      if (next === undefined || next === "\n" || next === "\r") {
        this.#fail(from, "the text that begins here is not closed in its line", 'put a " behind it')
      }
      if (next < " ") {
        this.#fail(this.#at, "a tab or another control character stands in a text", "write it as \\t or \\u001b")
      }
      this.#at++
      if (next === '"') return
      if (next !== "\\") continue
      const [escape] = /^(["\\/bfnrt]|u[0-9a-f]{4})/i.exec(this.#text.slice(this.#at, this.#at + 5)) ?? []
      if (escape === undefined || /^[BFNRT]/.test(escape)) {
        this.#fail(this.#at - 1, "a backslash stands before what it cannot stand before", "write \\\\ for a backslash")
      }
      this.#at += escape.length
    }
  }

  /** A number, true, false or null. */
  #word(missing: string, missingAt: number): void {
    const from = this.#at
    if (/[,:\]}]/.test(this.#text[from] as string)) this.#fail(missingAt, missing, "write one")
    this.#quotes()
    const [word = ""] = /^[^\s,:[\]{}"]+/.exec(this.#text.slice(from, from + 1_000)) ?? []
    if (/^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)$/.test(word)) {
      this.#at += word.length
    } else if (/^[+-]?\.?\d|^[+-]?(nan|infinity)$/i.test(word)) {
      this.#fail(from, `${cut(word)} is no number in JSON`, "write digits, such as 8 or 0.5, or put it in quotes")
    } else if (/^(true|false|null)$/i.test(word)) {
      this.#fail(from, `${cut(word)} is written in lower case`, `write ${word.toLowerCase()}`)
    } else this.#fail(from, `${this.#shown()} is not in double quotes`, "put it in double quotes")
  }

  /** What others write, and JSON has not. */
  #quotes(): void {
    const at = this.#at
    if (this.#text[at] === "'") this.#fail(at, "JSON has no single quotes", 'write " instead')
  }

  #blank(): void {
    for (;;) {
      while (/[ \t\r\n]/.test(this.#text[this.#at] ?? "x")) this.#at++
      if (!/^(#|\/\/|\/\*)/.test(this.#text.slice(this.#at, this.#at + 2))) return
      this.#fail(this.#at, "JSON has no comments", "leave it out, or write YAML and name the file .yaml")
    }
  }

  #noComma(end: number, behind: string, opener: Opener, from: number): never {
    if (behind === "}" || behind === "]") {
      const line = this.#text.slice(0, from).split("\n").length
      const what = `the "${behind}" stands where the "${opener}" of line ${line} is to be closed`
      this.#fail(this.#at, what, `put a "${closers[opener]}" before it, or instead of it`)
    }
    this.#fail(end, "a comma is missing here", `put one before ${this.#shown()}`)
  }

  #notClosed(at: number, opener: Opener): never {
    this.#fail(at, `the "${opener}" that stands here is not closed`, `put a "${closers[opener]}" behind its last value`)
  }

  /** The word that stands here. */
  #shown(): string {
    const [word = ""] = /^("[^"\n]*"?|[^\s,:[\]{}"]+|.)/su.exec(this.#text.slice(this.#at, this.#at + 1_000)) ?? []
    return cut(word)
  }

  #fail(at: number, what: string, mend: string): never {
    throw new Found({ at, what, mend })
  }
}

const mostShown = 40

function cut(word: string): string {
  const short = word.length > mostShown ? `${word.slice(0, mostShown)}…` : word
  return /^".*"?$/s.test(short) ? short : JSON.stringify(short)
}
