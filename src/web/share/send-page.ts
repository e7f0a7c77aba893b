/** The page that sends: drop files, hand on the code, watch who gets them. */

import { counted } from "../../base/counted.ts"
import { amount, percent, rate } from "../../capabilities/share/terminal/amounts.ts"
import { encode } from "uqr"
import { el, part, show, svg, tell } from "./elements.ts"
import { chosenFiles, droppedFiles } from "./given-files.ts"
import type { Given } from "./given-files.ts"
import type { News, SendingState } from "./messages.ts"
import { SwarmView } from "./swarm-view.ts"
import { codeForm, tellConnection, TroubleCard } from "./trouble-card.ts"
import { Awake, relayUrl, Work } from "./work.ts"

export class SendPage {
  readonly #work: Work
  readonly #awake = new Awake()
  readonly #trouble: TroubleCard = new TroubleCard((given) => this.#again(given))
  readonly #swarm: SwarmView = new SwarmView()
  readonly #files: HTMLInputElement = el("input", { type: "file", id: "files", multiple: true, hidden: true })
  readonly #folder: HTMLInputElement = el("input", { type: "file", id: "folder", webkitdirectory: true, hidden: true })
  readonly #drop: HTMLElement
  readonly #choose: HTMLElement
  readonly #password: HTMLInputElement = el("input", { id: "password", type: "password", autocomplete: "new-password" })
  readonly #expires: HTMLSelectElement = el("select", { id: "expires" })
  readonly #once: HTMLInputElement = el("input", { id: "once", type: "checkbox" })
  readonly #token: HTMLInputElement = el("input", { id: "token", type: "password", autocomplete: "off" })
  readonly #card: HTMLElement = el("section", { class: "card", id: "sending", hidden: true })
  readonly #title: HTMLElement = el("h1")
  readonly #about: HTMLElement = el("p", { class: "quiet figures" })
  readonly #meter: HTMLProgressElement = el("progress", { class: "meter", max: "1000" })
  readonly #give: HTMLElement = el("div", { class: "give", hidden: true })
  readonly #line: HTMLElement = el("p", { class: "figures", id: "line" })
  readonly #notice: HTMLElement = el("p", { class: "notice", id: "notice", hidden: true })
  readonly #end: HTMLElement = el("p", { class: "row", hidden: true })
  #given: Given | undefined
  #state: SendingState | undefined

  constructor(worker: string) {
    this.#work = new Work(
      worker,
      (news) => this.#hear(news),
      (reason) => this.#trouble.show({ title: `The page's worker failed: ${reason}`, mend: "Load the page again." }),
    )
    for (const [text, ms] of expiries) this.#expires.append(el("option", { value: String(ms) }, text))
    this.#drop = this.#makeDrop()
    this.#choose = el("section", { class: "card", id: "choose" }, this.#drop, this.#makeOptions())
    this.#end.append(el("button", { id: "end", onclick: () => this.#endShare() }, "End the share"))
    this.#card.append(this.#title, this.#about, this.#meter, this.#give, this.#line, this.#notice, this.#end)
    part("main").replaceChildren(
      this.#trouble.element,
      this.#choose,
      this.#card,
      this.#swarm.element,
      el("section", { class: "card", id: "receive-code" }, codeForm()),
    )
    document.title = "Share files"
    window.addEventListener("beforeunload", (event) => {
      if (this.#isNeeded()) event.preventDefault()
    })
  }

  #makeDrop(): HTMLElement {
    const drop = el(
      "div",
      { class: "drop", id: "drop" },
      el("h1", {}, "Drop files or a folder here"),
      el("p", { class: "quiet" }, "They stay on this machine; receivers fetch them through this page, encrypted."),
      el(
        "p",
        { class: "row" },
        el("button", { class: "main", type: "button", onclick: () => this.#files.click() }, "Choose files"),
        el("button", { type: "button", onclick: () => this.#folder.click() }, "Choose a folder"),
      ),
      this.#files,
      this.#folder,
    )
    for (const field of [this.#files, this.#folder]) {
      field.addEventListener("change", () => field.files !== null && this.#take(chosenFiles(field.files)))
    }
    // Anywhere on the page: a file that is dropped beside the field would replace the page.
    window.addEventListener("dragover", (event) => {
      event.preventDefault()
      drop.classList.add("over")
    })
    window.addEventListener("dragleave", () => drop.classList.remove("over"))
    window.addEventListener("drop", (event) => {
      event.preventDefault()
      drop.classList.remove("over")
      if (event.dataTransfer === null || this.#given !== undefined) return
      droppedFiles(event.dataTransfer).then(
        (given) => this.#take(given),
        () => this.#trouble.show({ title: "What was dropped cannot be read", mend: "Choose it with the buttons." }),
      )
    })
    return drop
  }

  #makeOptions(): HTMLElement {
    const form = el(
      "form",
      { onsubmit: (event) => event.preventDefault(), autocomplete: "off" },
      el("label", { for: "password" }, "Password (tell it by another way than the link)"),
      this.#password,
      el("label", { for: "expires" }, "Ends by itself"),
      this.#expires,
      el("label", { class: "check", for: "once" }, this.#once, "End when one receiver has everything"),
      el("label", { for: "token" }, "Token, if the relay asks for one"),
      this.#token,
    )
    return el("details", {}, el("summary", {}, "Options"), form)
  }

  #take(given: Given | undefined): void {
    if (given === undefined || this.#given !== undefined) return
    this.#given = given
    this.#send()
  }

  #again(token: string): void {
    if (token !== "") this.#token.value = token
    this.#send()
  }

  #send(): void {
    const given = this.#given
    if (given === undefined) return
    show(this.#choose, false)
    show(part("receive-code"), false)
    const expiresMs = Number(this.#expires.value)
    this.#work.order({
      do: "send",
      relay: relayUrl(),
      base: location.origin,
      name: given.name,
      files: given.files,
      password: this.#password.value,
      token: this.#token.value,
      once: this.#once.checked,
      expiresMs: expiresMs > 0 ? expiresMs : undefined,
      maxPeers: undefined,
    })
  }

  #hear(news: News): void {
    if (news.do === "sending") this.#draw(news.state)
    else if (news.do === "swarm") this.#swarm.draw(news.picture)
    else if (news.do === "left") this.#say("The share has ended. You may close this page.", false)
  }

  #draw(state: SendingState): void {
    const before = this.#state
    this.#state = state
    const { phase, name, bytes, readBytes, problem, isConnected } = state
    tellConnection(isConnected)
    this.#trouble.show(problem)
    show(this.#card, phase !== "failed")
    this.#awake.keep(phase === "reading" || phase === "shared")
    tell(this.#title, name)
    const files = this.#given?.files.length ?? 1
    tell(this.#about, `${files === 1 ? "" : `${counted(files, "file")}, `}${amount(bytes)}`)
    show(this.#meter, phase === "reading")
    this.#meter.value = bytes === 0 ? 1000 : (readBytes / bytes) * 1000
    if (state.link !== undefined && before?.link !== state.link) this.#drawLink(state.link, state.code as string)
    show(this.#give, phase === "shared" && state.link !== undefined)
    show(this.#end, phase === "shared")
    tell(this.#line, lineOf(state))
    if (phase === "shared") {
      this.#say(
        state.mayLeave
          ? "Every part is elsewhere too: you may close this page, and receivers go on without it."
          : "Keep this page open: parts of it are only here.",
        !state.mayLeave,
      )
    } else if (phase === "ended") this.#say("The share has ended. You may close this page.", false)
    else show(this.#notice, false)
    document.title = phase === "reading" ? `${percent(readBytes, bytes)} % ${name}` : `${name}: shared`
  }

  #drawLink(link: string, code: string): void {
    const copied = el("span", { class: "quiet small", role: "status" })
    const [swarm, ...words] = code.split("-")
    this.#give.replaceChildren(
      el(
        "div",
        {},
        el("p", {}, "Receivers open this link, in a browser or with rdv get:"),
        el("a", { id: "link", href: link, target: "_blank", rel: "noopener" }, link),
        el(
          "p",
          { class: "row" },
          el("button", { class: "main", id: "copy", onclick: () => void this.#copy(link, copied) }, "Copy the link"),
          copied,
        ),
        el("p", { class: "quiet small" }, "To read it out:"),
        el("code", { class: "code", id: "code-text" }, el("b", {}, swarm ?? ""), `-${words.join("-")}`),
      ),
      qr(link) as unknown as HTMLElement,
    )
  }

  async #copy(link: string, told: HTMLElement): Promise<void> {
    await navigator.clipboard.writeText(link).then(
      () => tell(told, "copied"),
      () => tell(told, "The browser does not let the page copy: mark the link by hand."),
    )
  }

  #endShare(): void {
    this.#work.order({ do: "leave", discard: true })
  }

  #say(text: string, waits: boolean): void {
    show(this.#notice, true)
    this.#notice.classList.toggle("wait", waits)
    tell(this.#notice, text)
  }

  /** Somebody waits for parts that are here alone. */
  #isNeeded(): boolean {
    const state = this.#state
    return state !== undefined && (state.phase === "publishing" || (state.phase === "shared" && !state.mayLeave))
  }
}

function lineOf({ phase, readBytes, bytes, finished, sentBytes, bytesPerSecond }: SendingState): string {
  switch (phase) {
    case "reading":
      return `Reading and naming its parts: ${percent(readBytes, bytes)} %`
    case "publishing":
      return "Telling the relay …"
    case "shared": {
      const done = finished === 0 ? "nobody has it yet" : `${counted(finished, "receiver")} done`
      return `${done}, sent ${amount(sentBytes)}${bytesPerSecond >= 1 ? `, ${rate(bytesPerSecond)}` : ""}`
    }
    default:
      return ""
  }
}

/** One path for all dark fields: a thousand elements would make the page slow. */
function qr(text: string): SVGElement {
  const { data, size } = encode(text, { ecc: "M", border: 1 })
  const path = data.flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : ""))).join("")
  return svg(
    "svg",
    { class: "qr", id: "qr", viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": "The link as a QR code" },
    svg("path", { d: path, fill: "#000" }),
  )
}

const expiries: readonly (readonly [text: string, ms: number])[] = [
  ["when I end it", 0],
  ["after an hour", 3_600_000],
  ["after a day", 86_400_000],
  ["after a week", 7 * 86_400_000],
]
