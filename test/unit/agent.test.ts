import { expect } from 'chai'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { isLocal, parseAddress } from '../../shared/agent/address.ts'
import { loadAgentSettings } from '../../shared/agent/agent-settings.ts'
import { claimsHeaders } from '../../shared/agent/claims-headers.ts'
import { parseDemand } from '../../shared/agent/demand.ts'
import { listen } from '../../shared/agent/listen.ts'
import { checkout } from '../../shared/cli/checkout.ts'

const read = (file: string): string => readFileSync(join(checkout, 'docs/agent', file), 'utf8')

/** Every value of this member, wherever it stands. */
function membersOf(value: unknown, name: string): unknown[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, member]) =>
    key === name ? [member] : membersOf(member, name),
  )
}

describe('where the agent listens', () => {
  it('is a host and a port, or a socket', () => {
    expect(parseAddress('127.0.0.1:7072')).to.deep.equal({
      kind: 'tcp',
      host: '127.0.0.1',
      port: 7072,
    })
    expect(parseAddress('[::1]:0')).to.deep.equal({ kind: 'tcp', host: '::1', port: 0 })
    expect(parseAddress('unix:/run/a b.sock')).to.deep.equal({
      kind: 'socket',
      path: '/run/a b.sock',
    })
    for (const wrong of ['', '7072', ':7072', 'a:65536', '::1:7072', '[127.0.0.1]:1', 'unix:a']) {
      expect(parseAddress(wrong), wrong).to.equal(undefined)
    }
    expect(parseAddress(`unix:/${'x'.repeat(102)}`)).to.not.equal(undefined)
    expect(parseAddress(`unix:/${'x'.repeat(103)}`)).to.equal(undefined)
  })

  it('is local on loopback and on a socket only', () => {
    for (const local of ['127.0.0.1:1', '127.9.9.9:1', '[::1]:1', 'localhost:1', 'unix:/a']) {
      expect(isLocal(parseAddress(local) ?? fail(local)), local).to.equal(true)
    }
    for (const remote of ['0.0.0.0:1', '[::]:1', '10.0.0.1:1', 'localhost.example:1']) {
      expect(isLocal(parseAddress(remote) ?? fail(remote)), remote).to.equal(false)
    }
  })
})

describe('the socket of the agent', () => {
  it('has its mode from its first moment on, and the process its own mask', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'knell-socket-'))
    const path = join(folder, 'agent.sock')
    const server = createServer()
    const mask = process.umask(0)
    try {
      const listening = listen(server, { kind: 'socket', path }, 0o640)
      expect(statSync(path).mode & 0o777).to.equal(0o640)
      expect(process.umask()).to.equal(0)
      expect(await listening).to.equal(`unix:${path}`)
    } finally {
      process.umask(mask)
      await new Promise((resolve) => server.close(resolve))
      rmSync(folder, { recursive: true })
    }
  })
})

describe('the settings of the agent', () => {
  const settings = (url: string): unknown =>
    loadAgentSettings({
      AMQP_URL: 'amqp://rabbit.example',
      KNELL_URL: url,
      KNELL_API_KEY: 'secret',
      SERVICE: 'orders',
    }).connect.pull

  it('take URLs of one scheme only, so that the key never goes in plain beside TLS', () => {
    for (const scheme of ['http', 'https']) {
      const urls = [`${scheme}://a.example`, `${scheme}://b.example`]
      expect(settings(urls.join(', '))).to.deep.equal(urls)
    }
    for (const mixed of [
      'https://a.example,http://b.example',
      'http://b.example,https://a.example',
    ]) {
      expect(() => settings(mixed), mixed)
        .to.throw('KNELL_URL: expected')
        .with.property('code', 'config_invalid')
    }
  })
})

describe('the tenants of the agent', () => {
  it('keep their keys, whatever a tenant is called', () => {
    const keys = JSON.stringify([{ secret: 's'.repeat(32) }])
    const { connect } = loadAgentSettings({
      AMQP_URL: 'amqp://rabbit.example',
      KNELL_URL: 'http://knell.example',
      KNELL_API_KEY: 'secret',
      SERVICE: 'orders',
      TENANTS: '__proto__',
      ISSUER: 'https://issuer.example',
      JWT_KEYS: keys,
    })
    expect(Object.keys(connect.verify ?? {})).to.deep.equal(['__proto__'])
  })
})

describe('what a place of the proxy demands', () => {
  it('is scopes and a tenant, and never nothing under one of these names', () => {
    expect(parseDemand('')).to.deep.equal({ scopes: [] })
    expect(parseDemand('scope=a%20b&scope=c&tenant=t')).to.deep.equal({
      scopes: ['a', 'b', 'c'],
      tenant: 't',
    })
    for (const empty of ['scope', 'scope=', 'scope=%20', 'scope=a&scope=', 'tenant', 'tenant=']) {
      expect(() => parseDemand(empty), empty)
        .to.throw()
        .with.property('code', 'invalid_request')
    }
  })
})

function fail(text: string): never {
  throw new Error(`${text} is no address`)
}

describe('the configurations of proxies', () => {
  it('hand on every header of the agent, and none of the client’s own', () => {
    const nginx = read('knell_proxy.conf')
    const envoy: unknown = parse(read('envoy.yaml'))
    for (const header of claimsHeaders) {
      const variable = header.replaceAll('-', '_')
      expect(nginx)
        .to.include(`auth_request_set $${variable} $upstream_http_${variable};`)
        .and.include(`proxy_set_header ${header} $${variable};`)
    }
    expect(membersOf(envoy, 'remove')).to.have.members(claimsHeaders)
    const lists = membersOf(parse(read('traefik.yml')), 'authResponseHeaders')
    expect(lists).to.have.length(2)
    for (const list of lists) expect(list).to.have.members(claimsHeaders)
  })

  it('close where the agent fails', () => {
    const envoy: unknown = parse(read('envoy.yaml'))
    expect(membersOf(envoy, 'failure_mode_allow')).to.deep.equal([false])
    expect(read('nginx.conf')).to.match(/@knell_refused \{[^]*return 503;\s*\}/)
  })
})
