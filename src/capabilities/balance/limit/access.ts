/**
 * Who may connect: rules in their order, and the first that names an address decides. Rules may take their networks from
 * files, which are read again when they change; a file that cannot be used then costs one line in the log, and what it
 * last said holds.
 */

import { asRdvError } from "../../../base/error.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import type { Log } from "../../../base/log.ts"
import { fileState, fileStateNow } from "../../../config/file-state.ts"
import { Problems, problemsOf } from "../../../config/problems.ts"
import { readTextFile } from "../../../config/text-file.ts"
import type { AccessRule, AccessSettings } from "../config/settings.ts"
import { addNetworks, NetworkList, networkMend } from "./networks.ts"
import type { Networks } from "./networks.ts"

export interface AccessOptions {
  readonly clock: Clock
  readonly log: Log
  readonly settings: AccessSettings
  /** A file says something else now: connections may be looked at again. */
  readonly onChange?: () => void
}

export class Access {
  readonly #options: AccessOptions
  #settings: AccessSettings
  #rules: readonly Rule[]
  #timer: Timer | undefined
  #isStopped = false

  /** Watches the files until `stop`. Throws `usage` when one cannot be used, with its line. */
  constructor(options: AccessOptions) {
    this.#options = options
    this.#settings = options.settings
    this.#rules = options.settings.rules.map(readRule)
    this.#watch()
  }

  /** `address` is IPv4 or IPv6, also IPv4 in IPv6; what is no address is named by no rule. */
  allows(address: string): boolean {
    for (const rule of this.#rules) if (rule.networks.has(address)) return rule.allows
    return this.#settings.otherwise === "allow"
  }

  /** Other rules from now on; the files are read again. Throws `usage`, and then nothing has changed. */
  update(settings: AccessSettings): void {
    this.#rules = settings.rules.map(readRule)
    this.#settings = settings
    this.#watch()
  }

  /** Reads the files now that have changed, and those that could not be used. Returns what is wrong with those that cannot. */
  reload(): readonly string[] {
    let hasChanged = false
    for (const rule of this.#rules) {
      if (rule.file === undefined) continue
      const state = fileStateNow(rule.file)
      if (state === rule.read && rule.refused === undefined) continue
      rule.seen = rule.read = state
      if (this.#reload(rule)) hasChanged = true
    }
    if (hasChanged) this.#options.onChange?.()
    return this.#rules.flatMap(({ refused }) => (refused === undefined ? [] : [refused]))
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }

  #watch(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (!this.#isStopped && this.#rules.some(({ file }) => file !== undefined)) {
      this.#timer = this.#options.clock.after(lookMs, () => void this.#look(this.#rules))
    }
  }

  /** Files that have just changed are read at the next look, when whoever writes them is done. */
  async #look(rules: readonly Rule[]): Promise<void> {
    let hasChanged = false
    for (const rule of rules) {
      if (rule.file === undefined) continue
      const state = await fileState(rule.file)
      if (this.#isStopped || rules !== this.#rules) return
      const isSettled = state === rule.seen
      rule.seen = state
      if (state === rule.read || !isSettled) continue
      rule.read = state
      if (this.#reload(rule)) hasChanged = true
    }
    this.#watch()
    if (hasChanged) this.#options.onChange?.()
  }

  #reload(rule: Rule): boolean {
    const { file } = rule
    try {
      rule.networks = networksOf(rule)
      rule.refused = undefined
    } catch (thrown) {
      const [{ message, mend } = asRdvError(thrown)] = problemsOf(asRdvError(thrown))
      rule.refused = mend === undefined ? message : `${message}: ${mend}`
      this.#options.log.warn("access.refused", { file, reason: rule.refused })
      return false
    }
    this.#options.log.info("access.read", { file, ranges: rule.networks.size })
    return true
  }
}

interface Rule {
  readonly allows: boolean
  readonly written: readonly string[]
  networks: Networks
  readonly file: string | undefined
  /** The file's state at the last look, and that which was read. */
  seen: string
  read: string
  /** Why what it says now cannot be used. */
  refused: string | undefined
}

function readRule({ action, networks: written, file }: AccessRule): Rule {
  // Looked at before it is read: what changes in between is seen as a change.
  const state = file === undefined ? "" : fileStateNow(file)
  return {
    allows: action === "allow",
    written,
    networks: networksOf({ written, file }),
    file,
    seen: state,
    read: state,
    refused: undefined,
  }
}

/** Those of the rule itself and those of its file. Throws `usage`. */
function networksOf({ written, file }: Pick<Rule, "written" | "file">): Networks {
  const list = new NetworkList()
  addNetworks(list, written)
  if (file !== undefined) addNetworkFile(list, file)
  return list.build()
}

/** One network per line; `#` begins a comment. Throws `usage`, with all lines that are wrong (`problemsOf`). */
function addNetworkFile(list: NetworkList, file: string): void {
  const problems = new Problems()
  let line = 0
  for (const whole of readTextFile(file, mostFileBytes).split("\n")) {
    line++
    const hash = whole.indexOf("#")
    const text = (hash < 0 ? whole : whole.slice(0, hash)).trim()
    if (text === "") continue
    const problem = list.add(text)
    if (problem === undefined) continue
    const column = whole.length - whole.trimStart().length + 1
    const shown = text.length > mostShown ? `${text.slice(0, mostShown)}…` : text
    problems.add({ file, line, column }, `${JSON.stringify(shown)} is not a network`, networkMend)
  }
  problems.check()
}

/** A changed file is read within two of these, ms. */
const lookMs = 1_000
/** A million ranges. */
const mostFileBytes = 32 * 1024 * 1024
/** Of a bad line, characters. */
const mostShown = 60
