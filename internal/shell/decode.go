package shell

import (
	"cmp"
	"slices"
)

// Bounds of Decode.
const (
	minEncoded = 40      // bytes of base64, base32 or hex that are worth a look in any text
	minEscapes = 8       // escapes (%2f, \x2f) in a row that are worth a look
	maxDepth   = 5       // encodings inside encodings
	maxDecoded = 1 << 20 // bytes of decoded text in all
	maxSpans   = 256     // decoded texts in all
	maxRuns    = 4096    // encoded texts that are tried in all
	maxEncoded = 1 << 20 // bytes of one encoded text that are decoded
)

// A Decoded is a text that was found encoded in another.
type Decoded struct {
	Text       string
	Encoding   string // base64, hex, percent, escape; with what it held: base64+gzip, base64+utf16
	Start, End int    // where the encoded text is in the text given to Decode, in bytes
	Depth      int    // 1 for an encoded text, 2 for one inside that
}

// Decode returns the texts that are encoded in text, each followed by those inside it, in order of place.
// What is not printable after decoding is no text and is left out. It is quick on ordinary text.
func Decode(text string) []Decoded {
	d := decoder{bytes: maxDecoded, runs: maxRuns, least: minEncoded}
	d.scan(text, 1, Decoded{})
	return d.found
}

// A decoder holds what one call of Decode has found and may still spend.
type decoder struct {
	found       []Decoded
	bytes, runs int
	least       int // shortest encoded text, in bytes
}

// scan looks for encoded texts. Below the first depth all have the extent of the outermost.
func (d *decoder) scan(text string, depth int, outer Decoded) {
	for _, r := range d.findRuns(text) {
		if d.bytes <= 0 || len(d.found) >= maxSpans {
			return
		}
		plain, encoding := decodeRun(text[r.start:min(r.end, r.start+maxEncoded)], r.kind, d.bytes)
		if plain == "" {
			continue
		}
		d.bytes -= len(plain)
		f := Decoded{plain, encoding, r.start, r.end, depth}
		if depth > 1 {
			f.Start, f.End = outer.Start, outer.End
		}
		d.found = append(d.found, f)
		if depth < maxDepth {
			d.scan(plain, depth+1, f)
		}
	}
}

// A run is a stretch of text that may be an encoding.
type run struct {
	start, end int
	kind       runKind
}

type runKind int

const (
	letters  runKind = iota // of base64's alphabets, which hex's and base32's are part of
	percents                // URL text with many escapes
	escapes                 // \x2f\x2f
)

// findRuns returns the stretches of text that may be encodings, in order.
func (d *decoder) findRuns(text string) []run {
	runs := letterRuns(text, d.least, d.runs)
	runs = percentRuns(text, runs, d.runs)
	runs = escapeRuns(text, runs, d.runs)
	d.runs -= len(runs)
	slices.SortStableFunc(runs, func(a, b run) int { return cmp.Compare(a.start, b.start) })
	return runs
}
