/**
 * Where the worker of each page begins: a candidate of a few lines, which waits for the lock that the one server of this
 * origin holds, and loads everything else when it has it.
 */

import type { FromWorker } from "./messages.ts"
import { lockName } from "./messages.ts"
import type { RuntimeFiles } from "./runtime-files.ts"
import { runtimePath } from "./runtime-files.ts"
import { troubleOf } from "./trouble.ts"
import type { Lead, Leader } from "./worker-main.ts"

let leader: Leader | undefined

function say(message: FromWorker): void {
  self.postMessage(message)
}

/** Settles when it serves no more, and never before: that frees the lock. */
async function lead(): Promise<void> {
  say({ kind: "starting" })
  const ended = Promise.withResolvers<void>()
  try {
    // Now, not when the candidate began to wait: the application may have a newer version since then.
    const runtime = (await (await fetch(runtimePath)).json()) as RuntimeFiles
    const main = (await import(runtime.workerMain)) as { readonly lead: Lead }
    leader = await main.lead({ runtime, say, ended: () => ended.resolve() })
  } catch (error) {
    // The lock stays here: another tab of this browser would fail in the same way.
    say({ kind: "failed", trouble: troubleOf(error), isFinal: true })
  }
  await ended.promise
}

self.addEventListener("message", ({ data, ports }) => {
  if (data.kind === "ping") say({ kind: "pong", n: data.n })
  else leader?.hear(data, ports)
})
say({ kind: "waiting" })
void navigator.locks.request(lockName, lead)
