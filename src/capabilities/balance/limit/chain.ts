/**
 * A doubly linked list whose links belong to whoever is in it: entering, leaving from the middle and moving to the end
 * cost the same however long it is, and allocate nothing. A link is in one chain at a time.
 */

export class Link<T> {
  readonly value: T
  /** @internal Of the chain. */
  before: Link<T> | undefined
  /** @internal */
  after: Link<T> | undefined
  /** @internal */
  chain: Chain<T> | undefined

  constructor(value: T) {
    this.value = value
  }

  get isLinked(): boolean {
    return this.chain !== undefined
  }
}

export class Chain<T> {
  #first: Link<T> | undefined
  #last: Link<T> | undefined
  #length = 0

  get length(): number {
    return this.#length
  }

  get first(): T | undefined {
    return this.#first?.value
  }

  get last(): T | undefined {
    return this.#last?.value
  }

  /** Leaves the chain that it is in, and goes to the end of this one. */
  append(link: Link<T>): void {
    link.chain?.remove(link)
    link.chain = this
    link.before = this.#last
    if (this.#last === undefined) this.#first = link
    else this.#last.after = link
    this.#last = link
    this.#length++
  }

  /** Does nothing for a link that is not in it. */
  remove(link: Link<T>): void {
    if (link.chain !== this) return
    if (link.before === undefined) this.#first = link.after
    else link.before.after = link.after
    if (link.after === undefined) this.#last = link.before
    else link.after.before = link.before
    link.before = link.after = link.chain = undefined
    this.#length--
  }

  shift(): T | undefined {
    const first = this.#first
    if (first !== undefined) this.remove(first)
    return first?.value
  }
}
