import { isKnellError, KnellError } from '../domain/errors.ts'
import { corrupt } from './stored-json.ts'

/** What Redis or the driver said, as a coded error. Decided by the first word of Redis's own reply. */
export function toStoreError(error: unknown): KnellError {
  if (isKnellError(error)) return error
  const text = error instanceof Error ? error.message : String(error)
  const word = /^(?:ReplyError: )?([A-Z]+)\b/.exec(text)?.[1] ?? ''
  switch (word) {
    case 'OOM':
      return new KnellError(
        'store_full',
        'The store is out of memory; raise maxmemory and try again.',
        {
          cause: error,
        },
      )
    case 'NOAUTH':
    case 'WRONGPASS':
    case 'NOPERM':
      return new KnellError(
        'store_unavailable',
        'The store refuses our credentials; check REDIS_URL and the ACL of its user.',
        { cause: error },
      )
    case 'WRONGTYPE':
      return corrupt(error)
    case 'ERR':
    case 'CROSSSLOT':
      // A script that cannot go on found something other than what scripts of ours write.
      if (/user_script|Error running script/.test(text)) return corrupt(error)
      return new KnellError('internal', `The store refused a command: ${text}`, { cause: error })
    default:
      return new KnellError(
        'store_unavailable',
        'The store does not answer or cannot write now; try again in a moment.',
        { cause: error },
      )
  }
}
