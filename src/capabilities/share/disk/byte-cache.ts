/** The byte strings used last, up to a number of bytes. They are kept by reference: nobody may change them. */

export class ByteCache {
  readonly #mostBytes: number
  readonly #kept = new Map<number, Uint8Array>()
  #bytes = 0

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  /** True when nothing would be dropped for so many more. */
  hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= this.#mostBytes
  }

  get(key: number): Uint8Array | undefined {
    const bytes = this.#kept.get(key)
    if (bytes === undefined) return undefined
    this.#kept.delete(key)
    this.#kept.set(key, bytes)
    return bytes
  }

  put(key: number, bytes: Uint8Array): void {
    this.drop(key)
    if (bytes.length > this.#mostBytes) return
    this.#kept.set(key, bytes)
    this.#bytes += bytes.length
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.#mostBytes) break
      this.drop(oldest)
    }
  }

  drop(key: number): void {
    const bytes = this.#kept.get(key)
    if (bytes === undefined) return
    this.#kept.delete(key)
    this.#bytes -= bytes.length
  }

  clear(): void {
    this.#kept.clear()
    this.#bytes = 0
  }
}
