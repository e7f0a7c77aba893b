/**
 * Every number of the wire format with its reason. What a peer may configure stands in `mux/limits.ts`.
 */

/** Payload of one frame. 64 KiB: at 2 GB/s a frame holds the link for 32 µs, and its header costs 0.01 %. */
export const maxFramePayload: number = 64 * 1024

/** HELLO comes from strangers and is stored before they are known: a token, an id and a few numbers fit in far less. */
export const maxHelloPayload: number = 8 * 1024

/** A reason is a line for people. */
export const maxReasonBytes: number = 512

/** Bytes between two CHECK frames: what a receiver must hold back before it may deliver. */
export const maxUncheckedBytes: number = 256 * 1024

/** The least window of a stream: twice a payload, because credit is saved up to half a window and META goes in one piece. */
export const minWindowBytes: number = 2 * maxFramePayload

/** No credit grows above this: far more than any window, far from where sums of 32-bit numbers go wrong. */
export const maxCreditBytes: number = 2 ** 30

/** Service names are words. The length field has one byte. */
export const maxServiceBytes: number = 100
