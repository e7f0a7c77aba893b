/** Small things that several views show. */

import { html, raw } from "hono/html"
import type { Html } from "./layout.ts"

/** A colour for each key, and the first letter. */
export function avatar(nick: string, key: string): Html {
  let sum = 0
  for (const letter of key) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 997
  return html`<span class="avatar hue${sum % 10}" aria-hidden="true"
    >${/^\P{M}\p{M}*/u.exec(nick.trim())?.[0].toUpperCase() ?? "?"}</span
  >`
}

/** The script of the page writes it in the reader's own way. */
export function time(ms: number): Html {
  const at = new Date(ms)
  return html`<time datetime="${at.toISOString()}">${at.toISOString().slice(11, 16)}</time>`
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`
  return count < 1024 * 1024 ? `${(count / 1024).toFixed(0)} KiB` : `${(count / 1024 / 1024).toFixed(1)} MiB`
}

/** Text with links to the web. Everything else is text. */
export function linked(text: string): Html[] {
  return text
    .split(/(https?:\/\/[^\s<>"')\]]+)/)
    .map((part, at) =>
      at % 2 === 1
        ? html`<a href="${part}" rel="noopener noreferrer nofollow" target="_blank">${part}</a>`
        : html`${part}`,
    )
}

const paths = {
  plus: "M12 5v14M5 12h14",
  join: "M14 4h4a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2h-4M4 12h10M10 8l4 4-4 4",
  back: "M15 5l-7 7 7 7",
  clip: "M20 11.5l-8 8a5 5 0 0 1-7-7l8.5-8.5a3.3 3.3 0 0 1 4.7 4.7L9.700 17.200a1.700 1.700 0 0 1-2.400-2.400L15 7",
  send: "M5 12h13M12 5l7 7-7 7",
  people:
    "M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM2.500 20c.5-4 3-6 6.500-6s6 2 6.500 6M16 4.500a3.500 3.500 0 0 1 0 6.500M18 14.500c2 .8 3.200 2.600 3.500 5.500",
  home: "M4 11l8-7 8 7v9H4zM10 20v-6h4v6",
} as const

export function icon(name: keyof typeof paths): Html {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="${raw(paths[name])}" /></svg>`
}
