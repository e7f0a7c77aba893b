/** A first-in-first-out line whose members can leave from the middle at no cost. A member stands in one line at a time. */

export interface Member<T extends Member<T>> {
  previous: T | undefined
  next: T | undefined
  /** The line that it stands in. */
  line: Line<T> | undefined
}

/** Members of several lines together. */
export interface Crowd {
  length: number
}

export class Line<T extends Member<T>> {
  readonly #crowd: Crowd | undefined
  #first: T | undefined
  #last: T | undefined
  #length = 0

  /** `crowd` counts the members of this line too. */
  constructor(crowd?: Crowd) {
    this.#crowd = crowd
  }

  get length(): number {
    return this.#length
  }

  get first(): T | undefined {
    return this.#first
  }

  push(member: T): void {
    this.#insert(member, this.#last, undefined)
  }

  /**
   * Puts a member of a sorted line before the first one for which `isLater` holds, looking from the front, or from `near`,
   * a member that the place is thought not to be far from.
   */
  insert(member: T, isLater: (other: T) => boolean, near?: T): void {
    let next = near ?? this.#first
    if (next !== undefined && isLater(next)) {
      while (next.previous !== undefined && isLater(next.previous)) next = next.previous
    } else {
      while (next !== undefined && !isLater(next)) next = next.next
    }
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
    if (this.#crowd !== undefined) this.#crowd.length--
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
    if (this.#crowd !== undefined) this.#crowd.length++
  }
}
