/**
 * Whether this server is public, and the way to others while it is. What that takes (sessions, the relay's exchanges) is
 * loaded when a user has asked for it, so that everybody else loads half as much.
 */

import { RdvError } from "../../base/error.ts"
import type { JsonObject } from "../../base/json.ts"
import type { Log } from "../../base/log.ts"
import type { PeerFacts, Peers } from "../../capabilities/tab/app/peers.ts"
import type { IdentityKey, PublicFacts } from "../../capabilities/tab/identity/key-pair.ts"
import type { RunningServer } from "../../capabilities/tab/serve/running-server.ts"
import type { PublicTab } from "./public-tab.ts"
import { keepPublicWish, publicWish } from "./stored-facts.ts"
import type { TabPlace } from "./tab-place.ts"

export interface PresenceOptions {
  readonly place: TabPlace
  readonly pair: IdentityKey
  readonly log: Log
  /** To the page, which makes connections to peers (rtc-page.ts). */
  readonly orderRtc: (order: unknown) => void
}

export class Presence implements PublicFacts, Peers {
  readonly #options: PresenceOptions
  #tab: PublicTab | undefined
  /** The name that it shall have again. */
  #coming: string | undefined

  constructor(options: PresenceOptions) {
    this.#options = options
  }

  get name(): string | undefined {
    return this.#tab?.name
  }

  get url(): string | undefined {
    return this.#tab?.url
  }

  status(): JsonObject | null {
    const coming = this.#coming === undefined ? null : { name: this.#coming, url: null, trouble: null }
    return this.#tab?.status() ?? coming
  }

  list(): readonly PeerFacts[] {
    return this.#tab?.peers.list() ?? []
  }

  async fetch(name: string, request: Request | string, init?: RequestInit): Promise<Response> {
    if (this.#tab === undefined) {
      throw new RdvError("closed", "This server is not public, and only public ones call others")
    }
    return this.#tab.peers.fetch(name, request, init)
  }

  /** What the page says about connections to peers. */
  hearRtc(news: unknown): void {
    this.#tab?.hearRtc(news)
  }

  /** Who was public goes on so, in whichever tab: the user's act was the first time. Rejects as `goPublic`. */
  async goOn(running: RunningServer): Promise<void> {
    const name = running.sql.isDurable ? await publicWish() : undefined
    if (name === undefined) return
    this.#coming = name
    try {
      await (await this.#load(running)).start(name)
    } finally {
      this.#coming = undefined
    }
  }

  /** Because the user wants it, from now on. Rejects as `PublicTab.start`; after `timeout` it goes on trying. */
  async goPublic(running: RunningServer, name: string): Promise<string> {
    const tab = await this.#load(running)
    try {
      const url = await tab.start(name)
      await keepPublicWish(name)
      return url
    } catch (error) {
      if (error instanceof RdvError && error.code === "timeout") await keepPublicWish(name)
      else tab.stop()
      throw error
    }
  }

  async goPrivate(): Promise<void> {
    await keepPublicWish(undefined)
    this.stop()
  }

  /** Until the next server of this origin goes on. */
  stop(): void {
    this.#tab?.stop()
  }

  async #load(running: RunningServer): Promise<PublicTab> {
    const module = await import("./public-tab.ts")
    return (this.#tab ??= new module.PublicTab({ ...this.#options, running }))
  }
}
