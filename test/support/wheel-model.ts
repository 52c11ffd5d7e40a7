import type { Store } from '../../shared/store/store.ts'

/** A token on the wheel, by what it is. */
export interface Lying {
  readonly jti: string
  readonly exp: number
  /** The second in whose hash it lies. */
  readonly second: number
}

export interface Announced {
  readonly kind: 'expired' | 'expiring'
  readonly jti: string
  readonly exp: number
  readonly inSeconds?: number
}

/** The next announcement of a token after a second: the nearest of its lead times, or its `exp`. */
function announcementAfter(second: number, exp: number, leads: readonly number[]): number {
  return Math.min(exp, ...leads.map((lead) => exp - lead).filter((at) => at > second))
}

/** What the wheel is, in plain words: a list of tokens with one place each. */
export class WheelModel {
  readonly tokens: Map<string, Lying> = new Map()
  readonly revoked: Set<string> = new Set()
  nowMs: number

  constructor(nowMs: number) {
    this.nowMs = nowMs
  }

  register(
    jti: string,
    exp: number,
    leads: readonly number[],
    most: number,
  ): 'kept' | 'token_expired' | 'quota_exceeded' {
    if (exp * 1000 <= this.nowMs) return 'token_expired'
    const key = `${jti} ${exp}`
    if (this.tokens.has(key)) return 'kept'
    if (this.tokens.size >= most) return 'quota_exceeded'
    const second = announcementAfter(Math.floor(this.nowMs / 1000), exp, leads)
    this.tokens.set(key, { jti, exp, second })
    return 'kept'
  }

  /** Takes tokens out of a due second, and says what must be announced of them. */
  drain(taken: readonly Lying[], leads: readonly number[]): Announced[] {
    return taken.flatMap(({ jti, exp, second }): Announced[] => {
      const key = `${jti} ${exp}`
      const isQuiet = this.revoked.has(jti)
      if (second === exp) {
        this.tokens.delete(key)
        return isQuiet ? [] : [{ kind: 'expired', jti, exp }]
      }
      const next = announcementAfter(second, exp, leads)
      this.tokens.set(key, { jti, exp, second: next })
      if (isQuiet || next * 1000 <= this.nowMs) return []
      return [{ kind: 'expiring', jti, exp, inSeconds: exp - second }]
    })
  }
}

/** What really lies on the wheel of shard 0. */
export async function readWheel(store: Store, tenant: string): Promise<Lying[]> {
  const keys = store.keys.shard(tenant, 0)
  const found: Lying[] = []
  for (const text of await store.redis.zrange(keys.wheel, '0', '-1')) {
    const second = Number(text)
    for (const field of await store.redis.hkeys(keys.second(second))) {
      const [jti = '', exp = text] = field.split('\n')
      found.push({ jti, exp: Number(exp), second })
    }
  }
  return found
}
