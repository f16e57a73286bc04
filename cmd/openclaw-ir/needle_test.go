package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"html"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// A hunter finds planted secrets in whatever way they may be written. It knows nothing of how package secret finds them: that one
// encodes what it knows, this one undoes every encoding of the text, leaves letters and digits alone, and takes any gram
// consecutive ones of a secret's random part for the secret, forwards or backwards, in either case.
type hunter struct {
	grams map[string]string // a gram, to the place of its secret
	first [1 << 16]bool     // the first two bytes of any
	zstd  *zstd.Decoder
}

// gram is how many characters of a secret in a row give it away: that many are 60 bits and more.
const gram = 12

func newHunter() (*hunter, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	return &hunter{grams: map[string]string{}, zstd: z}, err
}

// hunts adds a secret by its random part and where it was planted.
func (h *hunter) hunts(random, place string) {
	text := bare([]byte(random))
	for range 2 {
		for i := 0; i+gram <= len(text); i++ {
			h.grams[string(text[i:i+gram])] = place
			h.first[int(text[i])<<8|int(text[i+1])] = true
		}
		slices.Reverse(text)
	}
}

// in names the places whose secrets are in data, each with the way in which it was read.
func (h *hunter) in(data []byte) []string {
	type reading struct {
		text []byte
		ways []string
	}
	found := map[string]string{}
	seen := map[[sha256.Size]byte]bool{}
	for all := []reading{{data, nil}}; len(all) > 0; all = all[1:] {
		r := all[0]
		for place := range h.places(r.text) {
			if found[place] == "" {
				found[place] = strings.Join(append([]string{place}, r.ways...), " ")
			}
		}
		if len(r.ways) >= maxUndone || len(r.ways) > 0 && len(r.text) > maxAgain {
			continue
		}
		for _, u := range h.undoings() {
			for _, text := range u.undo(r.text) {
				if sum := sha256.Sum256(text); len(text) >= gram && !seen[sum] {
					seen[sum] = true
					all = append(all, reading{text, append(slices.Clip(r.ways), u.name)})
				}
			}
		}
	}
	return sortedValues(found)
}

// How many encodings, one upon another, are undone, and of how long a text those after the first, in bytes.
const (
	maxUndone = 3
	maxAgain  = 64 << 10
)

func sortedValues(m map[string]string) (list []string) {
	for _, v := range m {
		list = append(list, v)
	}
	slices.Sort(list)
	return list
}

// places are those whose secrets are in text as it is, with whatever between the characters that is no letter and no digit.
func (h *hunter) places(text []byte) map[string]bool {
	found := map[string]bool{}
	text = bare(text)
	for i := 0; i+gram <= len(text); i++ {
		if !h.first[int(text[i])<<8|int(text[i+1])] {
			continue
		}
		if place, ok := h.grams[string(text[i:i+gram])]; ok {
			found[place] = true
		}
	}
	return found
}

// bare is the letters and digits of a text in lower case.
func bare(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, c := range text {
		switch {
		case c >= 'A' && c <= 'Z':
			out = append(out, c|0x20)
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			out = append(out, c)
		}
	}
	return out
}

type undoing struct {
	name string
	undo func([]byte) [][]byte
}

func (h *hunter) undoings() []undoing {
	return []undoing{
		{"unescaped", func(t []byte) [][]byte { return [][]byte{unescaped(t)} }},
		{"without marks", func(t []byte) [][]byte { return [][]byte{marks.ReplaceAll(t, nil)} }},
		{"all undone", func(t []byte) [][]byte { return [][]byte{marks.ReplaceAll(unescaped(unescaped(t)), nil)} }},
		{"base64", h.unbase64},
		{"hexadecimal", h.unhex},
		{"unpacked", h.unpack},
	}
}

var (
	// marks are the escapes of a terminal and the tags of a page, which hold letters.
	marks   = regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|</?[a-zA-Z][^<>]*>`)
	escape  = regexp.MustCompile(`^(?:\\+(?:u\{?([0-9a-fA-F]{1,6})\}?|x([0-9a-fA-F]{2})|U([0-9a-fA-F]{8})|[0-7]{3}|[nrtbfve])|[%=]([0-9a-fA-F]{2})|=[ \t]*\r?\n|&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[a-zA-Z]+);)`)
	escaped = [256]bool{'\\': true, '%': true, '=': true, '&': true}
)

// unescaped undoes the escapes of JSON, JavaScript, C and a shell, of URLs, of quoted-printable mail and of HTML.
func unescaped(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		m := []int(nil)
		if escaped[text[i]] {
			m = escape.FindSubmatchIndex(text[i:min(len(text), i+40)])
		}
		if m == nil {
			out = append(out, text[i])
			i++
			continue
		}
		out = append(out, meant(string(text[i:i+m[1]]), text[i:], m)...)
		i += m[1]
	}
	return out
}

// meant is what an escape stands for; a line end and its like are nothing.
func meant(whole string, text []byte, m []int) string {
	for g := 2; g < len(m); g += 2 {
		if m[g] >= 0 {
			n, _ := strconv.ParseUint(string(text[m[g]:m[g+1]]), 16, 32)
			if n < 256 {
				return string([]byte{byte(n)})
			}
			return string(rune(n))
		}
	}
	if n, err := strconv.ParseUint(strings.TrimLeft(whole, `\`), 8, 8); err == nil {
		return string([]byte{byte(n)})
	}
	if whole[0] == '&' {
		return html.UnescapeString(whole)
	}
	return ""
}

// What base64 and hexadecimal are written with, and what may stand between; dropped is the latter, and the other alphabet's letters.
var (
	letters64  = charsOf("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
	lettersHex = charsOf("0123456789abcdefABCDEF")
	between    = charsOf(" \t\r\n:,")
	dropped    = strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "", ":", "", ",", "", "-", "+", "_", "/")
)

func charsOf(chars string) (set [256]bool) {
	for _, c := range []byte(chars) {
		set[c] = true
	}
	return set
}

// runs are the stretches of text that are made of letters and of what may stand between.
func runs(text []byte, letters *[256]bool) (all [][]byte) {
	for i := 0; i < len(text); i++ {
		start := i
		for i < len(text) && (letters[text[i]] || between[text[i]]) {
			i++
		}
		if i-start > gram {
			all = append(all, text[start:i])
		}
	}
	return all
}

// unbase64 decodes every run of base64, line breaks within it left out, from each of the four places that a group may start at.
func (h *hunter) unbase64(text []byte) [][]byte {
	return h.decoded(runs(text, &letters64), 4, func(part string) []byte {
		b, _ := base64.RawStdEncoding.DecodeString(part)
		return b
	})
}

func (h *hunter) unhex(text []byte) [][]byte {
	return h.decoded(runs(text, &lettersHex), 2, func(part string) []byte {
		b, _ := hex.DecodeString(part)
		return b
	})
}

// decoded is what of the runs is text, or compressed text, when they are decoded in groups from each of the places that a group may
// start at.
func (h *hunter) decoded(runs [][]byte, group int, decode func(string) []byte) (all [][]byte) {
	var texts []byte
	for _, run := range runs {
		letters := dropped.Replace(string(run))
		for i := range group {
			part := letters[min(i, len(letters)):]
			plain := decode(part[:len(part)/group*group])
			texts = append(append(texts, bytes.Join(printable.FindAll(plain, -1), []byte("\n"))...), '\n')
			all = append(all, h.unpack(plain)...)
		}
	}
	return append(all, texts)
}

// printable is text, also in UTF-16. What is no base64 decodes to little of it.
var printable = regexp.MustCompile(`[\x00\t\n\r -~]{9,}`)

// unpack returns what is compressed in text, wherever that begins.
func (h *hunter) unpack(text []byte) (all [][]byte) {
	for _, magic := range []string{"\x1f\x8b\x08", "\x28\xb5\x2f\xfd"} {
		for at := 0; ; at++ {
			n := bytes.Index(text[at:], []byte(magic))
			if n < 0 {
				break
			}
			at += n
			var r io.Reader = h.zstd
			if magic[0] == 0x1f {
				z, err := gzip.NewReader(bytes.NewReader(text[at:]))
				if err != nil {
					continue
				}
				r = z
			} else if err := h.zstd.Reset(bytes.NewReader(text[at:])); err != nil {
				continue
			}
			plain, _ := io.ReadAll(io.LimitReader(r, 16<<20)) // as far as it goes
			all = append(all, plain)
		}
	}
	return all
}
