/**
 * Firefox for tests of pages, if the machine has it: without a window, told what to do by WebDriver BiDi
 * (https://www.w3.org/TR/webdriver-bidi/) over a WebSocket. It is used as Chromium is (see `chromium.ts`). What Firefox
 * does by itself is off: a second copy of a page, made for a thumbnail or by session restore, falsifies tests.
 */

import { spawn, spawnSync } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Readable } from "node:stream"
import type { Screen } from "./chromium.ts"

/** The command, or undefined where there is none. */
export const firefox: string | undefined = ["firefox-esr", "firefox"].find(
  (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0,
)

type Values = { readonly [key: string]: unknown }
type Listener = (method: string, values: Values) => void

export interface FirefoxOptions {
  /** Its folder: kept when the browser ends. Default: one of its own, which goes with it. */
  readonly profile?: string
  /** Beside those that keep it quiet. */
  readonly prefs?: { readonly [name: string]: boolean | number | string }
  readonly env?: { readonly [name: string]: string }
}

export class Firefox {
  readonly #process: ChildProcess
  readonly #folder: string
  readonly #isKept: boolean
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, { resolve: (value: Values) => void; reject: (error: Error) => void }>()
  readonly #hearing = new Set<Listener>()
  #last = 0

  private constructor(child: ChildProcess, folder: string, isKept: boolean, socket: WebSocket) {
    this.#process = child
    this.#folder = folder
    this.#isKept = isKept
    this.#socket = socket
    socket.addEventListener("message", ({ data }) => this.#take(JSON.parse(data as string) as Values))
    socket.addEventListener("close", () => this.#fail(new Error("The browser ended")))
  }

  static async start(command: string, { profile, prefs = {}, env = {} }: FirefoxOptions = {}): Promise<Firefox> {
    const folder = profile ?? mkdtempSync(join(tmpdir(), "rdv-firefox-"))
    const lines = Object.entries({ ...quiet, ...prefs }).map(
      ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
    )
    writeFileSync(join(folder, "user.js"), lines.join(""))
    // A group of its own: Firefox is many processes, and they end together; also with us, when our end of the pipe closes.
    const args = ["--headless", "--no-remote", "--profile", folder, "--remote-debugging-port=0"]
    const child = spawn("sh", ["-c", '("$@" < /dev/null; kill -9 0) & read -r _; kill -9 0', "sh", command, ...args], {
      stdio: ["pipe", "ignore", "pipe"],
      detached: true,
      env: { ...process.env, MOZ_CRASHREPORTER_DISABLE: "1", HOME: folder, ...env },
    })
    try {
      const socket = new WebSocket(`${await addressOf(child)}/session`)
      await new Promise((resolve, reject) => {
        socket.addEventListener("open", resolve, { once: true })
        socket.addEventListener("error", () => reject(new Error("Firefox takes no connection")), { once: true })
      })
      const browser = new Firefox(child, folder, profile !== undefined, socket)
      await browser.send("session.new", { capabilities: { alwaysMatch: { acceptInsecureCerts: true } } })
      await browser.send("session.subscribe", { events: ["log.entryAdded", "network.beforeRequestSent"] })
      return browser
    } catch (error) {
      endGroup(child)
      throw error
    }
  }

  /** Opens the page and waits until it is loaded. */
  async open(url: string, screen: Screen): Promise<FirefoxPage> {
    const { context } = await this.send("browsingContext.create", { type: "tab" })
    const page = new FirefoxPage(this, context as string)
    await page.load(url, screen)
    return page
  }

  send(method: string, params: Values = {}): Promise<Values> {
    const id = ++this.#last
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#socket.send(JSON.stringify({ id, method, params }))
    })
  }

  hear(listener: Listener): void {
    this.#hearing.add(listener)
  }

  /** All its processes at once, as when the power goes; a profile that was given stays. */
  async close(): Promise<void> {
    const runs = this.#process.exitCode === null && this.#process.signalCode === null
    const exited = runs ? once(this.#process, "exit") : undefined
    endGroup(this.#process)
    await exited
    this.#fail(new Error("The browser ended"))
    this.#socket.close()
    if (!this.#isKept) rmSync(this.#folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }

  #take({ id, type, method, params, result, error, message }: Values): void {
    if (type === "event") {
      for (const listener of this.#hearing) listener(method as string, params as Values)
      return
    }
    const waiting = this.#waiting.get(id as number)
    if (waiting === undefined) return
    this.#waiting.delete(id as number)
    if (type === "success") waiting.resolve(result as Values)
    else waiting.reject(new Error(`${String(error)}: ${String(message)}`))
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}

export class FirefoxPage {
  /** URLs that the page asked for, its own first. */
  readonly requests: string[] = []
  /** Errors and warnings, of the console and of scripts. */
  readonly complaints: string[] = []
  readonly #browser: Firefox
  readonly #context: string

  constructor(browser: Firefox, context: string) {
    this.#browser = browser
    this.#context = context
    browser.hear((method, values) => this.#note(method, values))
  }

  async load(url: string, { width, height = 900 }: Screen): Promise<void> {
    await this.#browser.send("browsingContext.setViewport", {
      context: this.#context,
      viewport: { width, height },
      devicePixelRatio: 1,
    })
    await this.#browser.send("browsingContext.navigate", { context: this.#context, url, wait: "complete" })
  }

  async reload(): Promise<void> {
    await this.#browser.send("browsingContext.reload", { context: this.#context, wait: "complete" })
  }

  /** The value of a script; promises are awaited. */
  evaluate<Value>(script: string): Promise<Value> {
    return this.#evaluate<Value>(script, false)
  }

  /** Resolves when the script gives something that is true; `what` names it for the failure. */
  async until(what: string, script: string, ms = 20_000): Promise<void> {
    const end = Date.now() + ms
    while (!(await this.evaluate<boolean>(`Boolean(${script})`))) {
      if (Date.now() > end) {
        const shown = await this.evaluate<string>("document.body.innerText")
        throw new Error(`Not within ${ms} ms: ${what}. The page shows: ${shown}. Complaints: ${this.complaints.join()}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async click(selector: string): Promise<void> {
    // As a user's: browsers allow more then.
    await this.#evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`, true)
  }

  /** Gives files of this machine to a file field. */
  async choose(selector: string, files: readonly string[]): Promise<void> {
    const { nodes } = await this.#browser.send("browsingContext.locateNodes", {
      context: this.#context,
      locator: { type: "css", value: selector },
    })
    const [element] = nodes as Values[]
    await this.#browser.send("input.setFiles", { context: this.#context, element, files })
  }

  async press(key: string): Promise<void> {
    const value = keys[key] ?? key
    await this.#browser.send("input.performActions", {
      context: this.#context,
      actions: [
        {
          type: "key",
          id: "keyboard",
          actions: [
            { type: "keyDown", value },
            { type: "keyUp", value },
          ],
        },
      ],
    })
  }

  async close(): Promise<void> {
    await this.#browser.send("browsingContext.close", { context: this.#context })
  }

  /** PNG of the whole page, or of what the window shows. */
  async screenshot(whole = true): Promise<Buffer> {
    const { data } = await this.#browser.send("browsingContext.captureScreenshot", {
      context: this.#context,
      origin: whole ? "document" : "viewport",
    })
    return Buffer.from(data as string, "base64")
  }

  async #evaluate<Value>(expression: string, userActivation: boolean): Promise<Value> {
    const answer = await this.#browser.send("script.evaluate", {
      expression,
      target: { context: this.#context },
      awaitPromise: true,
      userActivation,
    })
    if (answer["type"] === "exception") throw new Error(JSON.stringify(answer["exceptionDetails"]))
    return valueOf(answer["result"] as Remote) as Value
  }

  #note(method: string, values: Values): void {
    const { context } = (values["source"] ?? values) as { context?: string }
    if (method === "network.beforeRequestSent" && context === this.#context) {
      this.requests.push((values["request"] as { url: string }).url)
    }
    // Workers have no context: what they complain about is everybody's.
    if (method === "log.entryAdded" && (context === undefined || context === this.#context)) {
      if (values["level"] !== "debug") this.complaints.push(String(values["text"]))
    }
  }
}

interface Remote {
  readonly type: string
  readonly value?: unknown
}

/** What the protocol makes of values. */
function valueOf({ type, value }: Remote): unknown {
  switch (type) {
    case "null":
      return null
    case "number":
      return typeof value === "number" ? value : Number(value)
    case "array":
      return (value as Remote[]).map(valueOf)
    case "object":
      return Object.fromEntries((value as [string, Remote][]).map(([key, part]) => [key, valueOf(part)]))
    default:
      return value
  }
}

/** Firefox writes to standard error where it listens. */
function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ""
    const timer = setTimeout(() => reject(new Error(`Firefox does not start: ${said}`)), 60_000)
    const errors = child.stderr as Readable
    errors.setEncoding("utf8")
    errors.on("data", (text: string) => {
      said = (said + text).slice(-10_000)
      const address = /listening on (ws:\/\/\S+)/.exec(said)?.[1]
      if (address === undefined) return
      clearTimeout(timer)
      resolve(address)
    })
    child.once("error", reject)
    child.once("exit", () => {
      clearTimeout(timer)
      reject(new Error(`Firefox ended: ${said}`))
    })
  })
}

function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, "SIGKILL")
  } catch {
    // It has ended by itself.
  }
}

/** Unicode values of the protocol for keys without a character. */
const keys: { readonly [key: string]: string } = {
  Backspace: "\uE003",
  Tab: "\uE004",
  Enter: "\uE007",
  Escape: "\uE00C",
  ArrowLeft: "\uE012",
  ArrowUp: "\uE013",
  ArrowRight: "\uE014",
  ArrowDown: "\uE015",
}

const quiet: { readonly [name: string]: boolean | number | string } = {
  "app.normandy.enabled": false,
  "app.update.auto": false,
  "app.update.disabledForTesting": true,
  "browser.aboutwelcome.enabled": false,
  "browser.cache.disk.smart_size.enabled": false,
  "browser.newtabpage.enabled": false,
  "browser.pagethumbnails.capturing_disabled": true,
  "browser.safebrowsing.blockedURIs.enabled": false,
  "browser.safebrowsing.downloads.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.sessionstore.max_tabs_undo": 0,
  "browser.sessionstore.resume_from_crash": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.homepage": "about:blank",
  "browser.startup.page": 0,
  "browser.tabs.unloadOnLowMemory": false,
  "browser.topsites.contile.enabled": false,
  "browser.urlbar.quicksuggest.enabled": false,
  "datareporting.healthreport.uploadEnabled": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "dom.push.connection.enabled": false,
  "extensions.getAddons.cache.enabled": false,
  "extensions.update.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "network.dns.disablePrefetch": true,
  "network.prefetch-next": false,
  "services.settings.server": "data:,#none",
  "startup.homepage_welcome_url": "about:blank",
  "toolkit.cosmeticAnimations.enabled": false,
  "toolkit.startup.max_resumed_crashes": -1,
  "toolkit.telemetry.enabled": false,
  "toolkit.telemetry.reportingpolicy.firstRun": false,
  "toolkit.telemetry.server": "data:,",
}
