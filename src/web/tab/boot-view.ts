/** The first page, while there is no server to serve a page: it shows what happens, and gives way to the application. */

import type { PageState, TroubleKind } from "./page-state.ts"

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
    case "trouble":
      return troubleWords(state)
  }
}

function troubleWords({ why, trouble }: PageState & { readonly kind: "trouble" }): [line: string, mend: string] {
  const { text, mend = "" } = trouble
  if (why === "server") return [text, mend === "" ? "" : `${mend.slice(0, 1).toUpperCase()}${mend.slice(1)}.`]
  const [line, what] = known[why]
  return [line.replace("%", text), what]
}

const known: { readonly [Why in Exclude<TroubleKind, "server">]: readonly [line: string, mend: string] } = {
  insecure: [
    `Browsers run applications like this one only over https or on localhost, and this is ${location.origin}`,
    "Open it over https.",
  ],
  unsupported: [
    "This browser, or this private window, has no service workers, which the application needs",
    "Open it in an ordinary window of a newer browser.",
  ],
  storage: [
    "The browser lets this site store nothing: %",
    "Allow this site to store data, or leave the private window.",
  ],
  files: ["The application cannot be set up here: %", "Look whether you are online, and reload."],
  program: ["The server's program cannot be loaded: %", "Look whether you are online, and reload."],
  astray: [
    "The application's server runs, but this page does not come from it",
    "Close all its tabs and open it again.",
  ],
}

const longMs = 4000
