/** What the tests of tabs use of `tab-runtime.mjs`. */

export declare function bundleTabRuntime(options?: {
  readonly target?: string
  readonly worker?: string
  readonly workerMain?: string
  readonly force?: boolean
}): boolean
