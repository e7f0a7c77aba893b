/** Which parts of the whole somebody has, as a bar of 32 fields. */

import { svg } from "./elements.ts"

export class PartsBar {
  readonly element: SVGElement = svg("svg", {
    class: "parts",
    viewBox: `0 0 ${fields * 10} 10`,
    preserveAspectRatio: "none",
    role: "img",
  })
  readonly #fields: SVGElement[] = []
  #line = ""

  constructor(label: string) {
    this.element.setAttribute("aria-label", label)
    for (let at = 0; at < fields; at++) {
      const field = svg("rect", { x: at * 10, y: 0, width: 9, height: 10, class: "none" })
      this.#fields.push(field)
      this.element.append(field)
    }
  }

  /** 32 digits, 0 (nothing of it) to 9 (all). */
  draw(line: string): void {
    if (line === this.#line) return
    for (const [at, field] of this.#fields.entries()) {
      const digit = Number(line.charAt(at) || "0")
      if (line.charAt(at) === this.#line.charAt(at)) continue
      field.setAttribute("class", digit === 0 ? "none" : "some")
      field.setAttribute("opacity", digit === 0 ? "1" : (0.25 + (digit / 9) * 0.75).toFixed(2))
    }
    this.#line = line
  }
}

const fields = 32
