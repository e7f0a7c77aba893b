/** Who a server is: a key pair that never leaves the machine or the browser profile, and the name it has at its relay. */

export interface Identity {
  /** The public key (Ed25519, RFC 8032), base64url: 43 characters. The same for as long as the storage lives. */
  readonly key: string
  /** Below which others find it; undefined while it is not public. */
  readonly name: string | undefined
  /** Where everybody reaches it; undefined while it is not public. */
  readonly url: string | undefined
  /** A signature of the bytes, 64 bytes. They get a prefix, so that no signature is good for anything but the application. */
  sign(bytes: Uint8Array): Promise<Uint8Array>
  /** Whether somebody with this key has signed the bytes by `sign`. */
  verify(key: string, bytes: Uint8Array, signature: Uint8Array): Promise<boolean>
}
