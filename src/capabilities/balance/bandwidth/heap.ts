/** A binary heap whose items know their place in it, so that one whose order has changed is moved, and one may leave. */

export interface HeapItem {
  /** @internal Of the heap; -1 while it is in none. An item is in one heap at a time. */
  heapIndex: number
}

export class Heap<T extends HeapItem> {
  readonly #items: T[] = []
  readonly #isBefore: (a: T, b: T) => boolean

  constructor(isBefore: (a: T, b: T) => boolean) {
    this.#isBefore = isBefore
  }

  get length(): number {
    return this.#items.length
  }

  /** The one before which no other is. */
  get first(): T | undefined {
    return this.#items[0]
  }

  add(item: T): void {
    item.heapIndex = this.#items.length
    this.#items.push(item)
    this.#rise(item)
  }

  /** Its order may have changed. */
  move(item: T): void {
    if (!this.#rise(item)) this.#sink(item)
  }

  remove(item: T): void {
    const at = item.heapIndex
    const last = this.#items.pop() as T
    item.heapIndex = -1
    if (last === item) return
    this.#put(at, last)
    this.move(last)
  }

  #rise(item: T): boolean {
    const from = item.heapIndex
    let at = from
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = this.#items[above] as T
      if (!this.#isBefore(item, parent)) break
      this.#put(at, parent)
      at = above
    }
    this.#put(at, item)
    return at !== from
  }

  #sink(item: T): void {
    let at = item.heapIndex
    for (;;) {
      let below = at * 2 + 1
      let child = this.#items[below]
      if (child === undefined) break
      const other = this.#items[below + 1]
      if (other !== undefined && this.#isBefore(other, child)) {
        child = other
        below++
      }
      if (!this.#isBefore(child, item)) break
      this.#put(at, child)
      at = below
    }
    this.#put(at, item)
  }

  #put(at: number, item: T): void {
    this.#items[at] = item
    item.heapIndex = at
  }
}
