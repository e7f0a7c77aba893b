/**
 * The service worker, `/rdv-sw.js`: it hands requests of this origin to the server worker and keeps the build folder's
 * files. It holds nothing that it could lose: browsers stop it whenever they like.
 */

import { HeldLeader } from "./held-leader.ts"
import { fillCache, keptFile } from "./kept-files.ts"
import type { Filled, ToServiceWorker } from "./messages.ts"
import { protocolVersion } from "./messages.ts"
import { routeRequest } from "./route-request.ts"
import { serviceWorkerPath } from "./runtime-files.ts"
import type { ServiceWorkerScope } from "./worker-scope.ts"

const scope = globalThis as unknown as ServiceWorkerScope
const leaders = new HeldLeader(scope.clients)

// An older one goes on until a page has let its streams end.
scope.addEventListener("install", (event) => event.waitUntil(fillCache()))
scope.addEventListener("activate", (event) => event.waitUntil(scope.clients.claim()))

scope.addEventListener("fetch", (event) => {
  const { request } = event
  const { origin, pathname } = new URL(request.url)
  if (origin !== scope.location.origin || pathname === serviceWorkerPath) return
  // The server worker's own module: it cannot ask itself for it.
  const isKept = pathname.startsWith("/.rdv/") || pathname === "/app.js"
  if (isKept && request.method !== "GET") return
  event.respondWith(isKept ? keptFile(request) : routeRequest(request, leaders))
})

scope.addEventListener("message", (event) => {
  const { data, origin, ports, source } = event
  const [port] = ports
  if (origin !== scope.location.origin || source === null) return
  const message = data as ToServiceWorker
  switch (message.kind) {
    case "leading":
      if (port !== undefined) leaders.introduce(port, message.epoch, message.protocol, source.id)
      return
    case "gone":
      leaders.gone(message.epoch)
      return
    case "connect":
      if (port !== undefined && message.protocol === protocolVersion) event.waitUntil(connect(port))
      return
    case "fill":
      event.waitUntil(
        fillCache().then(
          (version) => port?.postMessage({ ok: true, version } satisfies Filled),
          (error: unknown) => port?.postMessage({ ok: false, text: String(error) } satisfies Filled),
        ),
      )
      return
    case "skip-waiting":
      event.waitUntil(scope.skipWaiting())
  }
})

async function connect(port: MessagePort): Promise<void> {
  const leader = await leaders.get(5000)
  if (leader === undefined) port.close()
  else leader.connect(port)
}
