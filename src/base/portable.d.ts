/**
 * The globals that Node, a page and a worker all have, and that the portable folders may use.
 * Only the portable compiler project includes this file: whatever is not declared here, `Buffer` and `process`
 * among it, is a compile error there.
 */
declare function setTimeout(callback: () => void, delayMs?: number): unknown
declare function clearTimeout(timer: unknown): void
declare function queueMicrotask(callback: () => void): void
declare const performance: { now(): number }
declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>
  encodeInto(text: string, into: Uint8Array): { read: number; written: number }
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean })
  decode(bytes?: Uint8Array): string
}
declare class AbortSignal {
  readonly aborted: boolean
  readonly reason: unknown
  addEventListener(type: "abort", listener: () => void, options?: { once?: boolean }): void
  removeEventListener(type: "abort", listener: () => void): void
  throwIfAborted(): void
}
declare class AbortController {
  readonly signal: AbortSignal
  abort(reason?: unknown): void
}
interface CryptoKey {
  readonly type: string
}
declare const crypto: {
  getRandomValues<T extends Uint8Array>(into: T): T
  readonly subtle: {
    importKey(
      format: "raw",
      key: Uint8Array,
      algorithm: { name: "HMAC"; hash: "SHA-256" },
      extractable: boolean,
      usages: string[],
    ): Promise<CryptoKey>
    sign(algorithm: "HMAC", key: CryptoKey, data: Uint8Array): Promise<ArrayBuffer>
    importKey(
      format: "raw",
      key: Uint8Array,
      algorithm: "AES-GCM",
      extractable: boolean,
      usages: string[],
    ): Promise<CryptoKey>
    digest(algorithm: "SHA-256", data: Uint8Array): Promise<ArrayBuffer>
    encrypt(algorithm: { name: "AES-GCM"; iv: Uint8Array }, key: CryptoKey, data: Uint8Array): Promise<ArrayBuffer>
    decrypt(algorithm: { name: "AES-GCM"; iv: Uint8Array }, key: CryptoKey, data: Uint8Array): Promise<ArrayBuffer>
  }
}
interface MessageEvent {
  readonly data: unknown
}
declare class WebSocket {
  constructor(url: string, protocols?: string | string[])
  binaryType: "arraybuffer" | "blob"
  readonly bufferedAmount: number
  readonly readyState: number
  readonly protocol: string
  send(bytes: Uint8Array): void
  close(code?: number, reason?: string): void
  addEventListener(type: "open" | "error", listener: () => void): void
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void
  addEventListener(type: "close", listener: (event: { code: number; reason: string }) => void): void
}

declare class MessageChannel {
  readonly port1: unknown
  readonly port2: { postMessage(message: unknown): void }
}
