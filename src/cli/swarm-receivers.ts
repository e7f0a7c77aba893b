/** Many receivers in one process, for `rdv share swarm`: a child that is told to start and tells how far everybody is. */

import { join } from "node:path"
import { asRdvError } from "../base/error.ts"
import { parseCode } from "../capabilities/share/code/code.ts"
import { nodeKeys } from "../capabilities/share/node/node-keys.ts"
import { machineSeconds } from "../capabilities/share/trial/machine-seconds.ts"
import type { ByteWays } from "../capabilities/share/protocol/control.ts"
import { get } from "../start-get.ts"
import type { Get } from "../start-get.ts"

export interface ReceiversTask {
  readonly relay: string
  readonly code: string
  /** Numbers of the clients of this process. */
  readonly from: number
  readonly to: number
  readonly folder: string
  readonly limit: number | undefined
  readonly direct: boolean
  readonly multicast: "auto" | "on" | "off"
  /** Receivers that are through serve others for so long at most, ms. */
  readonly serveMs: number
}

export type ToReceivers = { readonly do: "start" } | { readonly do: "stop" }

export type FromReceivers =
  | { readonly is: "ready" }
  | { readonly is: "done"; readonly client: number; readonly at: number }
  | { readonly is: "failed"; readonly client: number; readonly reason: string }
  /** What part of everything each client has, 0-1. */
  | { readonly is: "parts"; readonly parts: readonly number[] }
  | { readonly is: "over"; readonly via: ByteWays; readonly sentBytes: number }

const sampleMs = 100

async function main(task: ReceiversTask): Promise<void> {
  const code = parseCode(task.code)
  // Once for all: it is made to cost a tenth of a second.
  const keys = await nodeKeys(code)
  const all: Get[] = []
  const say = (message: FromReceivers) => void process.send?.(message)
  const sample = () => {
    say({ is: "parts", parts: all.map((each) => (each.isDone ? 1 : partOf(each))) })
  }
  let timer: NodeJS.Timeout | undefined
  const start = async (client: number) => {
    const one = await get({
      code,
      keys,
      relay: task.relay,
      output: `${join(task.folder, String(client))}/`,
      label: `client ${client}`,
      limitBytesPerSecond: task.limit,
      direct: task.direct,
      multicast: task.multicast,
      serveMs: task.serveMs,
      // One disk would stand for as many as there are clients.
      sync: false,
      firstMs: 60_000,
      onEvent(event) {
        if (event.kind === "done") say({ is: "done", client, at: machineSeconds() })
      },
    })
    all.push(one)
    one.ended.catch((error: unknown) => say({ is: "failed", client, reason: asRdvError(error).message }))
  }
  process.on("message", (message: ToReceivers) => {
    if (message.do === "start") {
      for (let client = task.from; client < task.to; client++) {
        start(client).catch((error: unknown) => say({ is: "failed", client, reason: asRdvError(error).message }))
      }
      timer = setInterval(sample, sampleMs)
      return
    }
    clearInterval(timer)
    const via = { relay: 0, direct: 0, cast: 0 }
    let sentBytes = 0
    for (const each of all) {
      const figures = each.figures()
      via.relay += figures.via.relay
      via.direct += figures.via.direct
      via.cast += figures.via.cast
      sentBytes += figures.sentBytes
    }
    say({ is: "over", via, sentBytes })
    void Promise.all(all.map((each) => each.stop().catch(() => undefined))).then(() => process.exit(0))
  })
  // The trial is gone: nobody would end this.
  process.on("disconnect", () => process.exit(1))
  say({ is: "ready" })
}

function partOf(one: Get): number {
  const { bytes, haveBytes } = one.figures()
  return bytes === 0 ? 0 : haveBytes / bytes
}

await main(JSON.parse(process.argv[2] as string) as ReceiversTask)
