/**
 * Loaded before a balancer with several event loops. On SIGUSR1 one of its threads, the first that hears of it, ends with an
 * error that nobody catches.
 */

import { BroadcastChannel, isMainThread } from "node:worker_threads"

const channel = new BroadcastChannel("crash-loop")
if (isMainThread) {
  process.on("SIGUSR1", () => channel.postMessage(new Int32Array(new SharedArrayBuffer(4))))
} else {
  channel.onmessage = (event: unknown) => {
    const cells = (event as { readonly data: Int32Array }).data
    if (Atomics.add(cells, 0, 1) > 0) return
    setImmediate(() => {
      throw new Error("crashed by a test")
    })
  }
}
channel.unref()
