/** Reads a command line: flags by the command's table, words in between. Mistakes are told with the nearest right name. */

import { parseArgs } from "node:util"
import { RdvError } from "../base/error.ts"
import { nearest } from "../base/nearest.ts"
import type { Command } from "./command.ts"
import { dashed } from "./flags.ts"
import type { Flags, GivenFlags } from "./flags.ts"

export interface ReadArgs {
  readonly words: readonly string[]
  readonly given: GivenFlags
}

/** `args` is what stands behind the command's name. Throws `usage`. */
export function readArgs(command: Command, args: readonly string[]): ReadArgs {
  const { flags } = command
  const given = new Map<string, string[]>()
  const words: string[] = []
  const { tokens } = parseArgs({
    args: args.map((arg) => (negative.test(arg) ? `${mark}${arg}` : withTwoDashes(command, arg))),
    options: Object.fromEntries(
      Object.entries(flags).map(([name, { kind }]) => [name, { type: kind === "switch" ? "boolean" : "string" }]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  for (const token of tokens) {
    if (token.kind === "positional") words.push(unmarked(token.value))
    if (token.kind !== "option") continue
    const { name, rawName, inlineValue } = token
    const value = token.value === undefined ? undefined : unmarked(token.value)
    const flag = rawName.startsWith("--") ? flags[name] : undefined
    if (flag === undefined) throw unknownFlag(command, rawName)
    if (flag.kind === "switch") {
      given.set(name, [value ?? "true"])
      continue
    }
    // A flag where a value should stand: the value was forgotten.
    if (value === undefined || (inlineValue === false && value.startsWith("--"))) {
      throw new RdvError("usage", `${dashed(name)} wants a value`, {
        mend: `write ${dashed(name)} ${flag.value ?? "VALUE"}`,
      })
    }
    const before = given.get(name)
    if (before === undefined) given.set(name, [value])
    else if (flag.kind === "list") before.push(value)
    else throw new RdvError("usage", `${dashed(name)} is given twice`, { mend: "leave one out" })
  }
  checkWords(command, words)
  return { words, given }
}

/** A number below 0 is no flag, and the command says what it thinks of it; no argument can have the mark of its own. */
const negative = /^-\.?\d/
const mark = "\0"

function unmarked(text: string): string {
  return text.startsWith(mark) ? text.slice(mark.length) : text
}

function withTwoDashes({ flags, singleDash }: Command, arg: string): string {
  const [, name] = /^-([a-z][a-z0-9-]*)(?:=|$)/i.exec(arg) ?? []
  if (name === undefined) return arg
  if (arg === "-h") return "--help"
  return (singleDash === true || name.length === 1) && Object.hasOwn(flags as Flags, name) ? `-${arg}` : arg
}

function unknownFlag({ name, flags }: Command, raw: string): RdvError {
  const near = nearest(raw.replace(/^-+/, ""), Object.keys(flags))
  return new RdvError("usage", `"rdv ${name}" has no flag ${raw}`, {
    mend: near === undefined ? `see: rdv ${name} --help` : `did you mean ${dashed(near)}?`,
  })
}

function checkWords({ name, usage, words: [least, most] }: Command, words: readonly string[]): void {
  const mend = `usage: rdv ${name}${usage === "" ? "" : ` ${usage}`}`
  if (words.length < least) {
    throw new RdvError("usage", `"rdv ${name}" wants ${usage.split(" ")[words.length]}`, { mend })
  }
  if (words.length > most) {
    throw new RdvError("usage", `"rdv ${name}" does not know what ${JSON.stringify(words[most])} is for`, { mend })
  }
}
