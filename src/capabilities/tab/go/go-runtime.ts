/** A program that Go has compiled, and the script of the same Go that runs it: `wasm_exec.js`, which makes a global class. */

import { RdvError } from "../../../base/error.ts"

/** What we use of the platform's, which not every environment declares. */
interface WasmPlatform {
  compile(bytes: Uint8Array<ArrayBuffer> | ArrayBuffer): Promise<GoModule>
  compileStreaming(response: Response): Promise<GoModule>
  instantiate(module: GoModule, imports: object): Promise<GoInstance>
}

export const wasm: WasmPlatform = (globalThis as unknown as { WebAssembly: WasmPlatform }).WebAssembly

/** `WebAssembly.Module`. */
export type GoModule = object

/** `WebAssembly.Instance`. */
export interface GoInstance {
  readonly exports: { readonly mem: { readonly buffer: ArrayBuffer } }
}

/** What we use of the class; the rest is Go's own business. */
export interface GoRuntime {
  argv: string[]
  env: { [name: string]: string }
  exit: (code: number) => void
  readonly importObject: object
  /** Resolves when the program has ended. */
  run(instance: GoInstance): Promise<void>
  /** Timers of the program; they must not run after its end. */
  readonly _scheduledTimeouts?: ReadonlyMap<number, Parameters<typeof clearTimeout>[0]>
}

/** Where a program is: an address, or its bytes. */
export type GoSource = string | URL | Uint8Array | Response | Promise<Response>

/** Throws `usage` where the script is missing. */
export function newGoRuntime(): GoRuntime {
  const { Go } = globalThis as { Go?: new () => GoRuntime }
  if (Go !== undefined) return new Go()
  throw new RdvError("usage", "The script that runs Go programs is not there", {
    mend: 'copy wasm_exec.js from your Go beside the application, and import "./wasm_exec.js" first',
  })
}

/** Rejects `usage` when there is no program, or it is none. */
export async function compileGo(source: GoSource): Promise<GoModule> {
  try {
    const place = await source
    if (place instanceof Uint8Array) return await wasm.compile(new Uint8Array(place))
    if (!(place instanceof Response)) {
      const file = await fileOf(String(place))
      if (file !== undefined) return await wasm.compile(file)
    }
    const response = place instanceof Response ? place : await fetch(place)
    if (!response.ok) throw new Error(`the answer was ${response.status}`)
    // This way the browser compiles while it loads, and keeps what it has compiled.
    if (response.headers.get("content-type") === "application/wasm") return await wasm.compileStreaming(response)
    return await wasm.compile(await response.arrayBuffer())
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new RdvError("usage", `The Go program cannot be loaded: ${why}`, {
      cause,
      mend: "build it with GOOS=js GOARCH=wasm, and name the file that came out",
    })
  }
}

/** Node fetches no files; its own module for them is not there in browsers, so that nothing is imported. */
async function fileOf(address: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (!address.startsWith("file:")) return undefined
  interface NodeProcess {
    getBuiltinModule?(name: "node:fs/promises"): { readFile(place: URL): Promise<Uint8Array<ArrayBuffer>> }
  }
  const { process } = globalThis as { process?: NodeProcess }
  return await process?.getBuiltinModule?.("node:fs/promises").readFile(new URL(address))
}
