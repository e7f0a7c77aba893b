/**
 * Which loop serves what. A port whose apps have targets behind agents is served by the main thread, which has the session
 * with the relay; all other ports are served by all threads.
 */

import { doorAddress } from "../engine/door.ts"
import type { AppSettings, ListenerSettings, Settings } from "../config/settings.ts"

/** Addresses of the ports that the main thread serves. */
function ownPorts({ apps }: Settings): ReadonlySet<string> {
  const wants = apps.filter(({ targets }) => targets.some(({ address }) => address.kind === "rdv"))
  return new Set(wants.flatMap(({ listeners }) => listeners.map(doorAddress)))
}

/** Those of the main thread and of the others, each once. */
export function allPorts({ apps }: Settings): ReadonlyMap<string, ListenerSettings> {
  const ports = new Map<string, ListenerSettings>()
  for (const { listeners } of apps) {
    for (const listener of listeners) {
      const address = doorAddress(listener)
      if (!ports.has(address)) ports.set(address, listener)
    }
  }
  return ports
}

/** What the main thread has to do, at ports that may be opened: its own, and nothing that stands ready for others. */
export function mainPart(settings: Settings, open: ReadonlySet<string>): Settings {
  const own = ownPorts(settings)
  return withApps(settings, (app) => {
    const mine = app.listeners.filter((listener) => own.has(doorAddress(listener)))
    const listeners = mine.filter((listener) => open.has(doorAddress(listener)))
    if (mine.length > 0) return { ...app, listeners }
    return { ...app, listeners, targets: app.targets.map((target) => ({ ...target, warm: 0 })) }
  })
}

/** What each of so many threads has to do, at ports that may be opened. */
export function threadPart(settings: Settings, threads: number, open: ReadonlySet<string>): Settings {
  const own = ownPorts(settings)
  return withApps(settings, (app) => ({
    ...app,
    listeners: app.listeners.filter((listener) => {
      const address = doorAddress(listener)
      return !own.has(address) && open.has(address)
    }),
    // As many stand ready in all as the file says.
    targets: app.targets.map((target) => ({ ...target, warm: Math.ceil(target.warm / threads) })),
  }))
}

function withApps(settings: Settings, change: (app: AppSettings) => AppSettings): Settings {
  return { ...settings, apps: settings.apps.map(change) }
}
