import { Argument, type Command } from 'commander'
import process from 'node:process'
import { describeSettings } from '../config/describe-settings.ts'
import { withExamples } from '../examples.ts'
import { withJson } from '../client/connection-options.ts'
import { answer } from '../terminal/print.ts'
import { toTable } from '../terminal/table.ts'
import type { ProcessKind } from '../../config/settings.ts'

/** `knell config`: what a process would run with. */
export function addConfigCommand(program: Command): void {
  const config = program.command('config').description('the settings that a process would run with')
  const print = withJson(
    config
      .command('print')
      .description('every setting and where it comes from, secrets masked; exit 78 where unusable')
      .addArgument(
        new Argument('[process]', 'whose').choices(['notifier', 'poller']).default('notifier'),
      )
      .option('--dev', 'as with --dev: without API keys'),
  )
  withExamples(print, [
    ['knell config print', 'those of a notifier'],
    ['knell config print poller --json', 'those of a poller, for a machine'],
  ])
  print.action((kind: ProcessKind, { dev, json }: { dev?: boolean; json?: boolean }) => {
    const described = describeSettings(process.env, kind, dev === true)
    answer(json, described, () => {
      const settings = toTable(
        ['setting', 'value', 'from'],
        described.settings.map(({ name, value, from }) => [name, value, from]),
      )
      const keys = toTable(
        ['API key', 'scopes', 'tenants'],
        described.keys.map(({ name, scopes, tenants }) => [name, scopes.join(' '), tenants]),
      )
      const tenants = toTable(
        ['tenant', 'issuer', 'keys', 'longest life', 'most tokens'],
        described.tenants.map((one) => [
          one.tenant,
          one.issuer,
          one.hasKeys ? 'yes' : 'none',
          `${one.maxTokenTtlSeconds} s`,
          one.maxTokens,
        ]),
      )
      return [settings, keys, tenants].filter((text) => text !== '').join('\n\n')
    })
  })
}
