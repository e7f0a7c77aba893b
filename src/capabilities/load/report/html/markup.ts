/**
 * HTML that escapes by itself: what is put into the template is text unless it was made by the template. Names and
 * examples come from the network, and one forgotten call would be enough.
 */

import { escapeHtml } from "../../../../base/html.ts"
import { printable } from "../../../../base/columns.ts"

export class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export type Part = string | number | Markup | readonly Part[] | undefined

export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return new Markup(strings.reduce((before, string, at) => before + rendered(parts[at - 1]) + string))
}

/** For a script element: no `<` ends the element early, and U+2028 ends no line. */
export function scriptJson(value: unknown): Markup {
  const json = JSON.stringify(value)
  return new Markup(
    json.replaceAll(/[<>&\u2028\u2029]/g, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`),
  )
}

function rendered(part: Part): string {
  if (part === undefined) return ""
  if (part instanceof Markup) return part.text
  if (typeof part === "object") return part.map(rendered).join("")
  return escapeHtml(printable(String(part)))
}
