/** The page that receives: what is offered, how far it is, where it is saved. */

import { counted } from "../../base/counted.ts"
import { amount, lasting, percent, rate } from "../../capabilities/share/terminal/amounts.ts"
import { el, part, show, tell } from "./elements.ts"
import type { News, Offer, ReceivingState, SavedFile } from "./messages.ts"
import { PartsBar } from "./parts-bar.ts"
import { SwarmView } from "./swarm-view.ts"
import { codeForm, tellConnection, TroubleCard } from "./trouble-card.ts"
import { Awake, relayUrl, Work } from "./work.ts"

interface Pickers {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<FileSystemFileHandle>
  showDirectoryPicker?(options: { mode: "readwrite" }): Promise<FileSystemDirectoryHandle>
}
const pickers = window as unknown as Pickers

export class ReceivePage {
  readonly #work: Work
  readonly #awake = new Awake()
  readonly #trouble: TroubleCard = new TroubleCard((given) => this.#begin(given))
  readonly #swarm: SwarmView = new SwarmView()
  readonly #bar: PartsBar = new PartsBar("the parts that are here")
  readonly #title: HTMLElement = el("h1", {}, "Opening the share …")
  readonly #about: HTMLElement = el("p", { class: "quiet" })
  readonly #choice: HTMLElement = el("div", { class: "row", id: "choice", hidden: true })
  readonly #paths: HTMLElement = el("details", { hidden: true })
  readonly #meter: HTMLProgressElement = el("progress", { class: "meter", max: "1000", hidden: true })
  readonly #line: HTMLElement = el("p", { class: "figures", id: "line" })
  readonly #facts: HTMLElement = el("dl", { class: "facts", hidden: true })
  readonly #figures: { readonly [name: string]: HTMLElement }
  readonly #notice: HTMLElement = el("p", { class: "notice", id: "notice", hidden: true })
  readonly #save: HTMLElement = el("div", { id: "save" })
  readonly #code: HTMLElement = el("section", { class: "card", hidden: true }, codeForm())
  readonly #card: HTMLElement
  #state: ReceivingState | undefined

  constructor(worker: string) {
    this.#work = new Work(
      worker,
      (news) => this.#hear(news),
      (reason) => this.#trouble.show({ title: `The page's worker failed: ${reason}`, mend: "Load the page again." }),
    )
    this.#figures = Object.fromEntries(
      ["From the relay", "From other members", "Passed on", "Time left"].map((name) => [name, el("dd", {}, "–")]),
    )
    for (const [name, value] of Object.entries(this.#figures))
      this.#facts.append(el("div", {}, el("dt", {}, name), value))
    this.#card = el(
      "section",
      { class: "card", id: "receive" },
      this.#title,
      this.#about,
      this.#choice,
      this.#meter,
      this.#line,
      this.#bar.element as unknown as HTMLElement,
      this.#facts,
      this.#notice,
      this.#save,
      this.#paths,
    )
    this.#bar.element.toggleAttribute("hidden", true)
    part("main").replaceChildren(this.#trouble.element, this.#card, this.#swarm.element, this.#code)
    window.addEventListener("hashchange", () => location.reload())
    this.#begin("")
  }

  #begin(password: string): void {
    this.#work.order({ do: "receive", relay: relayUrl(), code: location.href, password })
  }

  #hear(news: News): void {
    if (news.do === "receiving") this.#draw(news.state)
    else if (news.do === "swarm") this.#swarm.draw(news.picture)
    else if (news.do === "files") this.#offerFiles(news.name, news.files, news.remarks)
    else if (news.do === "packed") saveAs(news.archive, `${news.name}.zip`)
    else if (news.do === "saved") this.#say(`Saved into the folder ${news.folder}.`)
    else if (news.do === "unsaved") this.#trouble.show(news.problem)
    else this.#say("It was removed from this browser's storage. You may close this page.")
  }

  #draw(state: ReceivingState): void {
    const known = this.#state?.offer
    this.#state = state
    const { phase, offer, problem } = state
    tellConnection(phase === "keys" ? undefined : state.isConnected)
    this.#trouble.show(problem)
    show(this.#card, phase !== "failed" || offer !== undefined)
    show(this.#code, problem !== undefined && problem.asks === undefined && offer === undefined)
    if (offer !== undefined && known === undefined) this.#drawOffer(offer)
    if (offer === undefined) tell(this.#title, titles[phase] ?? "Opening the share …")
    show(this.#choice, phase === "offered")
    const runs = phase === "receiving" || phase === "finishing"
    this.#awake.keep(runs)
    show(this.#meter, runs || phase === "done" || phase === "preparing")
    show(this.#facts, runs || phase === "done")
    this.#bar.element.toggleAttribute("hidden", !runs && phase !== "done")
    this.#drawProgress(state)
  }

  #drawProgress(state: ReceivingState): void {
    const { phase, offer, allBytes: all, haveBytes, leftMs, via, sentBytes, line, waits } = state
    if (phase === "preparing") this.#meter.removeAttribute("value")
    else this.#meter.value = all === 0 ? 1000 : (haveBytes / all) * 1000
    this.#bar.draw(line)
    tell(this.#line, lineOf(state))
    const { [0]: relay, [1]: others, [2]: passed, [3]: left } = Object.values(this.#figures) as HTMLElement[]
    tell(relay as HTMLElement, amount(via.relay))
    tell(others as HTMLElement, amount(via.direct + via.cast))
    tell(passed as HTMLElement, amount(sentBytes))
    tell(left as HTMLElement, phase === "done" ? "done" : leftMs === undefined ? "–" : lasting(leftMs))
    if (phase === "receiving") {
      show(this.#notice, waits !== undefined)
      this.#notice.classList.add("wait")
      tell(this.#notice, waits === undefined ? "" : `Waiting for ${waits}.`)
    }
    document.title =
      phase === "receiving" ? `${percent(haveBytes, all)} % ${offer?.name ?? ""}` : (offer?.name ?? "Share")
  }

  #drawOffer(offer: Offer): void {
    tell(this.#title, offer.name)
    tell(this.#about, `${offer.isFile ? "" : `${counted(offer.files, "file")}, `}${amount(offer.bytes)}`)
    const download = {
      class: "main",
      id: "download",
      onclick: () => this.#work.order({ do: "accept", into: undefined }),
    }
    this.#choice.replaceChildren(el("button", download, `Download ${amount(offer.bytes)}`))
    if (offer.isFile && pickers.showSaveFilePicker !== undefined) {
      const direct = { id: "save-to", onclick: () => void this.#saveTo(offer.name) }
      this.#choice.append(el("button", direct, "Save straight to a file …"))
    }
    if (offer.isFile) return
    const rows = offer.paths.map(({ path, bytes }) => el("li", {}, el("span", {}, path), el("span", {}, amount(bytes))))
    const more = offer.files - offer.paths.length
    if (more > 0) rows.push(el("li", {}, el("span", {}, `and ${more} more`), el("span")))
    this.#paths.hidden = false
    this.#paths.replaceChildren(el("summary", {}, "What is in it"), el("ul", { class: "list" }, ...rows))
  }

  async #saveTo(name: string): Promise<void> {
    const file = await picked(() => pickers.showSaveFilePicker?.({ suggestedName: name }))
    if (file !== undefined) this.#work.order({ do: "accept", into: file })
  }

  #offerFiles(name: string, files: readonly SavedFile[], remarks: readonly string[]): void {
    const isFile = this.#state?.offer?.isFile === true
    const [only] = files
    this.#paths.hidden = true
    this.#notice.classList.remove("wait")
    if (this.#state?.storage === "file") {
      this.#say(`Saved as ${name}. While this page is open, it helps the others.`)
      return
    }
    const told = ["Everything is here and was checked.", ...remarks.map((remark) => `${remark}.`)]
    this.#say([...told, "While this page is open, it helps the others."].join(" "))
    if (isFile && only !== undefined) {
      const link = linkTo(only.content, name, `Save ${name}`)
      link.classList.add("button", "main")
      this.#save.replaceChildren(el("p", { class: "row" }, link, this.#forgetButton()))
      link.click()
      return
    }
    const pack = { class: "main", id: "pack", onclick: () => this.#work.order({ do: "pack" }) }
    const buttons = el("p", { class: "row" }, el("button", pack, "Save all as one archive"))
    if (pickers.showDirectoryPicker !== undefined) {
      const saveInto = { id: "save-into", onclick: () => void this.#saveInto() }
      buttons.append(el("button", saveInto, "Save into a folder …"))
    }
    buttons.append(this.#forgetButton())
    const rows = files.slice(0, listed).map(({ path, content }) => {
      const link = linkTo(content, path.slice(path.lastIndexOf("/") + 1), path)
      return el("li", {}, link, el("span", {}, amount(content.size)))
    })
    this.#save.replaceChildren(buttons, el("ul", { class: "list" }, ...rows))
  }

  /** What was saved is a copy; the browser keeps its own for a week, for others and for another visit. */
  #forgetButton(): HTMLElement {
    const forget = () => {
      this.#save.replaceChildren()
      this.#work.order({ do: "leave", discard: true })
    }
    return el("button", { id: "forget", onclick: forget }, "Leave and forget it here")
  }

  async #saveInto(): Promise<void> {
    const folder = await picked(() => pickers.showDirectoryPicker?.({ mode: "readwrite" }))
    if (folder !== undefined) this.#work.order({ do: "save", into: folder })
  }

  #say(text: string): void {
    show(this.#notice, true)
    tell(this.#notice, text)
  }
}

const titles: Partial<Record<ReceivingState["phase"], string>> = {
  keys: "Opening the share …",
  joining: "Asking for the list of files …",
}

function lineOf({ phase, offer, allBytes: all, haveBytes, foundBytes, bytesPerSecond }: ReceivingState): string {
  const kept = foundBytes > 0 ? `, ${amount(foundBytes)} were here already` : ""
  switch (phase) {
    case "preparing":
      return foundBytes > 0 ? `Looking at what is here already: ${amount(foundBytes)} …` : "Making room …"
    case "receiving":
      return `${percent(haveBytes, all)} %: ${amount(haveBytes)} of ${amount(all)}, ${rate(bytesPerSecond)}${kept}`
    case "finishing":
      return "Putting it in its place …"
    case "done":
      return `${amount(offer?.bytes ?? all)} received${kept}`
    default:
      return ""
  }
}

/** Undefined when the user closed the dialogue. */
async function picked<Handle>(ask: () => Promise<Handle> | undefined): Promise<Handle | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return undefined
    throw error
  }
}

function linkTo(content: Blob, name: string, text: string): HTMLAnchorElement {
  return el("a", { href: URL.createObjectURL(content), download: name.toWellFormed() }, text)
}

function saveAs(content: Blob, name: string): void {
  linkTo(content, name, name).click()
}

/** Links of files one by one; the archive has all. */
const listed = 500
