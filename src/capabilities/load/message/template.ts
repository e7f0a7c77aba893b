/** Texts with places to fill in: `{{counter}}`, `{{uuid}}`, `{{time}}`. */

import { RdvError } from "../../../base/error.ts"
import type { SeededRandom } from "../../../base/random.ts"

export interface TemplateValues {
  /** 1, 2, 3 … over all messages of a generator; several generators have numbers of their own. */
  counter(): number
  random: SeededRandom
}

/** A function when there is something to fill in, else the text itself. Throws `usage` for a place it does not know. */
export function compileTemplate(text: string): string | ((values: TemplateValues) => string) {
  const parts = text.split(/\{\{\s*([^{}]*?)\s*\}\}/)
  if (parts.length === 1) return text
  const fills = parts.map((part, index) => (index % 2 === 1 ? fillOf(part) : part))
  return (values) => {
    let filled = ""
    for (const fill of fills) filled += typeof fill === "string" ? fill : fill(values)
    return filled
  }
}

function fillOf(name: string): (values: TemplateValues) => string {
  switch (name) {
    case "counter":
      return (values) => String(values.counter())
    case "uuid":
      return ({ random }) => uuid(random)
    case "time":
      return () => new Date().toISOString()
    default: {
      const mend = "use {{counter}}, {{uuid}} or {{time}}"
      throw new RdvError("usage", `{{${name}}} is nothing that can be filled in`, { mend })
    }
  }
}

/** Version 4 (RFC 9562 section 5.4), from the run's seed. */
function uuid(random: SeededRandom): string {
  const hex = Array.from({ length: 4 }, () => random.u32().toString(16).padStart(8, "0")).join("")
  const variant = ((random.u32() & 3) | 8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`
}
