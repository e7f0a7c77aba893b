/**
 * Bundles what a tab's server needs in a browser, without any application, into `dist/web/tab`: `rdv-sw.js`, `index.html`
 * and `.rdv/` with names that change with their bytes. `runtime.json` names them; who builds an application adds that to it.
 * It does nothing while no source has changed since the last time.
 */

import { createHash } from "node:crypto"
import { createRequire } from "node:module"
import { mkdirSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs"
import { basename, extname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { BundleStamp, browsers, put } from "./bundle-stamp.mjs"

const root = join(fileURLToPath(import.meta.url), "..", "..")
const source = join(root, "src", "web", "tab")
const usual = join(root, "dist", "web", "tab")
const stamp = new BundleStamp(join(root, "node_modules", ".rdv-tab-runtime.json"))

/**
 * Bundles what has changed. Returns true when it did something. Throws when a source is wrong. Another `target` is always
 * made anew; `worker` and `workerMain` are for tests that bring their own.
 */
export function bundleTabRuntime({
  target = usual,
  worker = join(source, "worker.ts"),
  workerMain = join(source, "worker-main.ts"),
  force = false,
} = {}) {
  if (!force && target === usual && stamp.isCurrent) return false
  const inputs = new Set([fileURLToPath(import.meta.url)])
  const made = new Map()
  const keep = (path, bytes) => {
    made.set(path, bytes)
    return `/${path}`
  }

  const page = build({ entry: join(source, "page.ts"), format: "iife", inputs })
  const bootScript = build({ entry: join(source, "boot.ts"), format: "iife", inputs })
  const dev = build({ entry: join(source, "dev.ts"), format: "iife", inputs })
  const router = build({ entry: join(source, "service-worker.ts"), format: "iife", inputs })
  const workers = build({ entry: { worker, "worker-main": workerMain }, format: "esm", inputs })
  keep("rdv-sw.js", router.entries["service-worker"].contents)
  const pagePath = keep(named("page.js", page.entries.page.contents), page.entries.page.contents)
  const bootScriptPath = keep(named("boot.js", bootScript.entries.boot.contents), bootScript.entries.boot.contents)
  const devPath = keep(named("dev.js", dev.entries.dev.contents), dev.entries.dev.contents)
  const parts = []
  for (const { path, contents } of workers.files) parts.push(keep(`.rdv/${basename(path)}`, contents))
  const workerPath = `/.rdv/${basename(workers.entries.worker.path)}`
  const mainPath = `/.rdv/${basename(workers.entries["worker-main"].path)}`

  const styleFile = join(source, "boot.css")
  inputs.add(styleFile)
  const style = readFileSync(styleFile)
  const stylePath = keep(named("boot.css", style), style)
  const bootFile = join(source, "boot.html")
  inputs.add(bootFile)
  const boot = Buffer.from(
    readFileSync(bootFile, "utf8")
      .replaceAll("%page.js%", pagePath)
      .replaceAll("%boot.js%", bootScriptPath)
      .replaceAll("%boot.css%", stylePath),
  )
  keep("index.html", boot)
  const bootPath = keep(named("boot.html", boot), boot)
  const control = controlPage({ pagePath, keep, inputs })
  const files = [...control, pagePath, bootScriptPath, devPath, stylePath, bootPath, ...parts]
  const runtime = { page: pagePath, worker: workerPath, workerMain: mainPath, boot: bootPath, files }
  keep("runtime.json", Buffer.from(`${JSON.stringify(runtime, undefined, 2)}\n`))

  mkdirSync(join(target, ".rdv"), { recursive: true })
  // What the list names stands before it.
  for (const [path, bytes] of made) put(join(target, path), bytes)
  for (const name of readdirSync(join(target, ".rdv"))) {
    if (!made.has(`.rdv/${name}`)) rmSync(join(target, ".rdv", name), { force: true })
  }
  const outputs = [...made.keys()].map((path) => join(target, path))
  if (target === usual) stamp.write(inputs, outputs)
  return true
}

/** A page of its own, that every application has. */
function controlPage({ pagePath, keep, inputs }) {
  const folder = join(source, "control")
  const { contents } = build({ entry: join(folder, "control.ts"), format: "iife", inputs }).entries.control
  const script = keep(named("control.js", contents), contents)
  const [styleFile, pageFile] = [join(folder, "control.css"), join(folder, "control.html")]
  inputs.add(styleFile).add(pageFile)
  const style = readFileSync(styleFile)
  const stylePath = keep(named("control.css", style), style)
  const html = readFileSync(pageFile, "utf8")
    .replaceAll("%page.js%", pagePath)
    .replaceAll("%control.js%", script)
    .replaceAll("%control.css%", stylePath)
  return [keep(".rdv/control.html", Buffer.from(html)), script, stylePath]
}

function build({ entry, format, inputs }) {
  const { buildSync } = createRequire(import.meta.url)("esbuild")
  const result = buildSync({
    absWorkingDir: root,
    entryPoints: typeof entry === "string" ? [entry] : entry,
    outdir: join(root, "node_modules", ".rdv-tab"),
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    assetNames: "[name]-[hash]",
    loader: { ".wasm": "file" },
    publicPath: "/.rdv",
    bundle: true,
    minify: true,
    splitting: format === "esm",
    format,
    charset: "utf8",
    legalComments: "none",
    target: browsers,
    metafile: true,
    logLevel: "silent",
    write: false,
    // What the build folder brings.
    external: ["/app.js"],
  })
  const entries = {}
  for (const [path, { entryPoint }] of Object.entries(result.metafile.outputs)) {
    const file = result.outputFiles.find((each) => basename(each.path) === basename(path))
    if (entryPoint !== undefined && extname(path) === ".js")
      entries[basename(path).replace(/-[A-Z0-9]+\.js$/, "")] = file
  }
  for (const file of Object.keys(result.metafile.inputs)) inputs.add(join(root, file))
  return { entries, files: result.outputFiles }
}

function named(name, bytes) {
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 8).toUpperCase()
  const end = extname(name)
  return `.rdv/${basename(name, end)}-${hash}${end}`
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const done = bundleTabRuntime({ force: process.argv.includes("--force") })
  console.log(done ? "the runtime of tabs is bundled in dist/web/tab" : "the runtime in dist/web/tab is up to date")
}
