/** `rdv/tab`: for who writes an application that runs in a tab and in Node alike. */

export type { TabApp } from "./capabilities/tab/app/app.ts"
export type { BlobFacts, Blobs } from "./capabilities/tab/app/blobs.ts"
export type { AppLog, TabEnv } from "./capabilities/tab/app/env.ts"
export type { Identity } from "./capabilities/tab/app/identity.ts"
export type { PeerCaller, PeerFacts, Peers } from "./capabilities/tab/app/peers.ts"
export type { TabSocket } from "./capabilities/tab/app/socket.ts"
export type { Sql, SqlResult, SqlRow, SqlTransaction, SqlValue } from "./capabilities/tab/app/sql.ts"
export { visitorOf } from "./capabilities/tab/app/visitor.ts"
export type { Visitor } from "./capabilities/tab/app/visitor.ts"
