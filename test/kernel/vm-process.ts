/** A script that runs in a guest: what it has written so far, how it ended, and signals for it. */

export interface VmEnded {
  /** Its exit status; 128 and the signal's number when a signal ended it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** The guest's side of a script, as far as the script's handle needs it. */
export interface ScriptDoor {
  signal(name: string, group: number): void
}

/** How long output is awaited behind the end of the script, ms: what it left running may hold its streams for ever. */
const lingerMs = 1000

export class VmProcess {
  /** Rejects when the machine ends before the script. */
  readonly ended: Promise<VmEnded>
  readonly #script: string
  readonly #door: ScriptDoor
  readonly #text = { out: "", err: "" }
  readonly #open: Set<"out" | "err"> = new Set(["out", "err"])
  #group: number | undefined
  #signals: string[] = []
  #code: number | undefined
  #failure: Error | undefined
  #watchers: (() => void)[] = []
  #settle!: { done: (ended: VmEnded) => void; fail: (error: Error) => void }

  constructor(script: string, door: ScriptDoor) {
    this.#script = script
    this.#door = door
    this.ended = new Promise((done, fail) => {
      this.#settle = { done, fail }
    })
    // Whoever awaits it hears of a failure; whoever does not must not fall by it.
    this.ended.catch(() => undefined)
  }

  get stdout(): string {
    return this.#text.out
  }

  get stderr(): string {
    return this.#text.err
  }

  /** The script and all that it started. Without effect when they have ended. */
  kill(signal: NodeJS.Signals = "SIGTERM"): void {
    if (this.#group === undefined) this.#signals.push(signal)
    else this.#door.signal(signal.slice(3), this.#group)
  }

  /** Resolves as soon as the standard output matches; rejects when the script ends without, or after `timeoutMs`. */
  async says(pattern: RegExp | string, timeoutMs = 10_000): Promise<void> {
    const matches = () => (typeof pattern === "string" ? this.stdout.includes(pattern) : pattern.test(this.stdout))
    await new Promise<void>((done, fail) => {
      const look = () => {
        if (matches()) return settle()
        if (this.#failure !== undefined) return settle(this.#failure)
        if (this.#code !== undefined && this.#open.size === 0) settle(this.#story(`it ended before ${pattern}`))
      }
      const settle = (error?: Error) => {
        clearTimeout(timer)
        this.#watchers = this.#watchers.filter((each) => each !== look)
        if (error === undefined) done()
        else fail(error)
      }
      const timer = setTimeout(() => settle(this.#story(`no ${pattern} within ${timeoutMs} ms`)), timeoutMs)
      this.#watchers.push(look)
      look()
    })
  }

  /** Waits for the end; past the limit the script is killed and the promise rejects. */
  async within(timeoutMs: number): Promise<VmEnded> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, fail) => {
      timer = setTimeout(() => {
        this.kill("SIGKILL")
        fail(this.#story(`it did not end within ${timeoutMs} ms`))
      }, timeoutMs)
    })
    try {
      return await Promise.race([this.ended, late])
    } finally {
      clearTimeout(timer)
    }
  }

  /** For the machine: the script's processes have this group. */
  started(group: number): void {
    this.#group = group
    for (const signal of this.#signals) this.#door.signal(signal.slice(3), group)
    this.#signals = []
  }

  /** For the machine: more output, or its end. */
  wrote(stream: "out" | "err", text: string | undefined): void {
    if (text === undefined) this.#open.delete(stream)
    else this.#text[stream] += text
    this.#changed()
  }

  /** For the machine: the exit status. */
  exited(code: number): void {
    this.#code = code
    setTimeout(() => {
      this.#open.clear()
      this.#changed()
    }, lingerMs).unref()
    this.#changed()
  }

  /** For the machine: it is gone. */
  failed(error: Error): void {
    this.#failure = error
    this.#settle.fail(error)
    this.#changed()
  }

  #changed(): void {
    for (const watcher of this.#watchers.slice()) watcher()
    if (this.#code !== undefined && this.#open.size === 0) {
      this.#settle.done({ code: this.#code, stdout: this.stdout, stderr: this.stderr })
    }
  }

  #story(why: string): Error {
    const shown = (name: string, text: string) => (text === "" ? "" : `\n${name}: ${text.slice(-2000)}`)
    return new Error(
      `in the guest: ${why}${shown("script", this.#script)}${shown("stdout", this.stdout)}${shown("stderr", this.stderr)}`,
    )
  }
}
