// Reads base64 texts, one a line, and answers each with json5's reading of it in a form that keeps what
// JSON.stringify loses (infinities, NaN, the sign of zero), or with "error".
const json5 = require('json5')
const hex = s => Buffer.from(s, 'utf8').toString('hex')
const bits = n => {
  const b = Buffer.alloc(8)
  b.writeDoubleBE(n)
  return b.toString('hex')
}
function form (v) {
  if (v === null || typeof v === 'boolean') return String(v)
  if (typeof v === 'number') return Number.isNaN(v) ? 'NaN' : bits(v)
  if (typeof v === 'string') return `"${hex(v)}"`
  if (Array.isArray(v)) return `[${v.map(form).join()}]`
  return `{${Object.keys(v).map(k => `"${hex(k)}":${form(v[k])}`).sort().join()}}`
}
const answer = text => {
  try {
    return form(json5.parse(text))
  } catch (e) {
    return 'error'
  }
}
console.warn = () => {}
const lines = require('fs').readFileSync(0, 'utf8').split('\n').slice(0, -1)
console.log(lines.map(l => answer(Buffer.from(l, 'base64').toString('utf8'))).join('\n'))
