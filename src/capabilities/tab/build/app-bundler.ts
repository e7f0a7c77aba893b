/**
 * An application as one module: for browsers as `app.js` of a build folder, or for Node. Both come from the same file with
 * the same rules, so that what runs in one runs in the other. It keeps what it has parsed, so that the next time is quick.
 */

import { existsSync, readFileSync, realpathSync, statSync } from "node:fs"
import { basename, join, relative, resolve } from "node:path"
import { cwd } from "node:process"
import { pathToFileURL } from "node:url"
import type { BuildContext, Plugin } from "esbuild"
import { RdvError } from "../../../base/error.ts"
import { bundleError, isBuiltin } from "./bundle-error.ts"
import { loadEsbuild } from "./load-esbuild.ts"

export interface AppBundlerOptions {
  /** The application's file. */
  readonly file: string
  readonly platform: "browser" | "node"
  /** Small, for publishing; else with source maps, for who develops. */
  readonly minify?: boolean
  /** Node: the folder where the bundle and what it imports will lie. */
  readonly folder?: string
}

export interface AppBundle {
  readonly code: Uint8Array
  /** Imported files, by their names, which change with their bytes. */
  readonly assets: ReadonlyMap<string, Uint8Array>
  /** Absolute paths of what it was made of. */
  readonly inputs: readonly string[]
}

export class AppBundler {
  /** As it is shown. */
  readonly file: string
  readonly #context: BuildContext<{ metafile: true; write: false }>
  readonly #close: () => Promise<void>
  #inputs: readonly string[]

  private constructor(
    file: string,
    context: BuildContext<{ metafile: true; write: false }>,
    close: () => Promise<void>,
  ) {
    this.file = file
    this.#close = close
    this.#context = context
    this.#inputs = [resolve(file)]
  }

  /** Rejects `usage` when there is no such file or no bundler. */
  static async open({ file, platform, minify = false, folder = noFolder }: AppBundlerOptions): Promise<AppBundler> {
    const path = appFile(file)
    const { context, stop } = await loadEsbuild()
    const forNode = platform === "node"
    const made = await context({
      absWorkingDir: cwd(),
      entryPoints: [path],
      outdir: folder,
      entryNames: "app",
      assetNames: "[name]-[hash]",
      publicPath: forNode ? pathToFileURL(folder).href : "/.rdv",
      bundle: true,
      write: false,
      metafile: true,
      format: "esm",
      platform,
      target: forNode ? "node24" : [...browsers],
      minify,
      sourcemap: minify ? false : "inline",
      charset: "utf8",
      legalComments: "none",
      logLevel: "silent",
      loader,
      define: { "process.env.NODE_ENV": minify ? '"production"' : '"development"' },
      ...(forNode && { banner: { js: requireInModules } }),
      plugins: [appRules(platform)],
    })
    const close = async () => {
      await made.dispose()
      await stop()
    }
    return new AppBundler(shownPath(path), made, close)
  }

  /** What the next bundle would be made of, as far as the last one has told. */
  get inputs(): readonly string[] {
    return this.#inputs
  }

  /** Rejects `usage` with the place of each problem (`problemsOf`). */
  async bundle(): Promise<AppBundle> {
    try {
      const { outputFiles, metafile } = await this.#context.rebuild()
      const entry = Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint !== undefined)
      if (entry === undefined) throw new RdvError("internal", "The bundler made no module")
      const [entryPath, { exports }] = entry
      this.#inputs = Object.keys(metafile.inputs).map((path) => resolve(path))
      if (!exports.includes("default")) throw withoutDefault(this.file, exports)
      const code = outputFiles.find(({ path }) => basename(path) === basename(entryPath))
      if (code === undefined) throw new RdvError("internal", "The bundler made no module")
      const assets = outputFiles.filter((each) => each !== code)
      return {
        code: code.contents,
        assets: new Map(assets.map(({ path, contents }) => [basename(path), contents])),
        inputs: this.#inputs,
      }
    } catch (error) {
      throw bundleError(error, this.file)
    }
  }

  /** Ends what runs for it: the bundler is a program of its own, and another one is started when there is more to do. */
  async close(): Promise<void> {
    await this.#close()
  }
}

/** The absolute path of an application. Throws `usage`. */
export function appFile(file: string): string {
  const path = resolve(file)
  if (!existsSync(path)) {
    throw new RdvError("usage", `There is no application ${JSON.stringify(file)}`, { mend: "check the path" })
  }
  if (statSync(path).isDirectory()) {
    const inside = appNames.map((name) => join(file, name)).find((each) => existsSync(each))
    throw new RdvError("usage", `${JSON.stringify(file)} is a folder, and an application is one file`, {
      mend: inside === undefined ? "name its file, such as app.ts" : `did you mean ${inside}?`,
    })
  }
  if (!/\.(?:[cm]?[jt]s|[jt]sx)$/.test(path)) {
    throw new RdvError("usage", `${JSON.stringify(file)} is no TypeScript or JavaScript`, {
      mend: "name a file that ends in .ts, .tsx, .js, .jsx or .mjs",
    })
  }
  return realpathSync(path)
}

/** What `import "rdv/tab"` means is ours in any case: an application and its server belong together. */
function appRules(platform: "browser" | "node"): Plugin {
  return {
    name: "rdv",
    setup(build) {
      build.onResolve({ filter: /^rdv\/tab(?:\/|-|$)/ }, ({ path }) => {
        const own = ownModule(path.slice("rdv/".length))
        return own === undefined ? undefined : { path: own }
      })
      if (platform === "browser") {
        build.onResolve({ filter: /^node:/ }, ({ path }) =>
          isBuiltin(path) ? { errors: [{ text: `Could not resolve "${path}"` }] } : undefined,
        )
      }
    },
  }
}

function withoutDefault(file: string, exports: readonly string[]): RdvError {
  const what = exports.includes("fetch") ? "exports fetch by itself" : "has no default export"
  return new RdvError("usage", `${file}:1:1: the application ${what}`, {
    mend: "write export default { fetch(request, env) { … } }",
  })
}

function shownPath(path: string): string {
  const near = relative(cwd(), path)
  return near.startsWith("..") ? path : near
}

/** A face of this package, from its sources where they run. */
function ownModule(name: string): string | undefined {
  const root = join(import.meta.dirname, "..", "..", "..", "..")
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly exports: { readonly [path: string]: { readonly default: string } }
  }
  const built = exports[`./${name}`]?.default
  if (built === undefined) return undefined
  const isSource = import.meta.filename.endsWith(".ts")
  return join(root, isSource ? built.replace(/^\.\/dist\//, "src/").replace(/\.js$/, ".ts") : built)
}

/** Nothing is written there. */
const noFolder: string = resolve("/.rdv-tab")
const appNames: readonly string[] = ["app.ts", "app.tsx", "app.js", "app.mjs", "index.ts", "index.js"]
/** As those of the runtime. */
const browsers: readonly string[] = ["chrome119", "edge119", "firefox121", "safari17.4"]
/** Packages in CommonJS ask for Node's parts by it. */
const requireInModules = `import { createRequire as rdvCreateRequire } from "node:module"; const require = rdvCreateRequire(import.meta.url);`

/** Texts are strings, small binaries are bytes; programs in WebAssembly are files, of which the import gives the address. */
const loader = {
  ".html": "text",
  ".css": "text",
  ".sql": "text",
  ".md": "text",
  ".svg": "text",
  ".txt": "text",
  ".png": "binary",
  ".jpg": "binary",
  ".jpeg": "binary",
  ".gif": "binary",
  ".webp": "binary",
  ".avif": "binary",
  ".ico": "binary",
  ".woff2": "binary",
  ".wasm": "file",
} as const
