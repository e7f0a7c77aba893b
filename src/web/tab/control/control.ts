/** The control page, `/.rdv/control`: what the server of this origin is doing, who reaches it, and its database as a file. */

import type { TabStatus } from "../messages.ts"
import type { RdvApi } from "../rdv-api.ts"
import { stateEvent } from "../page-state.ts"
import { bytesWords, shownStatus } from "./shown-status.ts"
import type { Facts, ShownPeer } from "./shown-status.ts"

const rdv = window.rdv as RdvApi
let isFirst = true

find("host").textContent = location.host
document.addEventListener(stateEvent, showPage)
find("go-public").addEventListener("submit", (event) => void goPublic(event))
find("go-private").addEventListener(
  "click",
  () => void act("reach-trouble", [find("go-private")], () => rdv.goPrivate()),
)
find("persist").addEventListener("click", () => void persist())
find("export").addEventListener("click", () => void exportDatabase())
find("import").addEventListener("change", chooseFile)
find("replace-no").addEventListener("click", () => find<HTMLDialogElement>("replace").close())
find("replace-yes").addEventListener("click", () => void importDatabase())
find<HTMLDialogElement>("replace").addEventListener("close", () => (find<HTMLInputElement>("import").value = ""))
void watch()

/** Again and again, for as long as the page is looked at. */
async function watch(): Promise<void> {
  for (;;) {
    if (document.visibilityState === "visible") await look()
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}

async function look(): Promise<void> {
  try {
    showStatus(await rdv.status())
    await showStorage()
  } catch (error) {
    document.body.dataset["state"] = "trouble"
    say(wordsOf(error), true)
  }
}

/** Why there is no server, as long as there is none. */
function showPage(): void {
  const { state } = rdv
  if (state.kind === "trouble") say([state.trouble.text, state.trouble.mend].filter(Boolean).join(": "), true)
  if (state.kind === "ready") void look()
}

function showStatus(status: TabStatus): void {
  const { state, relayTrouble, relay, database, server, peers } = shownStatus(status)
  document.body.dataset["state"] = state
  find("cards").hidden = false
  const durable = status.isDurable ? "" : " It keeps nothing: this window has no storage."
  say(`${{ private: "Private", public: "Public", asleep: "Asleep" }[state]}.${durable}`, !status.isDurable)
  const reach = find("reach")
  if (status.url !== null) {
    const link = document.createElement("a")
    link.href = link.textContent = status.url
    reach.replaceChildren("Everybody, at ", link, ", for as long as a tab of it is open.")
  } else if (state === "asleep")
    reach.textContent = "Nobody at the moment: the relay does not reach it. It goes on trying."
  else reach.textContent = "Nobody but this browser."
  if (state === "asleep" && relayTrouble !== undefined) complain("reach-trouble", relayTrouble)
  else if (state === "public" || isFirst) complain("reach-trouble", "")
  find("go-public").hidden = state !== "private"
  find("go-private").hidden = state === "private"
  list("relay", relay)
  list("database", database)
  list("server", server)
  showPeers(peers)
  isFirst = false
}

function showPeers(peers: readonly ShownPeer[]): void {
  find("peers").hidden = peers.length === 0
  find("no-peers").hidden = peers.length > 0
  const rows = peers.map(({ name, way, roundTrip, trouble }) => {
    const row = document.createElement("tr")
    for (const text of [name, way, roundTrip]) row.insertCell().textContent = text
    if (trouble !== undefined) {
      const small = document.createElement("small")
      small.textContent = trouble
      row.cells[1]?.append(small)
    }
    return row
  })
  document.querySelector("#peers tbody")?.replaceChildren(...rows)
}

async function showStorage(): Promise<void> {
  // Only where the address is safe; elsewhere no server runs either.
  const { storage } = navigator
  const [isPersisted, { usage, quota }] = await Promise.all([storage.persisted(), storage.estimate()])
  const room = quota === undefined ? "" : ` ${bytesWords(usage ?? 0)} of ${bytesWords(quota)} are used.`
  find("persisted").textContent = isPersisted
    ? `The browser keeps it until you delete it.${room}`
    : `The browser may clear it away when the disk is full.${room}`
  find("persist").hidden = isPersisted
}

async function persist(): Promise<void> {
  await act("storage-trouble", [find("persist")], async () => {
    if (await navigator.storage.persist()) return
    throw new Error(
      "The browser does not promise it: it does for sites that are used often, or are bookmarked. Export now and then",
    )
  })
}

async function goPublic(event: Event): Promise<void> {
  event.preventDefault()
  const form = find<HTMLFormElement>("go-public")
  const name = (form.elements.namedItem("name") as HTMLInputElement).value.trim().toLowerCase()
  const button = form.querySelector("button") as HTMLElement
  await act("reach-trouble", [button], async () => {
    await rdv.goPublic({ name })
  })
}

async function exportDatabase(): Promise<void> {
  await act("file-trouble", [find("export")], async () => {
    const file = await rdv.exportDatabase()
    const link = document.createElement("a")
    link.href = URL.createObjectURL(file)
    link.download = `${location.hostname}-${new Date().toISOString().slice(0, 10)}.sqlite`
    link.click()
    // The browser has begun to save it by then.
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
    done(`${link.download}, ${bytesWords(file.size)}`)
  })
}

function chooseFile(): void {
  const file = find<HTMLInputElement>("import").files?.[0]
  if (file === undefined) return
  complain("file-trouble", "")
  find("replace-name").textContent = `${file.name} (${bytesWords(file.size)})`
  find<HTMLDialogElement>("replace").showModal()
}

async function importDatabase(): Promise<void> {
  const file = find<HTMLInputElement>("import").files?.[0]
  if (file === undefined) return
  const imported = act("file-trouble", [find("export"), find("replace-yes")], async () => {
    await rdv.importDatabase(file)
    done(`The server starts again with what is in ${file.name}.`)
  })
  find<HTMLDialogElement>("replace").close()
  await imported
}

/** Does it while its buttons wait, and shows what came of it. */
async function act(place: string, buttons: readonly HTMLElement[], work: () => Promise<void>): Promise<void> {
  for (const button of buttons) button.toggleAttribute("disabled", true)
  complain(place, "")
  try {
    await work()
    await look()
  } catch (error) {
    await look()
    complain(place, wordsOf(error))
  } finally {
    for (const button of buttons) button.toggleAttribute("disabled", false)
  }
}

function say(text: string, isTrouble: boolean): void {
  const place = find("state")
  if (place.textContent !== text) place.textContent = text
  place.dataset["kind"] = isTrouble ? "trouble" : "good"
}

function complain(id: string, text: string): void {
  const place = find(id)
  place.hidden = text === ""
  if (place.textContent !== text) place.textContent = text
}

function done(text: string): void {
  const place = find("file-done")
  place.hidden = false
  place.textContent = text
}

function list(id: string, facts: Facts): void {
  find(id).replaceChildren(
    ...facts.flatMap(([what, value]) => {
      const [term, text] = [document.createElement("dt"), document.createElement("dd")]
      term.textContent = what
      text.textContent = value
      if (what === "Key") text.className = "key"
      return [term, text]
    }),
  )
}

/** One line, with what mends it. */
function wordsOf(error: unknown): string {
  const { message, mend } = error as { readonly message?: string; readonly mend?: string }
  const line = message ?? String(error)
  return mend === undefined ? line : `${line}: ${mend}`
}

function find<Kind extends HTMLElement>(id: string): Kind {
  return document.getElementById(id) as Kind
}

const everyMs = 2000
