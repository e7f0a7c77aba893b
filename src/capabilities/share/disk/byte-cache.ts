/** The byte strings used last, up to a number of bytes. They are kept by reference: nobody may change them. */

export class ByteCache {
  readonly #mostBytes: number
  readonly #kept = new Map<number, Uint8Array>()
  readonly #dropped: (bytes: Uint8Array) => void
  #bytes = 0

  /** `dropped` gets what is kept no longer. */
  constructor(mostBytes: number, dropped: (bytes: Uint8Array) => void = () => undefined) {
    this.#mostBytes = mostBytes
    this.#dropped = dropped
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
    if (bytes.length > this.#mostBytes) {
      this.#dropped(bytes)
      return
    }
    this.#kept.set(key, bytes)
    this.#bytes += bytes.length
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.#mostBytes) break
      this.drop(oldest)
    }
  }

  drop(key: number): void {
    const bytes = this.take(key)
    if (bytes !== undefined) this.#dropped(bytes)
  }

  /** It is the caller's from now on. */
  take(key: number): Uint8Array | undefined {
    const bytes = this.#kept.get(key)
    if (bytes === undefined) return undefined
    this.#kept.delete(key)
    this.#bytes -= bytes.length
    return bytes
  }

  clear(): void {
    for (const bytes of this.#kept.values()) this.#dropped(bytes)
    this.#kept.clear()
    this.#bytes = 0
  }
}
