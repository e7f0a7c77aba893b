/** The page's own way to the server worker, around the service worker: a port, and another one when that server ends. */

import type { Leaders } from "./ask-leader.ts"
import { PagePort } from "./page-port.ts"

export interface DirectLinkOptions {
  /** Hands a port to the server, wherever it is; it is lost if there is none. */
  readonly introduce: (port: MessagePort) => void
}

export class DirectLink implements Leaders {
  readonly #options: DirectLinkOptions
  /** What has said hello, and its epoch. */
  #here: { readonly port: PagePort; readonly epoch: number } | undefined
  #connecting: Promise<void> | undefined
  #wake: (() => void) | undefined

  constructor(options: DirectLinkOptions) {
    this.#options = options
  }

  async get(waitMs: number): Promise<PagePort | undefined> {
    const end = performance.now() + waitMs
    for (;;) {
      const port = this.#here?.port
      if (port?.isOpen === true) return port
      const leftMs = end - performance.now()
      if (leftMs <= 0) return undefined
      this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined))
      await Promise.race([this.#connecting, new Promise((resolve) => setTimeout(resolve, leftMs))])
    }
  }

  suspect(): void {
    // Whoever ends or replaces a server announces it.
  }

  /** A server of this epoch is there: older ones are not. */
  leading(epoch: number): void {
    if (this.#here !== undefined && this.#here.epoch < epoch) this.reset()
    this.#wake?.()
  }

  gone(epoch: number): void {
    if (this.#here?.epoch === epoch) this.reset()
  }

  /** Whatever it was, it is not to be relied on. */
  reset(): void {
    const here = this.#here
    this.#here = undefined
    here?.port.close()
  }

  async #connect(): Promise<void> {
    this.reset()
    const { port1, port2 } = new MessageChannel()
    const port = new PagePort(port1)
    this.#options.introduce(port2)
    const epoch = await new Promise<number | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), againMs)
      this.#wake = () => resolve(undefined)
      void port.greeted.then((value) => {
        clearTimeout(timer)
        resolve(value)
      })
    })
    this.#wake = undefined
    if (epoch === undefined) port.close()
    else this.#here = { port, epoch }
  }
}

/** A port that was not answered for so long has not arrived. */
const againMs = 2000
