/** The worker from the page's side: orders to it, news of it, and the end of it when it fails. */

import type { News, Order } from "./messages.ts"

export class Work {
  readonly #worker: Worker

  /** `onLost`: the worker itself has failed and says nothing more. */
  constructor(url: string, onNews: (news: News) => void, onLost: (reason: string) => void) {
    this.#worker = new Worker(url)
    this.#worker.addEventListener("message", ({ data }) => onNews(data as News))
    this.#worker.addEventListener("error", (event) => onLost(event.message))
    this.#worker.addEventListener("messageerror", () => onLost("a message could not be read"))
    // A link may have died without a sign meanwhile; the browser says when the network is another one, or the page is back.
    window.addEventListener("online", () => this.order({ do: "refresh" }))
    window.addEventListener("pageshow", ({ persisted }) => persisted && this.order({ do: "refresh" }))
  }

  order(order: Order): void {
    this.#worker.postMessage(order)
  }
}

/** Where sessions are dialled: the relay that served the page. */
export function relayUrl(): string {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`
}

/** Keeps a phone awake while something runs, where the browser can. */
export class Awake {
  #lock: Promise<WakeLockSentinel | undefined> | undefined

  keep(wanted: boolean): void {
    if (wanted && this.#lock === undefined) this.#lock = navigator.wakeLock?.request("screen").catch(() => undefined)
    if (!wanted && this.#lock !== undefined) {
      void this.#lock.then((lock) => lock?.release())
      this.#lock = undefined
    }
  }
}
