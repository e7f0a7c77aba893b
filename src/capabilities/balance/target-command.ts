/** `rdv balance target`: what gets connections, changed while the balancer runs. */

import { printable, tableLines } from "../../base/columns.ts"
import { RdvError } from "../../base/error.ts"
import type { JsonObject } from "../../base/json.ts"
import { nearest } from "../../base/nearest.ts"
import { targetState } from "../../cli/balance-lines.ts"
import { exitCode } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import { commonFlags } from "../../cli/common-flags.ts"
import { balancerFlags, findBalancer } from "../../cli/find-balancer.ts"
import type { AdminClient } from "./admin/admin-client.ts"
import { mostWeight } from "./config/target-form.ts"

const verbs = ["ls", "drain", "disable", "serve", "weight", "add", "rm"] as const
type Verb = (typeof verbs)[number]

export const targetCommand: Command = {
  name: "balance target",
  summary: "Shows and changes what gets connections, while the balancer runs.",
  usage: "ls|drain|disable|serve|weight|add|rm [APP] [TARGET] [WEIGHT] [flags]",
  words: [1, 4],
  flags: { ...balancerFlags, ...commonFlags },
  notes: [
    "drain: nothing new goes there, what runs goes on. disable: that, and no health checks. serve: as usual again.",
    "Changes hold until the balancer ends; what the file says about the same target comes back when it changes there.",
  ],
  examples: [
    ["rdv balance target ls", "all apps with their targets"],
    ["rdv balance target drain web 10.0.0.3:80", "before work on that machine"],
    ["rdv balance target serve web 10.0.0.3:80", "and after it"],
    ["rdv balance target weight web 10.0.0.3:80 0.2", "a fifth of what a target of weight 1 gets"],
    ["rdv balance target add web rdv:shop", "one more, until the balancer ends"],
  ],
  run,
}

async function run(call: CommandCall): Promise<number> {
  const { words, output } = call
  const [verb, app, target, weight] = checkWords(words)
  const client = await findBalancer(call)
  if (verb === "ls") return show(client, call, app)
  await change(client, verb, app as string, target as string, weight)
  output.record({ app, target, done: verb, ...(weight !== undefined && { weight: Number(weight) }) })
  output.line(`${app}: ${verb} ${target}${weight === undefined ? "" : ` ${weight}`}`)
  return exitCode.ok
}

function checkWords(words: readonly string[]): readonly [verb: Verb, ...rest: string[]] {
  const [word = "", ...rest] = words
  const verb = verbs.find((each) => each === word)
  if (verb === undefined) {
    const near = nearest(word, verbs)
    const mend = near === undefined ? `use ${verbs.join(", ")}` : `did you mean ${near}?`
    throw new RdvError("usage", `"rdv balance target" does not know ${JSON.stringify(word)}`, { mend })
  }
  const [least, most, form] =
    verb === "ls" ? [0, 1, "[APP]"] : verb === "weight" ? [3, 3, "APP TARGET WEIGHT"] : [2, 2, "APP TARGET"]
  if (rest.length < least || rest.length > most) {
    throw new RdvError("usage", `"rdv balance target ${verb}" wants ${form}`, {
      mend: "rdv balance target ls shows the apps and their targets",
    })
  }
  const weight = rest[2]
  if (weight !== undefined && !(/^\d{1,5}(\.\d{1,6})?$/.test(weight) && Number(weight) <= mostWeight)) {
    throw new RdvError("usage", `The weight ${JSON.stringify(weight)} is no number from 0 to ${mostWeight}`, {
      mend: "write 0.5 or 2; with 0 it gets nothing new",
    })
  }
  return [verb, ...rest]
}

function change(client: AdminClient, verb: Exclude<Verb, "ls">, app: string, target: string, weight?: string) {
  switch (verb) {
    case "add":
      return client.addTarget(app, target)
    case "rm":
      return client.removeTarget(app, target)
    case "weight":
      return client.target(app, target, { weight: Number(weight) })
    case "drain":
    case "disable":
    case "serve":
      return client.target(app, target, { orders: verb })
  }
}

async function show(client: AdminClient, { output }: CommandCall, app: string | undefined): Promise<number> {
  const { apps } = await client.snapshot()
  const shown = apps.filter(({ name }) => app === undefined || name === app)
  if (app !== undefined && shown.length === 0) {
    throw new RdvError("usage", `There is no app ${JSON.stringify(app)}`, {
      mend: `the apps are ${apps.map(({ name }) => name).join(", ")}`,
    })
  }
  output.record({ apps: shown.map(({ name, targets }) => ({ name, targets })) as unknown as JsonObject[] })
  const rows = shown.flatMap(({ name, targets }) =>
    targets.map((target) => [
      printable(name),
      printable(target.name),
      printable(targetState(target as unknown as JsonObject)),
      String(target.weight),
      String(target.priority),
      String(target.active),
      target.zone === undefined ? "" : printable(target.zone),
    ]),
  )
  const head = ["APP", "TARGET", "STATE", "WEIGHT", "PRIORITY", "CONNECTIONS", "ZONE"]
  const aligns = ["left", "left", "left", "right", "right", "right", "left"] as const
  if (rows.length === 0) output.line("no targets")
  else for (const line of tableLines([head, ...rows], aligns, 2)) output.line(line)
  return exitCode.ok
}
