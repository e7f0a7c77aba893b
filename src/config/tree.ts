/**
 * YAML 1.2 (and so JSON) as a plain tree with the place of each value. It takes nothing from a file but texts, numbers,
 * truth values, lists and maps; it is bounded in size and depth, and what aliases make of it is bounded too.
 */

import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml"
import type { Document, Node } from "yaml"
import { jsonFault } from "./json-fault.ts"
import type { Place, Problems } from "./problems.ts"

export type Tree = ScalarTree | ListTree | MapTree

interface At {
  /** Characters from the start of the text. */
  readonly at: number
}

export interface ScalarTree extends At {
  readonly kind: "text" | "number" | "boolean" | "nothing"
  readonly value: string | number | boolean | null
  /** As it is written, without quotes. */
  readonly source: string
}

export interface ListTree extends At {
  readonly kind: "list"
  readonly items: readonly Tree[]
}

export interface MapTree extends At {
  readonly kind: "map"
  /** Keys may occur twice here. */
  readonly entries: readonly { readonly key: string; readonly keyAt: number; readonly value: Tree }[]
}

export interface ParsedText {
  /** Undefined when the text has nothing in it, or problems were added. */
  readonly tree: Tree | undefined
  readonly placeOf: (at: number) => Place
}

const mostDepth = 32
/** Values that a reader meets when it follows all aliases. */
const mostExpanded = 100_000
/** Behind a mistake in the syntax, most others are its echo. */
const mostSyntaxProblems = 3

/** What is wrong goes to `problems`, for a file named `.json` in the words of JSON. The text's size is the caller's to bound. */
export function parseText(text: string, file: string, problems: Problems): ParsedText {
  const lines = new LineCounter()
  const placeOf = (at: number): Place => {
    const { line, col } = lines.linePos(at)
    return { file, line: Math.max(1, line), column: Math.max(1, col) }
  }
  let document: Document.Parsed | undefined
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      stringKeys: true,
      // Checked with the names' places by whoever reads the map, and in less than quadratic time.
      uniqueKeys: false,
      resolveKnownTags: false,
      logLevel: "error",
    })
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    problems.add(placeOf(0), "lists and maps are nested too deep", "make it flatter")
    return { tree: undefined, placeOf }
  }
  const isWrong = document.errors.length + document.warnings.length > 0
  const fault = isWrong && /\.json$/i.test(file) ? jsonFault(text) : undefined
  if (fault !== undefined) {
    problems.add(placeOf(fault.at), fault.what, fault.mend)
    return { tree: undefined, placeOf }
  }
  for (const { code, message, pos } of [...document.errors, ...document.warnings].slice(0, mostSyntaxProblems)) {
    const [what, mend] = syntaxProblem(code, message)
    problems.add(placeOf(pos[0]), what, mend)
  }
  if (document.directives.yaml.version !== "1.2") {
    problems.add(placeOf(0), `YAML ${document.directives.yaml.version} is not read`, "leave the %YAML line out")
  }
  if (problems.size > 0 || document.contents === null) return { tree: undefined, placeOf }
  const tree = new Builder(placeOf, problems).build(document.contents)
  return { tree: problems.size > 0 ? undefined : tree, placeOf }
}

class Builder {
  readonly #placeOf: (at: number) => Place
  readonly #problems: Problems
  /** Anchor → what it names now; undefined while that is being built, since it cannot contain itself. */
  readonly #anchors: Map<string, Tree | undefined> = new Map()
  /** With all aliases followed. */
  readonly #sizes: Map<Tree, number> = new Map()

  constructor(placeOf: (at: number) => Place, problems: Problems) {
    this.#placeOf = placeOf
    this.#problems = problems
  }

  build(root: Node): Tree {
    return this.#tree(root, 0)
  }

  #tree(node: Node | null, depth: number, near = 0): Tree {
    const at = node?.range?.[0] ?? near
    if (depth > mostDepth) return this.#wrong(at, "lists and maps are nested too deep", "make it flatter")
    if (isAlias(node)) return this.#named(node.source, at)
    const anchor = isMap(node) || isSeq(node) || isScalar(node) ? node.anchor : undefined
    if (anchor !== undefined) this.#anchors.set(anchor, undefined)
    const tree = this.#own(node, depth, at)
    if (anchor !== undefined) this.#anchors.set(anchor, tree)
    return tree
  }

  #own(node: Node | null, depth: number, at: number): Tree {
    if (isMap<Node, Node | null>(node)) {
      const entries = node.items.map(({ key, value }) => {
        const keyAt = key.range?.[0] ?? at
        const name = isScalar(key) ? String(key.value) : ""
        if (isAlias(key)) this.#wrong(keyAt, "an alias stands where a key should", "write the key itself")
        return { key: name, keyAt, value: this.#tree(value, depth + 1, keyAt) }
      })
      const values = entries.map(({ value }) => value)
      return this.#sized({ kind: "map", entries, at }, values)
    }
    if (isSeq<Node | null>(node)) {
      const items = node.items.map((item) => this.#tree(item, depth + 1, at))
      return this.#sized({ kind: "list", items, at }, items)
    }
    const value: unknown = isScalar(node) ? node.value : null
    const source = isScalar(node) && typeof node.source === "string" ? node.source : ""
    if (typeof value === "string") return { kind: "text", value, source: value, at }
    if (typeof value === "number") return { kind: "number", value, source, at }
    if (typeof value === "boolean") return { kind: "boolean", value, source, at }
    return { kind: "nothing", value: null, source, at }
  }

  #named(name: string, at: number): Tree {
    const found = this.#anchors.get(name)
    if (found !== undefined) return found
    const what = this.#anchors.has(name) ? `*${name} stands in what it names` : `*${name} names nothing before it`
    return this.#wrong(at, what, `put &${name} in front of a value further up`)
  }

  #sized<Kind extends ListTree | MapTree>(tree: Kind, children: readonly Tree[]): Kind {
    let size = 1
    for (const child of children) size += this.#sizes.get(child) ?? 1
    if (size > mostExpanded && this.#problems.size === 0) {
      this.#wrong(tree.at, `there are more than ${mostExpanded} values in it`, "make it smaller, or use fewer aliases")
    }
    this.#sizes.set(tree, Math.min(size, mostExpanded + 1))
    return tree
  }

  #wrong(at: number, what: string, mend: string): Tree {
    this.#problems.add(this.#placeOf(at), what, mend)
    return { kind: "nothing", value: null, source: "", at }
  }
}

/** What the parser says, where it can be said plainer. */
function syntaxProblem(code: string, message: string): readonly [what: string, mend: string] {
  const [line = ""] = message.split("\n")
  switch (code) {
    case "BAD_INDENT":
      if (line.includes("Flow")) return ['a "[" or "{" is not closed', "close it"]
      return ["this line is indented otherwise than its neighbours", "indent what belongs together alike"]
    case "TAB_AS_INDENT":
      return ["a tab stands in the indentation", "use spaces"]
    case "BLOCK_AS_IMPLICIT_KEY":
      return ['there is a second ": " in one line', "put the text in quotes"]
    case "MULTIPLE_DOCS":
      return ["a second document begins here", "keep one, and leave the --- out"]
    case "TAG_RESOLVE_FAILED":
      return ["tags are not read", "leave the word with the ! out, or put it in quotes"]
    case "NON_STRING_KEY":
      return ["a list or a map stands where a key should", "write a plain key"]
    case "RESOURCE_EXHAUSTION":
      return ["lists and maps are nested too deep", "make it flatter"]
    default:
      return [`${line.charAt(0).toLowerCase()}${line.slice(1)}`, "check what stands here and just before"]
  }
}
