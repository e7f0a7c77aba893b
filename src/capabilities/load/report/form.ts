/**
 * What a value read from a file has to look like, said as data. A check throws one line that names the place; it changes
 * nothing. Fields that a form does not name are left alone: a newer version may have written them.
 */

import { RdvError } from "../../../base/error.ts"
import { isJsonObject } from "../../../base/json.ts"

/** @throws RdvError `usage`: what stands at `at` and what belongs there. */
export type Form = (value: unknown, at: string) => void

export function number(least = 0, most: number = Number.MAX_SAFE_INTEGER): Form {
  return (value, at) => {
    if (typeof value === "number" && value >= least && value <= most) return
    const bounds = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `between ${least} and ${most}`
    refuse(value, at, `a number ${bounds}`)
  }
}

export function whole(least: number, most: number): Form {
  return (value, at) => {
    number(least, most)(value, at)
    if (!Number.isInteger(value)) refuse(value, at, "a whole number")
  }
}

export function text(mostCharacters: number): Form {
  return (value, at) => {
    if (typeof value !== "string") refuse(value, at, "a text")
    else if (value.length > mostCharacters) throw wrong(at, `is longer than ${mostCharacters} characters`)
  }
}

export const truth: Form = (value, at) => {
  if (typeof value !== "boolean") refuse(value, at, "true or false")
}

export function oneOf(...allowed: readonly (string | number)[]): Form {
  return (value, at) => {
    if (!allowed.some((choice) => choice === value)) refuse(value, at, allowed.join(" or "))
  }
}

export function list(item: Form, most: number): Form {
  return (value, at) => {
    if (!Array.isArray(value)) {
      refuse(value, at, "a list")
      return
    }
    if (value.length > most) throw wrong(at, `has more than ${most} entries`)
    value.forEach((entry, index) => item(entry, `${at}[${index}]`))
  }
}

/** Fixed places, each with its form. */
export function pair(first: Form, second: Form): Form {
  return (value, at) => {
    if (!Array.isArray(value) || value.length !== 2) refuse(value, at, "a pair")
    else [first, second].forEach((form, index) => form(value[index], `${at}[${index}]`))
  }
}

/** With `only`, a field that is not named here is refused. */
export function object(fields: Readonly<Record<string, Form>>, only = false): Form {
  return (value, at) => {
    if (!isJsonObject(value)) {
      refuse(value, at, "an object")
      return
    }
    const strange = only ? Object.keys(value).find((name) => !Object.hasOwn(fields, name)) : undefined
    if (strange !== undefined) throw wrong(`${at}.${strange.slice(0, 40)}`, "is not known here")
    for (const [name, form] of Object.entries(fields)) form(value[name], at === "" ? name : `${at}.${name}`)
  }
}

export function optional(form: Form): Form {
  return (value, at) => {
    if (value !== undefined) form(value, at)
  }
}

/** Objects of several kinds, told apart by their field `kind`. */
export function kinds(forms: Readonly<Record<string, Readonly<Record<string, Form>>>>, only = false): Form {
  return (value, at) => {
    if (!isJsonObject(value)) {
      refuse(value, at, "an object")
      return
    }
    oneOf(...Object.keys(forms))(value["kind"], `${at}.kind`)
    object({ kind: () => undefined, ...forms[value["kind"] as string] }, only)(value, at)
  }
}

function refuse(value: unknown, at: string, wanted: string): void {
  const found = value === undefined ? "is missing" : `is ${JSON.stringify(value).slice(0, 40)}`
  throw wrong(at, `${found}: it has to be ${wanted}`)
}

function wrong(at: string, text: string): RdvError {
  return new RdvError("usage", `${at === "" ? "the file" : at} ${text}`)
}
