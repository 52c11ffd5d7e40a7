import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { isLocal, parseAddress } from '../../shared/agent/address.ts'
import { claimsHeaders } from '../../shared/agent/claims-headers.ts'
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
