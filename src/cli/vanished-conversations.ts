/**
 * Ends 9P conversations whose peer has vanished with an answer on its way, so that the message in it goes to another
 * receiver. Who is only idle is left to TCP's keep-alive.
 */

import type { Clock } from "../base/clock.ts"
import { RdvError } from "../base/error.ts"
import type { Log } from "../base/log.ts"
import type { Scope } from "../base/scope.ts"
import { vanishedPeers } from "../transport/vanished-peers.ts"
import type { LinkBytes } from "./link-bytes.ts"

export class VanishedConversations {
  readonly #log: Log
  /** How many looks in a row each was unheard. */
  readonly #unheard: Map<LinkBytes, number> = new Map()
  #isLooking = false

  constructor({ clock, log, scope }: { readonly clock: Clock; readonly log: Log; readonly scope: Scope }) {
    this.#log = log
    let timer = clock.after(lookMs, tick)
    const look = () => this.#look()
    function tick(): void {
      look()
      timer = clock.after(lookMs, tick)
    }
    scope.onEnd(() => timer.cancel())
  }

  watch(link: LinkBytes): void {
    this.#unheard.set(link, 0)
  }

  #look(): void {
    let suspects = 0
    for (const [link, looks] of this.#unheard) {
      if (link.isOver) this.#unheard.delete(link)
      else this.#unheard.set(link, link.isUnheard ? looks + 1 : 0)
      if (looks >= suspiciousLooks) suspects++
    }
    if (suspects === 0 || this.#isLooking) return
    this.#isLooking = true
    vanishedPeers(leastRepeats).then(
      (peers) => {
        this.#isLooking = false
        if (peers.size > 0) this.#end(peers)
      },
      () => (this.#isLooking = false),
    )
  }

  #end(peers: ReadonlySet<string>): void {
    for (const [link, looks] of this.#unheard) {
      if (looks < suspiciousLooks || !link.isUnheard || link.isOver || !peers.has(link.peer)) continue
      this.#log.info("channels.ended", { peer: link.peer, reason: "it acknowledges nothing any more" })
      link.cut(new RdvError("link_lost", "It acknowledges nothing any more"))
    }
  }
}

const lookMs = 5_000
const suspiciousLooks = 3
/** 25 to 50 seconds. */
const leastRepeats = 7
