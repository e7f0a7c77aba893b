/** A cap that a greedy client shares with others: 8 connections of one address beside 20 addresses with one each. */

import type { Children } from "../children.ts"
import { freePort } from "../origin.ts"
import type { Options } from "../options.ts"
import { Figures, printTable, say, shown, verdict } from "../table.ts"
import { haproxy, nginxStream, startRdvBalance, untilOpen } from "./proxies.ts"
import type { StartRoutes } from "./proxies.ts"
import type { Ports, TcpBench } from "./tcp-bench.ts"

const [greedy, light] = [8, 20]
const capBytes = 42e6
const partBytes = capBytes / (light + 1)

const systems: readonly { readonly name: string; readonly start: StartRoutes }[] = [
  {
    name: "rdv balance, app 42 MB/s",
    start: (children, [route]) =>
      startRdvBalance(children, {
        apps: [
          {
            name: "fair",
            listen: [`127.0.0.1:${route?.from}`],
            targets: [`127.0.0.1:${route?.to}`],
            bandwidth: { app: "42MB/s" },
          },
        ],
      }),
  },
  {
    name: "nginx, 1.5 MB/s each connection",
    start: (children, routes) => nginxStream(children, routes, `proxy_download_rate ${capBytes / (light + greedy)};`),
  },
  { name: "haproxy, no cap", start: haproxy },
]

export async function showFairness(bench: TcpBench, targets: Ports, options: Options): Promise<void> {
  const figures = new Figures()
  const seconds = options.quick ? 2 : 5
  for (let round = 1; round <= options.rounds; round++) {
    for (const { name, start } of systems) {
      process.stderr.write(`round ${round} of ${options.rounds}: fairness, ${name} …\n`)
      await measure(bench, bench.children, start, targets, seconds, (figure, value) => figures.add(name, figure, value))
    }
  }
  const of = (name: string, figure: string): number | undefined => figures.median(name, figure)
  const rows = systems.map(({ name }, at) => [
    name,
    shown(scaled(of(name, "total"), 1e6), 1),
    at < 2 ? shown(scaled(of(name, "total"), capBytes), 2) : "",
    shown(scaled(of(name, "greedy"), 1e6), 2),
    shown(scaled(of(name, "least"), 1e6), 2),
    shown(scaled(of(name, "most"), 1e6), 2),
    at < 1 ? shown(scaled(of(name, "least"), partBytes), 2) : "",
    at < 1 ? verdict(scaled(of(name, "least"), partBytes), 0.9, "high") : "",
  ])
  const heads = ["", "MB/s in all", "of the cap", "greedy", "least light", "most light", "of its part", "≥ 0.90"]
  printTable(`One client with ${greedy} connections beside ${light} with one each`, heads, rows)
  say(`\nA client's part is ${shown(partBytes / 1e6, 1)} MB/s.\n`)
}

async function measure(
  bench: TcpBench,
  children: Children,
  start: StartRoutes,
  targets: Ports,
  seconds: number,
  add: (figure: string, value: number) => void,
): Promise<void> {
  const routes = [{ from: await freePort(), to: targets.source }]
  const child = await start(children, routes)
  await untilOpen(child, routes)
  const question = ["fair", "down", "127.0.0.1", `${routes[0]?.from}`, `${greedy}`, `${light}`, `${seconds}`]
  const answer: { readonly greedy?: unknown; readonly light?: unknown } = await bench.ask(question, undefined, seconds)
  const others = answer.light as readonly number[]
  add("greedy", answer.greedy as number)
  add("least", Math.min(...others))
  add("most", Math.max(...others))
  add(
    "total",
    others.reduce((sum, each) => sum + each, answer.greedy as number),
  )
  await child.stop()
}

function scaled(value: number | undefined, by: number): number | undefined {
  return value === undefined ? undefined : value / by
}
