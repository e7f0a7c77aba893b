/**
 * The one port that the service worker holds, and its epoch. Nothing of it outlives the service worker: when there is no
 * port, all windows are asked, and the page whose worker leads gives a new one.
 */

import type { Leaders } from "./ask-leader.ts"
import type { FromServiceWorker } from "./messages.ts"
import { protocolVersion } from "./messages.ts"
import { PortClient } from "./port-client.ts"
import type { Clients } from "./worker-scope.ts"

interface Held {
  readonly client: PortClient
  readonly epoch: number
  /** The id of the page whose worker it is. */
  readonly page: string
}

export class HeldLeader implements Leaders {
  readonly #clients: Clients
  readonly #waiting = new Set<() => void>()
  #held: Held | undefined
  #highest = 0
  #isChecking = false

  constructor(clients: Clients) {
    this.#clients = clients
  }

  introduce(port: MessagePort, epoch: number, protocol: number, page: string): void {
    const held = this.#held
    // The same one again, or one that has been replaced and does not know it yet.
    if (protocol !== protocolVersion || epoch < this.#highest || (held?.epoch === epoch && held.page === page)) {
      port.close()
      return
    }
    this.#drop(held)
    this.#highest = epoch
    this.#held = { client: new PortClient(port), epoch, page }
    for (const wake of this.#waiting) wake()
  }

  gone(epoch: number): void {
    if (this.#held?.epoch === epoch) this.#drop(this.#held)
  }

  async get(waitMs: number, opensPage = false): Promise<PortClient | undefined> {
    const end = performance.now() + waitMs
    for (;;) {
      const client = this.#present()
      if (client !== undefined) return client
      const leftMs = end - performance.now()
      if (leftMs <= 0) return undefined
      // A page that takes another one's place is not counted for a moment, and asks for its parts already.
      if ((await this.#ask()) === 0 && opensPage) return undefined
      if (this.#present() === undefined) await this.#change(Math.min(leftMs, askMs))
    }
  }

  suspect(client: PortClient): void {
    const held = this.#held
    if (held?.client !== client || this.#isChecking) return
    this.#isChecking = true
    void this.#check(held)
  }

  #present(): PortClient | undefined {
    const client = this.#held?.client
    return client?.isOpen === true ? client : undefined
  }

  async #check(held: Held): Promise<void> {
    try {
      // Who leads looks at the same time whether its worker hangs.
      if ((await this.#clients.get(held.page)) === undefined) this.#drop(held)
      else await this.#ask()
    } finally {
      this.#isChecking = false
    }
  }

  #drop(held: Held | undefined): void {
    if (held === undefined) return
    if (this.#held === held) this.#held = undefined
    held.client.close()
  }

  async #ask(): Promise<number> {
    const windows = await this.#clients.matchAll({ type: "window", includeUncontrolled: true })
    const question: FromServiceWorker = { kind: "who-leads" }
    for (const window of windows) window.postMessage(question)
    return windows.length
  }

  #change(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, waitMs)
      this.#waiting.add(done)
    })
  }
}

/** Windows that are loading do not hear the first question. */
const askMs = 200
