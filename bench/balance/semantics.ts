/** What each proxy makes of the events that happen to TCP connections, as its two sides see it. */

import { join } from "node:path"
import { EventTarget, tcpEvents } from "../../test/kit/tcp-events.ts"
import type { Child, Children } from "../children.ts"
import { residentBytes } from "../machine.ts"
import { freePort } from "../origin.ts"
import { printTable, say } from "../table.ts"
import { haproxy, nginxStream, nodePipe, rdvBalance, socat, untilOpen } from "./proxies.ts"
import type { StartRoutes } from "./proxies.ts"

interface Peer {
  readonly name: string
  readonly start: StartRoutes
  /** It runs on Node, and says what it has in use after collecting garbage. */
  readonly collects?: boolean
}

const collecting = ["--expose-gc", "--import", join(import.meta.dirname, "..", "..", "test", "kit", "collect.ts")]

const proxies: readonly Peer[] = [
  { name: "rdv balance", start: (children, routes) => rdvBalance(children, routes, collecting), collects: true },
  { name: "haproxy", start: haproxy },
  { name: "nginx stream", start: (children, routes) => nginxStream(children, routes, "") },
  { name: "nginx, half-close", start: (children, routes) => nginxStream(children, routes, "proxy_half_close on;") },
  { name: "socat", start: socat },
  { name: "node pipe", start: (children, routes) => nodePipe(children, routes, collecting), collects: true },
]

export async function showSemantics(children: Children): Promise<void> {
  const columns: string[][] = []
  const names: string[] = []
  for (const { name, start, collects } of proxies) {
    process.stderr.write(`events: ${name} …\n`)
    try {
      columns.push(await play(children, start, collects === true))
      names.push(name)
    } catch (error) {
      process.stderr.write(`${name}: not runnable here: ${error instanceof Error ? error.message : String(error)}\n`)
    }
  }
  const rows = tcpEvents.map(({ name }, row) => [name, ...columns.map((column) => column[row] ?? "")])
  printTable("What becomes of an event", ["", ...names], rows)
  say("\n`!`: something is lost, pretended or waited for.\n")
}

async function play(children: Children, start: StartRoutes, collects: boolean): Promise<string[]> {
  const target = await EventTarget.start()
  const [port, deadPort, nothing] = [await freePort(), await freePort(), await freePort()]
  const routes = [
    { from: port, to: target.port },
    { from: deadPort, to: nothing },
  ]
  try {
    const child = await start(children, routes)
    await untilOpen(child, routes)
    await target.settle(port)
    const memory = async (): Promise<number> => (collects ? collectedBytes(child) : residentBytes(child.pid))
    const cells: string[] = []
    for (const event of tcpEvents) {
      const { text, isGood } = await event.play({ port, deadPort, target, memory })
      cells.push(isGood ? text : `${text} !`)
    }
    await child.stop()
    return cells
  } finally {
    await target.stop()
  }
}

async function collectedBytes(child: Child): Promise<number> {
  const count = [...child.output.matchAll(/^memory \d+ /gm)].length + 1
  child.signal("SIGUSR2")
  return Number((await child.until(new RegExp(`^memory ${count} \\d+ (\\d+)\n`, "m")))[1])
}
