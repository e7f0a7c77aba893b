/** A first-in-first-out line whose members can leave from the middle at no cost. A member stands in one line at a time. */

export interface Member<T extends Member<T>> {
  previous: T | undefined
  next: T | undefined
  /** The line that it stands in. */
  line: Line<T> | undefined
}

export class Line<T extends Member<T>> {
  #first: T | undefined
  #last: T | undefined
  #length = 0

  get length(): number {
    return this.#length
  }

  get first(): T | undefined {
    return this.#first
  }

  push(member: T): void {
    this.#insert(member, this.#last, undefined)
  }

  /** Puts a member before the first one for which `isLater` holds, looking from the front. */
  insert(member: T, isLater: (other: T) => boolean): void {
    let next = this.#first
    while (next !== undefined && !isLater(next)) next = next.next
    this.#insert(member, next === undefined ? this.#last : next.previous, next)
  }

  remove(member: T): void {
    const { previous, next } = member
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    member.previous = undefined
    member.next = undefined
    member.line = undefined
    this.#length--
  }

  shift(): T | undefined {
    const first = this.#first
    if (first !== undefined) this.remove(first)
    return first
  }

  #insert(member: T, previous: T | undefined, next: T | undefined): void {
    member.previous = previous
    member.next = next
    member.line = this
    if (previous === undefined) this.#first = member
    else previous.next = member
    if (next === undefined) this.#last = member
    else next.previous = member
    this.#length++
  }
}
