/** Answers that the proxy gives itself, and what errors of others mean, in all three dialects. */

import { encode } from "../../../ninep/codec.ts"
import { errnos } from "../../../ninep/errno.ts"
import type { ErrnoName } from "../../../ninep/errno.ts"
import type { Answer, Dialect } from "../../../ninep/message.ts"

/** Why a fid is of no use any more; `number` is Linux's. */
export interface Failure {
  readonly number: number
  readonly text: string
}

export function failureOf(name: ErrnoName): Failure {
  return errnos[name]
}

/** Undefined: the answer is no error. */
export function failureIn(answer: Answer): Failure | undefined {
  if (answer.type === "Rlerror") return { number: answer.ecode, text: textOf(answer.ecode) }
  if (answer.type !== "Rerror") return undefined
  const { ename } = answer
  return { number: answer.errno ?? numberOf(ename), text: ename }
}

export function errorAnswer(failure: Failure, dialect: Dialect, tag: number): Uint8Array {
  switch (dialect) {
    case "9P2000":
      return encode({ type: "Rerror", tag, ename: failure.text }, dialect)
    case "9P2000.u":
      return encode({ type: "Rerror", tag, ename: failure.text, errno: failure.number }, dialect)
    case "9P2000.L":
      return encode({ type: "Rlerror", tag, ecode: failure.number }, dialect)
  }
}

export function isThere({ number, text }: Failure): boolean {
  return number === errnos.EEXIST.number || /exists/i.test(text)
}

export function isMissing({ number, text }: Failure): boolean {
  return number === errnos.ENOENT.number || /no such file|not found|does not exist/i.test(text)
}

function textOf(number: number): string {
  for (const each of Object.values(errnos)) if (each.number === number) return each.text
  return `error ${number}`
}

/** For servers that say texts alone. */
function numberOf(text: string): number {
  for (const each of Object.values(errnos)) if (each.text === text) return each.number
  return errnos.EIO.number
}
