/** What went wrong, what helps, and a field where something may be given to try again. */

import { el, part } from "./elements.ts"
import type { Problem } from "./messages.ts"

export class TroubleCard {
  readonly element: HTMLElement = el("section", { class: "card trouble", id: "trouble", role: "alert" })
  readonly #again: (given: string) => void
  #shown: Problem | undefined

  /** `again` gets the password or the token, or nothing. */
  constructor(again: (given: string) => void) {
    this.#again = again
    this.element.hidden = true
  }

  show(problem: Problem | undefined): void {
    if (problem?.title === this.#shown?.title && problem?.asks === this.#shown?.asks) return
    this.#shown = problem
    this.element.hidden = problem === undefined
    if (problem === undefined) return
    this.element.replaceChildren(el("h1", {}, problem.title), el("p", {}, problem.mend))
    if (problem.asks === "again") {
      this.element.append(
        el("p", { class: "row" }, el("button", { type: "button", onclick: () => this.#retry("") }, "Try again")),
      )
    } else if (problem.asks !== undefined) this.#ask(problem.asks)
  }

  #ask(what: "password" | "token"): void {
    const field = el("input", { id: "given", name: what, type: "password", required: true, autocomplete: "off" })
    const form = el(
      "form",
      {},
      el("label", { for: "given" }, what === "password" ? "Password" : "Token"),
      field,
      el("p", { class: "row" }, el("button", { class: "main", type: "submit" }, "Try again")),
    )
    form.addEventListener("submit", (event) => {
      event.preventDefault()
      this.#retry(field.value)
    })
    this.element.append(form)
    field.focus()
  }

  #retry(given: string): void {
    this.show(undefined)
    this.#again(given)
  }
}

/** A field for a code or a link; it leads to the page that receives. */
export function codeForm(): HTMLFormElement {
  const field = el("input", {
    id: "code",
    name: "code",
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
    placeholder: "482713-lusab-babad-gutih-tugad-bivuj",
  })
  const form = el(
    "form",
    { id: "code-form" },
    el("label", { for: "code" }, "Have a code?"),
    field,
    el("p", { class: "row" }, el("button", { type: "submit" }, "Receive")),
  )
  form.addEventListener("submit", (event) => {
    event.preventDefault()
    const text = field.value.trim()
    const match = /^(?:.*\/share\/)?((?:\d[\s-]*){6})[\s#-]*(.+)$/i.exec(text)
    if (match === null) {
      field.setCustomValidity("A code has six digits and five words")
      field.reportValidity()
      return
    }
    const swarm = (match[1] as string).replaceAll(/\D/g, "")
    // The same page with another fragment is not loaded again by itself.
    const url = `/share/${swarm}#${(match[2] as string).trim().replaceAll(/\s+/g, "-")}`
    location.assign(url)
    if (location.pathname === `/share/${swarm}`) location.reload()
  })
  field.addEventListener("input", () => field.setCustomValidity(""))
  return form
}

/** The line at the top: whether the relay is there. */
export function tellConnection(isConnected: boolean | undefined): void {
  const line = part("state")
  line.classList.toggle("away", isConnected === false)
  const text = isConnected === undefined ? "" : isConnected ? "connected" : "connecting …"
  if (line.textContent !== text) line.textContent = text
}
