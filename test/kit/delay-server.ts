/**
 * A server on loopback that delays on purpose and knows how long it took: the truth that a load tester is held against.
 * It runs in a thread of its own, so that its delays do not depend on what the test does.
 *
 *     none      answers at once: what the way alone takes
 *     fixed     each answer after 10 ms
 *     stall     answers at once, but stands still for 1 s every 3 s
 *     bimodal   nine answers of ten after 2 ms, one after 20 ms
 */

import { once } from "node:events"
import * as net from "node:net"
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"

export type DelayMode = "none" | "fixed" | "stall" | "bimodal"

export interface DelayServer {
  readonly port: number
  stop(): Promise<void>
}

/** Echoes what it gets, delayed. */
export async function startDelayServer(mode: DelayMode): Promise<DelayServer> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { mode } })
  const [port] = (await once(worker, "message")) as [number]
  return { port, stop: async () => void (await worker.terminate()) }
}

if (!isMainThread) serve((workerData as { mode: DelayMode }).mode)

function serve(mode: DelayMode): void {
  const startMs = performance.now()
  /** Ascending by due time within one delay; two delays are two queues. */
  const queues = new Map<number, { readonly dueMs: number; readonly socket: net.Socket; readonly bytes: Buffer }[]>()
  let count = 0
  const delayOf = (): number => {
    if (mode === "none") return 0
    if (mode === "fixed") return 10
    if (mode === "bimodal") return count++ % 10 === 9 ? 20 : 2
    const phase = (performance.now() - startMs) % 3000
    return phase < 2000 ? 0 : 3000 - phase
  }
  const turn = (): void => {
    const now = performance.now()
    let nextMs = Infinity
    for (const queue of queues.values()) {
      for (let first = queue[0]; first !== undefined; first = queue[0]) {
        if (first.dueMs > now) {
          nextMs = Math.min(nextMs, first.dueMs)
          break
        }
        queue.shift()
        first.socket.write(first.bytes)
      }
    }
    turning = nextMs - now < 1.5
    // Timers come up to a millisecond late: the last one is waited for turn by turn.
    if (turning) setImmediate(turn)
    else if (nextMs < Infinity) timer = setTimeout(turn, nextMs - now - 1.2)
  }
  let turning = false
  let timer: NodeJS.Timeout | undefined
  const server = net.createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => socket.destroy())
    socket.on("data", (bytes) => {
      const delayMs = delayOf()
      if (delayMs === 0) {
        socket.write(bytes)
        return
      }
      // A stall ends for all at the same moment, whoever came first: one queue.
      const key = mode === "stall" ? 0 : delayMs
      const queue = queues.get(key) ?? []
      queues.set(key, queue)
      queue.push({ dueMs: performance.now() + delayMs, socket, bytes })
      if (turning) return
      // It may be due before what the timer waits for.
      clearTimeout(timer)
      turning = true
      setImmediate(turn)
    })
  })
  server.listen(0, "127.0.0.1", () => parentPort?.postMessage((server.address() as net.AddressInfo).port))
}
