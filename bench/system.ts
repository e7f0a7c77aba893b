/** What is measured: something that listens on an address of loopback and leads to a local service. */

import type { Children } from "./children.ts"
import type { Place } from "./origin.ts"

export interface Running extends Place {
  /** What a visitor's `Host` has to say. */
  readonly hostHeader: string
  /** Whose CPU and memory counts; processes that they started count with them. */
  readonly processes: readonly { readonly role: string; readonly pid: number }[]
  stop(): Promise<void>
}

export interface System {
  readonly name: string
  /** `own` is measured against targets, `peer` against us, `direct` is the ceiling. */
  readonly side: "own" | "peer" | "direct"
  /** What it carries: HTTP messages, or bytes it does not look at. */
  readonly carries: "http" | "bytes"
  readonly note: string
  /** Leads to `target`. Rejects with one line when it cannot run here. */
  start(children: Children, target: Place): Promise<Running>
}

/** No tunnel at all. */
export const direct: System = {
  name: "direct",
  side: "direct",
  carries: "bytes",
  note: "nginx, one worker, no tunnel",
  start: async (_children, target) => ({
    ...target,
    hostHeader: "localhost",
    processes: [],
    stop: async () => undefined,
  }),
}
