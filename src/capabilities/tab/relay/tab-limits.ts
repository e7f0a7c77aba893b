/** Every number of a relay's side of tabs with its reason. */

export interface TabLimits {
  /** Names of one key: a server needs one, and people try a second. */
  readonly namesPerKey: number
  /** Names of all who came by one application. */
  readonly namesPerApp: number
  /** New names that may be claimed from one address within an hour; this machine itself is free. */
  readonly newNamesPerHour: number
  /** Sessions of one key: the server, and the one that takes its place, each with one that has lost its link. */
  readonly sessionsPerKey: number
  /** Requests under way at one tab. */
  readonly visitorsPerTab: number
  /** Calls to peers that one tab has under way. */
  readonly callsPerTab: number
  /** Proofs of one address: so many a second, and ten seconds' worth at once; this machine itself is free. */
  readonly proofsPerSecond: number
  /** Used nonces that are remembered; about 100 bytes each, for at most 8 minutes. */
  readonly usedNonces: number
  /** Published applications, and of each: files, bytes of one file and of all. */
  readonly apps: number
  readonly appFiles: number
  readonly appBytes: number
  /** Of all published applications, as they were sent. */
  readonly appsBytes: number
  /** Applications that are being published at the same time. */
  readonly publishing: number
  /** Somebody who publishes and sends nothing for so long is cut off, ms. */
  readonly publishIdleMs: number
  /** Answers of STUN a second, to one address and to all. */
  readonly stunPerAddress: number
  readonly stunPerSecond: number
}

export const defaultTabLimits: TabLimits = {
  namesPerKey: 3,
  namesPerApp: 1_000,
  newNamesPerHour: 10,
  sessionsPerKey: 4,
  visitorsPerTab: 1_000,
  callsPerTab: 256,
  proofsPerSecond: 5,
  usedNonces: 50_000,
  apps: 100,
  appFiles: 2_000,
  appBytes: 64 * 1024 * 1024,
  appsBytes: 1024 * 1024 * 1024,
  publishing: 4,
  publishIdleMs: 60_000,
  stunPerAddress: 20,
  stunPerSecond: 5_000,
}
