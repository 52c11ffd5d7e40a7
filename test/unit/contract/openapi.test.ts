import { Validator } from '@seriousme/openapi-schema-validator'
import { expect } from 'chai'
import fc from 'fast-check'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseMatch } from '../../../shared/domain/claims.ts'
import { checkout, compiled } from '../../../shared/cli/checkout.ts'
import { runCommand } from '../../../shared/cli/engines/run-command.ts'
import { scopes } from '../../../shared/config/api-keys.ts'
import { matchSchema, serviceSchema, tenantSchema } from '../../../shared/http/schemas.ts'
import { toSchema } from '../../../shared/http/openapi/to-schema.ts'
import { createChecker } from '../../support/contract-schemas.ts'
import { openapiFile, operations } from '../../support/openapi.ts'

/** The calls that route files add, wherever in the processes they lie. */
function callsInCode(): string[] {
  const folders = ['notifier/routes', 'notifier/issuer', 'poller/routes', 'shared/http/routes']
  return folders.flatMap((folder) => {
    const path = join(checkout, folder)
    if (!existsSync(path)) return []
    return readdirSync(path).flatMap((file) =>
      [
        ...readFileSync(join(path, file), 'utf8').matchAll(
          /app\.(get|post|put|patch|delete)\('([^']+)'/g,
        ),
      ].map(([, method = '', url = '']) => `${method.toUpperCase()} ${url}`),
    )
  })
}

describe('docs/openapi.json', function () {
  this.timeout(30_000)

  it('is what npm run contracts makes of the code', async () => {
    const file = join(compiled, 'shared', 'cli', 'contracts.js')
    const { code, output } = await runCommand(process.execPath, [file, '--check'], {
      timeoutMs: 20_000,
    })
    expect(code, output).to.equal(0)
  })

  it('is valid OpenAPI 3.1', async () => {
    expect(await new Validator().validate(openapiFile)).to.deep.equal({ valid: true })
  })

  it('describes every call, and no other', () => {
    const inCode = callsInCode().filter((call) => !/^\w+ \/ops(?:\/|$)/.test(call))
    const hint =
      'describe it in shared/http/calls or notifier/calls, add that to the list there, and run npm run contracts'
    for (const call of inCode) expect(operations.has(call), `${call}: ${hint}`).to.equal(true)
    expect([...operations.keys()]).to.have.members(inCode)
  })

  it('names each operation once, and only scopes that there are', () => {
    const ids = [...operations.values()].map(({ operationId }) => operationId)
    expect(new Set(ids).size).to.equal(ids.length)
    const named = [...operations.values()].flatMap(({ security }) =>
      security.flatMap(({ key = [] }) => key),
    )
    expect([...new Set(named), '*']).to.have.members(scopes)
  })

  it('shows what a schema of our own takes as that schema takes it', () => {
    const names = ['default', '_all', 'a', '', 'A-b_9', 'x'.repeat(40), 'x'.repeat(41), 'Ü', 'a b']
    for (const schema of [tenantSchema, serviceSchema]) {
      const { $ref } = toSchema(schema, 'input')
      const check = createChecker()(String($ref))
      fc.assert(
        fc.property(fc.oneof(fc.constantFrom(...names), fc.string()), (name) => {
          expect(check(name).length === 0, name).to.equal(schema.safeParse(name).success)
        }),
      )
    }
    const check = createChecker()(String(toSchema(matchSchema, 'input')['$ref']))
    expect(check({ sub: 'alice' })).to.deep.equal([])
    expect(() => parseMatch({ a: 1, b: 2, c: 3, d: 4 })).to.throw()
    expect(check({ a: 1, b: 2, c: 3, d: 4 })).to.not.deep.equal([])
  })
})
