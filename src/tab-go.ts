/** `rdv/tab/go`: programs in Go as applications that run in a tab and in Node alike. */

export { goApp } from "./capabilities/tab/go/go-app.ts"
export type { GoApp, GoAppOptions, GoStatus } from "./capabilities/tab/go/go-app.ts"
export type { GoSource } from "./capabilities/tab/go/go-runtime.ts"
