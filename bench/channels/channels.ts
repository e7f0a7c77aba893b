/**
 * rdv's channels beside NATS, Redis and RabbitMQ, and beside frames on bare sockets, in one run: confirmed one at a time,
 * pipelined, streaming, and what a stuck consumer and idle ones cost. With `--write` the tables enter docs/benchmarks.md.
 */

import type { Children } from "../children.ts"
import { writeDocs } from "../docs.ts"
import { machineLine } from "../machine.ts"
import { wants } from "../options.ts"
import type { Options } from "../options.ts"
import { writeJson } from "../report.ts"
import { say } from "../table.ts"
import { fetchClients } from "./clients.ts"
import { measure } from "./measure.ts"
import type { Taken } from "./measure.ts"
import { Rounds } from "./rounds.ts"
import { showRounds, showTargets } from "./show.ts"
import { showStuck } from "./stuck.ts"
import { systems } from "./systems.ts"
import type { Running, System } from "./systems.ts"
import { showWaiting } from "./waiting.ts"
import { works } from "./works.ts"
import type { Work } from "./works.ts"

const parts = ["single", "core", "window", "many", "stream", "stuck", "waiting"]

export async function benchChannels(options: Options, children: Children): Promise<void> {
  const wanted = wants(options, parts)
  say(`${machineLine()}\n`)
  const { chosen, clients } = choose(options)
  const rounds = new Rounds()
  const kept = new Map<string, Promise<Running>>()
  const asked = works.filter(({ part }) => wanted(part))
  for (let round = 1; round <= options.rounds; round++) {
    for (const work of asked) {
      process.stderr.write(`round ${round} of ${options.rounds}: ${work.name} …\n`)
      for (const system of chosen) {
        if (work.mode === "pour" && system.pourProof === undefined) continue
        const figures = await take(children, system, kept, clients, work, options)
        if (figures !== undefined) rounds.add(round, system.name, work.name, figures)
      }
    }
  }
  showRounds(rounds, chosen, wanted)
  showTargets(rounds)
  if (wanted("stuck")) await showStuck(children, chosen, clients, options)
  if (wanted("waiting")) await showWaiting(children, chosen, clients, options)
  say(`\n${machineLine()}\n`)
  writeJson(options, rounds)
  if (options.write) writeDocs("channels", options)
}

function choose(options: Options): { readonly chosen: readonly System[]; readonly clients: string } {
  const unknown = options.systems?.find((wanted) => systems.every(({ name }) => name !== wanted))
  if (unknown !== undefined) {
    throw new Error(`--systems knows ${systems.map(({ name }) => name).join("; ")}, not "${unknown}"`)
  }
  const asked = systems.filter(({ name }) => options.systems?.includes(name) ?? true)
  const fetched = asked.some(({ from }) => from === "npm") ? fetchClients() : { folder: "" }
  const chosen = asked.filter((system) => {
    const missing = system.from === "npm" && "reason" in fetched ? fetched.reason : system.missing()
    if (missing !== undefined) say(`${system.name} is left out: ${missing}\n`)
    return missing === undefined
  })
  return { chosen, clients: "folder" in fetched ? fetched.folder : "" }
}

/** A fresh server for each measurement, where that is quick. */
async function take(
  children: Children,
  system: System,
  kept: Map<string, Promise<Running>>,
  clients: string,
  work: Work,
  options: Options,
): Promise<Taken | undefined> {
  try {
    if (!system.isKept) {
      const running = await system.start(children)
      try {
        return await measure(children, system, running, clients, work, options)
      } finally {
        await running.stop()
      }
    }
    let running = kept.get(system.adapter)
    if (running === undefined) kept.set(system.adapter, (running = system.start(children)))
    return await measure(children, system, await running, clients, work, options)
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error)
    process.stderr.write(`${system.name}, ${work.name}: failed: ${reason}\n`)
    return undefined
  }
}
