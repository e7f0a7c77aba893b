/**
 * Newer files at the host: those of the application are put into the cache and the server starts anew with them; a new
 * service worker takes over when the server has ended the streams that hold the old one.
 */

import type { Announcement, Filled, ToServiceWorker } from "./messages.ts"
import type { RuntimeFiles } from "./runtime-files.ts"
import { lookEvent, runtimePath } from "./runtime-files.ts"

export interface NewVersionsOptions {
  readonly announce: (announcement: Announcement) => void
  readonly tell: (message: ToServiceWorker, ...transfer: Transferable[]) => void
}

export class NewVersions {
  /** Another version than this page's was announced. */
  isNew = false
  readonly #options: NewVersionsOptions
  #registration: ServiceWorkerRegistration | undefined
  #isDev = false

  constructor(options: NewVersionsOptions) {
    this.#options = options
  }

  follow(registration: ServiceWorkerRegistration): void {
    this.#registration = registration
    const look = () => {
      if (registration.waiting === null || registration.active === null) return
      this.#options.announce({ kind: "new-service-worker" })
      // Nobody leads, or nobody answers.
      setTimeout(() => this.streamsEnded(), streamsMs)
    }
    registration.addEventListener("updatefound", () => registration.installing?.addEventListener("statechange", look))
    look()
  }

  streamsEnded(): void {
    this.#registration?.waiting?.postMessage({ kind: "skip-waiting" } satisfies ToServiceWorker)
  }

  /** A server has started: pages of a developer show what it serves now. */
  leading(): void {
    if (this.isNew && this.#isDev) location.reload()
  }

  /** Asks the host whether there is another version than the one that is kept. Offline there is none. */
  async look(): Promise<void> {
    try {
      const kept = (await (await fetch(runtimePath)).json()) as RuntimeFiles
      if (kept.events !== undefined && !this.#isDev) {
        this.#isDev = true
        document.addEventListener(lookEvent, () => void this.look())
        const script = document.createElement("script")
        script.src = kept.files.find((path) => path.startsWith("/.rdv/dev-")) ?? ""
        script.dataset["events"] = kept.events
        document.head.append(script)
      }
      const answer = await fetch(runtimePath, { cache: "no-store" })
      if (!answer.ok) return
      const { version } = (await answer.json()) as RuntimeFiles
      // The next version may have come while this page was on its way, when nobody was there to hear of it.
      const isOld = this.#isDev && served !== undefined && served !== version
      if (version === kept.version && !isOld) return
    } catch {
      // Without a network everything stays as it is.
      return
    }
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = ({ data }: MessageEvent<Filled>) => {
      port1.close()
      if (data.ok) this.#options.announce({ kind: "new-version", version: data.version })
      // oxlint-disable-next-line no-console -- as in page.ts: nothing is wrong yet, but the host has half a version
      else console.warn(`rdv: the new version is not complete: ${data.text}`)
    }
    this.#options.tell({ kind: "fill" }, port2)
  }
}

/** The version whose server has answered this page; the boot page has none. */
const served = document.currentScript?.dataset["version"]
const streamsMs = 3000
