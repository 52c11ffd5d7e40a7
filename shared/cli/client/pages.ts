import { parseCount } from '../arguments/count.ts'
import type { ApiClient, Call } from './api-client.ts'

const PAGE = 1000

/** The pages of a list, until its end or until `limit` items have come. @throws as `ApiClient.call`, UsageError */
export async function* pagesOf<T>(
  client: ApiClient,
  path: string,
  member: string,
  limit: string,
  query: Call['query'] = {},
): AsyncGenerator<readonly T[]> {
  let left = parseCount('--limit', limit)
  let cursor: string | undefined
  while (left > 0) {
    const asked = { ...query, cursor, limit: Math.min(left, PAGE) }
    const page = await client.call(path, { query: asked })
    const items = page[member] as readonly T[]
    yield items.slice(0, left)
    left -= items.length
    const { next } = page
    if (typeof next !== 'string') return
    cursor = next
  }
}
