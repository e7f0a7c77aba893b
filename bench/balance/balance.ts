/**
 * `rdv balance` beside HAProxy, nginx stream and a few lines of Node: bytes, messages, connections and memory by the chain
 * method, then what only a balancer is asked for. With `--write` the tables enter docs/benchmarks.md.
 */

import type { Children } from "../children.ts"
import { writeDocs } from "../docs.ts"
import { machineLine } from "../machine.ts"
import { wants } from "../options.ts"
import type { Options } from "../options.ts"
import { writeJson } from "../report.ts"
import { say } from "../table.ts"
import { Chain } from "./chain.ts"
import type { Taken } from "./chain.ts"
import { showFairness } from "./fairness.ts"
import { candidates, commandProxy, direct, reference } from "./proxies.ts"
import type { Proxy } from "./proxies.ts"
import { showSemantics } from "./semantics.ts"
import { showChain } from "./show.ts"
import { TcpBench } from "./tcp-bench.ts"
import type { Ports } from "./tcp-bench.ts"
import { showWake } from "./wake.ts"
import { showWarm } from "./warm.ts"
import { works } from "./works.ts"
import type { Work } from "./works.ts"

const parts = ["bulk", "ping", "churn", "idle", "load", "warm", "fair", "wake", "semantics"]

export async function benchBalance(options: Options, children: Children): Promise<void> {
  const wanted = wants(options, parts)
  const from = machineLine()
  say(`${from}\n`)
  const bench = new TcpBench(children)
  const targets = await bench.startTargets()
  const chain = new Chain()
  await runChain(bench, children, targets, options, wanted, chain)
  showChain(chain, systems(options), wanted)
  if (wanted("warm")) await showWarm(bench, options)
  if (wanted("fair")) await showFairness(bench, targets, options)
  if (wanted("wake")) await showWake(bench, options)
  if (wanted("semantics")) await showSemantics(children)
  say(`\n${machineLine()}\n`)
  writeJson(options, chain)
  if (options.write) writeDocs("balance", options)
}

function systems(options: Options): readonly Proxy[] {
  const others = options.commands.map(({ name, command }) => commandProxy(name, command))
  const all = [...candidates, ...others, direct]
  const unknown = options.systems?.find((wanted) => all.every(({ name }) => name !== wanted))
  if (unknown !== undefined) {
    throw new Error(`--systems knows ${all.map(({ name }) => name).join(", ")}, not "${unknown}"`)
  }
  return all.filter(({ name }) => options.systems?.includes(name) ?? true)
}

async function runChain(
  bench: TcpBench,
  children: Children,
  targets: Ports,
  options: Options,
  wanted: (part: string) => boolean,
  chain: Chain,
): Promise<void> {
  const asked = works.filter(({ part }) => wanted(part))
  const all = [reference, ...systems(options)]
  for (let round = 1; round <= options.rounds; round++) {
    for (const work of asked) {
      process.stderr.write(`round ${round} of ${options.rounds}: ${work.name} …\n`)
      const names = all.slice(1).map(({ name }) => name)
      await chain.round(work.name, reference.name, names, async (name) => {
        const system = all.find((each) => each.name === name) as Proxy
        return takeOne(bench, children, targets, options, system, work)
      })
    }
  }
}

/** A fresh process for each measurement: what one has done before, as in memory, does not follow it into the next. */
async function takeOne(
  bench: TcpBench,
  children: Children,
  targets: Ports,
  options: Options,
  system: Proxy,
  work: Work,
): Promise<Taken | undefined> {
  try {
    const running = await system.start(children, targets)
    try {
      return await work.take(bench, running, options)
    } finally {
      await running.stop()
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error)
    process.stderr.write(`${system.name}, ${work.name}: failed: ${reason}\n`)
    return undefined
  }
}
