/**
 * Sends a request to the server worker, and to the next one when that ends: as long as it was not accepted in any case, and
 * once it was, if it is safe to repeat.
 */

import type { RequestHead } from "./messages.ts"
import type { Outcome, PortClient } from "./port-client.ts"
import { RepeatableBody } from "./repeatable-body.ts"

/** Where server workers are found. */
export interface Leaders {
  /** The present one. Undefined: none came within the time, or, for what opens a page, there is none that could start one. */
  get(waitMs: number, opensPage?: boolean): Promise<PortClient | undefined>
  /** This one does not answer: finds out whether it is still there. */
  suspect(client: PortClient): void
}

export type Answered =
  | Exclude<Outcome, { readonly kind: "lost" }>
  /** No server took it; nothing has happened, or (a server that hangs) nothing that anybody knows of. */
  | { readonly kind: "none" }
  /** The server that had accepted it is gone. It may have run. */
  | { readonly kind: "lost" }

export interface AskOptions {
  readonly leaders: Leaders
  readonly head: RequestHead
  readonly body: Uint8Array | ReadableStream<Uint8Array> | undefined
  /** A page is there after it; else one is there already, whether the browser counts it yet or not. */
  readonly opensPage?: boolean
  /** How long a server may take until it accepts. */
  readonly patienceMs: number
  /** Of this request alone. */
  readonly signal: AbortSignal
  /** What is done with an answer before it counts. False: it broke off, and is asked for again. */
  readonly complete?: undefined | ((outcome: Outcome & { readonly kind: "response" }) => Promise<Answered | undefined>)
}

export async function askLeader(options: AskOptions): Promise<Answered> {
  const { leaders, head, opensPage, patienceMs, signal, complete } = options
  const isKeyed = head.headers.some(([name]) => name === "idempotency-key")
  const isSafe = safe.includes(head.method) || isKeyed
  const body = new RepeatableBody(options.body, isKeyed)
  let since = performance.now()
  for (;;) {
    const leftMs = since + patienceMs - performance.now()
    const client = leftMs > 0 && !signal.aborted ? await leaders.get(leftMs, opensPage) : undefined
    if (client === undefined) return { kind: "none" }
    const sent = client.send(head, body.open())
    let isOverdue = false
    const watch = setInterval(() => {
      leaders.suspect(client)
      if (sent.isAccepted || performance.now() < since + patienceMs) return
      isOverdue = true
      sent.cancel()
    }, suspectMs)
    // An answer's stream ends with it too.
    signal.addEventListener("abort", () => sent.cancel(signal.reason))
    try {
      const outcome = await sent.outcome
      if (isOverdue) return { kind: "none" }
      if (outcome.kind === "failed") return outcome
      if (outcome.kind === "response") {
        const answered = complete === undefined ? outcome : await complete(outcome)
        if (answered !== undefined) return answered
      }
      if (sent.isAccepted && (!isSafe || body.isSpent)) return { kind: "lost" }
      if (sent.isAccepted) since = performance.now()
    } finally {
      clearInterval(watch)
    }
  }
}

export const safe: readonly string[] = ["GET", "HEAD", "OPTIONS"]

/** A server that has not answered for this long is asked after. */
const suspectMs = 250
