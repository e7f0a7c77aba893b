/** From the file that a user wrote to a build. */

import { AppBundler } from "./app-bundler.ts"
import { buildFiles } from "./build-folder.ts"
import type { Build, BuildPlace } from "./build-folder.ts"
import { checkApp } from "./check-app.ts"
import { readTabRuntime } from "./runtime-folder.ts"

export interface BuiltApp extends Build {
  /** As it is shown. */
  readonly file: string
  /** Bytes of the application's own module. */
  readonly appBytes: number
}

/** Rejects `usage` with the place of each problem. */
export async function buildApp(file: string, place: BuildPlace): Promise<BuiltApp> {
  const runtime = readTabRuntime()
  const bundler = await AppBundler.open({ file, platform: "browser", minify: true })
  try {
    const bundle = await bundler.bundle()
    await checkApp(bundle.code, bundler.file)
    return { ...buildFiles({ runtime, bundle, place }), file: bundler.file, appBytes: bundle.code.length }
  } finally {
    await bundler.close()
  }
}
