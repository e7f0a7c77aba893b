/**
 * What connections that stand ready gain at a distance: the target's address is 20 ms away, there and back. That needs
 * root, TUN devices and `ip`; elsewhere it is left out.
 */

import { execFileSync } from "node:child_process"
import type { Children } from "../children.ts"
import { freePort } from "../origin.ts"
import type { Options } from "../options.ts"
import { Figures, printTable, shown } from "../table.ts"
import { haproxy, startRdvBalance, untilOpen } from "./proxies.ts"
import type { Route } from "./proxies.ts"
import { compile } from "./tcp-bench.ts"
import type { TcpBench } from "./tcp-bench.ts"

const wayMs = 10
const concurrencies = [1, 8, 32]

interface Distance {
  /** Where the target listens, and where it is dialled. */
  readonly here: string
  readonly there: string
  remove(): Promise<void>
}

export async function showWarm(bench: TcpBench, options: Options): Promise<void> {
  const distance = await makeDistance(bench)
  if (distance === undefined) {
    process.stderr.write("warm: left out: it needs root, TUN devices and ip\n")
    return
  }
  try {
    await measureAll(bench, distance, options)
  } finally {
    await distance.remove()
  }
}

async function measureAll(bench: TcpBench, distance: Distance, options: Options): Promise<void> {
  const { children } = bench
  const target = children.start("far target", bench.program, ["target", `once@${distance.here}`])
  const far = Number((await target.until(/^once (\d+)\n/m))[1])
  const systems = [
    { name: "haproxy", start: (route: Route) => haproxy(children, [route], distance.there) },
    ...[0, 4, 16, 32].map((warm) => ({
      name: warm === 0 ? "rdv balance" : `rdv balance, warm: ${warm}`,
      start: (route: Route) => startWarm(children, route, distance.there, warm),
    })),
  ]
  const figures = new Figures()
  for (let round = 1; round <= options.rounds; round++) {
    for (const { name, start } of systems) {
      process.stderr.write(`round ${round} of ${options.rounds}: warm, ${name} …\n`)
      const route = { from: await freePort(), to: far }
      const child = await start(route)
      await untilOpen(child, [route])
      for (const concurrency of concurrencies) {
        const count = (options.quick ? 5 : 25) * concurrency
        const ask = ["cps", "127.0.0.1", `${route.from}`, `${concurrency}`, `${count}`]
        const { p50 = NaN, p99 = NaN } = await bench.ask(ask, undefined, 30)
        figures.add(name, `${concurrency} p50`, p50 / 1000)
        figures.add(name, `${concurrency} p99`, p99 / 1000)
      }
      await child.stop()
    }
  }
  await target.stop()
  const rows = systems.map(({ name }) => [
    name,
    ...concurrencies.flatMap((each) => [
      shown(figures.median(name, `${each} p50`), 1),
      shown(figures.median(name, `${each} p99`), 1),
    ]),
  ])
  const heads = ["", ...concurrencies.flatMap((each) => [`${each}: p50 ms`, "p99 ms"])]
  printTable("A connection, 64 bytes and their echo 20 ms away, by connections at a time", heads, rows)
}

function startWarm(children: Children, { from, to }: Route, address: string, warm: number): ReturnType<typeof haproxy> {
  return startRdvBalance(children, {
    apps: [{ name: "far", listen: [`127.0.0.1:${from}`], targets: [{ address: `${address}:${to}`, warm }] }],
  })
}

/** Undefined where it cannot be had. */
async function makeDistance({ children }: TcpBench): Promise<Distance | undefined> {
  const device = `rdv${process.pid}`
  const [here, there] = ["10.214.7.1", "10.214.7.2"]
  const far = children.start("far-away", compile(children, "far-away"), [device, `${wayMs}`])
  try {
    await far.until(/ready/)
    run("ip", "addr", "add", here, "peer", there, "dev", device)
    run("ip", "link", "set", device, "up")
    // The device goes with its program.
    return { here, there, remove: () => far.stop() }
  } catch (error) {
    process.stderr.write(`warm: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}\n`)
    await far.stop()
    return undefined
  }
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ["ignore", "ignore", "pipe"], timeout: 10_000 })
}
