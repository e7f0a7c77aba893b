/** The script that every page of an application loads first, and the boot page too. */

import { BootView, isBootPage } from "./boot-view.ts"
import { fetchAgain } from "./fetch-again.ts"
import { PageAgent } from "./page-agent.ts"
import type { RdvApi } from "./rdv-api.ts"
import { rdvApi } from "./rdv-api.ts"
import { reloadOnce } from "./reload-once.ts"
import { shimmedWebSocket } from "./socket-shim.ts"

declare global {
  interface Window {
    rdv?: RdvApi
  }
}

// Once, even where a page names the script itself too.
if (window.rdv === undefined) start()

function start(): void {
  const view = isBootPage() ? new BootView() : undefined
  const agent = new PageAgent({
    onState(state) {
      view?.show(state)
      if (state.kind === "trouble" && view === undefined) console.error(`rdv: ${state.trouble.text}`)
    },
    onRtc: () => undefined,
  })
  const socket = shimmedWebSocket(WebSocket, agent.link)
  window.WebSocket = socket
  window.fetch = fetchAgain(window.fetch)
  window.rdv = rdvApi(agent, socket)
  void agent.ready.then(async () => {
    // A hard reload goes around the service worker, and so does the first visit: the application's page comes next.
    if (view === undefined && navigator.serviceWorker.controller !== null) return
    if (view !== undefined) await controlled()
    if (reloadOnce()) return
    const text = "The application's server runs, but this page does not come from it"
    view?.show({
      kind: "trouble",
      trouble: { code: "internal", text, mend: "close all its tabs and open it again" },
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
