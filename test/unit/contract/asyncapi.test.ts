import { fromFile, Parser } from '@asyncapi/parser'
import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { exchangesOf } from '../../../shared/broker/topology.ts'
import { checkout } from '../../../shared/cli/checkout.ts'
import { kindsOfLog, parseEntry } from '../../../shared/domain/entry.ts'
import {
  ackKey,
  beatKey,
  namesOf,
  RETRY_STEPS_MS,
  serviceNamesOf,
} from '../../../shared/domain/names.ts'
import { SIGNATURE_HEADER } from '../../../shared/signing/detached-jws.ts'
import { traceHeaders } from '../../../shared/tracing/trace-text.ts'

interface Channel {
  readonly address: string
  readonly parameters: Readonly<Record<string, { readonly enum?: readonly string[] }>>
  readonly messages?: Readonly<Record<string, unknown>>
  readonly bindings: { readonly amqp: { readonly exchange: { readonly name: string } } }
}

interface Message {
  readonly bindings: { readonly amqp: { readonly messageType: string } }
  readonly examples?: readonly { readonly payload: unknown }[]
}

const path = join(checkout, 'docs', 'asyncapi.yaml')
const text = readFileSync(path, 'utf8')
const document = parse(text) as {
  readonly channels: Readonly<Record<string, Channel>>
  readonly components: {
    readonly messages: Readonly<Record<string, Message>>
    readonly schemas: { readonly headers: { readonly properties: object } }
  }
}
const { channels, components } = document
const names = namesOf()

describe('docs/asyncapi.yaml', function () {
  this.timeout(30_000)

  it('is valid AsyncAPI 3.0, with every reference in this repository', async () => {
    expect(text).to.not.match(/\$ref: *['"]?https?:/)
    const { document: parsed, diagnostics } = await fromFile(new Parser(), path).parse()
    // 0 is an error, 1 a warning; 2 recommends a later version of AsyncAPI.
    const problems = diagnostics.filter(({ severity }) => [0, 1].includes(severity))
    expect(problems.map(({ message, path: at }) => `${at.join('/')}: ${message}`)).to.deep.equal([])
    const payload = parsed?.components().messages().get('revoked')?.payload()?.json()
    expect(payload).to.have.nested.property('properties.events.items.properties.cutoffs')
  })

  it('names every exchange, and no other', () => {
    const found = new Set(
      Object.values(channels).map(({ bindings }) => bindings.amqp.exchange.name),
    )
    expect([...found]).to.have.members(exchangesOf(names))
  })

  it('gives every channel the routing key that the code uses', () => {
    const service = serviceNamesOf(names, '{service}')
    const keys = {
      revocations: '{tenant}.{kind}',
      expiries: '{tenant}.{kind}',
      beats: beatKey('{tenant}'),
      acks: ackKey('{tenant}', '{service}'),
      retries: '{service}.{step}',
      dead: service.deadKey,
    }
    const found = Object.fromEntries(
      Object.entries(channels).map(([name, { address }]) => [name, address]),
    )
    expect(found).to.deep.equal(keys)
    for (const key of [...RETRY_STEPS_MS.keys()].map((step) => service.retryKey(step + 1))) {
      expect(key).to.match(/^\{service\}\.\d$/)
    }
    for (const key of [service.nowKey, service.resendKey]) {
      expect(key).to.match(/^\{service\}\.(now|resend)$/)
    }
  })

  it('knows the kinds of each log, with a message for each', () => {
    for (const [log, kinds] of Object.entries(kindsOfLog)) {
      expect(channels[log]?.parameters['kind']?.enum, log).to.deep.equal(kinds)
      expect(Object.keys(channels[log]?.messages ?? {}), log).to.deep.equal(kinds)
    }
    const types = Object.entries(components.messages).map(([name, { bindings }]) => [
      name,
      bindings.amqp.messageType,
    ])
    const wanted = [...Object.values(kindsOfLog).flat(), 'beat', 'ack']
    expect(types).to.deep.equal(wanted.map((kind) => [kind, `knell.${kind}`]))
  })

  it('names the header of the signature, and those of a trace', () => {
    expect(components.schemas.headers.properties).to.include.keys(
      SIGNATURE_HEADER,
      ...Object.keys(traceHeaders('parent\nstate')),
    )
  })

  it('shows entries that a view can read', () => {
    const examples = Object.values(components.messages).flatMap(({ examples: all = [] }) => all)
    expect(examples).to.not.deep.equal([])
    for (const { payload } of examples) expect(() => parseEntry(payload)).to.not.throw()
  })
})
