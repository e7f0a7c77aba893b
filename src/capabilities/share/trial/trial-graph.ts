/** A trial as a picture: what part of the content the clients have over time, and when each of them was through. */

import { escapeHtml } from "../../../base/html.ts"

export interface GraphFacts {
  readonly title: string
  /** Seconds from the start, and per client what part of everything it had: 0-1. */
  readonly samples: readonly { readonly at: number; readonly parts: readonly number[] }[]
  /** Seconds, ascending. */
  readonly done: readonly number[]
  /** What would be possible, s; undefined: the links have no limits. */
  readonly bound?: number | undefined
}

const width = 800
const height = 420
const left = 56
const right = 24
const top = 48
const bottom = 44

export function trialGraph({ title, samples, done, bound }: GraphFacts): string {
  const end = Math.max(bound ?? 0, done.at(-1) ?? 0, samples.at(-1)?.at ?? 0, 0.001) * 1.05
  const x = (seconds: number) => (left + (seconds / end) * (width - left - right)).toFixed(1)
  const y = (part: number) => (height - bottom - part * (height - top - bottom)).toFixed(1)
  const line = (quantile: number) =>
    samples
      .map(({ at, parts }) => {
        const sorted = parts.toSorted((a, b) => a - b)
        return `${x(at)},${y(sorted[Math.round(quantile * (sorted.length - 1))] ?? 0)}`
      })
      .join(" ")
  const band = `${line(1)} ${line(0).split(" ").toReversed().join(" ")}`
  const finished = [`${x(0)},${y(0)}`]
  done.forEach((at, index) => {
    finished.push(`${x(at)},${y(index / done.length)}`, `${x(at)},${y((index + 1) / done.length)}`)
  })
  const steps = ticks(end)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="#fff"/>
<text x="${left}" y="24" font-size="15" font-weight="600">${escapeHtml(title)}</text>
${[0, 0.25, 0.5, 0.75, 1]
  .map(
    (part) =>
      `<line x1="${left}" x2="${width - right}" y1="${y(part)}" y2="${y(part)}" stroke="#ddd"/><text x="${left - 8}" y="${Number(y(part)) + 4}" text-anchor="end" fill="#555">${part * 100}%</text>`,
  )
  .join("\n")}
${steps.map((at) => `<text x="${x(at)}" y="${height - bottom + 18}" text-anchor="middle" fill="#555">${at} s</text>`).join("\n")}
<polygon points="${band}" fill="#7aa7d9" fill-opacity=".35"/>
<polyline points="${line(0.5)}" fill="none" stroke="#1f5fa8" stroke-width="2"/>
<polyline points="${finished.join(" ")}" fill="none" stroke="#c0541c" stroke-width="2"/>
${bound === undefined ? "" : `<line x1="${x(bound)}" x2="${x(bound)}" y1="${top}" y2="${height - bottom}" stroke="#444" stroke-dasharray="4 4"/><text x="${x(bound)}" y="${top - 6}" text-anchor="middle" fill="#444">possible at best</text>`}
<text x="${left}" y="${height - 8}" fill="#1f5fa8">what they have: median, least to most</text>
<text x="${width - right}" y="${height - 8}" text-anchor="end" fill="#c0541c">clients that are through</text>
</svg>
`
}

/** About six round numbers up to `end`. */
function ticks(end: number): number[] {
  const rough = end / 6
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough) ?? power
  const places = Math.max(0, -Math.floor(Math.log10(step)))
  const all: number[] = []
  for (let at = 0; at <= end; at += step) all.push(Number(at.toFixed(places)))
  return all
}
