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

export interface Screen {
  readonly width: number
  readonly height?: number
  readonly dark?: boolean
  readonly print?: boolean
}

export class Browser {
  readonly #process: ChildProcess
  readonly #folder: string
  readonly #waiting = new Map<number, { resolve: (value: Values) => void; reject: (error: Error) => void }>()
  readonly #hearing = new Set<(method: string, values: Values) => void>()
  #last = 0
  #rest = ""

  constructor(command: string) {
    this.#folder = mkdtempSync(join(tmpdir(), "rdv-chromium-"))
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
    this.#process = spawn(command, args, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] })
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
    const page = new Page(this, sessionId as string)
    await page.load(url, screen)
    return page
  }

  send(method: string, params: Values = {}, sessionId?: string): Promise<Values> {
    const id = ++this.#last
    const message = JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) })
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      ;(this.#process.stdio[3] as Writable).write(`${message}\0`)
    })
  }

  hear(listener: (method: string, values: Values) => void): void {
    this.#hearing.add(listener)
  }

  async close(): Promise<void> {
    const exited = this.#process.exitCode === null ? once(this.#process, "exit") : undefined
    this.#process.kill("SIGKILL")
    await exited
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }

  #read(text: string): void {
    const messages = (this.#rest + text).split("\0")
    this.#rest = messages.pop() ?? ""
    for (const message of messages) this.#take(JSON.parse(message) as Values)
  }

  #take({ id, method, params, result, error }: Values): void {
    if (typeof method === "string") for (const listener of this.#hearing) listener(method, params as Values)
    const waiting = this.#waiting.get(id as number)
    if (waiting === undefined) return
    this.#waiting.delete(id as number)
    if (error === undefined) waiting.resolve(result as Values)
    else waiting.reject(new Error(JSON.stringify(error)))
  }

  #fail(error: Error): void {
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

  constructor(browser: Browser, session: string) {
    this.#browser = browser
    this.#session = session
  }

  async load(url: string, { width, height = 900, dark = false, print = false }: Screen): Promise<void> {
    const loaded = new Promise<void>((resolve) => {
      this.#browser.hear((method, values) => {
        this.#note(method, values)
        if (method === "Page.loadEventFired") resolve()
      })
    })
    for (const domain of ["Page", "Network", "Runtime", "Log"]) await this.#send(`${domain}.enable`)
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

  #note(method: string, values: Values): void {
    if (method === "Network.requestWillBeSent") this.requests.push((values["request"] as { url: string }).url)
    if (method === "Runtime.exceptionThrown") this.complaints.push(JSON.stringify(values["exceptionDetails"]))
    if (method === "Log.entryAdded") this.complaints.push(JSON.stringify(values["entry"]))
    if (method === "Runtime.consoleAPICalled") this.complaints.push(JSON.stringify(values["args"]))
  }
}
