/**
 * A terminal that a command has for itself: another screen without a cursor, drawn in place, and keys one by one. What was
 * there before comes back at the end, however the process ends.
 */

export interface ScreenStreams {
  readonly stdout: {
    write(text: string): unknown
    readonly columns?: number
    readonly rows?: number
    on(event: "resize", listener: () => void): unknown
    off(event: "resize", listener: () => void): unknown
  }
  readonly stdin: {
    readonly isTTY?: boolean
    setRawMode?(raw: boolean): unknown
    on(event: "data", listener: (bytes: Uint8Array) => void): unknown
    off(event: "data", listener: (bytes: Uint8Array) => void): unknown
    resume(): unknown
    pause(): unknown
  }
}

export interface ScreenOptions extends ScreenStreams {
  readonly onKey: (key: string) => void
  readonly onResize: () => void
}

const enter = "\u001b[?1049h\u001b[?25l"
const leave = "\u001b[?25h\u001b[?1049l"

export class Screen {
  readonly #options: ScreenOptions
  readonly #onData: (bytes: Uint8Array) => void
  readonly #onExit = () => this.close()
  #open = true

  constructor(options: ScreenOptions) {
    this.#options = options
    this.#onData = (bytes) => options.onKey(Buffer.from(bytes).toString("utf8"))
    const { stdin, stdout } = options
    stdout.write(enter)
    stdout.on("resize", options.onResize)
    process.once("exit", this.#onExit)
    if (stdin.isTTY !== true) return
    stdin.setRawMode?.(true)
    stdin.on("data", this.#onData)
    stdin.resume()
  }

  get columns(): number {
    // Some terminals say 0.
    return this.#options.stdout.columns || 80
  }

  get rows(): number {
    return this.#options.stdout.rows || 24
  }

  /** At most `rows` lines of at most `columns`. Overwrites instead of erasing first, which would flicker. */
  draw(lines: readonly string[]): void {
    if (this.#open) this.#options.stdout.write(`\u001b[H${lines.map((line) => `${line}\u001b[K`).join("\r\n")}\u001b[J`)
  }

  /** May be called twice. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    const { stdin, stdout, onResize } = this.#options
    process.off("exit", this.#onExit)
    stdout.off("resize", onResize)
    if (stdin.isTTY === true) {
      stdin.off("data", this.#onData)
      stdin.setRawMode?.(false)
      stdin.pause()
    }
    stdout.write(leave)
  }
}
