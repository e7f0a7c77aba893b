/**
 * What the page and its worker say to each other. The worker does all the work: keys, the session, chunks, storage. The
 * page shows what it hears and passes on what the user wants.
 */

import type { ByteWays, SwarmPicture } from "../../capabilities/share/protocol/control.ts"

export type Order =
  | {
      readonly do: "receive"
      /** `wss://host:port`. */
      readonly relay: string
      /** The link, or the code alone. */
      readonly code: string
      readonly password: string
    }
  /** The user wants what is offered; `into`: straight into this file. */
  | { readonly do: "accept"; readonly into: FileSystemFileHandle | undefined }
  | {
      readonly do: "send"
      readonly relay: string
      /** `https://host:port`: what links begin with. */
      readonly base: string
      readonly name: string
      readonly files: readonly GivenFile[]
      readonly password: string
      readonly token: string
      readonly once: boolean
      readonly expiresMs: number | undefined
      readonly maxPeers: number | undefined
    }
  /** Copies what was received into a folder that the user has chosen. */
  | { readonly do: "save"; readonly into: FileSystemDirectoryHandle }
  /** Makes an archive of what was received. */
  | { readonly do: "pack" }
  /** Ends in good order; `discard` forgets what was received, `end` ends the whole swarm for its sender. */
  | { readonly do: "leave"; readonly discard: boolean }
  /** The machine was asleep, or the network has changed. */
  | { readonly do: "refresh" }

export interface GivenFile {
  readonly path: string
  readonly content: File
}

export type News =
  | { readonly do: "receiving"; readonly state: ReceivingState }
  | { readonly do: "sending"; readonly state: SendingState }
  | { readonly do: "swarm"; readonly picture: SwarmPicture }
  /** Everything is there. */
  | {
      readonly do: "files"
      readonly name: string
      readonly files: readonly SavedFile[]
      readonly remarks: readonly string[]
    }
  | { readonly do: "packed"; readonly name: string; readonly archive: Blob }
  | { readonly do: "saved"; readonly folder: string }
  /** Saving alone went wrong. */
  | { readonly do: "unsaved"; readonly problem: Problem }
  | { readonly do: "left" }

export interface SavedFile {
  readonly mtimeMs: number | undefined
  readonly path: string
  readonly content: Blob
}

export interface Problem {
  readonly title: string
  /** What helps. */
  readonly mend: string
  /** What the user may give to try again. */
  readonly asks?: "password" | "token" | "again"
}

export interface Offer {
  readonly name: string
  readonly bytes: number
  readonly files: number
  /** The first ones. */
  readonly paths: readonly { readonly path: string; readonly bytes: number }[]
  readonly isFile: boolean
}

export interface ReceivingState {
  readonly phase: "keys" | "joining" | "offered" | "preparing" | "receiving" | "finishing" | "done" | "failed"
  readonly offer: Offer | undefined
  /** What travels: zeros and what comes twice do not. */
  readonly allBytes: number
  readonly haveBytes: number
  /** Of an earlier visit. */
  readonly foundBytes: number
  readonly bytesPerSecond: number
  /** ms; undefined while nobody knows. */
  readonly leftMs: number | undefined
  readonly via: ByteWays
  /** To others. */
  readonly sentBytes: number
  /** Of 32 equal parts of all chunks, how much is there: 0-9. */
  readonly line: string
  readonly storage: "storage" | "file" | "memory" | undefined
  readonly isConnected: boolean
  readonly waits: string | undefined
  readonly problem: Problem | undefined
}

export interface SendingState {
  readonly phase: "reading" | "publishing" | "shared" | "ended" | "failed"
  readonly name: string
  readonly bytes: number
  readonly readBytes: number
  readonly code: string | undefined
  readonly link: string | undefined
  readonly isConnected: boolean
  /** Nobody needs this page any more: each part is elsewhere, in the relay or with somebody who stays. */
  readonly mayLeave: boolean
  readonly finished: number
  readonly sentBytes: number
  readonly bytesPerSecond: number
  readonly problem: Problem | undefined
}
