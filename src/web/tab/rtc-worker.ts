/** Connections to peers in the server worker: orders to its page, and what comes back (rtc-page.ts). */

import { RdvError } from "../../base/error.ts"
import type { RtcCandidate, RtcConnection, RtcFactory, RtcHeard } from "../../capabilities/tab/peers/rtc.ts"
import type { RtcNews, RtcOrder } from "./rtc-page.ts"

export interface RtcWorkerOptions {
  /** To the page. */
  readonly order: (order: RtcOrder) => void
  /** `stun:host:port`; undefined: only within one network. */
  readonly stun: string | undefined
}

export class RtcWorker implements RtcFactory {
  readonly #options: RtcWorkerOptions
  readonly #connections = new Map<number, PageConnection>()
  #last = 0

  constructor(options: RtcWorkerOptions) {
    this.#options = options
  }

  connect(heard: RtcHeard): RtcConnection {
    const id = ++this.#last
    const { order, stun } = this.#options
    const connection = new PageConnection({
      heard,
      order: (given) => order({ id, ...given } as RtcOrder),
      onClose: () => this.#connections.delete(id),
    })
    this.#connections.set(id, connection)
    order({ id, do: "connect", stun })
    return connection
  }

  /** From the page. */
  hear(news: RtcNews): void {
    const connection = this.#connections.get(news.id)
    if (connection !== undefined) connection.hear(news)
    else if (news.do === "channel") news.channel.close()
  }
}

type Given = { readonly do: string; readonly sdp?: string; readonly candidate?: RtcCandidate }

interface PageConnectionOptions {
  readonly heard: RtcHeard
  readonly order: (order: Given) => void
  readonly onClose: () => void
}

class PageConnection implements RtcConnection {
  readonly #options: PageConnectionOptions
  readonly #channel = Promise.withResolvers<RTCDataChannel>()
  /** The page does one thing after the other. */
  #done = Promise.withResolvers<string | undefined>()

  constructor(options: PageConnectionOptions) {
    this.#options = options
    this.#channel.promise.catch(() => undefined)
    this.#done.promise.catch(() => undefined)
  }

  get channel(): Promise<RTCDataChannel> {
    return this.#channel.promise
  }

  async offer(): Promise<string> {
    return (await this.#ask({ do: "offer" })) ?? ""
  }

  async answer(offer: string): Promise<string> {
    return (await this.#ask({ do: "answer", sdp: offer })) ?? ""
  }

  async accept(answer: string): Promise<void> {
    await this.#ask({ do: "accept", sdp: answer })
  }

  add(candidate: RtcCandidate): void {
    this.#options.order({ do: "add", candidate })
  }

  close(): void {
    this.#options.onClose()
    this.#fail(new RdvError("closed"))
    this.#options.order({ do: "close" })
  }

  hear(news: RtcNews): void {
    switch (news.do) {
      case "channel":
        this.#channel.resolve(news.channel)
        return
      case "done":
        this.#done.resolve(news.sdp)
        return
      case "candidate":
        this.#options.heard.candidate(news.candidate)
        return
      case "failed": {
        const error = new RdvError(news.isHopeless ? "no_service" : "link_lost", news.text)
        this.#fail(error)
        this.#options.heard.failed(error)
      }
    }
  }

  async #ask(order: Given): Promise<string | undefined> {
    this.#options.order(order)
    const sdp = await this.#done.promise
    this.#done = Promise.withResolvers()
    this.#done.promise.catch(() => undefined)
    return sdp
  }

  #fail(error: RdvError): void {
    this.#channel.reject(error)
    this.#done.reject(error)
  }
}
