/** A first-in-first-out list whose `shift` costs the same however long it is. It has no limit: its owner has one. */

/** Stands in until the first `push`: most lists of most streams stay empty. */
const none: never[] = []

export class Fifo<T> {
  #items: (T | undefined)[] = none
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  push(item: T): void {
    if (this.#items === none) this.#items = []
    this.#items.push(item)
  }

  peek(): T | undefined {
    return this.#items[this.#head]
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head++] = undefined
    if (this.#head === this.#items.length) {
      this.#items.length = 0
      this.#head = 0
    } else if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items.splice(0, this.#head)
      this.#head = 0
    }
    return item
  }

  /** Puts an item back at the front, as if it had not been shifted. */
  unshift(item: T): void {
    if (this.#items === none) this.#items = [item]
    else if (this.#head > 0) this.#items[--this.#head] = item
    else this.#items.unshift(item)
  }

  clear(): void {
    if (this.#items !== none) this.#items = []
    this.#head = 0
  }
}
