/**
 * Connections to peers, for the server worker: browsers let only windows make them. The page makes one when its worker says
 * so, gives the data channel away at once, and passes on what the two sides have to tell each other. It ends with the page.
 */

import type { RtcCandidate } from "../../capabilities/tab/peers/rtc.ts"

/** From the worker to its page. */
export type RtcOrder = { readonly id: number } & (
  | { readonly do: "connect"; readonly stun: string | undefined }
  | { readonly do: "offer" }
  | { readonly do: "answer" | "accept"; readonly sdp: string }
  | { readonly do: "add"; readonly candidate: RtcCandidate }
  | { readonly do: "close" }
)

/** From the page to its worker. */
export type RtcNews = { readonly id: number } & (
  | { readonly do: "channel"; readonly channel: RTCDataChannel }
  /** An offer or an answer was made; without one, an answer was accepted. */
  | { readonly do: "done"; readonly sdp: string | undefined }
  | { readonly do: "candidate"; readonly candidate: RtcCandidate }
  /** `isHopeless`: this browser has no such connections. */
  | { readonly do: "failed"; readonly text: string; readonly isHopeless: boolean }
)

export class RtcPage {
  readonly #tell: (news: RtcNews, ...transfer: Transferable[]) => void
  readonly #connections = new Map<number, RTCPeerConnection>()

  constructor(tell: (news: RtcNews, ...transfer: Transferable[]) => void) {
    this.#tell = tell
  }

  hear(order: RtcOrder): void {
    this.#follow(order).catch((error: unknown) => this.#fail(order.id, String(error)))
  }

  /** Nobody is left to give orders. */
  closeAll(): void {
    for (const connection of this.#connections.values()) connection.close()
    this.#connections.clear()
  }

  async #follow(order: RtcOrder): Promise<void> {
    const { id } = order
    if (order.do === "connect") {
      this.#connect(id, order.stun)
      return
    }
    const connection = this.#connections.get(id)
    if (connection === undefined) return
    switch (order.do) {
      case "accept":
        await connection.setRemoteDescription({ type: "answer", sdp: order.sdp })
        this.#tell({ id, do: "done", sdp: undefined })
        return
      case "answer":
        await connection.setRemoteDescription({ type: "offer", sdp: order.sdp })
        await this.#describe(id, connection)
        return
      case "offer":
        await this.#describe(id, connection)
        return
      case "add": {
        const { candidate, mid } = order.candidate
        await connection.addIceCandidate({ candidate, sdpMid: mid })
        return
      }
      case "close":
        this.#connections.delete(id)
        connection.close()
    }
  }

  /** An offer, or the answer to one. */
  async #describe(id: number, connection: RTCPeerConnection): Promise<void> {
    await connection.setLocalDescription()
    this.#tell({ id, do: "done", sdp: connection.localDescription?.sdp })
  }

  #connect(id: number, stun: string | undefined): void {
    if (typeof RTCPeerConnection !== "function") {
      this.#fail(id, "This browser has no WebRTC", true)
      return
    }
    const connection = new RTCPeerConnection(stun === undefined ? {} : { iceServers: [{ urls: stun }] })
    this.#connections.set(id, connection)
    connection.onicecandidate = ({ candidate }) => {
      if (!candidate?.candidate) return
      this.#tell({ id, do: "candidate", candidate: { candidate: candidate.candidate, mid: candidate.sdpMid ?? "0" } })
    }
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === "failed") this.#fail(id, "The connection failed")
    }
    // Only before anything else happens to it can it be given away.
    const channel = connection.createDataChannel("rdv", { negotiated: true, id: 0 })
    this.#tell({ id, do: "channel", channel }, channel)
  }

  #fail(id: number, text: string, isHopeless = false): void {
    this.#tell({ id, do: "failed", text, isHopeless })
  }
}
