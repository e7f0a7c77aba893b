/** Holds the walls of `layers.ts`, and the rules for names and sizes of files. */

import assert from "node:assert/strict"
import { dirname, join } from "node:path/posix"
import { test } from "node:test"
import { forbiddenNames, layers, longestFile, packages, portable, webPortable } from "./layers.ts"
import { importsOf, readSource, repositoryFiles } from "./source-files.ts"

interface SourceImport {
  /** Path below `src/`. */
  readonly from: string
  /** Path below `src/` for ours, the specifier for packages and `node:` modules. */
  readonly to: string
  readonly place: string
}

const files = repositoryFiles()
const sources = files.filter((file) => file.startsWith("src/") && file.endsWith(".ts"))
const shipped = sources.filter((file) => !file.endsWith(".test.ts")).map((file) => file.slice("src/".length))
const edges = shipped.flatMap(edgesOf)
const ours = edges.filter((edge) => !isOutside(edge.to))
const outside = edges.filter((edge) => isOutside(edge.to))

test("each folder imports only what stands below it", (t) => {
  const used = new Set<string>()
  const broken: string[] = []
  for (const { from, to, place } of ours) {
    const importer = importerOf(from)
    if (importer === undefined) continue
    if (sameFolder(importer, from, to)) continue
    const allowance = layers[importer]?.find((allowed) => allowed === "*" || covers(allowed, to))
    if (allowance === undefined)
      broken.push(`${place} imports ${to}; ${importer} may import ${listed(layers[importer])}`)
    else used.add(`${importer} → ${allowance}`)
  }
  assert.deepEqual(broken, [])
  const stale = Object.entries(layers)
    .flatMap(([importer, allowed]) => allowed.map((allowance) => `${importer} → ${allowance}`))
    .filter((allowance) => !allowance.endsWith("*") && !used.has(allowance))
  if (stale.length > 0) t.diagnostic(`allowed and not used: ${stale.join(", ")}`)
})

test("each folder has its place in the layers", () => {
  const homeless = shipped.filter((file) => importerOf(file) === undefined)
  assert.deepEqual(homeless, [])
})

test("no capability imports another one", () => {
  const broken = ours.filter(({ from, to }) => {
    const mine = capabilityOf(from)
    const other = capabilityOf(to)
    return mine !== undefined && other !== undefined && mine !== other && !/[/-]command\.ts$/.test(from)
  })
  assert.deepEqual(broken.map(described), [])
})

test("packages are imported only where they are listed", (t) => {
  const used = new Set<string>()
  const broken = outside.filter(({ from, to }) => {
    if (to.startsWith("node:")) return false
    const place = packages[packageOf(to)]?.find((allowed) => covers(allowed, from))
    used.add(`${packageOf(to)} in ${place}`)
    return place === undefined
  })
  assert.deepEqual(broken.map(described), [])
  const stale = Object.entries(packages)
    .flatMap(([name, places]) => places.map((place) => `${name} in ${place}`))
    .filter((allowance) => !allowance.endsWith(" test") && !used.has(allowance))
  if (stale.length > 0) t.diagnostic(`allowed and not used: ${stale.join(", ")}`)
})

test("every runtime dependency of the package is one of the listed packages", () => {
  const { dependencies, optionalDependencies } = JSON.parse(readSource("package.json")) as {
    dependencies: { [name: string]: string }
    optionalDependencies: { [name: string]: string }
  }
  // What pages alone use is in their bundles already.
  const isForCode = (place: string) => place !== "test" && place !== "web"
  const listedForCode = Object.keys(packages).filter((name) => packages[name]?.some(isForCode))
  const all = [...Object.keys(dependencies), ...Object.keys(optionalDependencies)]
  assert.deepEqual(all.toSorted(), listedForCode.toSorted())
})

test("tests import only packages that are listed for tests or for the code beside them", () => {
  const tests = files.filter((file) => file.endsWith(".ts") && (file.startsWith("test/") || file.endsWith(".test.ts")))
  const broken = tests.flatMap((file) =>
    importsOf(readSource(file))
      .filter(({ specifier }) => isOutside(specifier) && !specifier.startsWith("node:"))
      .filter(({ specifier }) => {
        const places = packages[packageOf(specifier)] ?? []
        return !places.includes("test") && !places.some((place) => covers(`src/${place}`, file))
      })
      .map(({ specifier, line }) => `${file}:${line} imports ${specifier}`),
  )
  assert.deepEqual(broken, [])
})

test("portable code imports nothing of Node", () => {
  const broken = outside.filter(({ from, to }) => isPortable(from) && to.startsWith("node:"))
  assert.deepEqual(broken.map(described), [])
})

test("portable code is exactly what the portable compiler project includes", () => {
  const project = JSON.parse(readSource("tsconfig.portable.json")) as { files: string[]; include: string[] }
  const included = [...project.files, ...project.include]
    .filter((pattern) => pattern !== "src/base/portable.d.ts")
    .map((pattern) => pattern.replace(/^src\//, "").replace(/\/\*\.ts$/, ""))
  assert.deepEqual(included.toSorted(), portable.toSorted())
})

test("portable code that needs the web platform is compiled with its types", () => {
  const { include } = JSON.parse(readSource("tsconfig.web.json")) as { include: string[] }
  const included = include
    .filter((pattern) => pattern !== "src/web/**/*.ts" && pattern.startsWith("src/"))
    .map((pattern) => pattern.replace(/^src\//, "").replace(/\/\*\.ts$/, ""))
  assert.deepEqual(included.toSorted(), webPortable.toSorted())
})

test("nothing that is shipped imports a test", () => {
  const broken = ours.filter(({ to }) => to.endsWith(".test.ts") || (to.startsWith("../") && to.endsWith(".ts")))
  assert.deepEqual(broken.map(described), [])
})

test("built-in modules are imported with node: in front", () => {
  const known = new Set(process.getBuiltinModule("node:module").builtinModules)
  const broken = outside.filter(({ to }) => known.has(to) && !to.startsWith("node:"))
  assert.deepEqual(broken.map(described), [])
})

test("files and folders have kebab-case names that say what is inside", () => {
  const code = files.filter((file) => /^(?:src|test|bench|scripts|sample)\//.test(file))
  const broken = code.filter((file) =>
    file.split("/").some((name) => {
      const [stem = "", ...endings] = name.split(".")
      return forbiddenNames.includes(stem) || !/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(stem) || endings.includes("spec")
    }),
  )
  assert.deepEqual(broken, [])
})

test("there is no barrel: an index.ts only as the package's entry", () => {
  assert.deepEqual(
    shipped.filter((file) => file.endsWith("/index.ts")),
    [],
  )
  const barrels = shipped.filter((file) => file.includes("/") && /^export \* from /m.test(readSource(`src/${file}`)))
  assert.deepEqual(barrels, [])
})

test("no export is a default export", () => {
  // An application for tabs is its file's default export.
  const isApp = (file: string) => file.startsWith("test/browser/apps/") || file === "bench/tab/bench-app.ts"
  const isOurs = (file: string) => /^(?:test|bench)\/.*\.ts$/.test(file) && !isApp(file)
  const broken = [...sources, ...files.filter(isOurs)].filter((file) =>
    /^export default |^export \{[^}]*\bas default\b/m.test(readSource(file)),
  )
  assert.deepEqual(broken, [])
})

test(`no file of the source is longer than ${longestFile} lines`, () => {
  const broken = sources
    .map((file) => ({ file, lines: readSource(file).split("\n").length - 1 }))
    .filter(({ lines }) => lines > longestFile)
  assert.deepEqual(broken, [])
})

function edgesOf(from: string): SourceImport[] {
  return importsOf(readSource(`src/${from}`)).map(({ specifier, line }) => ({
    from,
    to: isOutside(specifier) ? specifier : join(dirname(from), specifier),
    place: `src/${from}:${line}`,
  }))
}

/** The key of `layers` that a file falls under: the longest that covers it. */
function importerOf(file: string): string | undefined {
  return Object.keys(layers)
    .filter((key) => covers(key, file))
    .toSorted((a, b) => b.length - a.length)[0]
}

/** Whether `file` is, or lies in, what `place` names. */
function covers(place: string, file: string): boolean {
  const wanted = place.split("/")
  const names = file.split("/")
  if (place.endsWith(".ts") && names.length !== wanted.length) return false
  return wanted.every((name, at) => {
    const [start = "", end] = name.split("*")
    const found = names[at] ?? ""
    if (end === undefined) return name === found
    return found.length >= name.length - 1 && found.startsWith(start) && found.endsWith(end)
  })
}

/** A folder is one room; for capabilities each of them is. */
function sameFolder(importer: string, from: string, to: string): boolean {
  const depth = importer.startsWith("capabilities/") ? 2 : 1
  return from.includes("/") && from.split("/").slice(0, depth).join("/") === to.split("/").slice(0, depth).join("/")
}

function capabilityOf(file: string): string | undefined {
  return /^capabilities\/([^/]+)\//.exec(file)?.[1]
}

function isPortable(file: string): boolean {
  return [...portable, ...webPortable].some((place) => covers(place, file))
}

function isOutside(specifier: string): boolean {
  return !specifier.startsWith(".") && !specifier.endsWith(".ts")
}

/** `@scope/name/part` → `@scope/name`. */
function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/")
}

function listed(allowed: readonly string[] | undefined): string {
  return allowed === undefined || allowed.length === 0 ? "nothing" : allowed.join(", ")
}

function described({ place, to }: SourceImport): string {
  return `${place} imports ${to}`
}
