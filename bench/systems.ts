/** Everything that can be measured in one run, in the order of the tables. */

import * as http from "node:http"
import type { Children } from "./children.ts"
import type { Options } from "./options.ts"
import { oneSegment } from "./origin.ts"
import type { Place } from "./origin.ts"
import { rdv } from "./rdv.ts"
import { direct } from "./system.ts"
import type { Running, System } from "./system.ts"
import { commandPeer } from "./peers/command.ts"
import { localtunnel } from "./peers/localtunnel.ts"
import { nodeHops, nodePipe, nodeProxy } from "./peers/node.ts"
import { openssh } from "./peers/openssh.ts"

/** Those that were asked for, running; a peer that does not run here, or gives no answer, is one line on standard error. */
export async function startSystems(
  options: Options,
  children: Children,
  target: Place,
): Promise<ReadonlyMap<System, Running>> {
  const all: readonly System[] = [
    direct,
    rdv("http", options),
    rdv("tcp", options),
    nodeProxy,
    nodePipe,
    nodeHops,
    openssh,
    ...(options.peers ? [localtunnel] : []),
    ...options.commands.map(({ name, command }) => commandPeer(name, command)),
  ]
  const unknown = options.systems?.find((wanted) => all.every(({ name }) => name !== wanted))
  if (unknown !== undefined) {
    throw new Error(`--systems knows ${all.map(({ name }) => name).join(", ")}, not "${unknown}"`)
  }
  const started = new Map<System, Running>()
  for (const system of all.filter(({ name }) => options.systems?.includes(name) ?? true)) {
    try {
      const running = await system.start(children, target)
      await answers(running)
      started.set(system, running)
      process.stdout.write(`  ${system.name.padEnd(12)} ${system.note}\n`)
    } catch (error) {
      const reason = error instanceof Error ? error.message.split("\n")[0] : String(error)
      if (system.side !== "peer") throw new Error(`${system.name}: ${reason}`, { cause: error })
      process.stderr.write(`${system.name}: not runnable here: ${reason}\n`)
    }
  }
  return started
}

/** Takes one measurement. A peer that fails says so and leaves a gap in the tables; our own failure ends the run. */
export async function attempt(system: System, measure: () => Promise<void>): Promise<void> {
  try {
    await measure()
  } catch (error) {
    if (system.side !== "peer") throw error
    process.stderr.write(`${system.name} failed: ${error instanceof Error ? error.message : String(error)}\n`)
  }
}

/** Throws unless the right service answers. `fetch` would not let us choose the Host. */
async function answers({ host, port, hostHeader }: Running): Promise<void> {
  const { status, body } = await new Promise<{ status: number; body: string }>((resolve, reject) => {
    const call = http.get({ host, port, path: oneSegment, headers: { host: hostHeader }, agent: false }, (answer) => {
      let body = ""
      answer.setEncoding("latin1")
      answer.on("data", (text: string) => (body += text))
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }))
      answer.on("error", reject)
    })
    call.setTimeout(5000, () => call.destroy(new Error("no answer within 5 s")))
    call.on("error", reject)
  })
  if (status !== 200 || body !== "x".repeat(1024)) throw new Error(`it answered ${status}: ${body.slice(0, 100)}`)
}
