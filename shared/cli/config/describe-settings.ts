import { showSetting } from '../../config/setting-reader.ts'
import { loadSettings, type Env, type ProcessKind } from '../../config/settings.ts'
import { settingsTable } from '../../config/settings-table.ts'

export interface Described {
  readonly process: ProcessKind
  readonly settings: readonly {
    readonly name: string
    /** Null where it is neither set nor has a default. */
    readonly value: string | null
    readonly from: 'environment' | 'default' | null
  }[]
  readonly keys: readonly {
    readonly name: string
    readonly scopes: readonly string[]
    readonly tenants: string
  }[]
  readonly tenants: readonly {
    readonly tenant: string
    readonly issuer: string | undefined
    readonly hasKeys: boolean
    readonly maxTokenTtlSeconds: number
    readonly maxTokens: number
  }[]
}

/** What a process would run with, read exactly as it reads it. @throws KnellError `config_invalid` */
export function describeSettings(env: Env, kind: ProcessKind, dev: boolean): Described {
  const settings = loadSettings(env, kind, { dev })
  const rows = settingsTable.filter(({ kinds }) => kinds.includes(kind))
  return {
    process: kind,
    settings: rows.map((row) => {
      const given = env[row.name]?.trim() || undefined
      const value = given ?? row.default
      return {
        name: row.name,
        value: value === undefined ? null : unquoted(showSetting(row, value)),
        from: given === undefined ? (row.default === undefined ? null : 'default') : 'environment',
      }
    }),
    keys:
      settings.apiKeys === 'open'
        ? []
        : settings.apiKeys.keys.map(({ name, scopes, tenants }) => ({
            name,
            scopes: [...scopes],
            tenants: tenants === '*' ? 'all' : [...tenants].join(' '),
          })),
    tenants: [...settings.tenants.values()].map((one) => ({
      tenant: one.tenant,
      issuer: one.issuer,
      hasKeys: one.keySet !== undefined || one.jwksUri !== undefined,
      maxTokenTtlSeconds: one.maxTokenTtlSeconds,
      maxTokens: one.maxTokens,
    })),
  }
}

/** Messages put a value in quotation marks; a table needs none. */
function unquoted(text: string): string {
  return text.startsWith('"') ? (JSON.parse(text) as string) : text
}
