/**
 * A real browser for tests of pages, if the machine has one: Chromium without a window, told what to do over a pipe
 * (Chrome DevTools Protocol). It hears every request and every message of the console.
 */

import { spawn, spawnSync } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Readable, Writable } from "node:stream"

/** The command, or undefined where there is none. */
export const chromium: string | undefined = ["chromium", "chromium-browser", "google-chrome"].find(
  (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0,
)

type Values = { readonly [key: string]: unknown }
/** `sessionId` tells what spoke: a page, or a worker of one. */
type Listener = (method: string, values: Values, sessionId: string | undefined) => void

export interface Screen {
  readonly width: number
  readonly height?: number
  readonly dark?: boolean
  readonly print?: boolean
}

export interface BrowserOptions {
  /** Its folder: kept when the browser ends. Default: one of its own, which goes with it. */
  readonly profile?: string
}

export class Browser {
  readonly #process: ChildProcess
  readonly #folder: string
  readonly #isKept: boolean
  readonly #waiting = new Map<number, { resolve: (value: Values) => void; reject: (error: Error) => void }>()
  readonly #hearing = new Set<Listener>()
  #last = 0
  #rest = ""
  #ended: Error | undefined

  constructor(command: string, { profile }: BrowserOptions = {}) {
    this.#folder = profile ?? mkdtempSync(join(tmpdir(), "rdv-chromium-"))
    this.#isKept = profile !== undefined
    const args = [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-background-networking",
      "--no-first-run",
      "--hide-scrollbars",
      `--user-data-dir=${this.#folder}`,
      "--remote-debugging-pipe",
    ]
    // A group of its own: a browser is many processes, and they end together. Without the pipe it ends by itself.
    this.#process = spawn(command, args, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], detached: true })
    const input = this.#process.stdio[4] as Readable
    input.setEncoding("utf8")
    input.on("data", (text: string) => this.#read(text))
    this.#process.once("exit", () => this.#fail(new Error("The browser ended")))
    ;(this.#process.stdio[3] as Writable).on("error", (error) => this.#fail(error))
  }

  /** Opens the page and waits until it is loaded. */
  async open(url: string, screen: Screen): Promise<Page> {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" })
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true })
    const page = new Page(this, sessionId as string, targetId as string)
    await page.load(url, screen)
    return page
  }

  send(method: string, params: Values = {}, sessionId?: string): Promise<Values> {
    const id = ++this.#last
    const message = JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) })
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended)
        return
      }
      this.#waiting.set(id, { resolve, reject })
      ;(this.#process.stdio[3] as Writable).write(`${message}\0`)
    })
  }

  hear(listener: Listener): void {
    this.#hearing.add(listener)
  }

  /** What pages save from now on is put there. */
  async saveInto(folder: string): Promise<void> {
    await this.send("Browser.setDownloadBehavior", {
      behavior: "allow",
      downloadPath: folder,
      eventsEnabled: true,
    })
  }

  /** Resolves with the name of the next file that is saved as a whole. */
  saved(): Promise<string> {
    return new Promise((resolve, reject) => {
      let name = ""
      const listener: Listener = (method, values) => {
        if (method === "Browser.downloadWillBegin") name = values["suggestedFilename"] as string
        if (method !== "Browser.downloadProgress" || values["state"] === "inProgress") return
        this.#hearing.delete(listener)
        if (values["state"] === "completed") resolve(name)
        else reject(new Error(`${name} was not saved: ${String(values["state"])}`))
      }
      this.#hearing.add(listener)
    })
  }

  /** All its processes at once, as when the power goes; a profile that was given stays. */
  async close(): Promise<void> {
    const runs = this.#process.exitCode === null && this.#process.signalCode === null
    const exited = runs ? once(this.#process, "exit") : undefined
    try {
      if (this.#process.pid !== undefined) process.kill(-this.#process.pid, "SIGKILL")
    } catch {
      // They have ended by themselves.
    }
    await exited
    if (!this.#isKept) rmSync(this.#folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }

  #read(text: string): void {
    const messages = (this.#rest + text).split("\0")
    this.#rest = messages.pop() ?? ""
    for (const message of messages) this.#take(JSON.parse(message) as Values)
  }

  #take({ id, method, params, result, error, sessionId }: Values): void {
    if (typeof method === "string") {
      for (const listener of this.#hearing) listener(method, params as Values, sessionId as string | undefined)
    }
    const waiting = this.#waiting.get(id as number)
    if (waiting === undefined) return
    this.#waiting.delete(id as number)
    if (error === undefined) waiting.resolve(result as Values)
    else waiting.reject(new Error(JSON.stringify(error)))
  }

  #fail(error: Error): void {
    this.#ended = error
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}

export class Page {
  /** URLs that the page asked for, its own first. */
  readonly requests: string[] = []
  /** Errors and warnings, of the console, of scripts and of the policy. */
  readonly complaints: string[] = []
  readonly #browser: Browser
  readonly #session: string
  readonly #target: string
  /** Of its workers: what they complain about is the page's. */
  readonly #workers = new Set<string>()

  constructor(browser: Browser, session: string, target: string) {
    this.#browser = browser
    this.#session = session
    this.#target = target
    browser.hear((method, values, from) => {
      if (from === session || this.#workers.has(from ?? "")) this.#note(method, values)
    })
  }

  async load(url: string, { width, height = 900, dark = false, print = false }: Screen): Promise<void> {
    const loaded = new Promise<void>((resolve) => {
      this.#browser.hear((method, _values, from) => {
        if (method === "Page.loadEventFired" && from === this.#session) resolve()
      })
    })
    for (const domain of ["Page", "Network", "Runtime", "Log"]) await this.#send(`${domain}.enable`)
    await this.#send("Target.setAutoAttach", {
      autoAttach: true,
      waitForDebuggerOnStart: true,
      flatten: true,
      // Those would live for as long as somebody listens, and wait for orders each time they start.
      filter: [{ type: "service_worker", exclude: true }, {}],
    })
    await this.#send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false })
    await this.#send("Emulation.setEmulatedMedia", {
      media: print ? "print" : "screen",
      features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }],
    })
    await this.#send("Page.navigate", { url })
    await loaded
    // Two frames: layout, and what observes it.
    await this.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))")
  }

  /** The value of a script; promises are awaited. */
  async evaluate<Value>(script: string): Promise<Value> {
    const answer = await this.#send("Runtime.evaluate", { expression: script, returnByValue: true, awaitPromise: true })
    if (answer["exceptionDetails"] !== undefined) throw new Error(JSON.stringify(answer["exceptionDetails"]))
    return (answer["result"] as { value: Value }).value
  }

  /** Resolves when the script gives something that is true; `what` names it for the failure. */
  async until(what: string, script: string, ms = 20_000): Promise<void> {
    const end = Date.now() + ms
    while (!(await this.#isTrue(script))) {
      if (Date.now() > end) {
        const shown = await this.evaluate<string>("document.body.innerText")
        throw new Error(`Not within ${ms} ms: ${what}. The page shows: ${shown}. Complaints: ${this.complaints.join()}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async #isTrue(script: string): Promise<boolean> {
    try {
      return await this.evaluate<boolean>(`Boolean(${script})`)
    } catch (error) {
      // The page gives way to the next one.
      if (/navigated|context was destroyed|Cannot find context/.test(String(error))) return false
      throw error
    }
  }

  async click(selector: string): Promise<void> {
    // As a user's: browsers allow more then.
    await this.#send("Runtime.evaluate", {
      expression: `document.querySelector(${JSON.stringify(selector)}).click()`,
      userGesture: true,
    })
  }

  /** Gives files of this machine to a file field. */
  async choose(selector: string, files: readonly string[]): Promise<void> {
    const { root } = await this.#send("DOM.getDocument")
    const { nodeId } = await this.#send("DOM.querySelector", { nodeId: (root as Values)["nodeId"], selector })
    await this.#send("DOM.setFileInputFiles", { nodeId, files })
  }

  /** What the site of the URL may keep from now on. */
  async limitStorage(url: string, bytes: number): Promise<void> {
    await this.#send("Storage.overrideQuotaForOrigin", { origin: new URL(url).origin, quotaSize: bytes })
  }

  async close(): Promise<void> {
    await this.#browser.send("Target.closeTarget", { targetId: this.#target })
  }

  /** Its renderer dies, as by a fault. */
  async crash(): Promise<void> {
    // Nobody is left to answer.
    this.#send("Page.crash").catch(() => undefined)
    await new Promise<void>((resolve) => {
      this.#browser.hear((method, _values, from) => {
        if (method === "Inspector.targetCrashed" && from === this.#session) resolve()
      })
    })
  }

  /** As a browser puts a hidden tab to sleep; on one that is seen it has no effect. */
  async setLifecycle(state: "frozen" | "active"): Promise<void> {
    await this.#send("Page.setWebLifecycleState", { state })
  }

  /** In front of the others of its window, which are hidden then. */
  async bringToFront(): Promise<void> {
    await this.#send("Page.bringToFront")
  }

  /** As a browser does that needs their memory. */
  async stopServiceWorkers(): Promise<void> {
    await this.#send("ServiceWorker.enable")
    await this.#send("ServiceWorker.stopAllWorkers")
  }

  /** With the shift key: around caches and service workers. */
  async hardReload(): Promise<void> {
    await this.#send("Page.reload", { ignoreCache: true })
  }

  async move(x: number, y: number): Promise<void> {
    await this.#send("Input.dispatchMouseEvent", { type: "mouseMoved", x, y })
  }

  async press(key: string): Promise<void> {
    await this.#send("Input.dispatchKeyEvent", { type: "keyDown", key, code: key })
    await this.#send("Input.dispatchKeyEvent", { type: "keyUp", key, code: key })
  }

  /** PNG of the whole page, or of what the window shows. */
  async screenshot(whole = true): Promise<Buffer> {
    const { data } = await this.#send("Page.captureScreenshot", { captureBeyondViewport: whole })
    return Buffer.from(data as string, "base64")
  }

  async pdf(): Promise<Buffer> {
    const { data } = await this.#send("Page.printToPDF", { printBackground: true, preferCSSPageSize: true })
    return Buffer.from(data as string, "base64")
  }

  #send(method: string, params: Values = {}): Promise<Values> {
    return this.#browser.send(method, params, this.#session)
  }

  /** Workers wait until they are heard. */
  async #attach(values: Values): Promise<void> {
    const session = values["sessionId"] as string
    this.#workers.add(session)
    // All at once: a service worker answers the first only after the last.
    const orders = ["Runtime.enable", "Log.enable", "Runtime.runIfWaitingForDebugger"]
    await Promise.all(orders.map((order) => this.#browser.send(order, {}, session).catch(() => undefined)))
  }

  #note(method: string, values: Values): void {
    if (method === "Target.attachedToTarget") void this.#attach(values)
    if (method === "Network.requestWillBeSent") this.requests.push((values["request"] as { url: string }).url)
    if (method === "Runtime.exceptionThrown") this.complaints.push(JSON.stringify(values["exceptionDetails"]))
    const { level } = (values["entry"] ?? {}) as { level?: string }
    // Browsers also give advice.
    if (method === "Log.entryAdded" && level !== "verbose") this.complaints.push(JSON.stringify(values["entry"]))
    if (method === "Runtime.consoleAPICalled") this.complaints.push(JSON.stringify(values["args"]))
  }
}
