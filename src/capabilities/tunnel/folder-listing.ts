/** The page for a directory without an index: names, sizes, dates; sorted, escaped, and bounded. */

import { escapeHtml } from "../../base/html.ts"
import { opendir } from "node:fs/promises"
import { find } from "./folder-path.ts"

export interface ListingEntry {
  readonly name: string
  readonly directory: boolean
  readonly sizeBytes: number
  /** Milliseconds since 1970 UTC. */
  readonly modifiedAt: number
}

export interface Listing {
  /** From the served folder down; empty at the top. */
  readonly segments: readonly string[]
  readonly entries: readonly ListingEntry[]
  /** The directory holds more than `listingMax` entries; the others are left out. */
  readonly cut: boolean
}

/** A page of more is of no use to people, and the directory may have millions. */
export const listingMax = 2_000

/** Reads a directory. Hidden entries and whatever a request could not get (links that lead out, devices) are left out. */
export async function readListing(root: string, path: string, segments: readonly string[]): Promise<Listing> {
  const names: string[] = []
  let cut = false
  for await (const entry of await opendir(path)) {
    if (entry.name.startsWith(".")) continue
    if (names.length === listingMax) {
      cut = true
      break
    }
    names.push(entry.name)
  }
  const entries: ListingEntry[] = []
  // A few at a time: the thread pool that looks them up serves the whole process.
  for (let at = 0; at < names.length; at += 16) {
    const found = await Promise.all(names.slice(at, at + 16).map((name) => readEntry(root, segments, name)))
    for (const entry of found) if (entry !== undefined) entries.push(entry)
  }
  return { segments, entries: entries.sort(byKindAndName), cut }
}

/** A whole page, with nothing to load. */
export function renderListing(listing: Listing): string {
  const title = `/${listing.segments.map((segment) => `${segment}/`).join("")}`
  const rows = listing.entries.map(renderRow)
  if (listing.segments.length > 0) rows.unshift('<tr><td><a href="../">../</a><td><td>')
  const empty = listing.entries.length === 0 ? "<p>This folder is empty.</p>\n" : ""
  const cut = listing.cut ? `<p>The folder has more; ${listingMax} entries are shown.</p>\n` : ""
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
<h1>${escapeHtml(title)}</h1>
<table>
<tr><th>Name<th>Size<th>Changed (UTC)
${rows.join("\n")}
</table>
${empty}${cut}`
}

export const listingPolicy: string = "default-src 'none'; style-src 'unsafe-inline'"

async function readEntry(root: string, segments: readonly string[], name: string): Promise<ListingEntry | undefined> {
  const found = await find(root, [...segments, name])
  // It may be gone by now.
  if (typeof found === "number") return undefined
  const { stats } = found
  if (!stats.isFile() && !stats.isDirectory()) return undefined
  return { name, directory: stats.isDirectory(), sizeBytes: stats.size, modifiedAt: stats.mtimeMs }
}

const collator = new Intl.Collator("en", { numeric: true })

function byKindAndName(a: ListingEntry, b: ListingEntry): number {
  return Number(b.directory) - Number(a.directory) || collator.compare(a.name, b.name) || (a.name < b.name ? -1 : 1)
}

const style = `:root{color-scheme:light dark}body{max-width:56rem;margin:2rem auto;padding:0 1rem;font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.25rem;overflow-wrap:anywhere}table{width:100%;border-collapse:collapse}
th,td{padding:.3rem .5rem;text-align:left;border-bottom:1px solid #8884;overflow-wrap:anywhere}
th+th,td+td{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}th{font-weight:600}
a{color:inherit;text-underline-offset:.2em}tr:hover td{background:#8881}`

function renderRow(entry: ListingEntry): string {
  const slash = entry.directory ? "/" : ""
  // "./" keeps a name with a colon from being read as a scheme.
  const href = `./${encodeURIComponent(entry.name.toWellFormed())}${slash}`
  const size = entry.directory ? "" : renderSize(entry.sizeBytes)
  const changed = new Date(entry.modifiedAt).toISOString().slice(0, 16).replace("T", " ")
  return `<tr><td><a href="${escapeHtml(href)}">${escapeHtml(entry.name)}${slash}</a><td>${size}<td>${changed}`
}

function renderSize(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`
  let value = bytes
  let unit = ""
  for (unit of ["kB", "MB", "GB", "TB"]) {
    value /= 1_000
    if (value < 999.95) break
  }
  return `${value.toFixed(1)} ${unit}`
}
