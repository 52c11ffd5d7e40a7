import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from '../../shared/cli/engines/run-command.ts'

/** A certificate and its key, as files and as PEM. */
export interface Certificate {
  readonly certFile: string
  readonly keyFile: string
  readonly cert: string
  readonly key: string
}

export interface Authority extends Certificate {
  /** Signs a certificate for these names (`DNS:localhost`, `IP:127.0.0.1`). */
  issue(name: string, options?: { names?: readonly string[]; days?: number }): Promise<Certificate>
}

export interface Certificates {
  /** A path in the folder. */
  fileOf(name: string, end: string): string
  /** An authority of its own: nobody but who is given its certificate trusts it. */
  authority(name: string): Promise<Authority>
  remove(): void
}

/** Makes certificates with OpenSSL in a folder that `remove` deletes. */
export function openCertificates(openssl: string): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'knell-certificates-'))
  const run = async (args: readonly string[]): Promise<void> => {
    const { code, output } = await runCommand(openssl, args, { timeoutMs: 30_000 })
    if (code !== 0) throw new Error(`openssl ${args.join(' ')} failed:\n${output}`)
  }
  const fileOf = (name: string, end: string): string => join(folder, `${name}.${end}`)
  const read = (name: string): Certificate => {
    const [certFile, keyFile] = [fileOf(name, 'crt'), fileOf(name, 'key')]
    return {
      certFile,
      keyFile,
      cert: readFileSync(certFile, 'utf8'),
      key: readFileSync(keyFile, 'utf8'),
    }
  }
  const newKey = (name: string): string[] => [
    ...words('-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -keyout'),
    fileOf(name, 'key'),
    '-subj',
    `/O=Knell tests/CN=${name}`,
  ]
  return {
    fileOf,
    async authority(name) {
      await run(['req', '-x509', ...newKey(name), '-out', fileOf(name, 'crt'), '-days', '30'])
      return {
        ...read(name),
        async issue(leaf, { names = [], days = 30 } = {}) {
          const [request, extensions] = [fileOf(leaf, 'csr'), fileOf(leaf, 'ext')]
          await run(['req', ...newKey(leaf), '-out', request])
          const alt = names.length > 0 ? [`subjectAltName=${names.join(',')}`] : []
          writeFileSync(extensions, ['extendedKeyUsage=serverAuth,clientAuth', ...alt].join('\n'))
          const by = ['-CA', fileOf(name, 'crt'), '-CAkey', fileOf(name, 'key'), '-CAcreateserial']
          const to = ['-days', `${days}`, '-extfile', extensions, '-out', fileOf(leaf, 'crt')]
          await run(['x509', '-req', '-in', request, ...by, ...to])
          return read(leaf)
        },
      }
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

function words(text: string): string[] {
  return text.split(' ')
}
