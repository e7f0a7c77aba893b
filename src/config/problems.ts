/**
 * What is wrong with a file that a user wrote: all of it is gathered, each with its place and its mend, so that one look
 * is enough to put it right. What is thrown in the end is one ordinary error, which tells the first and how many there are.
 */

import { RdvError } from "../base/error.ts"

/** Both from 1, as editors count. */
export interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** What a badly broken file is told at most. */
const most = 100

export class Problems {
  readonly #list: { readonly place: Place; readonly error: RdvError }[] = []

  get size(): number {
    return this.#list.length
  }

  /** `what` begins in lower case or with a quoted word: it stands behind the place. */
  add(place: Place, what: string, mend: string | undefined): void {
    if (this.#list.length >= most) return
    const message = `${placeText(place)}: ${what}`
    this.#list.push({ place, error: new RdvError("usage", message, mend === undefined ? {} : { mend }) })
  }

  /** Throws `usage` when there are any; `problemsOf` tells them all. */
  check(): void {
    const errors = this.#list
      .toSorted((a, b) => a.place.line - b.place.line || a.place.column - b.place.column)
      .map(({ error }) => error)
    const [first] = errors
    if (first === undefined) return
    if (errors.length === 1) throw first
    const others = `the first of ${errors.length} problems`
    throw new RdvError("usage", first.message, {
      mend: first.mend === undefined ? others : `${first.mend} (${others})`,
      cause: new AggregateError(errors),
    })
  }
}

/** Each problem that an error stands for, in the order of the file; of another error, itself. */
export function problemsOf(error: RdvError): readonly RdvError[] {
  const { cause } = error
  return cause instanceof AggregateError ? (cause.errors as RdvError[]) : [error]
}

/** `load.yaml:3:5`. */
export function placeText({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`
}
