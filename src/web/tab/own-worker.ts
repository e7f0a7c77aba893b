/**
 * The worker that this page has started: a candidate, or the server. The page ends it when it hangs, since it holds the lock
 * and the database for all.
 */

import type { FromWorker, ToWorker } from "./messages.ts"
import type { RuntimeFiles } from "./runtime-files.ts"
import { runtimePath } from "./runtime-files.ts"

export interface OwnWorkerOptions {
  readonly onMessage: (message: FromWorker) => void
  /** It was ended, by whatever: what it led has no leader. Before the next one is started. */
  readonly onGone: (epoch: number | undefined) => void
  /** Its file did not come; it is tried again. */
  readonly onUnloaded: (error: unknown) => void
}

export class OwnWorker {
  readonly #options: OwnWorkerOptions
  #worker: Worker | undefined
  #epoch: number | undefined
  #hasLock = false
  #isWanted = false
  #ping: { readonly n: number; readonly at: number; looks: number } | undefined
  #pings = 0
  /** Ends what an earlier start still waits for. */
  #attempts = 0
  #failures = 0
  /** How long a file may take, ms. */
  #patienceMs = leastPatienceMs

  constructor(options: OwnWorkerOptions) {
    this.#options = options
  }

  /** While it is the server. */
  get epoch(): number | undefined {
    return this.#epoch
  }

  /**
   * Starts one, of the newest version that is here, if there is none. What does not load is tried again: Firefox drops what
   * loads for a page that has begun to go elsewhere, sometimes without a word, and that page may have the only server.
   */
  start(): void {
    if (this.#isWanted) return
    this.#isWanted = true
    this.#patienceMs = leastPatienceMs
    this.#failures = 0
    void this.#load(++this.#attempts)
  }

  async #load(attempt: number): Promise<void> {
    try {
      const answer = await fetch(runtimePath, { signal: AbortSignal.timeout(this.#patienceMs) })
      if (!answer.ok) throw new Error(`${runtimePath} was answered with ${answer.status}`)
      const runtime = (await answer.json()) as RuntimeFiles
      // It may have been ended meanwhile, or ended and started again.
      if (attempt === this.#attempts) this.#spawn(runtime.worker, attempt)
    } catch (error) {
      this.#loadAgain(attempt, error)
    }
  }

  #loadAgain(attempt: number, error: unknown): void {
    if (attempt !== this.#attempts) return
    // A slow network needs more time; what was dropped once is not dropped again.
    this.#patienceMs = Math.min(this.#patienceMs * 2, mostPatienceMs)
    if (++this.#failures >= toldFailures) this.#options.onUnloaded(error)
    setTimeout(() => {
      if (attempt === this.#attempts) void this.#load(attempt)
    }, againMs)
  }

  /** At once: when this returns nothing of it runs any more, and the lock is free. */
  end(): void {
    this.#isWanted = false
    this.#attempts++
    const epoch = this.#epoch
    const worker = this.#worker
    this.#worker = undefined
    this.#epoch = undefined
    this.#hasLock = false
    this.#ping = undefined
    if (worker === undefined) return
    worker.onmessage = null
    worker.onerror = null
    worker.terminate()
    this.#options.onGone(epoch)
  }

  post(message: ToWorker, ...transfer: Transferable[]): void {
    this.#worker?.postMessage(message, transfer)
  }

  /** Looks whether it still answers; to be called again and again. */
  watch(): void {
    if (!this.#hasLock) return
    const now = performance.now()
    if (this.#ping === undefined) {
      this.#ping = { n: ++this.#pings, at: now, looks: 0 }
      this.post({ kind: "ping", n: this.#ping.n })
      return
    }
    // A machine that slept has let time pass without turns: both count.
    this.#ping.looks++
    if (now - this.#ping.at < hungMs || this.#ping.looks < hungLooks) return
    this.end()
    this.start()
  }

  #spawn(path: string, attempt: number): void {
    const worker = new Worker(path, { type: "module", name: "rdv" })
    this.#worker = worker
    this.#hasSpoken = false
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#take(data)
    const unloaded = (text: string) => {
      // Errors of a running application are its own; a module that does not load never says a word.
      if (this.#hasSpoken || this.#worker !== worker) return
      worker.terminate()
      this.#worker = undefined
      this.#loadAgain(attempt, new Error(text))
    }
    worker.onerror = ({ message }: { readonly message?: string }) => unloaded(message ?? `${path} cannot be loaded`)
    setTimeout(() => unloaded(`${path} does not load`), this.#patienceMs)
  }

  #hasSpoken = false

  #take(message: FromWorker): void {
    this.#hasSpoken = true
    switch (message.kind) {
      case "waiting":
        this.#hasLock = false
        break
      case "starting":
        this.#hasLock = true
        break
      case "leading":
        this.#hasLock = true
        this.#epoch = message.epoch
        break
      case "pong":
        if (message.n === this.#ping?.n) this.#ping = undefined
        return
      default:
    }
    this.#options.onMessage(message)
  }
}

/** A handler that calculates for so long without a pause has taken the server away from everybody. */
const hungMs = 10_000
const hungLooks = 5
/** Between attempts to load it, ms. */
const againMs = 100
const leastPatienceMs = 1000
const mostPatienceMs = 8000
/** In a row, before a user hears of them. */
const toldFailures = 3
