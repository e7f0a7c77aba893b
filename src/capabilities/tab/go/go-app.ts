/**
 * A program in Go as an application: an `http.Handler` that was compiled with `GOOS=js GOARCH=wasm` and the Go package in
 * `interop/go-tab`. It runs where the server runs, in a tab's worker or in Node; by itself, or under a path beside others.
 */

import type { TabApp } from "../app/app.ts"
import type { TabEnv } from "../app/env.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import { GoProgram } from "./go-program.ts"
import { compileGo } from "./go-runtime.ts"
import type { GoModule, GoSource } from "./go-runtime.ts"

export interface GoAppOptions {
  /** For the log, and `os.Args[0]`. Default `go`. */
  readonly name?: string
  /** `os.Getenv` in the program. */
  readonly variables?: { readonly [name: string]: string }
}

export interface GoApp extends TabApp {
  /** Loads the program and runs its `main` until it serves; the first request does that too. */
  start(env: TabEnv): Promise<void>
  fetch(request: Request, env: TabEnv): Promise<Response>
  readonly status: GoStatus
}

export interface GoStatus {
  /** Of the program's memory; 0: it does not run. */
  readonly memoryBytes: number
  /** Requests, and what the program has asked for, that are not done. */
  readonly running: number
  /** How often it was started. */
  readonly starts: number
}

/**
 * `source` is where the program is: `import program from "./main.wasm"`, or its bytes. A program that ends is started anew
 * by the next request; what was running then fails (`closed`), and what it had not committed is taken back.
 */
export function goApp(source: GoSource, options: GoAppOptions = {}): GoApp {
  return new CompiledGo(source, options)
}

class CompiledGo implements GoApp {
  readonly #source: GoSource
  readonly #options: GoAppOptions
  #module: Promise<GoModule> | undefined
  #program: Promise<GoProgram> | undefined
  #running: GoProgram | undefined
  #starts = 0

  constructor(source: GoSource, options: GoAppOptions) {
    this.#source = source
    this.#options = options
  }

  async start(env: TabEnv): Promise<void> {
    await this.#started(env)
  }

  async fetch(request: Request, env: TabEnv): Promise<Response> {
    const program = this.#running ?? (await this.#started(env))
    return await program.fetch(request, env)
  }

  get status(): GoStatus {
    const { memoryBytes = 0, running = 0 } = this.#running ?? {}
    return { memoryBytes, running, starts: this.#starts }
  }

  #started(env: TabEnv | undefined): Promise<GoProgram> {
    if (env === undefined) {
      return Promise.reject(
        new RdvError("usage", "A Go program needs the env of its server: goApp.fetch(request, env)"),
      )
    }
    this.#program ??= this.#run(env)
    return this.#program
  }

  async #run(env: TabEnv): Promise<GoProgram> {
    const { name = "go", variables = {} } = this.#options
    let isOver = false
    const over = () => {
      isOver = true
      this.#running = undefined
      this.#program = undefined
    }
    try {
      this.#module ??= compileGo(this.#source)
      const module = await this.#module
      this.#starts++
      const program = await GoProgram.start({
        module,
        name,
        variables,
        env,
        ended: (error) => {
          over()
          env.log.error("go.ended", { program: name, reason: error.message })
        },
      })
      if (!isOver) this.#running = program
      return program
    } catch (thrown) {
      this.#module = this.#starts === 0 ? undefined : this.#module
      over()
      throw asRdvError(thrown)
    }
  }
}
