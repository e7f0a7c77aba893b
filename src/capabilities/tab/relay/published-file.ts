/** Files of a published application as the publisher names them and as browsers ask for them. */

import { RdvError } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"

export interface PublishedFile {
  /** Without a slash in front: `index.html`, `.rdv/page-1a2b3c4d.js`. */
  readonly path: string
  readonly bytes: number
  /** Of the bytes: 64 hexadecimal digits in lower case. */
  readonly sha256: string
  readonly type: string
}

/** Reads what comes before the bytes of a file. Throws `protocol`, or `usage` for a path that no application may have. */
export function readPublishedFile(json: JsonObject): PublishedFile {
  const { path, bytes, sha256, type } = json
  if (typeof path !== "string") throw wrong("path")
  if (typeof bytes !== "number" || !Number.isSafeInteger(bytes) || bytes < 0) throw wrong("bytes")
  if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) throw wrong("sha256")
  if (type !== undefined && (typeof type !== "string" || !mediaType.test(type))) throw wrong("type")
  checkPublishedPath(path)
  return { path, bytes, sha256, type: type ?? typeOf(path) }
}

/**
 * Throws `usage` for a path that could mean something else than itself: to a browser, to a file system, to a router. Of
 * names with a dot in front there are `.rdv` and `.well-known`.
 */
export function checkPublishedPath(path: string): void {
  const shown = JSON.stringify(path.slice(0, 80))
  if (path === "" || path.length > longestPath) throw refuse(`A path of ${path.length} characters`)
  if (!path.isWellFormed() || /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\\]/u.test(path)) throw refuse(`The path ${shown}`)
  if (path !== path.normalize("NFC")) throw refuse(`The path ${shown}`)
  for (const [index, segment] of path.split("/").entries()) {
    const mayBeHidden = index === 0 && hiddenFolders.has(segment)
    if (segment === "" || (segment.startsWith(".") && !mayBeHidden)) throw refuse(`The path ${shown}`)
  }
}

/** The path that a request's target names; undefined when no file can have it. */
export function pathOfTarget(target: string): string | undefined {
  const end = target.search(/[?#]/)
  try {
    return decodeURIComponent(target.slice(1, end < 0 ? undefined : end)).normalize("NFC")
  } catch {
    return undefined
  }
}

/** By the name's end. What is unknown is bytes: browsers must not guess. */
export function typeOf(path: string): string {
  return types[/\.([a-z0-9]+)$/i.exec(path)?.[1]?.toLowerCase() ?? ""] ?? "application/octet-stream"
}

/** Text and code get a third of their size; pictures and fonts are packed already. */
export function isPackable(type: string): boolean {
  return /^(?:text\/|image\/svg\+xml|application\/(?:json|javascript|wasm|manifest\+json|xml|.*\+(?:json|xml)))/.test(
    type,
  )
}

/**
 * The name changes with the bytes: `app-3f9a1c2b.js`, `index.D8skQ2x1.css`. Dates and words are no hashes; one that looks
 * like them is asked for again each time, which costs little.
 */
export function isHashedName(path: string): boolean {
  const hash = /[-.]([A-Za-z0-9_-]{8,64})\.[a-z0-9]+(?:\.map)?$/.exec(path)?.[1]
  if (hash === undefined || /\.html?$/.test(path)) return false
  if (path.startsWith(".rdv/")) return /^[A-Za-z0-9]+$/.test(hash)
  if (!/\d/.test(hash)) return false
  return /^[0-9a-f]*[a-f][0-9a-f]*$/.test(hash) || (hash.length === 8 && /[A-Z]/.test(hash))
}

function refuse(what: string): RdvError {
  return new RdvError("usage", `${what} cannot be published`, {
    mend: `use folders and names without ., .. or \\ in front or within, up to ${longestPath} characters`,
  })
}

function wrong(key: string): RdvError {
  return new RdvError("protocol", `"${key}" of a published file is missing or wrong`)
}

const longestPath = 512
const hiddenFolders: ReadonlySet<string> = new Set([".rdv", ".well-known"])
/** RFC 9110 section 8.3.1, with parameters of plain characters. */
const mediaType =
  /^[a-z0-9][a-z0-9!#$&^_.+-]{0,60}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}(?:; ?[a-z-]+=[A-Za-z0-9_.-]+){0,3}$/

const text = "; charset=utf-8"
const types: { readonly [extension: string]: string } = {
  html: `text/html${text}`,
  htm: `text/html${text}`,
  js: `text/javascript${text}`,
  mjs: `text/javascript${text}`,
  css: `text/css${text}`,
  txt: `text/plain${text}`,
  md: `text/markdown${text}`,
  csv: `text/csv${text}`,
  json: "application/json",
  map: "application/json",
  webmanifest: "application/manifest+json",
  xml: "application/xml",
  wasm: "application/wasm",
  svg: "image/svg+xml",
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  ico: "image/x-icon",
  woff: "font/woff",
  woff2: "font/woff2",
  ttf: "font/ttf",
  otf: "font/otf",
  mp3: "audio/mpeg",
  ogg: "audio/ogg",
  wav: "audio/wav",
  mp4: "video/mp4",
  webm: "video/webm",
  pdf: "application/pdf",
  zip: "application/zip",
}
