/** The command `rdv`: finds the command, reads its flags, runs it, and turns what it throws into one line. */

import { counted } from "../base/counted.ts"
import { RdvError } from "../base/error.ts"
import { nearest } from "../base/nearest.ts"
import { problemsOf } from "../config/problems.ts"
import { version } from "../node.ts"
import { readArgs } from "./args.ts"
import { exitCode } from "./command.ts"
import type { Command } from "./command.ts"
import { commands } from "./commands.ts"
import { FlagReader } from "./flags.ts"
import { commandHelp, familyHelp, overview } from "./help.ts"
import { Output } from "./output.ts"
import { watchStopSignals } from "./stop-signals.ts"

const { env, stdout, stderr } = process

/** `args` is what stands behind `rdv`. Resolves with the exit code, when all of the output is written. */
export async function runProgram(args: readonly string[]): Promise<number> {
  // Whoever read our output may leave first (`rdv status | head`); that is no failure of ours.
  for (const stream of [stdout, stderr]) stream.on("error", () => undefined)
  const code = await main(args)
  await Promise.all([stdout, stderr].map((stream) => new Promise<void>((resolve) => stream.write("", () => resolve()))))
  return code
}

async function main(args: readonly string[]): Promise<number> {
  const json = args.some((arg) => arg === "--json" || arg === "--json=true")
  const output = new Output({ stdout, stderr, json, env })
  try {
    return await start(args, output)
  } catch (thrown) {
    return report(thrown, output)
  }
}

async function start(args: readonly string[], output: Output): Promise<number> {
  const [first] = args
  if (first === undefined || first === "--help" || first === "-h" || (first === "help" && args.length === 1)) {
    stdout.write(`${overview(commands)}\n`)
    return first === undefined ? exitCode.usage : exitCode.ok
  }
  if (first === "--version" || first === "-v" || first === "version") {
    stdout.write(`${version}\n`)
    return exitCode.ok
  }
  const asksForHelp = first === "help"
  const [group = "", after] = asksForHelp ? args.slice(1) : args
  const family = commands.filter(({ name }) => name === group || name.startsWith(`${group} `))
  if (family.length > 1 && (after === "--help" || after === "-h" || (asksForHelp && after === undefined))) {
    stdout.write(`${familyHelp(group, family)}\n`)
    return exitCode.ok
  }
  const { command, rest } = findCommand(asksForHelp ? args.slice(1) : args)
  const end = rest.indexOf("--")
  const flagsEnd = end < 0 ? rest.length : end
  if (asksForHelp || rest.slice(0, flagsEnd).some((arg) => arg === "--help" || arg === "-h")) {
    stdout.write(`${commandHelp(command)}\n`)
    return exitCode.ok
  }
  const { words, given } = readArgs(command, rest)
  hideArguments(command, words)
  const signals = watchStopSignals(() => undefined)
  // Timers and retries do not keep the process alive; a running command does.
  const alive = setInterval(() => undefined, 2 ** 30)
  try {
    return await command.run({
      words,
      flags: new FlagReader(command.flags, given, env),
      env,
      output,
      stopping: signals.stopping,
    })
  } finally {
    clearInterval(alive)
    signals.release()
  }
}

/** A secret among the arguments shall not stay in the list of processes. */
function hideArguments(command: Command, words: readonly string[]): void {
  process.title = ["rdv", command.name, ...(command.name.startsWith("token") ? [] : words)].join(" ")
}

function findCommand(args: readonly string[]): { command: Command; rest: readonly string[] } {
  const [first = "", second = ""] = args
  if (first.startsWith("-")) {
    throw new RdvError("usage", `${first.split("=")[0]} stands before the command`, {
      mend: "write rdv COMMAND first; see rdv --help",
    })
  }
  const two = commands.find(({ name }) => name === `${first} ${second}`)
  if (two !== undefined) return { command: two, rest: args.slice(2) }
  const one = commands.find(({ name }) => name === first)
  if (one !== undefined) return { command: one, rest: args.slice(1) }
  const verbs = commands.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) => name.split(" ")[1])
  if (verbs.length > 0 && second === "") {
    throw new RdvError("usage", `"rdv ${first}" is not complete`, { mend: `use rdv ${first} ${verbs.join("|")}` })
  }
  const wanted = verbs.length > 0 ? `${first} ${second}` : first
  const near = nearest(wanted, [...new Set(commands.map(({ name }) => name))])
  throw new RdvError("usage", `There is no command ${JSON.stringify(wanted)}`, {
    mend: near === undefined ? "see rdv --help" : `did you mean rdv ${near}?`,
  })
}

/** Of a file; who mends these sees the others next. */
const mostProblems = 20

/** Never a stack trace for what a user can mend. */
function report(thrown: unknown, output: Output): number {
  if (env["RDV_DEBUG"] === "1") output.note(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown))
  if (thrown instanceof RdvError) {
    const all = problemsOf(thrown)
    for (const { message, mend } of all.slice(0, mostProblems)) {
      output.fail(mend === undefined ? message : `${message}: ${mend}`)
    }
    if (all.length > mostProblems) output.fail(`and ${counted(all.length - mostProblems, "more problem")}`)
    return codeOf(thrown)
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  output.fail(`${message}: this is a bug; run it again with RDV_DEBUG=1 and report what it says`)
  return exitCode.failure
}

function codeOf({ code, origin }: RdvError): number {
  // What a relay finds wrong with our wishes is no mistake in the command's form.
  if (code === "usage" && origin === "local") return exitCode.usage
  return code === "unreachable" || code === "timeout" || code === "link_lost" ? exitCode.unreachable : exitCode.failure
}
