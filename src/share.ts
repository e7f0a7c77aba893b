/**
 * The face for shares: `import { share, get } from "rdv/share"`. One file or folder for many machines: through a relay,
 * directly between them, or by multicast, encrypted with what the code holds; docs/how-to/share-files.md.
 */

export { errorCodes, RdvError } from "./base/error.ts"
export type { ErrorCode } from "./base/error.ts"
export { newCode, parseCode, printCode } from "./capabilities/share/code/code.ts"
export type { Code } from "./capabilities/share/code/code.ts"
export type { ByteWays, MemberPicture, SwarmPicture } from "./capabilities/share/protocol/control.ts"
export type { RelayOptions } from "./share-access.ts"
export { get } from "./start-get.ts"
export type { Get, GetEvent, GetFigures, GetOptions } from "./start-get.ts"
export { share } from "./start-share.ts"
export type { Share, ShareEvent, ShareOptions } from "./start-share.ts"
