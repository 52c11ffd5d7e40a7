/** How likely each fault is, at each of its chances. */
export interface Rates {
  /** A process dies at a call of its own: before it had an effect, or after, before the answer. */
  readonly crash: number
  /** A message takes long, up to 3 s. */
  readonly slow: number
  readonly storeRequestLost: number
  readonly storeAnswerLost: number
  /** A command is executed twice, since its connection broke before the answer. */
  readonly storeTwice: number
  readonly httpRequestLost: number
  readonly httpAnswerLost: number
  /** An answer breaks off in its midst. */
  readonly httpCut: number
  readonly nack: number
  /** A queue loses a message. */
  readonly drop: number
}

export const CALM: Rates = {
  crash: 0,
  slow: 0,
  storeRequestLost: 0,
  storeAnswerLost: 0,
  storeTwice: 0,
  httpRequestLost: 0,
  httpAnswerLost: 0,
  httpCut: 0,
  nack: 0,
  drop: 0,
}
