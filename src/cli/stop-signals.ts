/** Ctrl+C and SIGTERM: the first asks, the second ends at once. SIGHUP asks a service to read its files again. */

import { exitCode } from "./command.ts"

export interface StopSignals {
  readonly stopping: AbortSignal
  /** No longer listens: Node's own handling applies again. */
  release(): void
}

/** One press of Ctrl+C can arrive twice: from the terminal, and from npm, which passes it on. */
const duplicateMs = 300

export function watchStopSignals(onFirst: () => void): StopSignals {
  const controller = new AbortController()
  // A closed terminal; whoever runs without one may have asked to live on (nohup).
  const signals: NodeJS.Signals[] = process.stdin.isTTY ? ["SIGINT", "SIGTERM", "SIGHUP"] : ["SIGINT", "SIGTERM"]
  const heardAt = new Map<NodeJS.Signals, number>()
  const hear = (signal: NodeJS.Signals) => {
    const now = performance.now()
    const before = heardAt.get(signal)
    heardAt.set(signal, now)
    if (before !== undefined && now - before < duplicateMs) return
    if (controller.signal.aborted) process.exit(exitCode.interrupted)
    controller.abort()
    onFirst()
  }
  for (const signal of signals) process.on(signal, hear)
  return {
    stopping: controller.signal,
    release: () => {
      for (const signal of signals) process.off(signal, hear)
    },
  }
}

/** On a terminal SIGHUP says that it was closed, so there it goes on stopping and nothing is called. */
export function onHangUp(callback: () => void): () => void {
  if (process.stdin.isTTY) return () => undefined
  process.on("SIGHUP", callback)
  return () => void process.off("SIGHUP", callback)
}
