/**
 * What members and the relay say to each other on the stream of the service `share`: JSON metadata blocks, strictly read
 * by both sides (`read-control.ts`). Tables of chunks travel in line as the stream's bytes. Chunks never do: they have
 * paths of their own (docs/reference/share-protocol.md).
 */

/** A member opens one stream of this service to the relay. */
export const shareService = "share"
/** A path of chunks over the session, for members without a connection of their own; its header is `{ ticket }`. */
export const piecesService = "share/pieces"

/** The header of a `share` stream. Byte strings are base64url. */
export type ShareHeader = PublishHeader | JoinHeader | WatchHeader

/** Facts of one version, in front of its table's bytes. */
export interface TableFacts {
  /** 1 and up. */
  readonly version: number
  /** Of the encoded table; they follow on the stream. */
  readonly bytes: number
  /** HMAC-SHA-256 of the encoded table under `SwarmKeys.table`, which the relay cannot make. */
  readonly mac: string
}

export interface ShareRules {
  /** The swarm ends when one receiver has finished, and those who had begun by then. */
  readonly once?: boolean
  /** From now, ms. */
  readonly expiresMs?: number
  readonly maxPeers?: number
  /** False: the relay keeps nothing, it passes on. */
  readonly cache?: boolean
}

export interface PublishHeader extends ShareRules {
  readonly do: "publish"
  /** The first half of the code: six digits. */
  readonly swarm: string
  /** This installation in this swarm, the same over new sessions; 1-64 characters of base64url. */
  readonly member: string
  /** SHA-256 of `SwarmKeys.access`. */
  readonly access: string
  /** A secret of the sender: later versions and a second publication of the same swarm need the same one. */
  readonly publisher: string
  readonly table: TableFacts
}

export interface JoinHeader {
  readonly do: "join"
  readonly swarm: string
  readonly member: string
  /** `SwarmKeys.access` itself. */
  readonly access: string
  /** What it is called in the picture of the swarm: a host name, `browser`. At most 64 characters. */
  readonly label?: string
  /** It wants to know what there is, and takes no place before it says `begin`. */
  readonly looks?: boolean
}

/** Hears about the swarm and takes no part. */
export interface WatchHeader {
  readonly do: "watch"
  readonly swarm: string
  readonly access: string
}

/** From a member. */
export type MemberMessage =
  /** Another version follows: `table.bytes` of the stream. From the publisher only. */
  | { readonly do: "version"; readonly table: TableFacts }
  /**
   * All that it has of this version, `bitmap` being a `Bitmap`: behind each table, before anything else about it, and again
   * when it has looked at what an earlier run or version left (the manifest's chunks come first, so it cannot look before).
   */
  | { readonly do: "holds"; readonly version: number; readonly bitmap: string }
  /** What it has got since. `via` counts bytes by where they came from. */
  | { readonly do: "have"; readonly version: number; readonly chunks: readonly number[]; readonly via: ByteWays }
  /** It has them no more: the file has changed, or the disk lost them. */
  | { readonly do: "lost"; readonly version: number; readonly chunks: readonly number[] }
  /** How much may be under way to it at once, bytes. 0 pauses. */
  | { readonly do: "window"; readonly bytes: number }
  /** Most that it wants to send to others, bytes/s; 0: nothing, undefined: what the network gives. */
  | { readonly do: "uplink"; readonly bytesPerSecond?: number }
  /** A chunk did not come as it was said. `from` is a member, or `relay`. */
  | {
      readonly do: "failed"
      readonly version: number
      readonly chunk: number
      readonly from: string
      readonly why: "corrupt" | "late" | "refused" | "lost"
    }
  /** Where it listens for others, `host:port` each, at most 16; and whether it may be told of others. */
  | { readonly do: "reach"; readonly addresses: readonly string[] }
  /** A path of its own to another member. */
  | { readonly do: "path"; readonly member: string; readonly state: "up" | "down"; readonly over: string }
  /** It joined to look, and receives from now on. */
  | { readonly do: "begin" }
  /** The receiver has everything in its place, or never will. */
  | { readonly do: "done"; readonly version: number }
  | { readonly do: "failure"; readonly reason: string }
  /** It can hear the sender's multicast. */
  | { readonly do: "cast"; readonly state: "heard" | "deaf" }
  /** From the publisher: every chunk goes out once by multicast; `over` when that is done. */
  | { readonly do: "casting"; readonly state: "begun" | "over" }
  /** From the publisher: nobody new comes in, and with `now` the swarm is over. */
  | { readonly do: "end"; readonly now?: boolean }

/** Bytes of chunks by where they came from. */
export interface ByteWays {
  readonly relay: number
  readonly direct: number
  readonly cast: number
}

/** From the relay. */
export type RelayMessage =
  /** First of all. `ticket` opens paths of chunks; `member` numbers this member in messages to others. */
  | {
      readonly do: "welcome"
      readonly you: string
      readonly ticket: string
      /** Where the relay takes connections for chunks: the address the member dialled, if true. */
      readonly connections: boolean
      /** The page of the swarm, without the secret. For the publisher. */
      readonly url?: string
      readonly once: boolean
      /** ms from now; undefined: never. */
      readonly expiresMs?: number
    }
  /** A version; `bytes` of the stream follow. Not to its publisher. */
  | { readonly do: "table"; readonly table: TableFacts }
  /** Fetch these chunks directly: pairs of chunk and member. */
  | { readonly do: "take"; readonly version: number; readonly chunks: readonly (readonly [number, string])[] }
  /** Do not wait for these any more. */
  | { readonly do: "drop"; readonly version: number; readonly chunks: readonly number[] }
  /** Others that may be reached directly. The one that `dial`s is told so; the other one waits. */
  | { readonly do: "peers"; readonly peers: readonly PeerAddress[] }
  /**
   * To a member that waits: nobody who is here has these chunks that it lacks, ranges of first and last, at most 32. `more`
   * counts chunks beyond them. Told within two seconds, again when it changes, and with no ranges when it is over.
   */
  | {
      readonly do: "nowhere"
      readonly version: number
      readonly ranges: readonly (readonly [number, number])[]
      readonly more: number
    }
  /**
   * To a receiver behind `done`, within a second and whenever it changes: whether somebody who is here lacks a chunk that
   * fewer than two others have. Who is not needed may leave and nobody waits longer for it.
   */
  | { readonly do: "needed"; readonly needed: boolean }
  /** Once a second to publishers and watchers while something changes. */
  | { readonly do: "swarm"; readonly picture: SwarmPicture }
  /** To the publisher: somebody is through. `member` is a label. */
  | { readonly do: "finished"; readonly member: string; readonly ms: number }
  | { readonly do: "failure"; readonly member: string; readonly reason: string }

export interface PeerAddress {
  readonly member: string
  readonly addresses: readonly string[]
  readonly dial: boolean
}

/** Who has what, for people and for `--json`. */
export interface SwarmPicture {
  readonly swarm: string
  readonly version: number
  readonly chunks: number
  /** Of all chunks, sealed. */
  readonly bytes: number
  /** Chunks that exist so many times in the swarm, the relay's cache not counted: index 0 is "nowhere". At most 10 entries; the last counts the rest. */
  readonly copies: readonly number[]
  readonly cache: { readonly chunks: number; readonly bytes: number; readonly hits: number; readonly misses: number }
  readonly relay: { readonly inBytes: number; readonly outBytes: number }
  readonly members: readonly MemberPicture[]
  /** Of the members that `members` leaves out (more than 200). */
  readonly more: number
}

export interface MemberPicture {
  readonly label: string
  readonly role: "sender" | "receiver"
  /** `looking`: it knows what there is, and has not begun. */
  readonly state: "working" | "done" | "waiting" | "looking" | "away" | "failed"
  readonly have: number
  /** Shares of 32 equal parts of the chunks that it has, 0-9 each: a line to draw. */
  readonly line: string
  readonly inBytesPerSecond: number
  readonly outBytesPerSecond: number
  readonly via: ByteWays
  readonly paths: number
  /** What it waits for, or what went wrong. */
  readonly note?: string
}
