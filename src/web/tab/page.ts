/** The script that every page of an application loads first, and the boot page too. */

import { fetchAgain } from "./fetch-again.ts"
import { PageAgent } from "./page-agent.ts"
import type { PageState } from "./page-state.ts"
import { stateEvent } from "./page-state.ts"
import type { RdvApi } from "./rdv-api.ts"
import { rdvApi } from "./rdv-api.ts"
import { reloadHelped, reloadOnce } from "./reload-once.ts"
import { RtcPage } from "./rtc-page.ts"
import type { RtcOrder } from "./rtc-page.ts"
import { shimmedWebSocket } from "./socket-shim.ts"

declare global {
  interface Window {
    rdv?: RdvApi
  }
}

// Once, even where a page names the script itself too.
if (window.rdv === undefined) start()

function start(): void {
  const isBoot = document.documentElement.hasAttribute("data-rdv-boot")
  let state: PageState = { kind: "registering" }
  const show = (next: PageState) => {
    state = next
    document.dispatchEvent(new Event(stateEvent))
    // oxlint-disable-next-line no-console -- the page is the application's: there is no other place to say it
    if (state.kind === "trouble" && !isBoot) console.error(`rdv: ${state.trouble.text}`)
  }
  const rtc = new RtcPage((news, ...transfer) => agent.toRtc(news, ...transfer))
  const agent = new PageAgent({
    onState: show,
    onRtc: (order) => rtc.hear(order as RtcOrder),
    onWorkerGone: () => rtc.closeAll(),
  })
  const socket = shimmedWebSocket(WebSocket, agent.link)
  window.WebSocket = socket
  window.fetch = fetchAgain(window.fetch)
  window.rdv = rdvApi(agent, socket, () => state)
  void agent.ready.then(async () => {
    // A hard reload goes around the service worker, and so does the first visit: the application's page comes next.
    if (!isBoot && navigator.serviceWorker.controller !== null) {
      reloadHelped()
      return
    }
    if (isBoot) await controlled()
    if (reloadOnce()) return
    show({
      kind: "trouble",
      why: "astray",
      trouble: { code: "internal", text: "reloading does not help" },
      isFinal: true,
    })
  })
  void agent.start()
}

/** Resolves when the service worker has this page, or soon after it should have. */
function controlled(): Promise<void> {
  const { serviceWorker } = navigator
  if (serviceWorker.controller !== null) return Promise.resolve()
  return new Promise((resolve) => {
    serviceWorker.addEventListener("controllerchange", () => resolve(), { once: true })
    setTimeout(resolve, 1000)
  })
}
