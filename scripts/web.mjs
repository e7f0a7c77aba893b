/**
 * Bundles the pages of `src/web` into `dist/web`, which the relay serves: one HTML file and, under names that change with
 * their bytes, its scripts and styles. It does nothing while no source has changed since the last time.
 */

import { createRequire } from "node:module"
import { mkdirSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { BundleStamp, browsers, put } from "./bundle-stamp.mjs"

const root = join(fileURLToPath(import.meta.url), "..", "..")
const source = join(root, "src", "web")
const target = join(root, "dist", "web")
/** Not among the pages: they are published, and it names files of this machine. */
const stamp = new BundleStamp(join(root, "node_modules", ".rdv-web.json"))
/** Where the relay serves what stands in `dist/web/assets`. */
const assetPath = "/.rdv/web/"

/** Page → its scripts and styles; `%NAME%` in the HTML stands for the path of one. */
const pages = {
  share: { "share.js": "share/page.ts", "share-worker.js": "share/worker.ts", "share.css": "share/share.css" },
}

/** Bundles what has changed. Returns true when it did something. Throws when a source is wrong or the bundler does not run. */
export function bundlePages({ force = false } = {}) {
  if (!force && stamp.isCurrent) return false
  // Only here: the set-up reads this file before there are packages.
  const { buildSync } = createRequire(import.meta.url)("esbuild")
  mkdirSync(join(target, "assets"), { recursive: true })
  const inputs = new Set([fileURLToPath(import.meta.url)])
  const made = new Set()
  for (const [page, parts] of Object.entries(pages)) {
    const result = buildSync({
      absWorkingDir: root,
      entryPoints: Object.entries(parts).map(([name, file]) => ({
        in: join(source, file),
        out: name.slice(0, name.lastIndexOf(".")),
      })),
      outdir: join(target, "assets"),
      entryNames: "[name]-[hash]",
      bundle: true,
      minify: true,
      format: "iife",
      charset: "utf8",
      legalComments: "none",
      target: browsers,
      metafile: true,
      logLevel: "silent",
      write: false,
    })
    for (const file of Object.keys(result.metafile.inputs)) inputs.add(join(root, file))
    for (const { path, contents } of result.outputFiles) {
      made.add(basename(path))
      put(path, contents)
    }
    const htmlFile = join(source, page, `${page}.html`)
    inputs.add(htmlFile)
    const nameOf = (part) =>
      Object.entries(result.metafile.outputs)
        .filter(([, { entryPoint }]) => entryPoint === `src/web/${parts[part]}`)
        .map(([path]) => basename(path))[0]
    const html = readFileSync(htmlFile, "utf8").replaceAll(/%([a-z-]+\.(?:js|css))%/g, (_, part) => {
      if (parts[part] === undefined) throw new Error(`${htmlFile} names ${part}, which scripts/web.mjs does not bundle`)
      return assetPath + nameOf(part)
    })
    put(join(target, `${page}.html`), html)
  }
  // Behind the pages that name them: a relay that reads just now finds what its page needs.
  for (const name of readdirSync(join(target, "assets"))) {
    if (!made.has(name)) rmSync(join(target, "assets", name), { force: true })
  }
  const outputs = [
    ...Object.keys(pages).map((page) => join(target, `${page}.html`)),
    ...[...made].map((name) => join(target, "assets", name)),
  ]
  stamp.write(inputs, outputs)
  return true
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const done = bundlePages({ force: process.argv.includes("--force") })
  console.log(done ? "the pages are bundled in dist/web" : "the pages in dist/web are up to date")
}
