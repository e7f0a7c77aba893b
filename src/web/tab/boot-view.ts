/** The first page, while there is no server to serve a page: it shows what happens, and gives way to the application. */

import type { PageState } from "./page-agent.ts"

/** Boot pages say so in their HTML. */
export function isBootPage(): boolean {
  return document.documentElement.hasAttribute("data-rdv-boot")
}

export class BootView {
  readonly #since = performance.now()
  #state: PageState = { kind: "registering" }

  constructor() {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => this.#draw())
    // Something else to say when it takes long.
    setInterval(() => this.#draw(), 1000)
  }

  show(state: PageState): void {
    // What is loading meanwhile does not mend it.
    if (this.#state.kind === "trouble" && this.#state.isFinal && state.kind !== "ready") return
    this.#state = state
    this.#draw()
  }

  #draw(): void {
    const body = document.querySelector<HTMLElement>("[data-state]")
    const line = document.querySelector("#line")
    const mend = document.querySelector("#mend")
    if (body === null || line === null || mend === null) return
    const isLong = performance.now() - this.#since > longMs
    const [text, what] = words(this.#state, isLong)
    body.dataset["state"] = this.#state.kind === "trouble" ? "trouble" : "busy"
    if (line.textContent !== text) line.textContent = text
    if (mend.textContent !== what) mend.textContent = what
  }
}

function words(state: PageState, isLong: boolean): [line: string, mend: string] {
  switch (state.kind) {
    case "registering":
      return ["Getting ready…", isLong ? "It loads its parts, once. With a slow network this takes a while." : ""]
    case "starting":
      if (state.isOurs) return ["Starting…", isLong ? "It opens its data, which takes longer than usual." : ""]
      return [
        isLong ? "Waiting for the server in another tab…" : "Starting…",
        isLong
          ? "This application runs in another tab or window that does not answer. Bring it to the front, or close it."
          : "",
      ]
    case "ready":
      return ["Opening…", isLong ? "Reload the page if nothing happens." : ""]
    case "trouble": {
      const { text, mend = "" } = state.trouble
      return [text, mend === "" ? "" : `${mend.slice(0, 1).toUpperCase()}${mend.slice(1)}.`]
    }
  }
}

const longMs = 4000
