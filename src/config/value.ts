/**
 * A cursor on one value of a file. Its readers give what was asked for, or note a problem and give undefined; so a reader
 * of a file just goes on, and the document's `check` throws in the end if there was anything.
 */

import { RdvError } from "../base/error.ts"
import { nearest } from "../base/nearest.ts"
import type { Place, Problems } from "./problems.ts"
import type { TextReader } from "./quantity.ts"
import type { MapTree, ScalarTree, Tree } from "./tree.ts"

interface Source {
  readonly problems: Problems
  readonly placeOf: (at: number) => Place
}

export interface NumberBounds {
  readonly least?: number
  readonly most?: number
  readonly whole?: boolean
}

export interface FieldOptions {
  /** Keys are matched whether capital or small. */
  readonly anyCase?: boolean
}

export class ConfigValue {
  readonly #tree: Tree
  readonly #source: Source
  readonly #at: number

  /** `at`: where it is used, when an alias stands for it. */
  constructor(tree: Tree, source: Source, at: number = tree.at) {
    this.#tree = tree
    this.#source = source
    this.#at = at
  }

  get kind(): Tree["kind"] {
    return this.#tree.kind
  }

  get place(): Place {
    return this.#source.placeOf(this.#at)
  }

  /** Notes a problem of this value. */
  wrong(what: string, mend: string | undefined): undefined {
    this.#source.problems.add(this.place, what, mend)
    return undefined
  }

  text(): string | undefined {
    const tree = this.#scalar("a text")
    if (tree === undefined) return undefined
    if (tree.kind !== "text") return this.wrong(`a text is wanted, and this is ${named(tree)}`, "put it in quotes")
    if (tree.value === "") return this.wrong("the text is empty", "write something, or leave the key out")
    return tree.value as string
  }

  number(bounds: NumberBounds = {}): number | undefined {
    const { least = -Infinity, most = Infinity, whole = false } = bounds
    const tree = this.#scalar("a number")
    if (tree === undefined) return undefined
    if (tree.kind !== "number" || !Number.isFinite(tree.value)) {
      const quoted = tree.kind === "text" && /^[-+]?\d+(\.\d+)?$/.test(tree.value as string)
      return this.wrong(
        `a number is wanted, and this is ${named(tree)}`,
        quoted ? "leave the quotes out" : "write digits",
      )
    }
    const value = tree.value as number
    if (value >= least && value <= most && (!whole || Number.isSafeInteger(value))) return value
    const range = least === -Infinity && most === Infinity ? "" : ` ${rangeText(least, most)}`
    return this.wrong(`${tree.source} is not a ${whole ? "whole " : ""}number${range}`, "change it")
  }

  boolean(): boolean | undefined {
    const tree = this.#scalar("true or false")
    if (tree === undefined) return undefined
    if (tree.kind === "boolean") return tree.value as boolean
    return this.wrong(`true or false is wanted, and this is ${named(tree)}`, "write true or false")
  }

  choice<Choice extends string>(choices: readonly Choice[]): Choice | undefined {
    const text = this.text()
    if (text === undefined || choices.includes(text as Choice)) return text as Choice | undefined
    return this.wrong(`${JSON.stringify(text)} is not known here`, hint(text, choices))
  }

  /** Text or number as it is written, through a reader of text: quantities, shapes, addresses. */
  read<Result>(reader: TextReader<Result>): Result | undefined {
    const tree = this.#scalar("a text or a number")
    if (tree === undefined) return undefined
    if (tree.kind === "boolean")
      return this.wrong(`a text or a number is wanted, and this is ${named(tree)}`, "put it in quotes")
    try {
      return reader(tree.source)
    } catch (error) {
      if (!(error instanceof RdvError) || error.code !== "usage") throw error
      return this.wrong(error.message, error.mend)
    }
  }

  /** At least one item. Items that are wrong are left out. */
  list<Result>(item: (value: ConfigValue) => Result | undefined): Result[] | undefined {
    if (this.#tree.kind !== "list") {
      return this.wrong(`a list is wanted, and this is ${named(this.#tree)}`, "put it in [brackets]")
    }
    if (this.#tree.items.length === 0) return this.wrong("the list is empty", "put something in")
    return this.#tree.items.map((tree) => item(this.#inner(tree, this.#at))).filter((result) => result !== undefined)
  }

  /** A list, or one item without brackets. */
  oneOrMore<Result>(item: (value: ConfigValue) => Result | undefined): Result[] | undefined {
    if (this.#tree.kind === "list") return this.list(item)
    const result = item(this)
    return result === undefined ? undefined : [result]
  }

  /** A map with keys of the user's own. */
  entries<Result>(item: (key: string, value: ConfigValue) => Result | undefined): Result[] | undefined {
    const map = this.#map()
    if (map === undefined) return undefined
    this.#checkTwice(map, (key) => key)
    return map.entries
      .map(({ key, keyAt, value }) => item(key, this.#inner(value, keyAt)))
      .filter((result) => result !== undefined)
  }

  /** A map with these keys and no other; undefined when it is none. */
  fields<Key extends string>(keys: readonly Key[], options: FieldOptions = {}): ConfigFields<Key> | undefined {
    const map = this.#map()
    if (map === undefined) return undefined
    const folded = (key: string) => (options.anyCase === true ? key.toLowerCase() : key)
    this.#checkTwice(map, folded)
    const byFolded = new Map(keys.map((key) => [folded(key), key]))
    const found = new Map<Key, ConfigValue>()
    for (const { key, keyAt, value } of map.entries) {
      const name = byFolded.get(folded(key))
      if (name === undefined) {
        const what = `${JSON.stringify(key)} is not a key that is known here`
        this.#source.problems.add(this.#source.placeOf(keyAt), what, hint(key, keys))
      } else if (!found.has(name)) found.set(name, this.#inner(value, keyAt))
    }
    return new ConfigFields(this, found)
  }

  /** Whether it is a map with this key, whether capital or small. */
  hasKey(name: string): boolean {
    return this.#tree.kind === "map" && this.#tree.entries.some(({ key }) => key.toLowerCase() === name.toLowerCase())
  }

  #inner(tree: Tree, near: number): ConfigValue {
    // What an alias stands for is elsewhere; nothing that is missing is where its key is.
    return new ConfigValue(tree, this.#source, tree.kind === "nothing" ? near : tree.at)
  }

  #map(): MapTree | undefined {
    if (this.#tree.kind === "map") return this.#tree
    return this.wrong(`keys with values are wanted, and this is ${named(this.#tree)}`, 'write "key: value"')
  }

  #scalar(wanted: string): ScalarTree | undefined {
    const tree = this.#tree
    if (tree.kind === "list" || tree.kind === "map") {
      return this.wrong(`${wanted} is wanted, and this is ${named(tree)}`, "write one value")
    }
    if (tree.kind === "nothing") return this.wrong("there is no value", "write one, or leave the key out")
    return tree
  }

  #checkTwice(map: MapTree, folded: (key: string) => string): void {
    const { problems, placeOf } = this.#source
    const lines = new Map<string, number>()
    for (const { key, keyAt } of map.entries) {
      const place = placeOf(keyAt)
      const before = lines.get(folded(key))
      if (before === undefined) lines.set(folded(key), place.line)
      else problems.add(place, `${JSON.stringify(key)} is already in line ${before}`, "leave one out")
    }
  }
}

/** The known fields of a map. */
export class ConfigFields<Key extends string> {
  readonly map: ConfigValue
  readonly #found: ReadonlyMap<Key, ConfigValue>

  constructor(map: ConfigValue, found: ReadonlyMap<Key, ConfigValue>) {
    this.map = map
    this.#found = found
  }

  get(key: Key): ConfigValue | undefined {
    return this.#found.get(key)
  }

  /** Its absence is a problem. */
  require(key: Key): ConfigValue | undefined {
    return this.#found.get(key) ?? this.map.wrong(`there is no ${JSON.stringify(key)}`, "add it")
  }
}

function hint(wrong: string, names: readonly string[]): string {
  // Most mistakes are in the case of letters, or in how words are joined.
  const folded = (name: string) => name.toLowerCase().replaceAll("_", "-")
  const found = nearest(folded(wrong), names.map(folded))
  const near = names.find((name) => folded(name) === found)
  if (near !== undefined) return `did you mean ${JSON.stringify(near)}?`
  return names.length <= 12 ? `use ${names.join(", ")}` : "leave it out, or check its name"
}

function rangeText(least: number, most: number): string {
  if (most === Infinity) return `of at least ${least}`
  return least === -Infinity ? `of at most ${most}` : `from ${least} to ${most}`
}

function named(tree: Tree): string {
  switch (tree.kind) {
    case "text": {
      const text = tree.value as string
      return `the text ${JSON.stringify(text.length > 40 ? `${text.slice(0, 39)}…` : text)}`
    }
    case "number":
      return `the number ${tree.source}`
    case "boolean":
      return `the word ${tree.source}`
    case "nothing":
      return "nothing"
    case "list":
      return "a list"
    case "map":
      return "a map"
  }
}
