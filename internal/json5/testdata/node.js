// Reads one question a line, JSON whose texts are in base64, and answers each in one line.
//
// {text}: json5's reading of it in a form that keeps what JSON.stringify loses (infinities, NaN, the sign of zero), or "error".
// {text, after, set: {path, literal}} and {text, after, removed: [{path, indexes}]}: "same" if after is, in json5's reading, text
// with this one change and nothing else, the order of keys included; else both readings.
const json5 = require('json5')
const hex = s => Buffer.from(s, 'utf8').toString('hex')
const bits = n => {
  const b = Buffer.alloc(8)
  b.writeDoubleBE(n)
  return b.toString('hex')
}
function form (v, order) {
  if (v === null || typeof v === 'boolean') return String(v)
  if (typeof v === 'number') return Number.isNaN(v) ? 'NaN' : bits(v)
  if (typeof v === 'string') return `"${hex(v)}"`
  if (Array.isArray(v)) return `[${v.map(e => form(e, order)).join()}]`
  return `{${order(Object.keys(v).map(k => `"${hex(k)}":${form(v[k], order)}`)).join()}}`
}
const sorted = members => members.sort()
const written = members => members

// OpenClaw reads its configuration with json5 through 2026.7.1. Since 2026.9.6 it asks JSON.parse first (parseJsonWithJson5Fallback).
function fallback (text) {
  try {
    return JSON.parse(text)
  } catch {
    return json5.parse(text)
  }
}
function reading (parse, text) {
  let value
  try {
    value = parse(text)
  } catch {
    return 'error'
  }
  return form(value, sorted)
}
function read (text) {
  const [old, now] = [reading(json5.parse, text), reading(fallback, text)]
  return old === now ? old : `json5 ${old}, 2026.9.6 ${now}`
}

const own = (o, key) => Object.prototype.hasOwnProperty.call(o, key)
// put defines a property, for an assignment to __proto__ would be none.
const put = (o, key, value) => Object.defineProperty(o, key, { value, enumerable: true, configurable: true, writable: true })
function set (root, { path, literal }) {
  if (path.length === 0) return json5.parse(literal)
  let at = root
  for (const step of path.slice(0, -1)) {
    if (!own(at, step)) put(at, step, {})
    at = at[step]
  }
  put(at, path.at(-1), json5.parse(literal))
  return root
}
function remove (root, { path, indexes }) {
  const list = path.reduce((at, step) => at[step], root)
  for (const i of indexes.sort((a, b) => b - a)) list.splice(i, 1)
}
function edited (text, after, change) {
  let want = json5.parse(text)
  if (change.set) want = set(want, change.set)
  else (change.removed ?? []).sort((a, b) => b.path.length - a.path.length).forEach(r => remove(want, r))
  const got = form(json5.parse(after), written)
  want = form(want, written)
  return got === want ? 'same' : `got ${got}, want ${want}`
}

const decode = b64 => Buffer.from(b64, 'base64').toString('utf8')
function answer (question) {
  const text = decode(question.text)
  if (question.after === undefined) return read(text)
  try {
    return edited(text, decode(question.after), question)
  } catch (e) {
    return String(e).replaceAll('\n', ' ')
  }
}
console.warn = () => {}
require('readline').createInterface({ input: process.stdin }).on('line', line => console.log(answer(JSON.parse(line))))
