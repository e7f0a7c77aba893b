/**
 * What pages do beyond HTML. The script is a function of this file, served as its own text: so it is checked with the rest,
 * and one file is the whole application. It uses nothing but what a page has.
 */

interface Rdv {
  status(): Promise<{ url: string | null; isDurable: boolean; relay: { trouble?: string | null } | null }>
  goPublic(wish: { name: string }): Promise<{ url: string }>
  goPrivate(): Promise<void>
  readonly fetch: typeof fetch
}

function startPage(): void {
  const rdv = (window as unknown as { rdv?: Rdv }).rdv
  const find = <Kind extends Element>(selector: string, within: ParentNode = document): Kind | null =>
    within.querySelector<Kind>(selector)
  const log = find<HTMLElement>("#log")
  const list = find<HTMLOListElement>("#messages")
  const isOwner = document.body.classList.contains("frame")
  const room = log?.dataset["room"]

  // Times in the reader's own way.
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" })
  const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" })
  function dress(within: ParentNode): void {
    for (const each of within.querySelectorAll("time")) {
      const at = new Date(each.dateTime)
      const isToday = at.toDateString() === new Date().toDateString()
      each.textContent = isToday ? clock.format(at) : `${day.format(at)}, ${clock.format(at)}`
      each.title = at.toLocaleString()
    }
    const name = find<HTMLElement>("#status .status")?.dataset["name"]
    for (const each of within.querySelectorAll<HTMLElement>("code[data-slug]")) {
      if (each.dataset["slug"]) each.textContent = `${each.dataset["slug"]}@${name || "…"}`
    }
    for (const each of within.querySelectorAll<HTMLElement>("[data-copy]")) each.hidden = !name
    group()
  }

  /** What somebody says in one go stands together. */
  function group(): void {
    let before: HTMLElement | undefined
    for (const each of list?.querySelectorAll<HTMLElement>("li") ?? []) {
      const isSame =
        before?.dataset["author"] === each.dataset["author"] &&
        Number(each.dataset["sent"]) - Number(before?.dataset["sent"]) < 300_000
      each.classList.toggle("same", isSame && each.dataset["author"] !== undefined)
      before = each
    }
  }

  // Who reads the end stays there, also when a picture above it takes its place.
  let wasAtEnd = true
  const toEnd = () => log?.scrollTo({ top: log.scrollHeight })
  const stay = () => wasAtEnd && toEnd()
  log?.addEventListener("scroll", () => (wasAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80))
  log?.addEventListener("load", stay, true)
  addEventListener("resize", stay)

  function put(html: string): void {
    // A page of the past stays as it is.
    if (list === null || location.search !== "") return
    const fresh = fragment(html).firstElementChild as HTMLElement | null
    if (fresh === null) return
    document.getElementById(fresh.id)?.remove()
    // Without a number it waits at the end.
    const order = (each: HTMLElement) => Number(each.dataset["order"]) || Infinity
    const next = [...list.querySelectorAll<HTMLElement>("li")].find((each) => order(each) > order(fresh))
    list.insertBefore(fresh, next ?? null)
    dress(list)
    stay()
    if (isOwner && document.visibilityState === "visible") seen()
  }

  function fragment(html: string): DocumentFragment {
    const template = document.createElement("template")
    template.innerHTML = html
    return template.content
  }

  let seenSoon: number | undefined
  function seen(): void {
    clearTimeout(seenSoon)
    seenSoon = window.setTimeout(
      () => void fetch(`/rooms/${room}/seen`, { method: "POST" }).catch(() => undefined),
      300,
    )
  }

  /** Brings parts of the page up to date: after the stream of events was away. */
  async function refresh(...ids: string[]): Promise<void> {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } })
    if (!answer.ok) return
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html")
    for (const id of ids) {
      const [old, now] = [document.getElementById(id), fresh.getElementById(id)]
      if (old !== null && now !== null) old.replaceChildren(...now.childNodes)
    }
    dress(document)
    stay()
  }

  function listen(path: string): void {
    const events = new EventSource(path)
    const on = (name: string, act: (data: { html: string } | null) => void) =>
      events.addEventListener(name, (event) =>
        act(JSON.parse((event as MessageEvent<string>).data) as { html: string } | null),
      )
    on("message", (data) => data !== null && put(data.html))
    on("room", () => void refresh("members", "member-count"))
    on("rooms", (data) => {
      const rooms = find<HTMLElement>("#rooms")
      if (rooms === null || data === null) return
      rooms.replaceChildren(fragment(data.html))
      find(`[data-room="${rooms.dataset["current"] || "none"}"]`, rooms)?.setAttribute("aria-current", "page")
    })
    on("status", () => void showStatus())
    // Between the page and its events something may have been said, and more while they were away.
    events.addEventListener("hello", (event) => {
      const { stamp } = JSON.parse((event as MessageEvent<string>).data) as { stamp: string }
      if (log !== null && log.dataset["stamp"] !== stamp) void refresh("messages", "rooms", "members", "member-count")
      if (log !== null) log.dataset["stamp"] = stamp
      void showStatus()
    })
    events.onerror = () => {
      asleep("Your server does not answer: it starts again as soon as it can.")
      // Browsers give up after an answer that is no stream.
      if (events.readyState !== EventSource.CLOSED) return
      setTimeout(() => listen(path), 2000)
    }
  }

  let statusSoon: number | undefined
  let isAsking = false
  async function showStatus(): Promise<void> {
    const holder = find<HTMLElement>("#status")
    if (holder === null || isAsking) return
    isAsking = true
    clearTimeout(statusSoon)
    try {
      const answer = await fetch("/status")
      if (!answer.ok) throw new Error(`${answer.status}`)
      const isOpen = find<HTMLDetailsElement>("details", holder)?.open === true
      const hasFocus = holder.contains(document.activeElement)
      holder.replaceChildren(fragment(await answer.text()))
      const details = find<HTMLDetailsElement>("details", holder)
      if (details !== null) details.open = isOpen
      if (hasFocus) find<HTMLElement>("summary", holder)?.focus()
      await addTab(holder)
      dress(document)
    } catch {
      asleep("Your server does not answer: it starts again as soon as it can.")
    }
    isAsking = false
    statusSoon = window.setTimeout(() => void showStatus(), 5000)
  }

  /** What a page knows of its own tab. */
  async function addTab(holder: HTMLElement): Promise<void> {
    for (const each of document.querySelectorAll<HTMLElement>(".tab-only:not(.trouble)"))
      each.hidden = rdv === undefined
    const status = await rdv?.status()
    if (status === undefined) return
    const wants = status.relay !== null
    if (wants && status.url === null)
      asleep(status.relay?.trouble ?? "The relay does not answer. It is asked again and again.")
    const button = find<HTMLElement>("[data-do]", holder)
    if (button !== null && wants) {
      button.dataset["do"] = "go-private"
      button.textContent = "Go private"
    }
    if (!status.isDurable) trouble("This window keeps nothing: all is gone when it is closed.")
  }

  function asleep(why: string): void {
    const status = find<HTMLElement>("#status .status")
    if (status === null) return
    status.dataset["state"] = "asleep"
    const word = find<HTMLElement>(".word", status)
    if (word !== null) word.textContent = "Asleep"
    trouble(why)
  }

  function trouble(text: string): void {
    const place = find<HTMLElement>("#status .trouble")
    if (place === null) return
    place.textContent = text
    place.hidden = false
  }

  function complain(form: HTMLElement, text: string): void {
    const place = find<HTMLElement>(".trouble", form)
    if (place === null) return
    place.textContent = text
    place.hidden = text === ""
  }

  // ---- Writing ------------------------------------------------------------------------------------------------------

  const composer = find<HTMLFormElement>("#composer")
  const field = find<HTMLTextAreaElement>("#composer textarea")
  /** The same for each attempt with the same text: it is said once. */
  let attempt = { text: "", key: "" }

  async function send(): Promise<void> {
    const text = field?.value.trim() ?? ""
    if (composer === null || field === null || text === "" || composer.classList.contains("busy")) return
    if (attempt.text !== text) attempt = { text, key: crypto.randomUUID() }
    composer.classList.add("busy")
    try {
      const headers = { "idempotency-key": attempt.key, accept: "text/plain" }
      const answer = await fetch(composer.action, {
        method: "POST",
        headers,
        body: new URLSearchParams({ text }),
        redirect: "manual",
      })
      if (answer.type !== "opaqueredirect" && !answer.ok && answer.status !== 303) throw new Error(await answer.text())
      attempt = { text: "", key: "" }
      field.value = ""
      complain(composer, "")
      toEnd()
    } catch (error) {
      complain(composer, `Not sent: ${error instanceof Error ? error.message : String(error)}`)
    }
    composer.classList.remove("busy")
    field.focus()
  }

  async function sendFiles(files: Iterable<File>): Promise<void> {
    if (composer === null) return
    for (const file of files) {
      composer.classList.add("busy")
      complain(composer, "")
      try {
        const path = `/rooms/${room}/files?name=${encodeURIComponent(file.name)}`
        // Past the service worker, where there is one: it would hold the whole file in some browsers.
        const answer = await (rdv?.fetch ?? fetch)(path, {
          method: "PUT",
          body: file,
          headers: { "content-type": file.type },
        })
        if (!answer.ok) throw new Error(await answer.text())
        toEnd()
      } catch (error) {
        complain(composer, `${file.name} was not sent: ${error instanceof Error ? error.message : String(error)}`)
      }
      composer.classList.remove("busy")
    }
    const chosen = find<HTMLInputElement>("input[type=file]", composer)
    if (chosen !== null) chosen.value = ""
  }

  composer?.addEventListener("submit", (event) => {
    event.preventDefault()
    void send()
  })
  field?.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return
    event.preventDefault()
    void send()
  })
  field?.addEventListener("paste", (event) => {
    const files = event.clipboardData?.files
    if (files === undefined || files.length === 0) return
    event.preventDefault()
    void sendFiles(files)
  })
  composer?.addEventListener("change", (event) => {
    const { files } = event.target as HTMLInputElement
    if (files !== null && files !== undefined) void sendFiles([...files])
  })
  if (composer !== null) {
    document.addEventListener("dragover", (event) => event.preventDefault())
    document.addEventListener("drop", (event) => {
      event.preventDefault()
      void sendFiles(event.dataTransfer?.files ?? [])
    })
  }

  // ---- Everything else ----------------------------------------------------------------------------------------------

  const dialog = find<HTMLDialogElement>("#public")
  document.addEventListener("click", (event) => {
    const target = (event.target as Element).closest<HTMLElement>("[data-do], [data-copy], dialog [value=cancel]")
    if (target === null) return
    if (target.dataset["do"] === "go-public") {
      for (const each of document.querySelectorAll<HTMLDetailsElement>(".status")) each.open = false
      dialog?.showModal()
    } else if (target.dataset["do"] === "go-private") void rdv?.goPrivate().then(showStatus)
    else if ("copy" in target.dataset) {
      void navigator.clipboard.writeText(target.parentElement?.querySelector("code")?.textContent ?? "")
      target.textContent = "Copied"
    } else dialog?.close()
  })
  dialog?.addEventListener("submit", (event) => {
    event.preventDefault()
    const name = find<HTMLInputElement>("input", dialog)?.value ?? ""
    const button = find<HTMLButtonElement>("[value=go]", dialog)
    complain(dialog, "")
    if (button !== null) button.disabled = true
    rdv
      ?.goPublic({ name })
      .then(async () => {
        dialog.close()
        await fetch("/status", { method: "POST" })
        await showStatus()
      })
      .catch((error: { message?: string; mend?: string }) =>
        complain(dialog, [error.message, error.mend].filter(Boolean).join(": ")),
      )
      .finally(() => {
        if (button !== null) button.disabled = false
      })
  })
  document.addEventListener("submit", (event) => {
    const question = (event.target as HTMLElement).dataset["sure"]
    // oxlint-disable-next-line no-alert -- nothing is as plain
    if (question !== undefined && !confirm(question)) event.preventDefault()
  })
  // Panels give way.
  document.addEventListener("click", (event) => {
    for (const each of document.querySelectorAll<HTMLDetailsElement>(".people[open], .status[open]")) {
      if (!each.contains(event.target as Node)) each.open = false
    }
  })
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const each of document.querySelectorAll<HTMLDetailsElement>("details[open]")) each.open = false
    }
    const isWriting = /^(INPUT|TEXTAREA)$/.test((event.target as Element).tagName)
    if (event.key === "/" && !isWriting && field !== null) {
      event.preventDefault()
      field.focus()
    }
    if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      const links = [...document.querySelectorAll<HTMLAnchorElement>("#rooms a")]
      const at = links.findIndex((each) => each.ariaCurrent === "page")
      const to = links[(at + (event.key === "ArrowUp" ? -1 : 1) + links.length) % links.length]
      if (to !== undefined) location.assign(to.href)
    }
  })
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && isOwner && room !== undefined) seen()
  })

  document.documentElement.classList.add("scripted")
  dress(document)
  toEnd()
  if (isOwner) {
    void showStatus()
    listen(room === undefined ? "/events" : `/events?room=${room}`)
    if (matchMedia("(pointer: fine)").matches) field?.focus()
  } else if (log?.dataset["events"] !== undefined) listen(log.dataset["events"])
}

export const pageScript: string = `(${startPage.toString()})()\n`
