/** Builds an application whenever its sources change, one build after the other. */

import { asRdvError } from "../../../base/error.ts"
import type { RdvError } from "../../../base/error.ts"
import { AppBundler } from "./app-bundler.ts"
import { buildFiles } from "./build-folder.ts"
import type { Build, BuildPlace } from "./build-folder.ts"
import { checkApp } from "./check-app.ts"
import { eventsPath } from "./dev-site.ts"
import { readTabRuntime } from "./runtime-folder.ts"
import { SourceWatch } from "./source-watch.ts"

export interface DevBuildOptions {
  readonly file: string
  readonly place: BuildPlace
  /** Another version than the last one; `ms` from the first notice on. */
  readonly onBuild: (build: Build & { readonly appBytes: number }, ms: number) => void
  /** `usage` with places (`problemsOf`). */
  readonly onTrouble: (error: RdvError) => void
}

export class DevBuild {
  readonly #options: DevBuildOptions
  readonly #bundler: AppBundler
  readonly #watch: SourceWatch
  readonly #runtime = readTabRuntime()
  #version: string | undefined
  #isFailed = false
  #running: Promise<void> | undefined
  #isAsked = false
  #isClosed = false

  private constructor(options: DevBuildOptions, bundler: AppBundler) {
    this.#options = options
    this.#bundler = bundler
    this.#watch = new SourceWatch(() => void this.#again())
  }

  /** Resolves after the first build, however that went. Rejects `usage` when there is no such file or no bundler. */
  static async start(options: DevBuildOptions): Promise<DevBuild> {
    const bundler = await AppBundler.open({ file: options.file, platform: "browser" })
    const dev = new DevBuild(options, bundler)
    dev.#watch.follow(bundler.inputs)
    await dev.#again()
    return dev
  }

  /** As it is shown. */
  get file(): string {
    return this.#bundler.file
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#watch.close()
    await this.#running
    await this.#bundler.close()
  }

  /** What changes during a build is built after it. */
  async #again(): Promise<void> {
    this.#isAsked = true
    this.#running ??= this.#builds().finally(() => (this.#running = undefined))
    await this.#running
  }

  async #builds(): Promise<void> {
    while (this.#isAsked && !this.#isClosed) {
      this.#isAsked = false
      await this.#build()
    }
  }

  async #build(): Promise<void> {
    const { place, onBuild, onTrouble } = this.#options
    const since = performance.now()
    try {
      const bundle = await this.#bundler.bundle()
      await checkApp(bundle.code, this.#bundler.file)
      const build = buildFiles({ runtime: this.#runtime, bundle, place, events: eventsPath })
      const isNew = build.version !== this.#version || this.#isFailed
      this.#version = build.version
      this.#isFailed = false
      if (isNew && !this.#isClosed) onBuild({ ...build, appBytes: bundle.code.length }, performance.now() - since)
    } catch (error) {
      this.#isFailed = true
      if (!this.#isClosed) onTrouble(asRdvError(error))
    } finally {
      this.#watch.follow(this.#bundler.inputs)
    }
  }
}
