import { expect } from 'chai'
import { settle } from '../../../shared/subscriber/options.ts'

describe('the options of connect', () => {
  const pullOf = (pull: readonly string[]): readonly string[] =>
    settle({ service: 'orders', amqp: 'amqp://rabbit.example', apiKey: 'secret', pull }).pull.map(
      ({ origin }) => origin,
    )

  it('take URLs of one scheme only, so that the key never goes in plain beside TLS', () => {
    for (const scheme of ['http', 'https']) {
      const urls = [`${scheme}://a.example`, `${scheme}://b.example`]
      expect(pullOf(urls)).to.deep.equal(urls)
    }
    for (const mixed of [
      ['https://a.example', 'http://b.example'],
      ['http://b.example', 'https://a.example'],
    ]) {
      expect(() => pullOf(mixed)).to.throw(TypeError, 'pull must not mix https:// with http://')
    }
  })
})
