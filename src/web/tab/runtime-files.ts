/**
 * What a build folder says of itself, in `/.rdv/runtime.json`: where its parts are, whose names change with their bytes, and
 * what has to be kept for opening the application without a network.
 */

export interface RuntimeFiles {
  /** Changes whenever any of the files does. */
  readonly version: string
  /** The page agent: a classic script that every page of the application loads first. */
  readonly page: string
  /** The candidate, a module. */
  readonly worker: string
  /** What the winner loads, a module. */
  readonly workerMain: string
  /** The first page, the same bytes as `/index.html`. */
  readonly boot: string
  /** The application's bundle, a module. */
  readonly app: string
  /** All paths to keep: those above and what they load (SQLite). Not `/index.html`, not `/rdv-sw.js`, not runtime.json itself. */
  readonly files: readonly string[]
  /** An event stream of a development server: with each message the version may be another one. */
  readonly events?: string
}

export const runtimePath = "/.rdv/runtime.json"
export const serviceWorkerPath = "/rdv-sw.js"
/** At the document: the host may have another version. */
export const lookEvent = "rdv-look"
