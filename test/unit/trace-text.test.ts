import { expect } from 'chai'
import { readTrace, traceHeaders } from '../../shared/tracing/trace-text.ts'

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

describe('the headers of a trace', () => {
  it('are read and written as they came', () => {
    for (const headers of [{ traceparent }, { traceparent, tracestate: 'a=1,b@c=x y' }]) {
      expect(traceHeaders(readTrace(headers))).to.deep.equal(headers)
    }
    expect(traceHeaders(undefined)).to.deep.equal({})
  })

  it('are ignored where traceparent is missing, malformed or giant', () => {
    const wrong: unknown[] = [
      undefined,
      '',
      7,
      [traceparent],
      Buffer.from(traceparent),
      `${traceparent}, ${traceparent}`,
      `${traceparent}-more`,
      `${traceparent}\n`,
      traceparent.toUpperCase(),
      traceparent.replace('00-', 'ff-'),
      '00-00000000000000000000000000000000-b7ad6b7169203331-01',
      '00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01',
      '0'.repeat(100_000),
    ]
    for (const value of wrong) {
      const headers = { traceparent: value, tracestate: 'a=1' }
      expect(readTrace(headers), String(value).slice(0, 80)).to.equal(undefined)
    }
    expect(readTrace(undefined)).to.equal(undefined)
  })

  it('go without a tracestate that is malformed or giant', () => {
    for (const tracestate of ['', 'a=1\r\nx: y', 'a=\u00e9', `a=${'1'.repeat(511)}`, 7]) {
      expect(readTrace({ traceparent, tracestate })).to.equal(traceparent)
    }
    const most = `a=${'1'.repeat(510)}`
    expect(readTrace({ traceparent, tracestate: most })).to.equal(`${traceparent}\n${most}`)
  })
})
