/** Forms, held in memory as a whole and therefore no larger than somebody allows. */

import { Refusal } from "./refusal.ts"

export async function readForm(request: Request, mostBytes = 65_536): Promise<FormData> {
  const type = request.headers.get("content-type") ?? ""
  if (!/^(multipart\/form-data|application\/x-www-form-urlencoded)/.test(type)) throw new Refusal(400, "Not a form")
  if (request.body === null) throw new Refusal(400, "The form is empty")
  let left = mostBytes
  const bounded = request.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        left -= chunk.length
        if (left < 0) controller.error(new Refusal(413, "The form is too large"))
        else controller.enqueue(chunk)
      },
    }),
  )
  try {
    // oxlint-disable-next-line typescript/no-deprecated -- it is bounded
    return await new Response(bounded, { headers: { "content-type": type } }).formData()
  } catch (error) {
    if (left < 0) throw new Refusal(413, "The form is too large")
    throw new Refusal(400, `Not a form: ${error instanceof Error ? error.message : String(error)}`)
  }
}
