/** Enough of HTTP to find the end of a head and the length of the body; anything but 200 is an error. */
export class HeadReader {
  done = false
  /** Of the body. */
  length = 0
  readonly #path: string
  #text = ""

  constructor(path: string) {
    this.#path = path
  }

  /** Answers how many of the bytes belong to the body. */
  push(bytes: Buffer): number {
    const before = this.#text.length
    this.#text += bytes.toString("latin1")
    const end = this.#text.indexOf("\r\n\r\n")
    if (end < 0) return 0
    const line = this.#text.slice(0, this.#text.indexOf("\r\n"))
    if (!/^HTTP\/1\.[01] 200/.test(line)) throw new Error(`${this.#path} answered ${line}`)
    this.length = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#text.slice(0, end))?.[1] ?? 0)
    this.done = true
    return bytes.length - (end + 4 - before)
  }
}
