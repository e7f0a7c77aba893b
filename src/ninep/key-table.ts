/**
 * A table by small whole numbers that a client chooses: tags and fids. Kernels choose the smallest that is free, and those
 * stand in an array, where looking one up costs next to nothing; others stand in a map.
 */

const arrayLength = 1024

export class KeyTable<T> {
  #low: (T | undefined)[] = []
  readonly #high = new Map<number, T>()
  #size = 0

  get size(): number {
    return this.#size
  }

  get(key: number): T | undefined {
    return key < arrayLength ? this.#low[key] : this.#high.get(key)
  }

  /** The key must be free. */
  add(key: number, value: T): void {
    this.#size++
    if (key >= arrayLength) {
      this.#high.set(key, value)
      return
    }
    // Without holes: those would make every look-up slower.
    while (this.#low.length < key) this.#low.push(undefined)
    this.#low[key] = value
  }

  /** The key must be in use. */
  delete(key: number): void {
    this.#size--
    if (key < arrayLength) this.#low[key] = undefined
    else this.#high.delete(key)
  }

  clear(): void {
    this.#low = []
    this.#high.clear()
    this.#size = 0
  }

  /** What is in it now; it may be changed meanwhile. */
  values(): T[] {
    return [...this.#low.filter((value) => value !== undefined), ...this.#high.values()]
  }
}
