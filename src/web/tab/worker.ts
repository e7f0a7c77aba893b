/**
 * Where the worker of each page begins: a candidate of a few lines, which waits for the lock that the one server of this
 * origin holds. Of the rest it loads, when its page has come to rest, what a start spends most of its time with; everything
 * else when it has the lock.
 */

import type { FromWorker } from "./messages.ts"
import { lockName } from "./messages.ts"
import type { RuntimeFiles } from "./runtime-files.ts"
import { runtimePath } from "./runtime-files.ts"
import { troubleOf } from "./trouble.ts"
import type { Lead, Leader, Prepare, Prepared } from "./worker-main.ts"

let leader: Leader | undefined
/** By the program of this path. */
let ahead: { readonly path: string; readonly prepared: Prepared } | undefined
let hasLock = false
/** What a page loads by itself comes first, ms. */
const restMs = 1000
/** Between attempts to load the program, ms. */
const againMs = 100

function say(message: FromWorker): void {
  self.postMessage(message)
}

/** Settles when it serves no more, and never before: that frees the lock. */
async function lead(): Promise<void> {
  hasLock = true
  say({ kind: "starting" })
  const ended = Promise.withResolvers<void>()
  try {
    // Now, not when the candidate began to wait: the application may have a newer version since then.
    const runtime = await readRuntime()
    const main = (await import(runtime.workerMain)) as { readonly lead: Lead }
    const prepared = ahead?.path === runtime.workerMain ? ahead.prepared : undefined
    leader = await main.lead({ runtime, say, ended: () => ended.resolve(), prepared })
  } catch (error) {
    const isFinal = !isUnloaded(error)
    say({ kind: "failed", trouble: troubleOf(error), isFinal })
    // A worker remembers modules that did not load: the next one tries anew. Whatever else it is, the lock stays here, since
    // another tab of this browser would fail in the same way.
    if (!isFinal) setTimeout(() => say({ kind: "stopped" }), againMs)
  }
  await ended.promise
}

/** Nothing depends on it: without a network, or without room, the start takes longer. */
async function prepare(): Promise<void> {
  if (hasLock) return
  const { workerMain: path } = await readRuntime()
  const main = (await import(path)) as { readonly prepare: Prepare }
  if (!hasLock) ahead = { path, prepared: await main.prepare() }
}

/**
 * A part did not come: the network, a service worker that the browser has just stopped, or (in Firefox) a page that has
 * begun to go elsewhere and therefore loads nothing more, although its server is needed for the answer. Browsers have no
 * code for it.
 */
function isUnloaded(error: unknown): boolean {
  if (error instanceof DOMException) return error.name === "AbortError" || error.name === "NetworkError"
  return (
    error instanceof TypeError && /imported module|module script|NetworkError|fetch|Load failed/.test(error.message)
  )
}

async function readRuntime(): Promise<RuntimeFiles> {
  return (await (await fetch(runtimePath)).json()) as RuntimeFiles
}

self.addEventListener("message", ({ data, ports }) => {
  if (data.kind === "ping") say({ kind: "pong", n: data.n })
  else leader?.hear(data, ports)
})
say({ kind: "waiting" })
void navigator.locks.request(lockName, lead)
setTimeout(() => void prepare().catch(() => undefined), restMs)
