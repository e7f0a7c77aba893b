/** Figures of many rounds, and tables of their medians. */

export class Figures {
  readonly #values: Map<string, number[]> = new Map()

  add(system: string, figure: string, value: number): void {
    const key = `${system} | ${figure}`
    const values = this.#values.get(key)
    if (values === undefined) this.#values.set(key, [value])
    else values.push(value)
  }

  /** The median of all rounds; undefined when it was not measured. */
  median(system: string, figure: string): number | undefined {
    const values = this.#values.get(`${system} | ${figure}`)?.toSorted((a, b) => a - b)
    return values?.[Math.floor((values.length - 1) / 2)]
  }

  /** Half the distance between the lowest and the highest round, as part of the median. */
  #noise(system: string, figure: string): number {
    const values = this.#values.get(`${system} | ${figure}`) ?? []
    const middle = this.median(system, figure) ?? 0
    return values.length < 2 || middle === 0 ? 0 : (Math.max(...values) - Math.min(...values)) / 2 / middle
  }

  /** ` ±7%` behind a median; nothing where there was one round. */
  spread(system: string, figure: string): string {
    const percent = Math.round(100 * this.#noise(system, figure))
    return percent > 0 ? ` ±${percent}%` : ""
  }

  /** Every round of everything. */
  toJSON(): Record<string, readonly number[]> {
    return Object.fromEntries(this.#values)
  }
}

/** A table that is readable on a terminal and as Markdown. */
export function printTable(title: string, heads: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = heads.map((head, at) => Math.max(head.length, 3, ...rows.map((row) => row[at]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(" | ")} |`
  const rule = `| ${widths.map((width, at) => (at === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`
  say(`\n**${title}**\n\n${[line(heads), rule, ...rows.map(line)].join("\n")}\n`)
}

let report = ""

/** On standard output, and kept for who puts it into a page. */
export function say(text: string): void {
  report += text
  process.stdout.write(text)
}

/** All that was said so far. */
export function said(): string {
  return report
}

export const unknown = "–"

/** A number with `digits` behind the point and thin groups of thousands. */
export function shown(value: number | undefined, digits = 0): string {
  if (value === undefined || !Number.isFinite(value)) return unknown
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/** Whether a figure that should be high or low is on the right side of its target. */
export function verdict(value: number | undefined, target: number, good: "high" | "low"): string {
  if (value === undefined) return unknown
  return (good === "high" ? value >= target : value <= target) ? "ok" : "LOSS"
}
