/** The text of `--help`, made from the commands' tables, so that it cannot be behind them. */

import type { Command } from "./command.ts"
import { dashed } from "./flags.ts"
import type { Flag } from "./flags.ts"
import { table, wrapped } from "./output.ts"

export function overview(commands: readonly Command[]): string {
  return [
    "rdv: a relay that both sides dial out to, and sessions that outlive the connection under them",
    "",
    "usage: rdv COMMAND [flags]",
    "",
    ...indented(table(commands.map(({ name, summary }) => [`rdv ${name}`, summary]))),
    "",
    "examples:",
    ...indented(
      table([
        ["rdv http 3000", "puts localhost:3000 on a URL"],
        ["rdv http ./folder", "serves a folder"],
        ["rdv relay --domain example.test", "runs a relay for others"],
      ]),
    ),
    "",
    "rdv COMMAND --help shows the flags and examples of a command. Exit codes: 0 ok, 1 failure, 2 usage,",
    "3 unreachable, 130 interrupted; rdv chan, rdv get: 4 nobody there or in time, 5 closed, gone or refused.",
  ].join("\n")
}

/** Commands that begin with one word: its own help, where there is such a command, and a line for each of the others. */
export function familyHelp(word: string, family: readonly Command[]): string {
  const head = family.find(({ name }) => name === word)
  const others = family.filter((command) => command !== head)
  return [
    ...(head === undefined ? [`usage: rdv ${word} COMMAND [flags]`, ""] : [commandHelp(head), "", "more commands:"]),
    ...indented(table(others.map(({ name, summary }) => [`rdv ${name}`, summary]))),
    "",
    `rdv ${word} COMMAND --help shows the flags and examples of a command.`,
  ].join("\n")
}

export function commandHelp({
  name,
  usage,
  summary,
  flags,
  examples,
  notes = [],
  singleDash = false,
}: Command): string {
  return [
    `rdv ${name}: ${summary}`,
    "",
    `usage: rdv ${name} ${usage}`.trimEnd(),
    "",
    singleDash ? "flags (one dash is enough):" : "flags:",
    ...indented(
      Object.entries(flags).flatMap(([flag, facts]) => {
        const [first = "", ...more] = wrapped(described(facts), 54)
        const left = `${dashed(flag)}${facts.kind === "switch" ? "" : ` ${facts.value ?? "VALUE"}`}`
        // What does not fit beside its text stands above it.
        const head = left.length > 22 ? [left, `${" ".repeat(24)}${first}`] : [`${left.padEnd(24)}${first}`]
        return [...head, ...more.map((line) => `${" ".repeat(24)}${line}`)]
      }),
    ),
    ...(notes.length === 0 ? [] : ["", ...notes]),
    ...(examples.length === 0
      ? []
      : ["", "examples:", ...examples.flatMap(([command, effect]) => [`  ${command}`, `      ${effect}`])]),
  ].join("\n")
}

function described({ summary, env, default: fallback, kind }: Flag): string {
  const facts = [
    ...(fallback === undefined ? [] : [`default ${fallback}`]),
    ...(kind === "list" ? ["may be repeated"] : []),
    ...(env === undefined ? [] : [env]),
  ]
  return facts.length === 0 ? summary : `${summary} (${facts.join("; ")})`
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`)
}
