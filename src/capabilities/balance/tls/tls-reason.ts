/** Why TLS failed, in words: what OpenSSL and Node say is written for those who know their source. */

/** One clause, such as `it is not TLS`; `peer` is who is on the other side. */
export function tlsReason(error: Error, peer: "client" | "target"): string {
  const { code = "", reason } = error as { code?: string; reason?: string }
  const known = reasons[code.replace(/^ERR_SSL_/, "")] ?? certificateReasons[code]
  if (known !== undefined) return known.replaceAll("PEER", `the ${peer}`)
  const alert = /ALERT_([A-Z_]+)$/.exec(code)?.[1]
  if (alert !== undefined) return `the ${peer} ended it: ${alert.toLowerCase().replaceAll("_", " ")}`
  return reason ?? error.message
}

const unknownAuthority = "the certificate of PEER is not from an authority that is trusted here"

const certificateReasons: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "the certificate of PEER is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  CERT_SIGNATURE_FAILURE: unknownAuthority,
  CERT_UNTRUSTED: unknownAuthority,
  CERT_HAS_EXPIRED: "the certificate of PEER has expired",
  CERT_NOT_YET_VALID: "the certificate of PEER is not valid yet",
  CERT_REVOKED: "the certificate of PEER is revoked",
  INVALID_PURPOSE: "the certificate of PEER is for another purpose",
  ERR_TLS_CERT_ALTNAME_INVALID: "the certificate of PEER is for another name",
}

const reasons: Readonly<Record<string, string>> = {
  HTTP_REQUEST: "PEER speaks plain HTTP",
  WRONG_VERSION_NUMBER: "PEER does not speak TLS",
  PACKET_LENGTH_TOO_LONG: "PEER does not speak TLS",
  UNEXPECTED_MESSAGE: "PEER does not speak TLS",
  UNSUPPORTED_PROTOCOL: "PEER speaks older versions of TLS only",
  VERSION_TOO_LOW: "PEER speaks older versions of TLS only",
  TLSV1_ALERT_PROTOCOL_VERSION: "PEER does not speak our versions of TLS",
  NO_SHARED_CIPHER: "PEER has no cipher in common with us",
  NO_SUITABLE_SIGNATURE_ALGORITHM: "PEER has no signature algorithm in common with us",
  NO_APPLICATION_PROTOCOL: "PEER offers none of our protocols (ALPN)",
  TLSV1_ALERT_NO_APPLICATION_PROTOCOL: "PEER takes none of the protocols that we offer (ALPN)",
  PEER_DID_NOT_RETURN_A_CERTIFICATE: "PEER shows no certificate",
  TLSV13_ALERT_CERTIFICATE_REQUIRED: "PEER wants a certificate of us",
  TLSV1_ALERT_UNKNOWN_CA: "PEER does not trust the authority of our certificate",
  ECONNRESET: "PEER left during the handshake",
  EPIPE: "PEER left during the handshake",
}
